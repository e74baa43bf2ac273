"""Stages and edits to test editors with, and what a client makes of a stream."""

import json

from gateway.values import Usage
from gateway.wires.anthropic_messages import AnthropicMessages
from gateway.wires.openai_chat import OpenAIChat
from gateway.wires.sse import Decoder
from tests.wires.streams import CHAT, MESSAGES, TRANSCRIPTS, ask

TOLD = Usage(19, 8, 0, 3, is_complete=False)
WIRES = {CHAT: OpenAIChat(), MESSAGES: AnthropicMessages()}
NAMES = [name for name, expected in TRANSCRIPTS.items() if expected.wire in WIRES]
ENDED = [name for name in NAMES if "error" not in name]
DONE = b"data: [DONE]\n\n"


class Upper:
    """Holds the last `held` characters back, and gives the rest in capitals."""

    is_cut = False

    def __init__(self, held=0):
        self._held, self._text = held, ""

    def feed(self, text):
        text = self._text + text
        at = max(0, len(text) - self._held)
        self._text = text[at:]
        return text[:at].upper()

    def flush(self):
        text, self._text = self._text, ""
        return text.upper()

    def passes(self, text):
        return not self._held and text.upper() == text


class Stop:
    """Cuts before a word; holds back what may be its beginning."""

    def __init__(self, word):
        self._word, self._text, self.is_cut = word, "", False

    def feed(self, text):
        if self.is_cut:
            return ""
        text = self._text + text
        if self._word in text:
            self.is_cut = True
            return text.partition(self._word)[0]
        held = next(n for n in range(len(self._word) - 1, -1, -1) if text.endswith(self._word[:n]))
        self._text = text[len(text) - held :]
        return text[: len(text) - held]

    def flush(self):
        text, self._text = self._text, ""
        return "" if self.is_cut else text

    def passes(self, text):
        return not self.is_cut and not self._text and not set(text) & set(self._word)


class Late(Upper):
    """Cuts when it is flushed: what was held back turned out to be what must not leave."""

    def __init__(self):
        super().__init__(2)
        self.is_cut = False

    def flush(self):
        self.is_cut = True
        return ""


class Blank:
    is_cut = False

    def feed(self, _text):
        return ""

    def flush(self):
        return ""

    def passes(self, text):
        return not text


class Edits:
    """Stages by kind; a kind that is not named passes."""

    def __init__(self, **makes):
        self._makes = makes

    def text(self):
        return self._stage("text")

    def reasoning(self):
        return self._stage("reasoning")

    def arguments(self):
        return self._stage("arguments")

    def whole(self, stage, text):
        return stage.feed(text) + stage.flush()

    def _stage(self, kind):
        return self._makes[kind]() if kind in self._makes else None


def every(make):
    return Edits(text=make, reasoning=make, arguments=make)


def run(wire, blocks, edits, *, body=None, wants_usage=True, stop_events=None):
    """What a client gets, with the reader and the editor wired up as the relay does."""
    asked = ask(wire, wants_usage=wants_usage, body=body)
    follower, editor = WIRES[wire].reader(asked), WIRES[wire].editor(asked, edits)
    if stop_events is not None:
        follower.stop_events = stop_events
    out = []
    for block in [*blocks, None]:
        data = follower.flush() if block is None else follower.feed(block)
        out.append(editor.feed(data) if data else b"")
        if editor.is_cut or follower.is_cut:
            ending = follower.ending("filter" if editor.is_cut else "length", TOLD)
            out.append(editor.feed(ending))
            break
    return b"".join([*out, editor.flush()])


def values(stream):
    decoder = Decoder()
    events = (*decoder.decode(stream), *decoder.flush())
    return [json.loads(event.data) if event.data != b"[DONE]" else "[DONE]" for event in events]


def said(wire, stream):
    """Each channel's text, as a client joins it."""
    channels = {}

    def add(*channel, text):
        if isinstance(text, str):
            channels[channel] = channels.get(channel, "") + text

    for value in values(stream):
        if wire == MESSAGES:
            for name in ("text", "thinking", "partial_json", "signature"):
                add(value.get("index"), name, text=value.get("delta", {}).get(name))
            continue
        for choice in value.get("choices", ()) if value != "[DONE]" else ():
            delta = choice["delta"]
            for name in ("content", "refusal", "reasoning_content", "reasoning"):
                add(choice["index"], name, text=delta.get(name))
            for call in delta.get("tool_calls") or ():
                add(choice["index"], call["index"], text=call["function"].get("arguments"))
    return {channel: text for channel, text in channels.items() if text}


def structure(wire, stream):
    """All that a stream says beside its texts."""
    frames = []
    for value in values(stream):
        if wire == MESSAGES and value["type"] != "content_block_delta":
            frames.append(value)
        elif wire == CHAT and value != "[DONE]":
            for choice in value.get("choices", ()):
                heads = [(call["index"], call.get("id")) for call in choice["delta"].get("tool_calls") or () if "id" in call]
                frames.append((choice["index"], choice["delta"].get("role"), heads, choice["finish_reason"]))
            frames.append(value.get("usage"))
        elif wire == CHAT:
            frames.append(value)
    return [frame for frame in frames if frame and frame not in ((0, None, [], None), (1, None, [], None))]


def chunk(delta, finish=None, index=0, **more):
    choice = {"index": index, "delta": delta, "finish_reason": finish, **more}
    frame = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return f"data: {json.dumps({**frame, 'choices': [choice]}, separators=(',', ':'))}\n\n".encode()
