"""The watch in a policy: `watch`, and `ladders`, what is done about traffic that looks like extraction.

Rule: what a step says of answers is read as any other `output` is, so that nothing can be said there that the gateway does not
do anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from gateway.policy import scalars
from gateway.policy.fields import Fields, among, boolean, count, one_of, scalar, text, value_of
from gateway.policy.model import NO_LADDER, NO_WATCH, Budget, Ladder, OnChange, Output, Step, Watch
from gateway.policy.shapes import BOOLEAN, DURATION, NAME, PERCENT, choice, counts, items, needed, ref, table, texts, written
from gateway.policy.yaml_tree import Items, Scalar, join

MODES = ("enforce", "shadow")
ON_CHANGE: tuple[OnChange, ...] = ("notify", "review", "ignore")
STEPS_MAX = 16
PATH_CHARACTERS_MAX = 200
REQUESTS_MIN_MAX = 10_000
"""More than a window of the analyst may hold: nobody would ever climb."""
WATCH_WORDS = {
    "ladder": NAME,
    "phrases": items(texts(PATH_CHARACTERS_MAX), may_be_empty=False),
    "sample_prompts": PERCENT,
    "keep_evidence": written("[0-9]+d"),
}
STEP_WORDS = {
    "name": needed(NAME),
    "score": needed(PERCENT),
    "notify": BOOLEAN,
    "budgets": PERCENT,
    "output": ref("output"),
    "review": BOOLEAN,
    "refuse": BOOLEAN,
}
CLUSTER_WORDS = {"budgets": needed(items(ref("budget"))), "from": NAME}
LADDER_WORDS = {
    "mode": needed(choice(MODES)),
    "marked": BOOLEAN,
    "climb_every": DURATION,
    "delay": DURATION,
    "jitter": DURATION,
    "calm_after": DURATION,
    "hysteresis": PERCENT,
    "requests_min": counts(most=REQUESTS_MIN_MAX),
    "on_change": choice(ON_CHANGE),
    "steps": needed(items(table(STEP_WORDS), may_be_empty=False, maxItems=STEPS_MAX)),
    "cluster": table(CLUSTER_WORDS),
}
_OF_A_CLUSTER = {
    "scope": "the members of a cluster spend it together: remove the word",
    "override": "there is nothing to replace in a cluster: remove the word",
    "when": "a cluster's budget always counts: remove the word",
    "since": "it is tried as long as its ladder is: write `mode: shadow` there",
}
ReadBudgets = Callable[[Fields], tuple[Budget, ...]]
ReadOutput = Callable[[Fields], Output]


def read_watch(fields: Fields) -> Watch:
    """The one entry `watch` of a directory."""
    phrases = []
    for path, node in fields.items("phrases", may_be_empty=False):
        phrases.append(scalar(fields.report, node, path, text(_relative), ""))
    if isinstance(fields.value("phrases"), Items) and not phrases:
        fields.refuse("phrases", "an empty list adds nothing to the built-in phrases: remove the word, or list files")
    return Watch(
        ladder=fields.get("ladder", text(scalars.name), NO_LADDER),
        phrases=tuple(phrases),
        sample_milli=fields.get("sample_prompts", percent(0, 1_000), 0),
        keep_evidence_s=fields.get("keep_evidence", text(_keep_s), NO_WATCH.keep_evidence_s),
        place=fields.report.place(fields.node),
    )


def read_ladder(fields: Fields, name: str, read_budgets: ReadBudgets, read_output: ReadOutput) -> Ladder:
    """One entry of `ladders`. What reads budgets and outputs is the caller's, who keeps account of where they are."""
    usual = Ladder(name, (), enforce=True, place=fields.report.place(fields.node))
    if name == NO_LADDER:
        fields.report.add(fields.node, fields.path, f"`{NO_LADDER}` is the word for having no ladder: choose another name")
    steps = _read_steps(fields, read_output)
    budgets, starts = _read_cluster(fields, steps, read_budgets)
    return Ladder(
        name=name,
        steps=steps,
        enforce=fields.need("mode", one_of(MODES), "shadow") == "enforce",
        place=usual.place,
        marked=fields.get("marked", boolean, True),
        climb_every_s=fields.get("climb_every", text(scalars.duration_s), usual.climb_every_s),
        delay_s=fields.get("delay", text(scalars.duration_s), usual.delay_s),
        jitter_s=fields.get("jitter", text(scalars.duration_s), usual.jitter_s),
        calm_after_s=fields.get("calm_after", text(scalars.duration_s), usual.calm_after_s),
        hysteresis_milli=fields.get("hysteresis", percent(0, 500), usual.hysteresis_milli),
        requests_min=fields.get("requests_min", _requests_min, usual.requests_min),
        on_change=fields.get("on_change", one_of(ON_CHANGE), usual.on_change),
        cluster_budgets=budgets,
        cluster_from=starts,
    )


