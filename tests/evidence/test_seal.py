"""A sealed sample is opened by whoever has the secret, as what it is, and by nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evidence.seal import SAMPLE_BYTES_MAX, seal, unseal

WHOSE = {"organisation": "org", "tenant": "acme", "request_id": "req-1"}


@given(st.binary(max_size=300), st.binary(min_size=8, max_size=40))
def test_there_and_back(text: bytes, secret: bytes) -> None:
    """What was sealed is what is opened."""
    assert unseal(secret, seal(secret, text, **WHOSE), **WHOSE) == text


def test_nobody_else_opens_it() -> None:
    """Neither another secret, nor the sample under another request, tenant or organisation, nor a changed one."""
    sealed = seal(b"secret-1", b"the prompt", **WHOSE)
    assert b"prompt" not in sealed.encode()
    assert sealed != seal(b"secret-1", b"the prompt", **WHOSE)
    with pytest.raises(ValueError, match="another secret"):
        unseal(b"secret-2", sealed, **WHOSE)
    for name in WHOSE:
        with pytest.raises(ValueError, match="not of this request"):
            unseal(b"secret-1", sealed, **{**WHOSE, name: "other"})
    for at in range(len(sealed)):
        changed = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]
        with pytest.raises(ValueError, match=r"^(is no|was) sealed"):
            unseal(b"secret-1", changed, **WHOSE)


def test_a_long_text_is_cut() -> None:
    """No sample is larger than an entry may be."""
    assert len(unseal(b"secret-1", seal(b"secret-1", b"x" * 10**6, **WHOSE), **WHOSE)) == SAMPLE_BYTES_MAX
