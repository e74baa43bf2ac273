"""A replay as one page: tables, and for each budget that came near its limit its use against the limit over time.

Self-contained: charts are SVG in the page, there is no script, and nothing is fetched. Needs matplotlib.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime

import matplotlib

matplotlib.use("svg")  # no display
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # after the backend is chosen
from matplotlib.figure import Figure

from gateway.policy.scalars import NANO_USD
from gateway.trial.tallies import BudgetTally, Curve, Tally, TenantTally

# Text stays text: it can be read aloud and searched, and has the reader's own font.
matplotlib.rcParams["svg.fonttype"] = "none"

CHARTS_MAX = 24
_DAY_US = 86_400_000_000
NEAR = 0.5
"""Of its limit: what never came so far needs no chart."""
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
body { background: #fff; overflow-wrap: anywhere }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #ddd; text-align: right; overflow-wrap: normal }
th:first-child, td:first-child, .text { text-align: left }
figure { margin: 1.5rem 0 } figcaption { font-weight: 600 }
svg { max-width: 100%; height: auto } .note { color: #666 }
"""


def page(trace: str, after: Tally, before: Tally | None) -> str:
    """The page's HTML. Every name in it is escaped: tenants and models are whatever a trace says."""
    span_h = (after.last_us - after.first_us) / 3.6e9
    parts = [
        f"<h1>Replay of {html.escape(trace)}</h1>",
        f"<p>{after.requests:,} requests of {len(after.tenants):,} tenants over {span_h:.1f} hours.</p>",
        _tenants(after, before),
        "<h2>Budgets</h2>",
        _budgets(after, before),
    ]
    if after.blind:
        what = (
            f"The trace names no end users, so all share one counter: {', '.join(after.blind)} refuses more here than it would."
        )
        parts.append(f'<p class="note">{html.escape(what)}</p>')
    parts.append('<p class="note">Where nothing is drawn, nobody asked.</p>')
    charts = sorted(_near(after), key=lambda chart: (-chart[3], chart[0], chart[1]))
    if not charts:
        parts.append(f"<p>No budget came to {NEAR:.0%} of its limit.</p>")
    if len(charts) > CHARTS_MAX:
        parts.append(f'<p class="note">The {CHARTS_MAX} fullest of {len(charts)}.</p>')
    for number, (tenant, name, budget, _) in enumerate(charts[:CHARTS_MAX], 1):
        old = None if before is None else before.tenants.get(tenant, TenantTally()).budgets.get(name)
        parts.append(_figure(tenant, name, budget, old, number))
    title = html.escape(f"Replay of {trace}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _tenants(after: Tally, before: Tally | None) -> str:
    head = ["tenant", "requests", "refused", "shortened", "delayed", "downgraded", "cost USD", "worst hour"]
    rows = ["<tr>" + "".join(f"<th>{name}</th>" for name in head) + "</tr>"]
    for name, tenant in sorted(after.tenants.items(), key=lambda item: (-item[1].refused, -item[1].requests, item[0])):
        was = None if before is None else before.tenants.get(name, TenantTally())
        cells = [html.escape(name), f"{tenant.requests:,}"]
        for word in ("refused", "shortened", "delayed", "downgraded"):
            now = getattr(tenant, word)
            change = "" if was is None or getattr(was, word) == now else f" ({now - getattr(was, word):+,})"
            cells.append(f"{now:,}{change}")
        money = (
            ""
            if was is None or was.cost_nano_usd == tenant.cost_nano_usd
            else (f" ({(tenant.cost_nano_usd - was.cost_nano_usd) / NANO_USD:+,.2f})")
        )
        cells.append(f"{tenant.cost_nano_usd / NANO_USD:,.2f}{money}")
        worst = tenant.worst_hour
        cells.append("" if worst is None else f"{_moment(worst[0]):%Y-%m-%d %H:%M} ({worst[1]:,})")
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "<table>" + "\n".join(rows) + "</table>"


def _budgets(after: Tally, before: Tally | None) -> str:
    """Those that refused, or would have, in either of the two."""
    head = ["tenant", "budget", "meter", "refused", "would refuse", "fullest", "written at"]
    rows = []
    for tenant, seen in sorted(after.tenants.items()):
        olds = {} if before is None else before.tenants.get(tenant, TenantTally()).budgets
        for name, budget in sorted(seen.budgets.items()):
            was = olds[name].refused if name in olds else 0
            if budget.refused or budget.would_refuse or was:
                change = "" if before is None or was == budget.refused else f" ({budget.refused - was:+,})"
                fullest = max(budget.curve.used.values(), default=0) / max(1, budget.curve.limit)
                cells = [
                    tenant,
                    name,
                    budget.meter,
                    f"{budget.refused:,}{change}",
                    f"{budget.would_refuse:,}",
                    f"{fullest:.0%}",
                ]
                rows.append(_cells("td", (*cells, budget.place)))
    titles = _cells("th", head)
    return (
        f"<table><tr>{titles}</tr>" + "".join(f"<tr>{row}</tr>\n" for row in rows) + "</table>"
        if rows
        else "<p>None refused.</p>"
    )


def _cells(tag: str, cells: Sequence[str]) -> str:
    """A row of the budgets' table: names to the left, numbers to the right."""
    kinds = [' class="text"' if at in (1, 2, 6) else "" for at in range(len(cells))]
    return "".join(f"<{tag}{kind}>{html.escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells))


def _near(tally: Tally) -> list[tuple[str, str, BudgetTally, float]]:
    found = []
    for tenant, seen in tally.tenants.items():
        for name, budget in seen.budgets.items():
            fullest = max(budget.curve.used.values(), default=0) / max(1, budget.curve.limit)
            if fullest >= NEAR or budget.refused:
                found.append((tenant, name, budget, budget.refused + fullest))
    return found


def _figure(tenant: str, name: str, budget: BudgetTally, old: BudgetTally | None, number: int) -> str:
    curve = budget.curve
    scale = NANO_USD if budget.meter == "cost" else 1
    figure = Figure(figsize=(9.5, 2.8), layout="constrained")
    axes = figure.subplots()
    moments = sorted(curve.used)
    # A bar for each slice in which somebody asked: of all others nothing is known, and nothing is drawn.
    used = [curve.used[at] / scale for at in moments]
    slice_days = curve.slice_us / _DAY_US
    axes.bar(_days(moments, curve), used, slice_days, align="edge", alpha=0.35, color="#2a6fbb", label="used and held")
    axes.axhline(curve.limit / scale, color="#b3261e", linewidth=1.2, label="limit")
    if old is not None and old.curve.limit != curve.limit:
        axes.axhline(old.curve.limit / scale, color="#777", linewidth=1, linestyle="--", label="limit of the older policies")
    if refused := sorted(curve.refused):
        count = f"refused ({sum(curve.refused.values()):,})"
        heights = [curve.limit / scale] * len(refused)
        middles = [at + slice_days / 2 for at in _days(refused, curve)]
        axes.plot(middles, heights, "v", color="#b3261e", markersize=4, label=count)
    locator = AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]  # matplotlib's dates have no types
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
    axes.set_xlim(_days(moments, curve)[0], _days(moments, curve)[-1] + slice_days)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("USD" if budget.meter == "cost" else budget.meter.replace("_", " "))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize="small", frameon=False)  # above: it hides no mark
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    # Charts of one page must not have each other's ids.
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\1chart{number}-", written.getvalue())
    caption = html.escape(f"{tenant}: {name} ({budget.place})")
    return f"<figure><figcaption>{caption}</figcaption>{svg[svg.index('<svg') :]}</figure>"


def _days(slices: list[int], curve: Curve) -> list[float]:
    """Slices of a curve as matplotlib counts time: days since the epoch."""
    return [at * curve.slice_us / _DAY_US for at in slices]


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1e6, UTC)
