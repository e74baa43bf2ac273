"""What is told of a subject, by `gauger watch` and the admin listener: in a row, and all of it, to be read to a customer."""

from __future__ import annotations

from typing import Any

from gateway.detectors import REASONS
from gateway.policy.model import Ladder, Policy, Step
from gateway.policy.scalars import format_percent
from gateway.policy.verdicts import rank_of
from gateway.watch import changes
from gateway.watch.cases import footing_from
from gateway.watch.changes import instant


def steps_of(row: dict[str, Any]) -> str:
    if "steps" in row:
        return ", ".join(f"{step} ({ladder})" for ladder, step in row["steps"].items() if step)
    own, cluster = row.get("step", ""), row.get("cluster_step", "")
    return f"{own or cluster}{' (its cluster)' if cluster and not own else ''}"


def row_of(row: dict[str, Any], now_us: int) -> tuple[str, ...]:
    excused_us = (row.get("pardon") or {}).get("until_us", 0)
    pardoned = f"pardoned until {instant(excused_us)}" if excused_us > now_us else ""
    since_us = footing_from(row.get("footing")).since_us if row.get("step") else 0
    return (
        row["subject"],
        format_percent(row["score"]),
        ", ".join(filter(None, (row.get("profile", ""), "changed" if row.get("change") else ""))),
        str(row.get("requests", 0)),
        steps_of(row) or pardoned or "-",
        row.get("mode", "") if row.get("ladder") else "",
        instant(since_us),
        row.get("cluster", "") or (f"{len(row['members'])} members" if "members" in row else ""),
    )


def brief(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the list as JSON; what is behind it is in the dossier."""
    said = {
        "subject": row["subject"],
        "score": row["score"],
        "profile": row.get("profile", ""),
        "requests": row.get("requests", 0),
        "review": bool(row.get("review")),
        "excused_until": instant((row.get("pardon") or {}).get("until_us", 0)),
        "as_of": instant(row.get("at_us", 0)),
    }
    if "members" in row:
        return {**said, "members": len(row["members"]), "steps": row.get("steps", {})}
    since_us = footing_from(row.get("footing")).since_us if row.get("step") else 0
    said["changed_since"] = instant((row.get("change") or {}).get("since_us", 0))
    names = ("organisation", "ladder", "mode", "step", "cluster", "cluster_step")
    return {**said, **{name: row.get(name, "") for name in names}, "since": instant(since_us)}


def shown(row: dict[str, Any], policy: Policy, now_us: int) -> list[str]:
    """Everything of one subject. `facts`, where the row has them: as `desk` puts them there."""
    lines = [f"{row['subject']}: score {format_percent(row['score'])}, over {row.get('requests', 0)} requests"]
    if row.get("organisation"):
        lines.append(f"organisation {row['organisation']}; last request {instant(row.get('last_us', 0)) or 'unknown'}")
    if "members" in row:
        lines.append(f"{len(row['members'])} members: {', '.join(row['members'])}")
        lines += [f"linked because {reason}" for reason in row.get("linked_by", [])]
        lines += [f"on ladder {ladder}: step {step or 'none'}" for ladder, step in row.get("steps", {}).items()]
    else:
        lines += _standing(row, policy, now_us)
    lines += _pardoned(row, now_us)
    if row.get("facts"):
        said = row["facts"]
        lines.append(f"you know its {', '.join(said['known'])}: stated by {said['by']} at {instant(said['at_us'])}")
    for profile, score, reasons, requests, is_explained in row.get("findings", []):
        if not requests:
            continue
        explained = ", explained by a declared purpose: no ground for a step" if is_explained else ""
        lines.append(f"looks like {profile}: {format_percent(score)} over {requests} requests{explained}")
        for code, value, usual, unit in reasons:
            lines.append(f"  {REASONS.get(code, code)}: {changes.amount(value, unit)} (usual: {changes.amount(usual, unit)})")
    lines += changes.told(row)
    lines += changes.measured(row)
    if steps_of(row):
        lines.append(f"to undo it: gauger watch pardon {row['subject']} --reason TEXT")
    return lines


def _standing(row: dict[str, Any], policy: Policy, now_us: int) -> list[str]:
    footing = footing_from(row.get("footing"))
    ladder = policy.ladders.get(row.get("ladder", ""))
    lines = []
    if ladder is None:
        lines.append("on no ladder: it is watched, and nothing is done")
    else:
        step = row.get("step", "")
        mode = "" if ladder.enforce else "; shadow: nothing of it is done"
        where = f"step {step} since {instant(footing.since_us)}" if step else "on no step"
        lines.append(f"on ladder {ladder.name}: {where}{mode}")
        if footing.due_us > now_us:
            lines.append(f"the next step is due at {instant(footing.due_us)}, unless its score falls")
        if row.get("cluster_step"):
            lines.append(f"its cluster {row['cluster']} stands on step {row['cluster_step']}, which holds for it too")
        rank = max(rank_of(ladder, step), rank_of(ladder, row.get("cluster_step", "")))
        lines += [f"  {each.name}: {_does(each, ladder)}" for each in ladder.steps[:rank]]
    if row.get("cluster") and not row.get("cluster_step"):
        lines.append(f"in cluster {row['cluster']}, which stands on no step")
    return lines


def _pardoned(row: dict[str, Any], now_us: int) -> list[str]:
    pardon = row.get("pardon") or {}
    if not pardon:
        return []
    until = f", and it does not climb until {instant(pardon['until_us'])}" if pardon.get("until_us", 0) > now_us else ""
    return [f"pardoned at {instant(pardon['at_us'])} by {pardon['by']}: {pardon['reason']}{until}"]


def _does(step: Step, ladder: Ladder) -> str:
    """What a step does, in words."""
    words = []
    if step.notify:
        words.append("a line in the log")
    if step.budgets_milli != 1_000:
        words.append(f"its own limits are {format_percent(step.budgets_milli)} of what they were")
    said = [name for name in step.output.places if name in step.output.__slots__ or name == "temperature"]
    if said:
        words.append(f"output: {', '.join(_word(name, step) for name in sorted(said))}")
    if step.review:
        words.append("waits for somebody to look at it")
    if step.refuse:
        words.append("requests are refused (403)")
    if ladder.cluster_budgets and step.name == (ladder.cluster_from or ladder.steps[0].name):
        words.append("a cluster on it spends " + ", ".join(budget.name for budget in ladder.cluster_budgets) + " together")
    return "; ".join(words) or "on record, and told in answers" * ladder.marked or "on record"


def _word(name: str, step: Step) -> str:
    """A word of `output`, with its value where that is short to say."""
    value = getattr(step.output, name, None)
    if isinstance(value, tuple) and value and all(isinstance(each, str) for each in value):
        return f"{name} {' '.join(value)}"
    return f"{name} {value}" if isinstance(value, (int, str)) else name
