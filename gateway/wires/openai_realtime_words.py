"""What a realtime session's client has written, as the request that each of its responses is: text alone, and bounded.

A response answers what was said since the last one, under the session's instructions, in a conversation that the model server
remembers. Whoever is to judge it sees it as a request that came by itself: `{"instructions", "messages", ...}`. What was spoken
is not heard here: a response to speech alone, without instructions of its own, is none that could be judged.
"""

from __future__ import annotations

from typing import Any

TEXTS_MAX = 16
"""Items that wait for an answer, and parts of one; of more the last count."""
CHARACTERS_MAX = 8_192
"""Of one text: its first and last halves."""
ANSWERS_MAX = 4
"""More answers in a conversation say no more."""
SETTINGS_MAX = 32
_NOT_SETTINGS = frozenset(("type", "model", "audio", "input", "instructions", "conversation", "metadata"))


class Words:
    """One session's."""

    def __init__(self) -> None:
        self._settings: dict[str, Any] = {}
        self._instructions = ""
        self._opening = ""
        self._waiting: list[str] = []
        self._system: list[str] = []
        self._answers = 0

    def client(self, kind: str, event: dict[str, Any]) -> None:
        """An event of the client's that is forwarded."""
        if kind == "session.update":
            session = event.get("session") or {}
            if type(instructions := session.get("instructions")) is str:
                self._instructions = _clipped(instructions)
            self._settings = dict([*self._settings.items(), *_settings(session).items()][-SETTINGS_MAX:])
        elif kind == "conversation.item.create":
            role, text = _said(event.get("item"))
            if role == "assistant":
                self._answers += 1
            elif role == "system" and text:
                self._system = [*self._system, text][-TEXTS_MAX:]
            elif text:
                self._waiting = [*self._waiting, text][-TEXTS_MAX:]

    def answered(self) -> None:
        """A response in the conversation is done."""
        self._answers += 1

    def asked(self, response: dict[str, Any]) -> dict[str, Any] | None:
        """The body of the request that a response is ({}: the server began it); None: nothing in it is text."""
        own = response.get("instructions")
        instructions = _clipped(own) if type(own) is str else self._instructions
        messages: list[dict[str, Any]] = []
        given = response.get("input")
        if type(given) is list:  # it reads this, and not the conversation
            said = [_said(item) for item in given[-TEXTS_MAX:]]
            texts = [text for role, text in said if text and role == "user"]
            messages += [{"role": role, "content": text} for role, text in said if role in ("system", "assistant")]
        else:
            texts, self._waiting = self._waiting, []
            messages += [{"role": "system", "content": text} for text in self._system]
            if self._answers:
                messages.append({"role": "user", "content": self._opening})
            messages += [{"role": "assistant", "content": ""}] * min(self._answers, ANSWERS_MAX)
            self._opening = self._opening or "\n".join(texts)[:CHARACTERS_MAX]
        if not texts and not own:
            return None
        if texts:
            messages.append({"role": "user", "content": [{"type": "text", "text": text} for text in texts]})
        return {**self._settings, **_settings(response), "instructions": instructions, "messages": messages}


def _said(item: Any) -> tuple[str, str]:
    """Whose item it is, and its text; "", "": it is no message."""
    if type(item) is not dict or item.get("type") not in ("message", None) or type(item.get("role")) is not str:
        return "", ""
    content = item.get("content")
    texts = [
        _clipped(part["text"])
        for part in (content[-TEXTS_MAX:] if type(content) is list else ())
        if type(part) is dict and type(part.get("text")) is str
    ]
    return item["role"], _clipped("\n".join(texts))


def _settings(body: dict[str, Any]) -> dict[str, Any]:
    """By what programs are told apart, and whether there are tools; small, whatever is sent."""
    return {name[:32]: _small(value) for name, value in list(body.items())[:SETTINGS_MAX] if name not in _NOT_SETTINGS}


def _small(value: Any) -> Any:
    if type(value) is str:
        return value[:64]
    return [len(value)] if value and type(value) in (list, dict) else value


def _clipped(text: str) -> str:
    half = CHARACTERS_MAX // 2
    return text if len(text) <= CHARACTERS_MAX else f"{text[:half]}\n{text[-half:]}"