def _read_steps(owner: Fields, read_output: ReadOutput) -> tuple[Step, ...]:
    steps: list[Step] = []
    for path, node in owner.items("steps", may_be_empty=False):
        fields = Fields(owner.report, node, path, STEP_WORDS)
        step = Step(
            name=fields.need("name", text(scalars.name), ""),
            score_milli=fields.need("score", percent(1, 1_000), 0),
            place=owner.report.place(node),
            notify=fields.get("notify", boolean, False),
            budgets_milli=fields.get("budgets", percent(1, 1_000), 1_000),
            output=read_output(fields),
            review=fields.get("review", boolean, False),
            refuse=fields.get("refuse", boolean, False),
        )
        fields_of_output = fields.value("output")
        if fields_of_output is not None and value_of(fields_of_output, "min_tokens") is not fields_of_output:
            what = "a step only takes away: a floor has its place in a plan"
            owner.report.add(value_of(fields_of_output, "min_tokens"), join(join(path, "output"), "min_tokens"), what)
        before = next((known for known in steps if known.name and known.name == step.name), None)
        if before is not None:
            what = f"`{step.name}` is already a step of this ladder, at line {before.place.line}"
            owner.report.add(value_of(node, "name"), join(path, "name"), what)
        if steps and 0 < step.score_milli <= steps[-1].score_milli:
            what = f"{_percent_of(step.score_milli)} is not above {_percent_of(steps[-1].score_milli)}, the step before it"
            owner.report.add(value_of(node, "score"), join(path, "score"), f"{what}: scores rise from step to step")
        steps.append(step)
    if isinstance(owner.value("steps"), Items) and not steps:
        owner.refuse("steps", "an empty list leads nowhere: list steps, or write `ladder: none` where the ladder is named")
    elif "steps" not in owner and owner.is_usable:
        owner.report.add(owner.node, owner.path, "`steps` is missing")
    if len(steps) > STEPS_MAX:
        owner.refuse("steps", f"{len(steps)} are too many: at most {STEPS_MAX}")
    return tuple(steps)


def _read_cluster(owner: Fields, steps: tuple[Step, ...], read_budgets: ReadBudgets) -> tuple[tuple[Budget, ...], str]:
    node = owner.value("cluster")
    if node is None:
        return (), ""
    fields = Fields(owner.report, node, owner.at("cluster"), CLUSTER_WORDS)
    for path, item in fields.items("budgets"):
        for word, why in _OF_A_CLUSTER.items():
            if value_of(item, word) is not item:
                owner.report.add(value_of(item, word), join(path, word), why)
    budgets = read_budgets(fields)
    for budget, (path, item) in zip(budgets, fields.items("budgets")):
        if budget.on_exceed != "reject":
            what = "a request that does not fit a cluster's budget is refused: remove the word"
            owner.report.add(value_of(item, "on_exceed"), join(path, "on_exceed"), what)
    if not budgets and fields.is_usable and "budgets" not in fields:
        owner.report.add(node, fields.path, "`budgets` is missing")
    starts = fields.get("from", text(scalars.name), "")
    names = [step.name for step in steps if step.name]
    if starts and names and starts not in names:
        fields.complain("from", f"there is no step `{starts}`; {among(starts, names)}")
    return budgets, starts


def percent(least: int, most: int) -> Callable[[Scalar], int]:
    """A reader of a percentage between the two, all in thousandths of the whole."""

    def read_percent(node: Scalar) -> int:
        milli = scalars.percent_milli(node.text)
        if not least <= milli <= most:
            raise ValueError(f"{node.text[:40]} is out of bounds: {_percent_of(least)} to {_percent_of(most)}")
        return milli

    return read_percent


def _percent_of(milli: int) -> str:
    return scalars.format_percent(milli)


def _requests_min(node: Scalar) -> int:
    requests = count(node)
    if requests > REQUESTS_MIN_MAX:
        raise ValueError(f"{requests} is too large: at most {REQUESTS_MIN_MAX}, or nobody would ever climb")
    return requests


def _keep_s(written: str) -> int:
    """Longer than any other duration may be: evidence outlives budgets."""
    days = written.removesuffix("d")
    if days != written and days.isascii() and days.isdigit() and 1 <= int(days) <= scalars.EVIDENCE_DAYS_MAX:
        return int(days) * 86_400
    raise ValueError(f"evidence is kept for days, written like `400d`: 1d to {scalars.EVIDENCE_DAYS_MAX}d")


def _relative(written: str) -> str:
    path = PurePosixPath(written)
    if (
        not written
        or path.is_absolute()
        or ".." in path.parts
        or not written.isprintable()
        or len(written) > PATH_CHARACTERS_MAX
    ):
        raise ValueError("a path of a file below the policy directory, as in `phrases/own.yaml`")
    if len(path.parts) < 2:
        raise ValueError("a file of the directory itself is a policy: put phrase lists below it, as in `phrases/own.yaml`")
    return written
