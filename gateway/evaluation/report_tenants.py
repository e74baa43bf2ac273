"""Campaigns over many accounts, and what all of it costs the honest: this part of the report."""

from __future__ import annotations

from typing import Any

from gateway.evaluation.campaigns import WAYS
from gateway.evaluation.document import Block, Figure, Heading, Table, Text, interval, number, percent, small_percent
from gateway.evaluation.publics import KINDS


def accounts(tree: dict[str, Any]) -> list[Block]:
    accounts = tree["accounts"]
    linked = [
        [
            row["attacker"], number(row["crowd"]), number(row["runs"]), percent(row["linked"]), interval(row), percent(row["joined"]),
            number(row["after_hours"]), f"{row['strangers']:.1f}", number(row["score"]), number(row["innocent_score_max"]),
        ]
        for row in accounts["linked"]
    ]  # fmt: skip
    by_source = [
        [row["attacker"], number(row["crowd"]), source, percent(each["linked"], 0), percent(each["joined"]), f"{each['strangers']:.1f}", number(each["score"])]
        for row in accounts["linked"]
        for source, each in row["by_source"].items()
    ]  # fmt: skip
    pairs = [
        [label, number(accounts["pairs"][common]["pairs"]), small_percent(accounts["pairs"][common]["joined"])]
        for common, label in (
            ("template", "one public template, texts of their own"),
            ("workload", "one source"),
            ("nothing", "nothing"),
        )
    ]
    templates = [
        [KINDS[row["kind"]], number(row["days"]), number(row["tenants"]), small_percent(row["joined"]), interval(row)]
        for row in accounts["templates"]
    ]
    mimicked = accounts["mimicked"]
    splits = [
        [number(split["accounts"]), *(percent(split["got"][way]) for way in split["got"]), percent(split["linked"])]
        for split in accounts["splits"]
    ]
    return [
        Heading(2, "Many accounts"),
        Text(
            f"{accounts['linked'][0]['accounts']} accounts of one campaign at {accounts['requests_a_day']} requests a day, spread "
            "over the day, in crowds of honest tenants of every source: "
            f"{'; '.join(f'{way.name}: {way.label}' for way in WAYS)}. Linked: at some half hour of the "
            "day one cluster holds 80% of them; joined is what the largest holds when the day ends. The scores are those of merged windows: of the campaign's cluster "
            f"(the threshold is {accounts['threshold']}), and the highest of any cluster of honest tenants alone."
        ),
        Table(
            ["campaign", "crowd", "days", "linked", "95%", "accounts joined", "after hours", "honest tenants in it", "its score", "honest cluster's"],
            linked,
        ),
        Table(["campaign", "crowd", "source", "linked", "accounts joined", "honest tenants in it", "its score"], by_source, 3),
        Text(
            "Honest tenants on one public template, each at a rate of its own, and how many of them stood in any cluster at the "
            "end of a day, by what they fill in:"
        ),
        Table(["data", "days", "tenants", "joined", "95%"], templates),
        Text("Pairs of honest tenants in one cluster at the end of a day, by what they have in common:"),
        Table(["in common", "pairs a day", "joined"], pairs),
        Text(
            f"Honest tenants that stood in one cluster with an account which sent their very prompts to have them joined: "
            f"{percent(mimicked['joined'])} of {number(mimicked['victims'])} ({interval(mimicked)}). A tenant's own score is made "
            "from its own requests and does not change by what others send."
        ),
        Heading(3, "One campaign over k accounts"),
        Text(
            f"It wants {number(tree['settings']['volume'])} requests answered in a day. Each account's plan allows "
            f"{number(accounts['account_budget'])} requests a day, and so does a linked cluster's shared budget. Whoever is above "
            "the threshold is cut off at once, which no ladder does: this is the most that could be made of what was noticed by "
            "then. What is refused is not seen."
        ),
        Table(
            ["accounts", "each its own budget", "and its own score", "and a cluster's budget", "and a cluster's score", "linked"], splits
        ),
        Figure("hydra", "Share of the output tokens it wanted that a campaign gets in a day, by number of accounts."),
    ]  # fmt: skip


def honest(tree: dict[str, Any]) -> list[Block]:
    honest = tree["honest"]
    steps = ", ".join(f"{step['name']} {percent(step['score_milli'] / 1000, 0)}" for step in honest["ladder"]["steps"])
    tolls = [
        [workload, number(each["tenants"]), number(each["tokens"]), small_percent(each["share"])]
        for workload, each in honest["tolls"].items()
    ]
    undeclared = [
        [f"{workload}, undeclared", number(each["tenants"]), number(each["tokens"]), small_percent(each["share"])]
        for workload, each in honest["tolls_undeclared"].items()
    ]
    families = sorted(honest["reaching"][0]["attack"])
    reaching = [
        [
            step["name"],
            percent(row["score_milli"] / 1000, 0),
            percent(row["honest"]),
            *(percent(row["attack"][name], 0) for name in families),
        ]
        for step, row in zip(honest["ladder"]["steps"], honest["reaching"])
    ]
    flagged = [
        [source, percent(share, 0), percent(honest["flagged_by_source"]["declared"].get(source), 0)]
        for source, share in honest["flagged_by_source"]["watch"].items()
    ]
    return [
        Heading(2, "What it costs the honest"),
        Text(
            f"A day of each honest tenant on the ladder `{honest['ladder']['name']}` ({steps}), as if it were enforced, with "
            "evaluation harnesses declared. Delayed or cut is every output token of a request that is answered on a step which "
            "does anything to requests: more than such a step takes, never less."
        ),
        Table(["workload", "tenants", "output tokens", "delayed or cut"], [*tolls, *undeclared]),
        Text(
            f"Who reaches the score of each step within {honest['within']} requests, with harnesses declared. This is what the ladder's "
            "own thresholds do, chosen by whoever wrote it and by nothing in this report:"
        ),
        Table(["step", "score", "honest windows", *families], reaching),
        Text("Windows flagged by source where 1% of all held-out honest windows is:"),
        Table(["source", "nobody declares", "harnesses declared"], flagged),
    ]
