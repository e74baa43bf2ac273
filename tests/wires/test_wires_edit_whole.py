"""Whole chats and messages with their texts rewritten."""

import json

from gateway.wires.anthropic_messages import AnthropicMessages
from gateway.wires.openai_chat import OpenAIChat
from tests.wires.stages import (
    Blank,
    Edits,
    Stop,
    Upper,
    every,
)

WORD = "stop"


WHOLE_CHAT = {
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "reasoning_content": "I plan",
                "content": "so stop it",
                "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a":"b"}'}}],
            },
            "logprobs": {"content": [{"token": "so"}]},
            "finish_reason": "tool_calls",
        },
        {"index": 1, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"},
    ]
}
WHOLE_MESSAGE = {
    "type": "message",
    "content": [
        {"type": "thinking", "thinking": "I plan", "signature": "Eq=="},
        {"type": "redacted_thinking", "data": "Zz"},
        {"type": "text", "text": "so stop it", "citations": None},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": ["b", 3]}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}


def test_a_whole_chat_is_edited():
    """Each text; in a cut choice nothing follows the cut; what no stage changes is the very same object."""
    answer = json.dumps(WHOLE_CHAT).encode()
    wire = OpenAIChat()
    for same in (answer, b"[]", b"{", b'{"choices":[null]}', b'{"choices":{"a":1}}', b'{"error":{"message":"no"}}'):
        assert wire.edit(same, Edits())[0] is same
        assert wire.edit(same, every(lambda: Stop("absent")))[0] is same
    value = json.loads(wire.edit(answer, every(Upper))[0])
    message = value["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("I PLAN", "SO STOP IT")
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"A":"B"}'}
    assert value["choices"][0]["logprobs"] is None
    edited, is_cut = wire.edit(answer, every(lambda: Stop(WORD)))
    first, second = json.loads(edited)["choices"]
    assert is_cut
    assert first["message"] == {"role": "assistant", "reasoning_content": "I plan", "content": "so "}
    assert (first["finish_reason"], second["finish_reason"]) == ("content_filter", "stop")


def test_a_whole_message_is_edited():
    """Each text; a signature stays; an input stays JSON; after a cut there are no blocks."""
    answer = json.dumps(WHOLE_MESSAGE).encode()
    wire = AnthropicMessages()
    for same in (answer, b"[]", b"{", b'{"content":3}', b'{"content":[null,{"type":"tool_use","input":[]}]}'):
        assert wire.edit(same, Edits())[0] is same
        assert wire.edit(same, every(lambda: Stop("absent")))[0] is same
    content = json.loads(wire.edit(answer, Edits(reasoning=Blank, arguments=Upper))[0])["content"]
    assert content[0] == {"type": "thinking", "thinking": "", "signature": "Eq=="}
    assert content[1:3] == WHOLE_MESSAGE["content"][1:3]
    assert content[3]["input"] == {"A": ["B", 3]}

    class Quote(Upper):
        """A mask that breaks the JSON text it stands in, but no string."""

        def feed(self, text):
            return text.replace("b", '"')

    assert json.loads(wire.edit(answer, Edits(arguments=Quote))[0])["content"][3]["input"] == {"a": ['"', 3]}
    edited, is_cut = wire.edit(answer, every(lambda: Stop(WORD)))
    value = json.loads(edited)
    assert (is_cut, value["stop_reason"]) == (True, "refusal")
    assert value["content"] == [*WHOLE_MESSAGE["content"][:2], {"type": "text", "text": "so ", "citations": None}]
    value = json.loads(wire.edit(answer, Edits(arguments=lambda: Stop("b")))[0])
    assert value["content"][3]["input"] == {}
