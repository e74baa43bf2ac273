"""A realtime session's responses as requests that came by themselves."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.detectors.text import said
from gateway.wires.openai_realtime_words import CHARACTERS_MAX, SETTINGS_MAX, TEXTS_MAX, Words


def item(text: str, role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def say(words: Words, *texts: str, role: str = "user") -> None:
    for text in texts:
        words.client("conversation.item.create", {"item": item(text, role)})


def seen(words: Words, **response: Any) -> tuple[str, str, str, int]:
    """system, user, opening and answers, as the watch reads them."""
    found = said(words.asked(response) or {}, 1 << 30, 7)
    return found.system, found.user, found.opening, found.answers


def test_a_session_as_requests() -> None:
    """Each response answers what was said since the last one, under the session's instructions."""
    words = Words()
    words.client("session.update", {"session": {"instructions": "Be short.", "tools": []}})
    say(words, "Who was Bede?")
    assert seen(words) == ("Be short.", "Who was Bede?", "Who was Bede?", 0)
    words.answered()
    say(words, "And where", "did he live?")
    assert seen(words) == ("Be short.", "And where\ndid he live?", "Who was Bede?", 1)
    words.answered()
    assert words.asked({}) is None  # to speech
    say(words, "You know Latin.", role="system")
    say(words, "Translate: magister.")
    assert seen(words, instructions="Be long.")[:2] == ("Be long.\nYou know Latin.", "Translate: magister.")


def test_a_response_apart() -> None:
    """One with an input of its own reads that alone, and what waits goes on waiting."""
    words = Words()
    say(words, "For later.")
    apart = {"conversation": "none", "input": [item("Label this: hm.")], "instructions": "You label."}
    assert seen(words, **apart) == ("You label.", "Label this: hm.", "Label this: hm.", 0)
    assert seen(words)[1] == "For later."


def test_instructions_alone_are_a_request() -> None:
    """Without a word of the user's, and without its being taken for a tool's result."""
    body = Words().asked({"instructions": "Write a poem about fog."})
    assert body is not None
    found = said(body, 1 << 30, 7)
    assert (found.system, found.user, found.tools) == ("Write a poem about fog.", "", False)


def test_settings_tell_programs_apart() -> None:
    """Those of the session and the response together, small."""
    words = Words()
    words.client("session.update", {"session": {"type": "realtime", "tools": [{"name": "x" * 9_999}], "voice": "v" * 999}})
    say(words, "Hi")
    body = words.asked({"temperature": 1, "conversation": "auto"})
    assert body is not None
    assert {name: body[name] for name in body if name not in ("messages", "instructions")} == {
        "tools": [1], "voice": "v" * 64, "temperature": 1,
    }  # fmt: skip


NAMES = st.sampled_from(("type", "role", "content", "text", "instructions", "input"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.sampled_from(("type", "role", "content", "instructions", "input", "tools")), JSON, max_size=5)


@given(st.lists(st.tuples(st.sampled_from(("item", "session")), OBJECTS), max_size=8), OBJECTS)
def test_no_event_makes_it_raise(events: list[tuple[str, dict[str, Any]]], response: dict[str, Any]) -> None:
    """Whatever a client sends where an item, a session or a response is expected."""
    words = Words()
    for name, value in events:
        words.client("conversation.item.create" if name == "item" else "session.update", {name: value})
    body = words.asked(response)
    assert body is None or said(body, 100, 7) is not None


def test_it_is_bounded() -> None:
    """A thousand items of a megabyte, and a thousand settings: what is kept stays small."""
    words = Words()
    for at in range(1_000):
        say(words, "x" * 1_000_000 if at > 990 else "x", role=("user", "system")[at % 2])
        words.client("session.update", {"session": {f"name{at}": "y" * 10_000, "instructions": "z" * 100_000}})
    body = words.asked({})
    assert body is not None
    assert len(str(body)) < 3 * TEXTS_MAX * CHARACTERS_MAX
    assert len(body) <= SETTINGS_MAX + 2
