"""The report: what was found, in the order in which a reader should doubt it. From the tree of `evaluate` alone."""

from __future__ import annotations

from typing import Any

from gateway.evaluation import report_detection, report_history, report_tenants
from gateway.evaluation.document import (
    Block,
    Heading,
    Items,
    Table,
    Text,
    interval,
    number,
    percent,
    small_percent,
)

TITLE = "Evaluation of the watch"


def blocks(tree: dict[str, Any]) -> list[Block]:
    return [
        Heading(1, TITLE),
        Text(
            f"Made by `gauger evaluate` {tree['version']} under seed {tree['settings']['seed']}: real text of one source at the "
            "times of one real client, through the code that runs in the gateway and the analyst, on a virtual clock. "
            "Every figure is a figure about these texts and these traces."
        ),
        *_targets(tree),
        *_data(tree),
        *report_detection.detection(tree),
        *report_detection.delays(tree),
        *report_detection.attackers(tree),
        *report_tenants.accounts(tree),
        *report_tenants.honest(tree),
        *report_history.history(tree),
        *_limits(tree),
    ]


def _targets(tree: dict[str, Any]) -> list[Block]:
    rows = []
    for target in tree["targets"]:
        sign = "at least" if target["at_least"] else ("none" if target["bound"] == 0 else "below")
        bound = sign if sign == "none" else f"{sign} {percent(target['bound'], 1)}"
        value = percent(target["value"], 1) if target["at_least"] else small_percent(target["value"])
        if target["low"] is not None:
            value += f" ({interval(target)})"
        rows.append([target["what"], bound, value, "reached" if target["reached"] else "missed"])
    return [
        Heading(2, "Targets"),
        Table(["what", "aim", "found (95% of a bootstrap)", ""], rows),
        Text(
            "An interval draws whole families (or runs) again: with few attacking families it is wide, because few families are "
            "little evidence."
        ),
    ]


def _data(tree: dict[str, Any]) -> list[Block]:
    data, streams = tree["data"], tree["streams"]
    sources = [
        [
            source["source"] + (" †" if source["fitted_on"] else ""),
            source["role"],
            source["family"],
            source["workload"],
            source["licence"],
            number(source["records"]),
            number(source["requests"]),
            number(source["groups"]),
            number(source["text_bytes"] / 1e6),
        ]
        for source in data["sources"]
    ]
    traces = [[trace["file"], trace["what"], number(trace["rows"]), number(trace["bad_rows"])] for trace in data["traces"]]
    head = ["source", "role", "family", "workload", "licence", "records", "requests", "groups", "MB"]
    low, middle, high = data["client_requests_a_day"]
    found: list[Block] = [
        Heading(2, "What it was made from"),
        Table(head, sources, 5),
        _fitted(tree),
        Table(["trace", "what it gives", "rows", "bad rows"], traces, 2),
        Text(
            f"{number(data['clients'])} real clients; half of them send {number(low)} to {number(high)} requests a day "
            f"(median {number(middle)}). {number(streams['honest'])} honest tenants, {number(streams['attack'].get('plain', 0))} "
            f"attacking ones that do nothing to be overlooked, and {len(streams['attack']) - 1} kinds that do; "
            f"{number(streams['requests'])} requests in all. {percent(streams['recycled_share'])} of honest requests repeat a "
            "text that their tenant has sent before, because its source has no more."
        ),
    ]
    if data["shared_texts"]:
        found.append(Text("Families that share texts, so that holding one out does not make all of it unseen:"))
        found.append(
            Items(
                [
                    f"`{each['families'][0]}` and `{each['families'][1]}`: {number(each['texts'])} texts, {percent(each['share'])} of the smaller"
                    for each in data["shared_texts"]
                ]
            )
        )
    if data["notes"]:
        found += [Text("What could not be used:"), Items([f"`{note}`" for note in data["notes"]])]
    return found


def _fitted(tree: dict[str, Any]) -> Block:
    known = [source for source in tree["data"]["sources"] if source["fitted_on"]]
    if not known:
        return Text(
            "The makers of the watch name none of these sources as one that its weights were fitted on. What they had looked at while "
            "they chose what to measure is another matter: only a family that they have never seen is out of sample altogether."
        )
    rest = len(tree["data"]["sources"]) - len(known)
    unseen = "none of the sources is unseen" if rest == 0 else f"the other {rest} are unseen"
    return Text(
        f"\\* The weights of the watch as shipped were fitted on these {len(known)} sources; {unseen}. Figures of *the watch as "
        "shipped* are in sample for the former, whatever the threshold was set on; *fitted again* is out of sample for all."
    )


def _limits(tree: dict[str, Any]) -> list[Block]:  # true of every run
    return [
        Heading(2, "What this does not show"),
        Items(
            [
                "No source is a real tenant's log: a tenant is simulated by sampling one source, so it is purer than a real one.",
                "What an agentic campaign or a relayed session of a real user sends is what honest users send: content tells them apart from nobody.",
                "The parameters of a source (`n`, `temperature`, `logit_bias`) are those of its pipeline: the attacker that sends none is reported for that reason.",
                "Arrivals and text are drawn apart: whatever ties the two in real traffic is not there.",
                "An attacker that reads this report adapts to it. The attackers here are cheap ones.",
                "Who changes is not who attacks: a change is told for somebody's look, and how many of them are redeployments only an operator knows.",
                "It is evidence about traffic. Whether anybody trained a model on answers is nothing that traffic can show.",
            ]
        ),
    ]
