"""The authors' page on what answers may be and what may be called says what the loader does: words, defaults, examples.

The rest of the page is compared with the loader in test_docs.py; these tables have words that need others beside them.
"""

from pathlib import Path

import pytest

from gateway.output.fields import FIELDS
from gateway.policy.load import load_dir
from gateway.policy.model import DEFAULT_ENDPOINTS, ENDPOINTS, Output, Policy
from gateway.policy.read_filters import WORDS as FILTER_WORDS
from gateway.policy.read_output import OUTPUT_WORDS
from gateway.policy.read_when import WORDS as WHEN_WORDS
from tests.policy.meters import METERS
from tests.test_docs import rows, words

PAGE = "docs/policies.md"
OUTPUT = "version: 1\nmodels: [{match: m, output: {%s}}]\n"
TABLES = {
    "`output`": (OUTPUT, set(OUTPUT_WORDS)),
    "`filters`, a list": (OUTPUT % "filters: [{%s}]", set(FILTER_WORDS)),
    "`when`": (
        "{version: 1, plans: {p: {budgets: [{name: b, meter: requests, limit: 5, per: day, when: {%s}}]}}}",
        set(WHEN_WORDS),
    ),
    "`watermark`": (OUTPUT % "watermark: {%s}", {"bias", "share", "vocabulary"}),
}
BESIDE = {
    "timezone": "days: mon",
    "reasoning_chars": "reasoning: shorten",
    "name": "literal: x",
    "literal": "name: f",
    "pattern": "name: f",
    "mask": "name: f, literal: x",
    "action": "name: f, literal: x",
}
"""What a word needs beside it."""


def load(directory: Path, text: str) -> Policy:
    (directory / "p.yaml").write_text(text)
    return load_dir(directory)


@pytest.mark.parametrize("heading", TABLES)
def test_words_and_examples(heading: str, tmp_path: Path) -> None:
    """Each table has the words that may be written there, and its examples load."""
    frame, known = TABLES[heading]
    table = {words(row[0])[0]: row for row in rows(PAGE, heading)}
    assert table.keys() == known
    for word, row in table.items():
        (example,) = words(row[3])
        assert example.startswith(f"{word}: ")
        load(tmp_path, frame % ", ".join(filter(None, [BESIDE.get(word), example])))


@pytest.mark.parametrize(("heading", "word"), [("`filters`, a list", "action"), ("`filters`, a list", "mask")])
def test_filters_defaults(heading: str, word: str, tmp_path: Path) -> None:
    """Writing a default out changes nothing."""
    (row,) = [row for row in rows(PAGE, heading) if row[0] == f"`{word}`"]
    without = OUTPUT % "filters: [{name: f, literal: x}]"
    written = without.replace("literal: x", f"literal: x, {word}: {words(row[2])[0]}")
    assert load(tmp_path, without).models[0].output == load(tmp_path, written).models[0].output


def test_watermark_defaults(tmp_path: Path) -> None:
    """An empty mapping is what the table says."""
    written = ", ".join(f"{words(row[0])[0]}: {words(row[2])[0]}" for row in rows(PAGE, "`watermark`"))
    defaults = load(tmp_path, OUTPUT % f"watermark: {{{written}}}").models[0].output
    assert load(tmp_path, OUTPUT % "watermark: {}").models[0].output == defaults != Output()


def test_fields() -> None:
    """Every field that can be dropped or refused is told, and no other."""
    table = {words(row[0])[0]: tuple(words("".join(row[2:]))) for row in rows(PAGE, "Fields that can be dropped or refused")}
    assert table == {name: field.also for name, field in FIELDS.items()}


def test_endpoints() -> None:
    """Every endpoint is told, and whether a plan that names none allows it."""
    table = {name: row[1].startswith("allowed") for row in rows(PAGE, "Endpoints") for name in words(row[0])}
    assert table == {name: name in DEFAULT_ENDPOINTS for name in ENDPOINTS}


def test_meters() -> None:
    """Every meter is told with what it counts."""
    assert [name for row in rows(PAGE, "Meters") for name in words(row[0])] == [*METERS]
