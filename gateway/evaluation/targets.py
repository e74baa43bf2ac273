"""What the watch must show, each with its number: reached or missed."""

from __future__ import annotations

from typing import Any

from gateway.evaluation.attackers import TARGETED
from gateway.evaluation.families import EVALUATION

CAUGHT_MIN = 0.85
ADAPTIVE_MIN = 0.60
LINKED_MIN = 0.80
TOUCHED_MAX = 0.001
MIMICKED_MAX = 0.0


def tell(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """Each target as a sentence, the bound, the number with its interval where it has one, and whether it is reached."""
    within = tree["detection"]["within"]
    (plain,) = [row for row in tree["detection"]["by_requests"]["watch"] if row["within"] == within]
    (targeted,) = [row for row in tree["attackers"] if row["name"] == TARGETED.name]
    linked = tree["accounts"]["linked"][0]
    tolls = tree["honest"]["tolls"]
    worst = max(tolls, key=lambda workload: tolls[workload]["share"])
    found = [
        _least(
            f"attack windows caught within {within} requests, at 1% of the windows of held-out honest families flagged"
            + _in_sample(tree),
            CAUGHT_MIN,
            plain,
            "caught",
        ),
        _least(f"the same under {TARGETED.label}", ADAPTIVE_MIN, targeted["watch"], "caught"),
        _least(
            f"days on which {linked['accounts']} accounts at {tree['accounts']['requests_a_day']} requests are linked, "
            "80% of them in one cluster",
            LINKED_MIN,
            linked,
            "linked",
        ),
        _most("honest tokens delayed or cut under the default ladder, all workloads", TOUCHED_MAX, tree["honest"]["touched"]),
        _most(f"the same of the workload with most of them ({worst})", TOUCHED_MAX, tolls[worst]["share"]),
    ]
    if EVALUATION in tolls:
        harnesses = tolls[EVALUATION]["share"]
        found.append(_most("the same of evaluation harnesses with a declared purpose", 0.0, harnesses))
    mimicked = tree["accounts"]["mimicked"]
    found.append(_most("honest tenants joined with an account that sent their prompts", MIMICKED_MAX, mimicked["joined"]))
    return found


def _in_sample(tree: dict[str, Any]) -> str:
    """What has to be said beside a figure that rests on weights which were fitted on what is tested."""
    attacks = [source for source in tree["data"]["sources"] if source["role"] == "attack"]
    fitted = sum(source["fitted_on"] for source in attacks)
    return f" (in sample: the weights were fitted on {fitted} of these {len(attacks)} attacking sources)" if fitted else ""


def _least(what: str, bound: float, row: dict[str, Any], name: str) -> dict[str, Any]:
    value = row[name]
    return {"what": what, "bound": bound, "at_least": True, "value": value, "low": row["low"], "high": row["high"],
            "reached": bool(value >= bound)}  # fmt: skip


def _most(what: str, bound: float, value: float) -> dict[str, Any]:
    return {"what": what, "bound": bound, "at_least": False, "value": value, "low": None, "high": None,
            "reached": bool(value <= bound if bound == 0 else value < bound)}  # fmt: skip
