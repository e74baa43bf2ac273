"""Pages that commands write, as a reader's browser shows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.evaluation import writing
from tests import browser
from tests.evaluation import stubs
from tests.evaluation.test_evaluate import FIGURES, evaluated
from tests.trial.test_replay import policies, trace

pytestmark = pytest.mark.skipif(browser.found() is None, reason="this machine has no Chromium: nothing here can show a page")

OUTSIDE = """[...document.querySelectorAll("svg, table, p, h1, h2, h3")]
  .filter(each => { const box = each.getBoundingClientRect()
                    return box.width < 1 || box.height < 1 || box.right > innerWidth + 1 })
  .map(each => each.outerHTML.slice(0, 80))"""
WIDTHS = (1280, 390)
"""A desk, and a telephone at night."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with browser.browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def _is_sound(page: browser.Page, file: Path, *, figures: int) -> None:
    """Nothing but the file is fetched, nothing is complained of, and everything is there and inside the window."""
    for width in WIDTHS:
        page.open(file, width)
        assert page.fetched == [file.resolve().as_uri()]
        assert page.complaints == []
        assert page.value("document.querySelectorAll('svg').length") == figures
        assert page.value(OUTSIDE) == []
        assert page.value("document.documentElement.scrollWidth") <= width


def test_a_replay(page: browser.Page, tmp_path: Path) -> None:
    """Its charts are drawn, and a trace whose name is markup is shown as it is called."""
    hostile = "<img src=x onerror=document.title='taken'>.csv"
    html = tmp_path / "page.html"
    args = ["replay", str(trace(tmp_path, name=hostile)), "--policies", str(policies(tmp_path)), "--html", str(html)]
    assert main(args) == 0
    _is_sound(page, html, figures=4)
    assert page.value("document.title") == f"Replay of {hostile}"
    assert page.value("document.querySelector('h1').innerText") == f"Replay of {hostile}"
    assert page.value("document.querySelector('td').innerText") in ("acme", "other")


def test_an_evaluation(page: browser.Page, tmp_path: Path) -> None:
    """Its plots are drawn, each target says whether it was reached, and no sign of Markdown is left over."""
    tree = evaluated(stubs.Perfect())
    writing.prepare(tmp_path / "out")
    writing.write(tmp_path / "out", tree)
    _is_sound(page, tmp_path / "out" / "report.html", figures=len(FIGURES))
    assert page.value("document.querySelectorAll('.reached, .missed').length") == len(tree["targets"])
    assert page.value("document.body.innerText.match(/[*`]\\\\w/)") is None
