"""What must not leave in an answer: literal texts and RE2 patterns, found wherever the pieces of a stream are cut.

What counts as a match: the leftmost; of several filters at one place the longest, of equally long ones one that cuts. Each
pattern by itself matches as RE2 does (`.*?` stops early). Matches do not overlap, and a mask is not searched again.

The bound: a match takes at most LOOKBACK_BYTES of UTF-8, or the longest literal's length where that is more: at each place a
pattern sees so much, and what is longer is matched as far as it is seen. What goes on after that is searched for new matches.
So memory for a stream is bounded, and a text is treated the same however it was cut.

Added latency: none where a chunk does not end in the beginning of a match. Else that beginning waits, and nothing before it,
until the next chunk shows whether it goes on, or the bound is reached; a complete match of a pattern at the very end of a
chunk waits for the next one too. A pattern that begins with "any character" holds back every text up to the bound, and one
with `.*` in it whatever follows its beginning, up to the bound or the line's end.

Cost: one search of a chunk that has nothing to do with any filter, about 1 us for 20 characters. Text is read a bounded
number of times: one made to almost match everywhere costs some microseconds a character.

Text in JSON (a tool call's arguments) is matched as it is written: letters that are escaped there (`\\u0041`) match no literal.

Failure policy: all that can be wrong in a filter is found by `check_pattern`, when a policy is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from gateway.output.patterns import ANYWHERE, HERE, Match, compiled, literal, pattern
from gateway.policy.model import Filter

LOOKBACK_BYTES = 512
COMPILED_MAX = 256
"""Lists of filters that are kept compiled: each may come to use megabytes, and many callers and models share one."""
BLOCK_BYTES = 1024
"""So much is searched at once where a filter may match: else a text full of almost-matches would be read again and again."""
_LONE = "surrogatepass"
"""Half a surrogate pair, which JSON can write, passes through like any other character."""


def check_pattern(text: str) -> None:
    """Raise ValueError, with RE2's own reason, for a pattern that cannot be a filter."""
    pattern(text)


class Found(NamedTuple):
    """The match to act on, in bytes of the searched text."""

    end: int
    is_cut: bool
    mask: str


class _Rule(NamedTuple):
    """A pattern's filter: as itself, and as what could still become it."""

    exact: Match
    prefix: Match
    is_cut: bool
    mask: str


class Filters:
    """All filters of a policy, compiled once. Immutable; `stream` makes what follows one channel."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        """`filters`: one or more, checked by `check_pattern`."""
        # A cut before a mask: of two filters that match the same, the first is obeyed.
        ordered = sorted(filters, key=lambda each: each.action != "cut")
        texts = [each.literal for each in ordered if each.literal]
        patterns = [literal(each) for each in dict.fromkeys(texts)]
        self._literals: dict[bytes, Found] = {}
        for each in ordered:
            if each.literal:
                key = each.literal.encode("utf-8", _LONE)
                self._literals.setdefault(key, Found(len(key), each.action == "cut", each.mask))
        keys = sorted(self._literals)  # a literal that goes on in another stands right before one that begins with it
        self._final = {key for key, after in zip(keys, [*keys[1:], b""]) if not after.startswith(key)}
        self._literal = _together([each.text for each in patterns], takes_longest=True)
        self._literal_prefix = _together([each.prefix for each in patterns], takes_longest=True)
        self._rules: list[_Rule] = []
        for each in ordered:
            if not each.literal:
                patterns.append(parsed := pattern(each.pattern))
                self._rules.append(_Rule(compiled(parsed.text), compiled(parsed.prefix), each.action == "cut", each.mask))
        self._exact = _together([each.text for each in patterns])
        self.probes = _together([each.prefix for each in patterns])
        """Together they find where the first match is or may yet come to be; the text's end where there is none."""
        self.bound = max([LOOKBACK_BYTES, *map(len, self._literals)])
        self.looks_around = any(each.looks_around for each in patterns)
        """What stood before a text matters, one character of it."""

    def stream(self) -> FilterStage:
        return FilterStage(self)

    def first(self, text: bytes, begin: int) -> tuple[int, int]:
        """(where a match may begin, up to where that was searched): before the first, nothing can match any more."""
        size = len(text)
        limit = size if size - begin <= BLOCK_BYTES else _boundary(text, begin + BLOCK_BYTES)
        shift = 0
        if limit < size:
            shift = max(0, begin - 4)  # one character before, for assertions
            text = text[shift:limit]
        end = limit - shift
        return min(probe(ANYWHERE, text, begin - shift, end)[0][0] for probe in self.probes) + shift, limit

    def at(self, text: bytes, begin: int, *, is_end: bool) -> Found | Literal[False] | None:
        """The match at a place; None: there is none. False: nobody knows before more has come (never at the text's end)."""
        size = len(text)
        if is_end or size - begin > self.bound:
            return self._complete(text, begin, min(size, _boundary(text, begin + self.bound)))
        found: Found | None = None
        for prefix in self._literal_prefix:
            end = prefix(HERE, text, begin, size)[0][1]
            if end == size and text[begin:] not in self._final:
                return False
            if end > 0 and (found is None or end > found.end):
                found = self._literals[text[begin:end]]._replace(end=end)
        for rule in self._rules:
            end = rule.prefix(HERE, text, begin, size)[0][1]
            if end == size:
                return False
            found = _longer(found, end, rule)
        return found

    def after(self, text: bytes, begin: int, *, is_end: bool) -> int:
        """Where to go on from a place that has no match, over places that cannot have one either.

        A text that goes on almost matching would else be searched to the bound from each of its characters.
        """
        at = _after(text, begin)
        size = len(text)
        # Up to here all is known, and none of it is seen further than to `limit`.
        known = min(_boundary(text, at + self.bound), size if is_end else _boundary(text, size - self.bound))
        limit = min(size, _boundary(text, known + self.bound))
        if known <= at:
            return at
        found = [exact(ANYWHERE, text, at, limit)[0][0] for exact in self._exact]
        return min([known, *(each for each in found if each >= 0)])

    def _complete(self, text: bytes, begin: int, limit: int) -> Found | None:
        """The match at a place whose future is known, within a limit."""
        if all(exact(HERE, text, begin, limit)[0][1] < 0 for exact in self._exact):
            return None
        found: Found | None = None
        for exact in self._literal:
            end = exact(HERE, text, begin, limit)[0][1]
            if end > 0 and (found is None or end > found.end):
                found = self._literals[text[begin:end]]._replace(end=end)
        for rule in self._rules:
            found = _longer(found, rule.exact(HERE, text, begin, limit)[0][1], rule)
        return found


