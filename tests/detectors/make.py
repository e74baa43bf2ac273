"""Asks, lenses and looks of the detectors' tests."""

import orjson

from gateway.detectors import PHRASES, Lens, Past, look
from gateway.policy.read_phrases import read_phrases
from gateway.values import Ask

BOOKS = read_phrases(PHRASES)
LENS = Lens.of(b"a secret of this test", BOOKS)


def ask(body):
    """An ask of a body, as `read` would make it of a chat request."""
    return Ask(
        wire="openai.chat",
        model="demo-small",
        body=body,
        text_bytes=len(orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)),
        media_tokens=0,
        output_tokens_max=body.get("max_tokens") if type(body.get("max_tokens")) is int else None,
        choices=body["n"] if type(body.get("n")) is int and body["n"] > 0 else 1,
        is_stream=False,
        wants_usage=False,
        end_user="",
    )


def chat(text, system=None, **fields):
    """An ask of one user message."""
    messages = [{"role": "user", "content": text}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    return ask({"model": "demo-small", "messages": messages, **fields})


def looks(asks, past=None, lens=LENS):
    """The sightings of one tenant's asks, in order."""
    past = past or Past()
    return [look(each, past, lens, 1_000_000 * at) for at, each in enumerate(asks)]
