"""Read a request's JSON so that it can mean only one thing, here and upstream.

Parsers differ on duplicate keys (first or last wins), on keys that differ only by case (Go's encoding/json takes
`Max_Tokens` for `max_tokens`) or by Unicode folding (`max_toKens` with a Kelvin sign), on NaN and on huge numbers. What is
ambiguous is refused, and what is forwarded is the gateway's own serialisation of what it read.

The common body pays for one orjson parse, one regular expression over the bytes and one set comparison an object.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

import orjson

# Every key of every object ends in a quote and a colon, so the number of such places is at least the number of keys, those
# said twice included. Strings may hold such places too (an embedded JSON text does), so "more" only means "look again".
_KEY_ENDS = re.compile(rb'"[ \t\r\n]*:')

_PLAIN = frozenset(
    # One text, not a list of sixty quoted words: it is read as a text.
    """role content type text name image_url url detail source media_type data id function arguments tool_calls tool_call_id
    refusal audio model messages stream stream_options include_usage max_tokens max_completion_tokens temperature top_p n
    stop system metadata user user_id tools tool_choice response_format seed cache_control thinking budget_tokens
    signature tool_use_id input is_error frequency_penalty presence_penalty logprobs top_logprobs logit_bias
    parallel_tool_calls top_k stop_sequences service_tier reasoning_effort""".split()  # noqa: SIM905
)

# Below these keys lies the caller's own data, in which `id` and `ID` are two names.
_OPAQUE = frozenset(("tools", "functions", "response_format", "metadata", "input", "output_config", "arguments", "logit_bias"))


STRINGS_MAX = 200_000
ITEMS_MAX = 1_000_000
BIG_BYTES = 262_144
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class BadJson(ValueError):
    """The body is not JSON that can mean only one thing. The message is for the tenant, and quotes no content."""


def _bound(raw: bytes) -> None:
    """Refuse a body of millions of little things before it is parsed: they cost a hundred times what the same bytes of text
    do, in time and in memory, and no API has a use for them. Counts bytes, so that text is not looked at."""
    if raw.count(b'"') - raw.count(b'\\"') > 2 * STRINGS_MAX:
        raise BadJson(f"The body holds more than {STRINGS_MAX} strings and keys.")
    # Commas are common in text: only where there are many are those outside of strings counted.
    if raw.count(b",") > ITEMS_MAX and _STRING.sub(b"", raw).count(b",") > ITEMS_MAX:
        raise BadJson(f"The body holds more than {ITEMS_MAX} items.")


def parse(raw: bytes, judged: frozenset[str]) -> dict[str, Any]:
    """The object in `raw`. `judged`: top-level fields the gateway decides by; nothing may look like one and be another.

    Raises BadJson: no JSON, no object, NaN or infinities, too deep (about 1,000), lone surrogates, not UTF-8, keys said
    twice, keys that fold to one another or to a judged field.
    """
    if len(raw) > BIG_BYTES:
        _bound(raw)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadJson(f"The body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    if type(body) is not dict:
        raise BadJson("The body must be a JSON object.")
    if len(_KEY_ENDS.findall(raw)) != _walk(body):
        _refuse_duplicates(raw)
    check_names(body, judged)
    return body


def check_names(body: dict[str, Any], judged: frozenset[str]) -> None:
    """Raises BadJson where a field looks like a judged one and is another."""
    for key in body:
        if key not in _PLAIN and key not in judged and fold(key) in judged:
            raise BadJson(f"The field {key[:80]!r} looks like {fold(key)!r} but is another: write {fold(key)!r}.")


def fold(key: str) -> str:
    """What a lenient parser may take the key for: NFKC, then case folded."""
    return unicodedata.normalize("NFKC", key).casefold()


def _walk(body: dict[str, Any]) -> int:
    """Count every key, and refuse two keys of one object that differ only by folding (not below `_OPAQUE`)."""
    count = 0
    stack: list[Any] = [body]
    while stack:
        node = stack.pop()
        if type(node) is list:
            for item in node:
                if type(item) is dict or type(item) is list:
                    stack.append(item)
            continue
        count += len(node)
        if not node.keys() <= _PLAIN:
            _refuse_folded(node)
        for key, value in node.items():
            if type(value) is dict or type(value) is list:
                if key in _OPAQUE:
                    count += _count_keys(value)
                else:
                    stack.append(value)
    return count


def _count_keys(value: Any) -> int:
    count = 0
    stack = [value]
    while stack:
        node = stack.pop()
        if type(node) is dict:
            count += len(node)
            stack.extend(node.values())
        elif type(node) is list:
            stack.extend(node)
    return count


def _refuse_folded(node: dict[str, Any]) -> None:
    folded: dict[str, str] = {}
    for key in node:
        other = folded.setdefault(fold(key), key)
        if other is not key:
            raise BadJson(f"The fields {other[:80]!r} and {key[:80]!r} differ only by case or Unicode form.")


def _refuse_duplicates(raw: bytes) -> None:
    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    raise BadJson(f"The field {key[:80]!r} is given twice in one object.")
                seen.add(key)
        return found

    try:
        json.loads(raw, object_pairs_hook=check)
    except RecursionError:
        raise BadJson("The body is nested too deeply.") from None
    except BadJson:
        raise
    except ValueError:  # an integer of thousands of digits, which orjson reads as a float
        raise BadJson("The body holds a number that is too long.") from None
