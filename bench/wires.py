"""What a stream's events cost in the readers, in nanoseconds of CPU an event: `python bench/wires.py`.

Two ways of arriving: many events back to back in blocks of 16 KB cut anywhere, and one event a block. The best of several
rounds is printed, because whatever else runs on the machine only makes it slower. The time includes each stream's first
events, which are decoded, and its end.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from gateway.values import Ask, Limit
from gateway.wires import FAMILIES, WIRES

EVENTS = 200
ROUNDS = 60
WORDS = (" the", " gauger", " measured", " every", " cask", " of", " brandy", ", and", " wrote", " it", " down", ".\\n")
BLOCK_BYTES = 16_384


def chat(usage: str, extra: str = "", gap: str = "") -> list[bytes]:
    """A stream of chat completion chunks; `usage`: what content chunks say of it; `gap`: after separators, as json.dumps."""
    head = '{"id":"chatcmpl-9xYzAbCdEfGhIjKlMnOp","object":"chat.completion.chunk","created":1767225600,"model":"demo-large",'
    choice = '{head}"choices":[{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}]{usage}{extra}}'

    def chunk(delta: str, finish: str = "null") -> bytes:
        text = choice.replace("{head}", head).replace("{delta}", delta).replace("{finish}", finish)
        text = text.replace("{usage}", usage).replace("{extra}", extra)
        if gap:
            text = text.replace('":', '": ').replace(',"', ', "')
        return b"data: " + text.encode() + b"\n\n"

    chunks = [chunk('{"role":"assistant","content":""}')]
    chunks += [chunk('{"content":"' + WORDS[i % len(WORDS)] + '"}') for i in range(EVENTS)]
    chunks.append(chunk("{}", '"stop"'))
    counts = '"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":200,"total_tokens":220}}'
    return [*chunks, b"data: " + (head + counts).encode() + b"\n\n", b"data: [DONE]\n\n"]


def messages() -> list[bytes]:
    """A stream of messages events."""

    def event(name: str, rest: str) -> bytes:
        return f'event: {name}\ndata: {{"type":"{name}"{rest}}}\n\n'.encode()

    start = '"id":"msg_01","type":"message","role":"assistant","content":[],"usage":{"input_tokens":20,"output_tokens":1}'
    return [
        event("message_start", f',"message":{{{start}}}'),
        event("content_block_start", ',"index":0,"content_block":{"type":"text","text":""}'),
        event("ping", ""),
        *(
            event("content_block_delta", f',"index":0,"delta":{{"type":"text_delta","text":"{WORDS[i % len(WORDS)]}"}}')
            for i in range(EVENTS)
        ),
        event("content_block_stop", ',"index":0'),
        event("message_delta", ',"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":200}'),
        event("message_stop", ""),
    ]


def measure(wire: str, events: list[bytes], *, wants_usage: bool) -> tuple[float, float]:
    """Nanoseconds an event: (in blocks of 16 KB, one event a block)."""
    ask = Ask(wire, "demo-large", {"stream": True}, 0, 0, None, 1, True, wants_usage, "")
    whole = b"".join(events)
    blocks = [whole[i : i + BLOCK_BYTES] for i in range(0, len(whole), BLOCK_BYTES)]
    return best(wire, ask, blocks, len(events)), best(wire, ask, events, len(events))


def best(wire: str, ask: Ask, blocks: list[bytes], events: int) -> float:
    fastest = float("inf")
    for _ in range(ROUNDS):
        reader = WIRES[wire].reader(ask)
        feed = reader.feed
        start = time.process_time_ns()
        for block in blocks:
            feed(block)
        fastest = min(fastest, time.process_time_ns() - start)
        assert reader.is_finished, "the stream must have been understood"
        assert reader.usage is not None, "its usage too"
        assert reader.usage.is_complete
        assert reader.events == EVENTS
    return fastest / events


def headers(family: str) -> float:
    """Nanoseconds for the limit headers of one answer under two budgets."""
    limits = [
        Limit("ten-a-minute", "requests", 1000, 3, 1, 996, 240_000, 0, 60, True),
        Limit("tokens-a-minute", "output_tokens", 200_000, 162_960, 400, 36_640, 48_900_000, 0, 60, True),
    ]
    write = FAMILIES[family].limit_headers
    fastest = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        for _ in range(1000):
            write(limits, now_s=1_767_225_600.0)
        fastest = min(fastest, time.process_time_ns() - start)
    return fastest / 1000


def main() -> None:
    print(f"{'ns of CPU an event':44} {'16 KB blocks':>14} {'one a block':>14}")
    rows = [
        ("chat, no usage in content chunks, hidden", "openai.chat", chat(""), False),
        ('chat, "usage":null in each, hidden', "openai.chat", chat(',"usage":null'), False),
        ('chat, "usage":null in each, asked for', "openai.chat", chat(',"usage":null'), True),
        ("chat, spaced as json.dumps does, hidden", "openai.chat", chat(',"usage":null', gap=" "), False),
        ("chat, padded (obfuscation), asked for", "openai.chat", chat(',"usage":null', ',"obfuscation":"aB3dE6"'), True),
        (
            "chat, usage on every chunk, hidden",
            "openai.chat",
            chat(',"usage":{"prompt_tokens":20,"completion_tokens":1}'),
            False,
        ),
        ("messages", "anthropic.messages", messages(), True),
    ]
    for label, wire, events, wants_usage in rows:
        packed, single = measure(wire, events, wants_usage=wants_usage)
        print(f"{label:44} {packed:14.0f} {single:14.0f}")
    for family in FAMILIES:
        print(f"limit headers of an answer, {family:16} {headers(family):14.0f}")


if __name__ == "__main__":
    main()
