"""The plots of a report, as SVG: from the tree alone, and the same again for the same tree."""

from __future__ import annotations

import io
from typing import Any

from gateway.errors import SettingsError
from gateway.evaluation.hydra import WAYS
from gateway.evaluation.report_detection import NAMES

_COLOURS = ("#0b5fa5", "#c2410c", "#15803d", "#7e22ce", "#6b7280", "#b45309")


def draw(tree: dict[str, Any]) -> dict[str, str]:
    """By name. Raises SettingsError where matplotlib is missing."""
    made = {"roc": _roc, "roc-left": _roc_left, "delay": _delay, "leaked": _leaked, "dilution": _dilution, "hydra": _hydra}
    return {name: _svg(name, plot(tree)) for name, plot in made.items()}


def _figure(*, x: str, y: str, title: str) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure  # optional: only reports with plots need it
    except ImportError:
        raise SettingsError("evaluate: needs matplotlib: pip install 'gauger[evaluate]'") from None
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(visible=True, color="#e5e5e5", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(name: str, figure: Any) -> str:
    """Text stays text; ids and dates are the same again."""
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :].strip()


def _curves(axes: Any, tree: dict[str, Any], way: str) -> None:
    for colour, (name, scores) in zip(_COLOURS, tree["detection"]["scores"].items()):
        if way in scores:
            points = sorted([[0.0, 0.0], *scores[way]["points"], [1.0, 1.0]])
            label = f"{NAMES[name]} ({scores[way]['auc']:.2f})"
            axes.plot(*zip(*points), color=colour, label=label, linewidth=1.6)


def _roc(tree: dict[str, Any]) -> Any:
    figure, axes = _figure(
        x="honest windows flagged", y="attack windows caught", title="ROC, families held out (area under the curve)"
    )
    _curves(axes, tree, "family")
    axes.plot((0, 1), (0, 1), color="#999", linewidth=0.8, linestyle=":")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    return figure


def _roc_left(tree: dict[str, Any]) -> Any:
    """The part that matters, and the three ways of choosing the threshold."""
    figure, axes = _figure(
        x="honest windows flagged", y="attack windows caught", title="ROC of the watch up to 5% of honest windows flagged"
    )
    for colour, (way, label) in zip(
        _COLOURS, {"family": "families held out", "source": "sources held out", "random": "random split"}.items()
    ):
        points = sorted([[0.0, 0.0], *tree["detection"]["scores"]["watch"][way]["points"]])
        axes.plot(*zip(*points), color=colour, label=label, linewidth=1.6)
    axes.axvline(tree["detection"]["share"], color="#999", linewidth=0.8, linestyle=":")
    axes.set_xlim(0, 0.05)
    axes.set_ylim(0, 1.02)
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    return figure


def _steps(values: list[int], of: int) -> tuple[list[float], list[float]]:
    """Share that is still not caught, by value."""
    x, y = [0.0], [1.0]
    for place, value in enumerate(values, 1):
        x += [value, value]
        y += [y[-1], 1.0 - place / of]
    return x, y


def _delay(tree: dict[str, Any]) -> Any:
    figure, axes = _figure(x="requests", y="share not yet caught", title="Delay in requests, by attacking family")
    for colour, delay in zip(_COLOURS * 9, tree["detection"]["delays"]):
        x, y = _steps(list(delay["requests"]), delay["streams"])
        end = tree["settings"]["looks"][-1]
        axes.plot([*x, end], [*y, y[-1]], color=colour, label=delay["family"], linewidth=1.6)
    axes.set_ylim(-0.02, 1.02)
    axes.legend(frameon=False, fontsize=9)
    return figure


def _leaked(tree: dict[str, Any]) -> Any:
    figure, axes = _figure(
        x="output tokens leaked", y="share not yet caught", title="Delay in tokens leaked, by attacking family"
    )
    delays = tree["detection"]["delays"]
    end = max((value for delay in delays for value in delay["leaked"]), default=1)
    for colour, delay in zip(_COLOURS * 9, delays):
        x, y = _steps(list(delay["leaked"]), delay["streams"])
        axes.plot([*x[1:], end], [*y[1:], y[-1]], color=colour, label=delay["family"], linewidth=1.6)
    axes.set_xscale("log")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(frameon=False, fontsize=9)
    return figure


def _dilution(tree: dict[str, Any]) -> Any:
    within = tree["detection"]["within"]
    figure, axes = _figure(
        x="honest requests among an account's, per cent",
        y="attack windows caught",
        title=f"Dilution: caught within {within} requests at 1% flagged, families held out",
    )
    plain = [row for row in tree["attackers"] if row["name"] == "plain" or row["name"].startswith("dilution")]
    for colour, name in zip(_COLOURS, ("watch", "phrases", "volume")):
        x = [row["dilution"] for row in plain]
        axes.plot(x, [row[name]["caught"] for row in plain], color=colour, marker="o", label=NAMES[name], linewidth=1.6)
    lows, highs = ([row["watch"][end] for row in plain] for end in ("low", "high"))
    axes.fill_between([row["dilution"] for row in plain], lows, highs, color=_COLOURS[0], alpha=0.12, linewidth=0)
    axes.set_ylim(-0.02, 1.02)
    axes.legend(frameon=False, fontsize=9)
    return figure


def _hydra(tree: dict[str, Any]) -> Any:
    figure, axes = _figure(
        x="accounts", y="share of the wanted tokens that was got", title="One campaign over k accounts: what it gets in a day"
    )
    splits = tree["accounts"]["splits"]
    labels = {
        "budgets": "each account's budget",
        "alone": "and each account's own score",
        "cluster budget": "and one budget for a linked cluster",
        "cluster score": "and a score of the cluster",
    }
    for colour, way in zip(_COLOURS, WAYS):
        x, y = [split["accounts"] for split in splits], [split["got"][way] for split in splits]
        axes.plot(x, y, color=colour, marker="o", label=labels[way], linewidth=1.6)
    axes.set_xscale("log")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(frameon=False, fontsize=9)
    return figure
