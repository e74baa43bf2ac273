"""What an operator knows of tenants, in each of the ways it can be brought."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import PolicyErrors
from gateway.policy.model import Policy, Tenant
from gateway.watch.facts import FACTS, FORMATS, known_in, read_facts, rows_of
from tests.watch.make import policy_of

POLICY = """
version: 1
organisations: {o: {}}
plans: {p: {}}
tenants:
  acme: {organisation: o, plan: p}
  beta: {organisation: o, plan: p}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return policy_of(tmp_path / "policy", POLICY)


YAML = """tenants:
  acme: {payment: card-4711, network: 203.0.113.7/24, signup: "2027-01-31"}
  beta: {}
"""
CSV = "\ufefftenant,signup,payment,network\r\nacme,2027-01-31, card-4711 ,203.0.113.0/24\r\n\r\nbeta,,,\r\n"
JSONL = """{"tenant": "acme", "payment": "card-4711", "network": "203.0.113.0/24", "signup": "2027-01-31"}

{"tenant": "beta", "payment": null}
"""
JSON = '{"acme": {"payment": "card-4711", "network": "203.0.113.0/24", "signup": "2027-01-31"}, "beta": {}}'
WAYS = {"yaml": YAML, "csv": CSV, "jsonl": JSONL, "json": JSON}


@pytest.mark.parametrize("form", WAYS)
def test_all_ways_say_the_same(policy: Policy, form: str) -> None:
    """A tenant's facts are the same in each format; one of whom nothing is said is there, with nothing."""
    found = read_facts(WAYS[form].encode(), form, file="facts", policy=policy)
    assert found == {"acme": {"payment": "card-4711", "network": "203.0.113.0/24", "signup": "2027-01-31"}, "beta": {}}


def test_the_examples_of_the_page(policy: Policy) -> None:
    """The three files that the page shows say the same, and are of the formats it names."""
    page = (Path(__file__).parent.parent.parent / "docs" / "operators.md").read_text()
    shown = re.findall(r"```text\n(.*?)```", page[page.index("### Facts") :], re.DOTALL)[:3]
    found = [read_facts(text.encode(), form, file="", policy=policy) for form, text in zip(FORMATS, shown, strict=True)]
    assert found == [{"acme": {"payment": "card-4711", "network": "203.0.113.0/24", "signup": "2027-01-31"}}] * 3


def test_rows_are_hashed_under_the_key(policy: Policy) -> None:
    """What is kept has no fact as it was written; the same fact is the same under one key, and another under another, and of
    another kind. It says who stated it."""
    facts = {"acme": {"payment": "x", "network": "x"}, "beta": {"payment": "x"}}
    rows = rows_of(facts, b"key", by="ann", at_us=7)
    acme, beta = orjson.loads(rows["acme"]), orjson.loads(rows["beta"])
    assert acme["payment"] == beta["payment"] != acme["network"]
    assert orjson.loads(rows_of(facts, b"another", by="ann", at_us=7)["acme"])["payment"] != acme["payment"]
    assert {len(acme["payment"]), len(acme["network"])} == {32}
    assert known_in(rows["acme"]) == {"known": ["payment", "network"], "by": "ann", "at_us": 7}
    assert (known_in(b'{"by": "ann"}'), known_in(b"[1"), known_in(b"[1]")) == ({}, {}, {})


