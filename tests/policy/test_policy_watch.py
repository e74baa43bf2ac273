"""Who is watched as whom, and on which ladder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy import scalars
from gateway.policy.load import load_dir
from gateway.policy.model import NO_LADDER, NO_WATCH, Policy
from gateway.policy.times import FOR_EVER_US
from gateway.policy.watched import watched, watched_as
from tests.policy.meters import METERS

HASH = '"hmac-sha256:' + "0" * 63
POLICY = f"""
version: 1
ladders:
  strict: {{mode: enforce, steps: [{{name: a, score: 50%}}]}}
  mild: {{mode: shadow, steps: [{{name: a, score: 90%}}]}}
watch: {{ladder: mild}}
organisations:
  acme: {{}}
  lab: {{ladder: strict, purposes: [{{purpose: batch, until: "2027-03-31", reason: r}}]}}
plans:
  free: {{ladder: strict}}
  pro: {{}}
  plus: {{extends: free}}
tenants:
  plain: {{organisation: acme, plan: pro, keys: [{{id: p, hash: {HASH}1"}}]}}
  of-plan: {{organisation: acme, plan: plus}}
  own: {{organisation: lab, plan: pro, ladder: none}}
  keyed:
    organisation: lab
    plan: pro
    keys:
      - {{id: usual, hash: {HASH}2"}}
      - {{id: apart, hash: {HASH}3", ladder: mild}}
      - {{id: agreed, hash: {HASH}4", purposes: [{{purpose: evaluation, until: "2027-01-31", reason: r}}]}}
"""


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder: Path = tmp_path_factory.mktemp("policy")
    (folder / "p.yaml").write_text(POLICY)
    return load_dir(folder, meters=METERS)


@pytest.mark.parametrize(
    ("organisation", "tenant", "key_id", "subject", "ladder"),
    [
        ("acme", "plain", "p", "plain", "mild"),
        ("acme", "of-plan", "", "of-plan", "strict"),
        ("lab", "own", "", "own", None),
        ("lab", "keyed", "usual", "keyed", "strict"),
        ("lab", "keyed", "apart", "keyed/apart", "mild"),
        ("lab", "keyed", "agreed", "keyed/agreed", "strict"),
    ],
)
def test_who_is_watched(policy: Policy, organisation: str, tenant: str, key_id: str, subject: str, ladder: str | None) -> None:
    """The most special level that names a ladder is obeyed; a key that says something of its own is watched apart."""
    found = watched(policy, organisation=organisation, tenant=tenant, key_id=key_id, now_us=0)
    assert (found.subject, found.ladder and found.ladder.name) == (subject, ladder)
    assert watched_as(policy, found.subject, 0) == found


def test_purposes(policy: Policy) -> None:
    """A key's own purposes are not its tenant's, and each ends by itself."""
    agreed = watched(policy, organisation="lab", tenant="keyed", key_id="agreed", now_us=0)
    usual = watched(policy, organisation="lab", tenant="keyed", key_id="usual", now_us=0)
    assert (agreed.purposes, usual.purposes) == ({"evaluation", "batch"}, {"batch"})
    later = watched_as(policy, "keyed/agreed", agreed.changes_at_us)
    assert later is not None
    assert later.purposes == {"batch"}
    at_last = watched_as(policy, "keyed/agreed", later.changes_at_us)
    assert at_last is not None
    assert (at_last.purposes, at_last.changes_at_us) == (frozenset(), FOR_EVER_US)


def test_strangers(policy: Policy) -> None:
    """Whoever is not of this policy is nobody."""
    assert [watched_as(policy, name, 0) for name in ("stranger", "keyed/gone", "plain/agreed")] == [None] * 3


def test_nothing_is_done_by_default(tmp_path: Path) -> None:
    """A policy without a word of the watch observes."""
    (tmp_path / "p.yaml").write_text(
        "version: 1\norganisations: {o: {}}\nplans: {p: {}}\ntenants: {t: {organisation: o, plan: p}}"
    )
    policy = load_dir(tmp_path, meters=METERS)
    found = watched_as(policy, "t", 0)
    assert (policy.watch, found and found.ladder) == (NO_WATCH, None)
    assert NO_WATCH.ladder == NO_LADDER


@given(st.integers(0, 10_000))
def test_percentages(milli: int) -> None:
    """What is printed is read back."""
    assert scalars.percent_milli(scalars.format_percent(milli)) == milli
