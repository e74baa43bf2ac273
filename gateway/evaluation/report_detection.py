"""What is caught, how soon, and from whom who adapts: this part of the report."""

from __future__ import annotations

from typing import Any

from gateway.evaluation.document import Block, Figure, Heading, Table, Text, interval, number, percent, windows_interval

NAMES = {
    "watch": "the watch",
    "declared": "the watch, harnesses declared",
    "refit": "the watch, fitted again",
    "diversity": "naive diversity, fitted",
    "phrases": "phrases only",
    "volume": "volume only",
}


def detection(tree: dict[str, Any]) -> list[Block]:
    detection = tree["detection"]
    within = detection["within"]
    names = {"family": "families", "source": "sources", "random": "random split"}
    rows = []
    for name, scores in detection["scores"].items():
        for way, label in names.items():
            if way in scores:
                curve = scores[way]
                rows.append([
                    NAMES.get(name, name), label, f"{curve['auc']:.3f}", percent(curve["caught"]), percent(curve["flagged"]),
                    percent(curve["nominal_caught"]), percent(curve["nominal_flagged"]),
                ])  # fmt: skip
    found: list[Block] = [
        Heading(2, "What is caught"),
        Text(
            f"After {within} requests. A threshold is set on the honest windows of all families (or sources) but one, and tested on "
            "that one and on the attacks; the first two shares are where 1% of the windows that were held out is *really* "
            "flagged, the last two are what a threshold that was *meant* to flag 1% does. A random split flatters: it is there "
            "to be compared with."
        ),
        Table(["score", "held out", "area", "caught", "flagged", "meant 1%: caught", "meant 1%: flagged"], rows, 2),
        Figure(
            "roc", "Attack windows caught by honest windows flagged; thresholds set without the family that they are tested on."
        ),
        Figure("roc-left", "The same of the watch, where it matters; the dotted line is 1%."),
        *_refit(detection),
        Heading(3, "By number of requests, and by family"),
        Text(
            "The first interval draws families again and windows within them, the second windows alone: what another evaluation of "
            "the very same families would find. *Nothing held out* is caught at the threshold that exactly 1% of these honest windows "
            "are above."
        ),
    ]
    families = sorted(detection["by_requests"]["watch"][0]["by_family"])
    for name, label in (("watch", "Nobody declares a purpose:"), ("declared", "Evaluation harnesses declare theirs:")):
        found.append(Text(label))
        found.append(
            Table(
                ["within", "caught", "95%, families", "95%, windows", *families, "meant 1%: flagged", "nothing held out"],
                [
                    [
                        f"{row['within']} requests", percent(row["caught"]), interval(row), windows_interval(row),
                        *(percent(row["by_family"][family], 0) for family in families),
                        percent(row["nominal_flagged"]), percent(row["pooled"]),
                    ]
                    for row in detection["by_requests"][name]
                ],
            )
        )  # fmt: skip
    return found


def _refit(detection: dict[str, Any]) -> list[Block]:
    if "refit" not in detection["scores"]:
        return []
    refit = detection["scores"]["refit"]
    by_family = ", ".join(
        f"{name} {percent(share, 0)}{' (the only one of its kind)' if name in refit['alone'] else ''}"
        for name, share in sorted(refit["by_family"].items())
    )
    return [
        Text(
            "*Fitted again*: profiles made anew by the procedure that the shipped ones were made by, for each pair of an honest and an "
            "attacking family from all others of this corpus alone. A profile of which no family is left to be fitted on does not "
            f"judge, so the only family of a kind cannot be caught. Caught of each: {by_family}."
        )
    ]


def delays(tree: dict[str, Any]) -> list[Block]:
    rows = []
    for delay in tree["detection"]["delays"]:
        requests, leaked = list(delay["requests"]), list(delay["leaked"])
        rows.append([
            delay["family"], number(delay["streams"]), percent(delay["caught"] / max(1, delay["streams"])),
            *(number(_of_all(requests, delay["streams"], share)) for share in (0.5, 0.9)),
            *(number(_of_all(leaked, delay["streams"], share)) for share in (0.5, 0.9)),
        ])  # fmt: skip
    return [
        Heading(2, "How long it takes"),
        Text(
            "Until an attack is first above the threshold that 1% of all honest windows are above: in requests, and in output "
            "tokens that were leaked by then. Nobody is judged before 26 requests. A dash: so many are never caught."
        ),
        Table(
            ["family", "streams", "caught", "requests: half", "nine in ten", "tokens leaked: half", "nine in ten"], rows
        ),
        Figure("delay", "Share of attacks not yet caught by requests sent."),
        Figure("leaked", "Share of attacks not yet caught by output tokens leaked."),
    ]  # fmt: skip


def _of_all(ascending: list[int], of: int, share: float) -> float | None:
    """The value by which this share of *all* streams is caught; None where fewer ever are."""
    place = max(0, -(-int(share * of * 1000) // 1000) - 1)
    return float(ascending[place]) if place < len(ascending) else None


def attackers(tree: dict[str, Any]) -> list[Block]:
    families = sorted(tree["attackers"][0]["watch"]["by_family"])
    rows = [
        [
            row["label"], percent(row["watch"]["caught"]), interval(row["watch"]), windows_interval(row["watch"]),
            *(percent(row["watch"]["by_family"].get(family), 0) for family in families),
            percent(row["phrases"]["caught"]), percent(row["volume"]["caught"]),
        ]
        for row in tree["attackers"]
    ]  # fmt: skip
    return [
        Heading(2, "Attackers that adapt"),
        Text(
            f"Caught within {tree['detection']['within']} requests at 1% of held-out honest windows flagged. All but the one that "
            "says otherwise come at the times of real clients, so their timing gives nothing away. A diluted account's requests "
            "are honest ones of four other workloads, to the share that is told."
        ),
        Table(["what it does", "caught", "95%, families", "95%, windows", *families, "phrases only", "volume only"], rows),
        Figure("dilution", "Caught by the share of honest requests on the account; the band is 95% of a bootstrap."),
    ]
