"""Plans as they are written, and what becomes of them: a plan takes over what `defaults` and the plan it extends say.

A word that a plan writes replaces the one it would take over; of `output`, word by word. Budgets are added: which of two that
have one name counts a request is told when it comes (`resolve`), because an override may be for some models or hours only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from gateway.policy.fields import Fields, among, boolean, text
from gateway.policy.model import DEFAULT_ENDPOINTS, EVERYTHING, Budget, Output, Place, Plan
from gateway.policy.outputs import over
from gateway.policy.read_globs import ENDPOINT_GLOBS, Groups, read_endpoints, read_models
from gateway.policy.scalars import name as read_name
from gateway.policy.shapes import BOOLEAN, MODELS, NAME, items, ref
from gateway.policy.yaml_tree import Scalar

WORDS = {
    "extends": NAME,
    "budgets": items(ref("budget")),
    "models": MODELS,
    "endpoints": ENDPOINT_GLOBS,
    "counts_cached_input": BOOLEAN,
    "ladder": NAME,
    "output": ref("output"),
}


class Draft(NamedTuple):
    """A plan as one mapping says it; None: it says nothing of it."""

    fields: Fields
    name: str
    extends: str
    budgets: tuple[Budget, ...]
    models: tuple[str, ...]
    """(): it says nothing of it."""
    endpoints: tuple[str, ...]
    counts_cached_input: bool | None
    ladder: str
    output: Output
    place: Place


def read_draft(fields: Fields, name: str, place: Place, budgets: tuple[Budget, ...], output: Output, groups: Groups) -> Draft:
    """`budgets` and `output` are read by the caller, who keeps account of where they are."""
    return Draft(
        fields=fields,
        name=name,
        extends=fields.get("extends", text(read_name), ""),
        budgets=budgets,
        models=read_models(fields, groups, ()),
        endpoints=read_endpoints(fields, ()),
        counts_cached_input=fields.get("counts_cached_input", _boolean, None),
        ladder=fields.get("ladder", text(read_name), ""),
        output=output,
        place=place,
    )


def settle_plans(drafts: Mapping[str, Draft], defaults: Draft | None) -> tuple[Plan | None, dict[str, Plan]]:
    """What `defaults` says, and every plan with what it takes over. What is extended but missing, and circles, are reported."""
    base = _plan(defaults, None) if defaults is not None else None
    settled: dict[str, Plan] = {}
    for name in drafts:
        chain: list[str] = []
        at = name
        while at and at not in settled and at in drafts and at not in chain:
            chain.append(at)
            at = drafts[at].extends
        if at in chain:
            _report_circle(drafts, chain[chain.index(at) :])
            at = ""
        elif at and at not in drafts:
            last = drafts[chain[-1]]
            last.fields.complain("extends", f"there is no plan `{at}`; {among(at, [*drafts])}")
            at = ""
        for link in reversed(chain):
            settled[link] = _plan(drafts[link], settled.get(at) or base)
            at = link
    return base, settled


def _report_circle(drafts: Mapping[str, Draft], circle: Sequence[str]) -> None:
    first = drafts[min(circle)]
    way = " -> ".join([*circle, circle[0]])
    first.fields.complain("extends", f"plans that extend each other in a circle: {way}")


def _plan(draft: Draft, base: Plan | None) -> Plan:
    words = draft.fields.places()
    if base is None:
        return Plan(
            name=draft.name,
            budgets=draft.budgets,
            models=draft.models or EVERYTHING,
            counts_cached_input=draft.counts_cached_input or False,
            place=draft.place,
            output=draft.output,
            endpoints=draft.endpoints or DEFAULT_ENDPOINTS,
            ladder=draft.ladder,
            places=words,
        )
    return Plan(
        name=draft.name,
        budgets=(*base.budgets, *draft.budgets),
        models=draft.models or base.models,
        counts_cached_input=base.counts_cached_input if draft.counts_cached_input is None else draft.counts_cached_input,
        place=draft.place,
        output=_over(base.output, draft.output),
        endpoints=draft.endpoints or base.endpoints,
        extends=(base.name, *base.extends) if base.name else base.extends,
        ladder=draft.ladder or base.ladder,
        places={**base.places, **words},
    )


def _over(general: Output, special: Output) -> Output:
    """As `over`, with the places of both: to whoever asks where a word stands, a plan is one level."""
    output = over(general, special)
    if output is general or output is special:
        return output
    return replace(output, places={**general.places, **special.places})


def _boolean(node: Scalar) -> bool | None:
    return boolean(node)
