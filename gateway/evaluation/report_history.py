"""Tenants compared with their own past: this part of the report."""

from __future__ import annotations

from typing import Any

from gateway.evaluation.document import Block, Heading, Table, Text, interval, number, percent
from gateway.evaluation.own_history import HONEST


def history(tree: dict[str, Any]) -> list[Block]:
    found = tree["history"]
    honest = [
        [workload, number(row["tenants"]), number(row["requests"]), number(row["told"]), f"{row['per_1000']:.2f}", number(row["young"])]
        for workload, row in found["honest"].items()
    ]  # fmt: skip
    turns = [
        [
            row["label"], number(row["tenants"]), percent(row["noticed"]), interval(row), number(row["delay"]),
            number(row["delay_most"]),
        ]
        for row in found["turns"]
        if row["kind"] != HONEST
    ]  # fmt: skip
    return [
        Heading(2, "Own history"),
        Text(
            f"Each tenant sends {found['day_requests']} requests a day (fewer where its client does), and turns to something else on "
            f"its last day, the third of {found['days']}. A change asks for somebody's look: no step is taken for it, and none of "
            "the figures above holds it. While nothing has changed, with one program or two by day and by night:"
        ),
        Table(["workload", "tenants", "requests", "changes told", "per 1,000 requests", "shown in the first day only"], honest),
        Text("Tenants that do change; a redeployment is honest, and a change all the same:"),
        Table(["on the last day", "tenants", "noticed", "95%", "after requests", "at most"], turns),
        Text(
            "A pivot is drawn from one attacking source, and an honest tenant from one or two: real ones are mixtures of more, and "
            "change in more ways in a month than here in three days. A tenant whose first requests are the attack has no other past."
        ),
    ]
