"""What an ask says, found in its body whatever its wire: system text, messages, tools; long text sampled.

A body is the tenant's: anything may stand anywhere in it. What has not the expected shape says nothing, and nothing here
raises. Of many messages only the ends are looked at, of long text the head, the tail and two slices between whose places
depend on the deployment's key: who pads a prompt does not know what is read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

SYSTEM_CHARACTERS = 1_024
USER_CHARACTERS = 2_560
MESSAGES_HEAD = 8
MESSAGES_TAIL = 24
PARTS_MAX = 16
SLICES = 2
JOINED_CHARACTERS = 16_384
"""Texts that come to more are sampled before they are joined: joining megabytes would hold up everybody."""


class Said(NamedTuple):
    """The text of a request, as much of it as is read."""

    system: str
    user: str
    """The last user message."""
    opening: str
    """The first user message's first characters."""
    bytes: int
    """Characters of all messages that were looked at (about bytes): long text counts whole."""
    answers: int
    """Turns the model is said to have had."""
    tools: bool
    """Tools are offered, called, or answered."""
    signature: str
    """Of the last thinking block that is replayed; "": none."""
    before: str
    """What was said right before it: it stays the same when a client drops the beginning of a long conversation."""


def said(body: dict[str, Any], text_bytes: int, seed: int) -> Said:
    """Read a body. `text_bytes` is what it comes to whole; `seed` places the samples of long text."""
    messages: Any = body.get("messages")
    if messages is None:
        messages = body.get("input", body.get("prompt"))
    system, total = _text(body.get("system", body.get("instructions")), seed)
    tools = bool(body.get("tools") or body.get("functions"))
    if type(messages) is str:
        return Said(_sample(system, SYSTEM_CHARACTERS, seed), _sample(messages, USER_CHARACTERS, seed), messages[:256],
                    total + len(messages), 0, tools, "", "")  # fmt: skip
    if type(messages) is not list:
        return Said(_sample(system, SYSTEM_CHARACTERS, seed), "", "", total, 0, tools, "", "")
    systems = [system] if system else []
    if len(messages) > MESSAGES_HEAD + MESSAGES_TAIL:
        total = text_bytes
        messages = messages[:MESSAGES_HEAD] + messages[-MESSAGES_TAIL:]
    user = opening = signature = before = text = ""
    message: Any
    role: Any
    content: Any
    answers = 0
    for message in messages:
        if type(message) is str:  # a list of prompts
            role, content = "user", message
        elif type(message) is dict:
            role, content = message.get("role"), message.get("content")
            if "tool_calls" in message:
                tools = True
            if role is None:
                if message.get("type") == "reasoning":
                    if found := _string(message.get("encrypted_content")):
                        signature, before = found, text
                    continue
                tools = True  # function_call, function_call_output and their kin
                continue
        else:
            continue
        earlier = text
        if type(content) is str:
            text = content
            total += len(text)
        else:
            text, length = _text(content, seed)
            total += length
        if role == "user":
            if text:
                user = text
                opening = opening or text
            elif type(content) is list:
                tools = True  # nothing but results
        elif role == "assistant":
            answers += 1
            if type(content) is list and (found := _signature(content)):
                signature, before = found, earlier
        elif role in ("system", "developer"):
            if text or systems:
                systems.append(text)
        else:
            tools = True
    if total > text_bytes:
        total = text_bytes
    system = systems[0] if len(systems) == 1 else _joined(systems, SYSTEM_CHARACTERS, seed) if systems else ""
    return Said(_sample(system, SYSTEM_CHARACTERS, seed), _sample(user, USER_CHARACTERS, seed), opening[:256],
                total, answers, tools, signature, before[:256])  # fmt: skip


def _string(value: object) -> str:
    return value if type(value) is str else ""


def _text(content: object, seed: int) -> tuple[str, int]:
    """The text of a content, itself or its parts', and how long it is."""
    if type(content) is str:
        return content, len(content)
    if type(content) is not list:
        return "", 0
    parts = content if len(content) <= PARTS_MAX else content[: PARTS_MAX // 2] + content[-PARTS_MAX // 2 :]
    texts = [part["text"] for part in parts if type(part) is dict and type(part.get("text")) is str]
    return _joined(texts, USER_CHARACTERS, seed), sum(map(len, texts)) + max(len(texts) - 1, 0)


def _joined(texts: list[str], characters: int, seed: int) -> str:
    """A line each; of long texts samples of so many characters each."""
    if sum(map(len, texts)) > JOINED_CHARACTERS:
        texts = [_sample(text, characters, seed) for text in texts]
    return "\n".join(texts)


def _signature(content: list[Any]) -> str:
    for part in reversed(content[-PARTS_MAX:]):
        if type(part) is dict and part.get("type") in ("thinking", "redacted_thinking"):
            found = part.get("signature") or part.get("data")
            if type(found) is str:
                return found
    return ""


def _sample(text: str, characters: int, seed: int) -> str:
    """Text of at most so many characters: the head (half of it), the tail (a quarter), slices between (a quarter)."""
    length = len(text)
    if length <= characters:
        return text
    head, tail, each = characters // 2, characters // 4, characters // (4 * SLICES)
    room = (length - head - tail) // SLICES
    pieces = [text[:head]]
    for index in range(SLICES):
        begin = head + index * room + (seed ^ length * 0x9E3779B1) % max(room - each, 1)
        pieces.append(text[begin : begin + each])
    pieces.append(text[-tail:])
    return "\n".join(pieces)
