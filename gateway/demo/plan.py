"""What an answer will say: its tokens, its finish and its usage, the same for every wire. Pure.

Its tokens are words and its input count is the number of words in the request, so that a test can work out both by hand.
"""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any, Literal, NamedTuple

from gateway.demo.script import Script

Kind = Literal["text", "reasoning", "tool"]
SENTENCES = (
    "The gauger came at noon with a rod of boxwood and a quiet face. He dipped each cask, read the wet line, and wrote one "
    "number in his book. Nobody argued with the number, for the rod was the same for every house on the quay."
)
TEXT = tuple(SENTENCES.split())


class Piece(NamedTuple):
    """One token. `kind` "tool": a piece of the call's JSON arguments."""

    kind: Kind
    text: str


class Plan(NamedTuple):
    """A whole answer before it is written in a wire's format. `pieces` is said once for each of `choices`."""

    model: str
    input_tokens: int
    """The whole input, cached and cache-writing parts included."""
    cached: int
    cache_write: int
    choices: int
    pieces: tuple[Piece, ...]
    is_cut: bool
    """max_tokens was reached before the script's end."""
    tool: str
    """Name of the tool that is called; "" for none."""
    is_stream: bool
    wants_usage: bool
    """`stream_options.include_usage`."""
    script: Script
    echoes: tuple[str, ...] = ()
    """Prompts that are repeated before their answers."""

    @property
    def output_tokens(self) -> int:
        return len(self.pieces) * self.choices

    @property
    def reasoning_tokens(self) -> int:
        return sum(piece.kind == "reasoning" for piece in self.pieces) * self.choices

    def said(self, kind: Kind) -> str:
        """All of one choice's pieces of a kind, joined."""
        return "".join(piece.text for piece in self.pieces if piece.kind == kind)


def plan_of(body: dict[str, Any], script: Script) -> Plan:
    """Lay out the answer to a request of any wire. Fields of the wrong type are taken as absent: judging is not its task."""
    names = () if script.ignore_max else ("max_tokens", "max_completion_tokens", "max_output_tokens")
    bounds = [body.get(name) for name in names]
    tokens = min([script.tokens, *(bound for bound in bounds if isinstance(bound, int))])
    pieces = _pieces(tokens, script)
    choices, options = body.get("n"), body.get("stream_options")
    prompts = _prompts(body)
    return Plan(
        model=str(body.get("model")),
        input_tokens=script.input_tokens if script.input_tokens >= 0 else max(1, words(body)),
        cached=script.cached,
        cache_write=script.cache_write,
        choices=(choices if isinstance(choices, int) else 1) * len(prompts),
        pieces=pieces,
        is_cut=tokens < script.tokens,
        tool=_tool_name(body) if script.tool else "",
        is_stream=body.get("stream") is True,
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        script=script,
        echoes=tuple(prompt if isinstance(prompt, str) else "" for prompt in prompts) if body.get("echo") is True else (),
    )


def _prompts(body: dict[str, Any]) -> list[Any]:
    """The prompts of a completion; a single one where it has none, or a list of tokens."""
    given = body.get("prompt")
    return given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]


def _pieces(tokens: int, script: Script) -> tuple[Piece, ...]:
    reasoning = [Piece("reasoning", f" {word}") for word in islice(cycle(TEXT), min(script.reasoning, tokens))]
    said = script.tokens - script.reasoning
    if script.tool:
        whole = ['{"query": "', *(f"{word} " for word in islice(cycle(TEXT), max(0, said - 2))), '"}']
        answer = [Piece("tool", text) for text in whole]
    else:
        answer = [Piece("text", f" {word}" if i else word) for i, word in enumerate(islice(cycle(TEXT), max(0, said)))]
    return tuple((reasoning + answer)[: max(0, tokens)])


def _tool_name(body: dict[str, Any]) -> str:
    tools = body.get("tools")
    first = tools[0] if isinstance(tools, list) and tools and isinstance(tools[0], dict) else {}
    function = first.get("function", first)
    return str(function.get("name", "look_up")) if isinstance(function, dict) else "look_up"


def words(body: dict[str, Any]) -> int:
    """Words of every string under a request's texts and tools; iterative, for a request may nest as deep as it likes.

    In prompts that are lists of tokens each token is a word.
    """
    names = ("messages", "system", "input", "prompt", "suffix", "instructions", "tools", "requests")
    found, todo = 0, [body.get(name) for name in names]
    for given in (body.get("prompt"), body.get("input")):
        lists = [given, *given] if isinstance(given, list) else []
        found += sum(isinstance(token, int) for tokens in lists if isinstance(tokens, list) for token in tokens)
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            found += len(value.split())
        elif isinstance(value, dict):
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
    return found