SAME = "did you mean `acme`? allowed: acme, beta"


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("csv", "tenant,payment\nacne,x\n", [f"facts:2:1: acne: there is no tenant `acne` in the policies; {SAME}"]),
        ("csv", "tenant,payment\nacme,x\nacme,y\n", ["facts:3:1: acme: `acme` has stood on line 2 already"]),
        ("csv", "payment\nx\n", ["facts:1:1: (top): the first line names the columns: tenant, payment, network, signup; "
                                 "tenant is needed"]),
        ("csv", "tenant,payement\nacme,x\n", ["facts:1:1: payement: unknown column; did you mean `payment`? allowed: tenant, "
                                              "payment, network, signup"]),
        ("csv", "tenant,payment\nacme\nbeta,x,y\n", ["facts:2:1: (row): has 1 cells, and there are 2 columns",
                                                     "facts:3:1: (row): has 3 cells, and there are 2 columns"]),
        ("csv", 'tenant,payment\nacme,"x\n', ["facts:2:1: (row): is no CSV: unexpected end of data"]),
        ("csv", "tenant,signup\nacme,31.1.2027\nbeta,2027-02-30\n", [
            "facts:2:1: acme.signup: is to be a day, written as 2027-01-31",
            "facts:3:1: beta.signup: is to be a day, written as 2027-01-31",
        ]),
        ("csv", "", ["facts:1:1: (top): the first line names the columns: tenant, payment, network, signup; tenant is needed"]),
        ("csv", "tenant\n", ["facts:1:1: (top): names no tenant"]),
        ("jsonl", '{"tenant": "acme"}\n{"tenant": }\n', ["facts:2:12: (line): is no JSON: unexpected character, expected a "
                                                       "JSON value"]),
        ("jsonl", '\n{"payment": "x"}\n', ['facts:2:1: (line): is to be an object with its tenant, as {"tenant": "acme", '
                                           '"payment": "..."}']),
        ("jsonl", '{"tenant": "acme", "payment": 4711}', ["facts:1:1: acme.payment: is to be a text in quotes; null or nothing "
                                                          "where it is not known"]),
        ("jsonl", '{"tenant": "acme", "card": "x"}', ["facts:1:1: acme.card: unknown word; allowed: tenant, payment, network, "
                                                      "signup"]),
        ("json", '{"acme": {"payment": "x"}, "beta": 1}', ["facts:1:1: tenants.beta: is to be an object; allowed: payment, "
                                                           "network, signup"]),
        ("json", "[]", ['facts:1:1: tenants: is to be an object, as {"acme": {"payment": "..."}}']),
        ("json", "{}", ["facts:1:1: (top): names no tenant"]),
        ("yaml", "tenants:\n  acme: {card: x}\n", ["facts:2:10: tenants.acme.card: unknown word; allowed: payment, network, "
                                                   "signup"]),
        ("yaml", "tenants:\n  acne: {}\n", [f"facts:2:3: tenants.acne: there is no tenant `acne` in the policies; {SAME}"]),
    ],
)  # fmt: skip
def test_mistakes_say_where_and_what_is_allowed(policy: Policy, form: str, text: str, expected: list[str]) -> None:
    """One of each, exactly."""
    with pytest.raises(PolicyErrors) as caught:
        read_facts(text.encode(), form, file="facts", policy=policy)
    assert [str(mistake) for mistake in caught.value.mistakes] == expected


def test_no_mistake_repeats_a_fact(policy: Policy) -> None:
    """A card's number that stands where it should not is not printed again."""
    number = "4111111111111111"
    for form, text in (
        ("csv", f"tenant,payment\nacme,{number}{number * 20}\n"),
        ("csv", f"tenant,payment,signup\nacme,x,{number}\n"),
        ("jsonl", f'{{"tenant": "acme", "payment": {number}}}'),
        ("json", f'{{"acme": {{"payment": [{number}]}}}}'),
    ):
        with pytest.raises(PolicyErrors) as caught:
            read_facts(text.encode(), form, file="facts", policy=policy)
        assert number not in str(caught.value)


@given(st.sampled_from([*FORMATS, "json"]), st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_is_brought_is_read_or_refused(form: str, data: bytes) -> None:
    """Nothing but facts or mistakes comes of any bytes."""
    tenant: Tenant = None  # type: ignore[assignment]  # its name alone counts
    nobody = Policy("", (), {}, {}, {"acme": tenant}, {})
    with suppress(PolicyErrors):
        found = read_facts(data, form, file="facts", policy=nobody)
        assert list(found) == ["acme"]
        assert found["acme"].keys() <= set(FACTS)