class FilterStage:
    """One channel's text through the filters: a `Stage`."""

    __slots__ = ("is_cut", "_filters", "_probes", "_looks_around", "_before", "_held")

    def __init__(self, filters: Filters) -> None:
        self.is_cut = False
        self._filters = filters
        self._probes = filters.probes
        self._looks_around = filters.looks_around
        self._before = b""
        """The character before what is held; always b"" where no pattern looks around."""
        self._held = b""

    def passes(self, text: str) -> bool:
        if self._held or self.is_cut:
            return False
        before = self._before
        try:
            data = before + text.encode() if before else text.encode()
        except UnicodeEncodeError:
            return False
        size = len(data)
        for probe in self._probes:
            if probe(ANYWHERE, data, len(before), size)[0][0] != size:
                return False
        if self._looks_around and text:
            self._before = text[-1].encode()
        return True

    def feed(self, text: str) -> str:
        if self.passes(text):
            return text
        if self.is_cut:
            return ""
        return self._run(text.encode("utf-8", _LONE), is_end=False)

    def flush(self) -> str:
        return self._run(b"", is_end=True) if self._held else ""

    def _run(self, new: bytes, *, is_end: bool) -> str:
        filters = self._filters
        text = self._before + self._held + new
        done = at = len(self._before)
        """What comes before `done` has been dealt with; no match begins between it and `at`."""
        size = len(text)
        parts: list[str] = []
        self._held = b""
        while at < size:
            begin, searched = filters.first(text, at)
            if begin >= searched:
                at = searched
                continue
            found = filters.at(text, begin, is_end=is_end)
            if found is False:
                parts.append(text[done:begin].decode("utf-8", _LONE))
                self._held, done = text[begin:], begin
                break
            if not found:
                at = filters.after(text, begin, is_end=is_end)
                continue
            parts.append(text[done:begin].decode("utf-8", _LONE))
            if found.is_cut:
                self.is_cut = True
                return "".join(parts)
            parts.append(found.mask)
            done = at = found.end
        if not self._held:
            parts.append(text[done:].decode("utf-8", _LONE))
            done = size
        if self._looks_around:
            self._before = text[_boundary(text, done - 1) : done] if done else b""
        return "".join(parts)


@lru_cache(maxsize=COMPILED_MAX)
def filters_of(filters: tuple[Filter, ...]) -> Filters:
    """A policy's filters, compiled: the same object for the same filters."""
    return Filters(filters)


def _longer(found: Found | None, end: int, rule: _Rule) -> Found | None:
    """The longer of what was found and a rule's match; of equally long ones one that cuts."""
    if end < 0 or (found is not None and (end < found.end or (end == found.end and not rule.is_cut))):
        return found
    return Found(end, rule.is_cut, rule.mask)


def _together(texts: Sequence[str], *, takes_longest: bool = False) -> tuple[Match, ...]:
    """Searches that together find what any of these would: one, or several where it would be too large."""
    if not texts:
        return ()
    try:
        return (compiled("|".join(f"(?:{each})" for each in texts), takes_longest=takes_longest),)
    except ValueError:
        half = len(texts) // 2
        if not half:
            raise
        return _together(texts[:half], takes_longest=takes_longest) + _together(texts[half:], takes_longest=takes_longest)


def _boundary(text: bytes, at: int) -> int:
    """`at`, or before it the beginning of the character that it would split."""
    while 0 < at < len(text) and text[at] & 0xC0 == 0x80:
        at -= 1
    return at


def _after(text: bytes, at: int) -> int:
    """Where the character that begins at a place ends."""
    at += 1
    while at < len(text) and text[at] & 0xC0 == 0x80:
        at += 1
    return at
