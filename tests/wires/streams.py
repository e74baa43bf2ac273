"""Recorded streams, and what a reader must make of each."""

from pathlib import Path
from typing import Any, NamedTuple

from gateway.values import Ask, Usage
from gateway.wires import WIRES

DIRECTORY = Path(__file__).parent / "transcripts"


class Expected(NamedTuple):
    wire: str
    usage: Usage | None
    events: int
    content: str
    is_finished: bool = True
    failed: bool = False
    body: dict[str, Any] = {"stream": True}


CHAT, MESSAGES = "openai.chat", "anthropic.messages"
HELLO = 'Hello! Grüße\n"quoted"\t🍷 '
CHAT_USAGE = Usage(19, 8, 0, 10, is_complete=True)
TEXT = 'Hello! Grüße\n"message_stop" 🍷'
TEXT_USAGE = Usage(25, 0, 0, 15, is_complete=True)

TRANSCRIPTS = {
    "chat_plain": Expected(CHAT, None, 5, HELLO),
    "chat_usage": Expected(CHAT, CHAT_USAGE, 5, HELLO),
    "chat_usage_crlf": Expected(CHAT, CHAT_USAGE, 5, HELLO),
    "chat_usage_cr": Expected(CHAT, CHAT_USAGE, 5, HELLO),
    "chat_obfuscated": Expected(CHAT, CHAT_USAGE, 5, HELLO),
    "chat_spaced_comments": Expected(CHAT, CHAT_USAGE, 5, HELLO),
    "chat_tools": Expected(CHAT, Usage(19, 8, 0, 24, is_complete=True), 7, 'get_weather{"usage":"Reykjavík"}stop{}'),
    "chat_reasoning": Expected(CHAT, Usage(12, 0, 0, 7, is_complete=True), 6, 'The user says "usage".Bonjour'),
    "chat_continuous_usage": Expected(CHAT, Usage(5, 0, 0, 4, is_complete=True), 3, "one two three"),
    "chat_error": Expected(CHAT, None, 1, "Once", is_finished=False, failed=True),
    "chat_no_done": Expected(CHAT, None, 3, 'usage[DONE]"error"'),
    "chat_two_choices": Expected(CHAT, CHAT_USAGE, 3, "abcd", body={"stream": True, "n": 2}),
    "messages_text": Expected(MESSAGES, TEXT_USAGE, 3, TEXT),
    "messages_text_crlf": Expected(MESSAGES, TEXT_USAGE, 3, TEXT),
    "messages_text_cr": Expected(MESSAGES, TEXT_USAGE, 3, TEXT),
    "messages_thinking_tools": Expected(
        MESSAGES,
        Usage(2125, 2000, 100, 89, is_complete=True),
        6,
        'Let me see.I\'ll look.get_weather{"location": "San Francisco"}',
    ),
    "messages_error": Expected(MESSAGES, Usage(25, 0, 0, 1, is_complete=False), 1, "Hello", is_finished=False, failed=True),
}


def recorded(name):
    return (DIRECTORY / f"{name}.sse").read_bytes()


def ask(wire, *, wants_usage, body=None):
    return Ask(wire, "m", body or {"stream": True}, 0, 0, None, 1, True, wants_usage, "")


def reader(name, *, wants_usage):
    expected = TRANSCRIPTS[name]
    return WIRES[expected.wire].reader(ask(expected.wire, wants_usage=wants_usage, body=expected.body))


def read(reader, blocks):
    """What is relayed of the blocks, to the end."""
    return b"".join([*map(reader.feed, blocks), reader.flush()])


def state(reader):
    return (reader.usage, reader.events, reader.is_finished, reader.failed)
