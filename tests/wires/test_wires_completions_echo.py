"""Prompts that come back before their answers are relayed, and are not counted as output."""

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wires.streams import read
from tests.wires.test_wires_completions import WIRE, ask
from tests.wires.test_wires_sse import cut

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=3), st.integers(1, 2), st.data())
def test_an_echo_is_not_counted(prompts, each, data):
    """Whatever the prompts are, however the upstream cuts them, and in whichever order choices come."""
    rng = random.Random(data.draw(st.integers()))
    parts = {}
    answers = 0
    for index in range(len(prompts) * each):
        prompt, answer = prompts[index // each], data.draw(texts)
        answers += len(answer.encode())
        joined = []
        for said in (prompt, answer):
            while said:
                size = rng.randint(1, 9)
                joined.append(said[:size])
                said = said[size:]
        if rng.random() < 0.3:  # some send the echo and the first words of the answer in one chunk
            joined = ["".join(joined)]
        parts[index] = joined
    chunks = []
    while parts:
        index = rng.choice(list(parts))
        choice = {"index": index, "text": parts[index].pop(0), "finish_reason": None}
        chunks.append({"choices": [choice]})
        if not parts[index]:
            del parts[index]
    stream = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    follower = WIRE.reader(ask({"prompt": prompts, "n": each, "echo": True, "stream": True}))
    points = data.draw(st.lists(st.integers(1, len(stream)), max_size=4))
    assert read(follower, cut(stream, points)) == stream
    if follower.events <= 8:  # later ones are estimated
        assert follower.content_bytes == max(answers, follower.events)


def test_what_is_no_echo_is_counted():
    """An upstream that does not repeat the prompt, or another text, delivers all that it says."""
    chunk = b'data: {"choices":[{"index":0,"text":"Say ho","finish_reason":null}]}\n\n'
    follower = WIRE.reader(ask({"prompt": "Say hi: ", "echo": True, "stream": True}))
    follower.feed(chunk)
    assert (follower.events, follower.content_bytes) == (1, 6)
    odd = WIRE.reader(ask({"prompt": [1, 2], "echo": True, "stream": True}))
    odd.feed(chunk)
    assert (odd.events, odd.content_bytes) == (1, 6)
    strange = WIRE.reader(ask({"prompt": "Say hi: ", "echo": True, "stream": True}))
    for index in (b"7", b'"x"', b"-1", b"null"):
        strange.feed(chunk.replace(b'"index":0', b'"index":' + index))
    assert strange.events == 4
