"""One look at one request: from an `Ask` and the tenant's `Past` to a `Sighting`. CPU only, on the path of every request.

Text is taken apart into pieces (lines, sentences, labels before a colon). A piece that a good share of the tenant's recent
requests held is template; what is left is the slot, and the slot is what is judged: a constant prompt around it, a canned
opening before it or ten of them in turn make no difference to what it is.
"""

from __future__ import annotations

from typing import Any

from gateway.detectors.cues import AS_FEATURES, INPUTS, asks_for_input
from gateway.detectors.features import CLOSING, CODE_SIGNS, DIGITS, PERSONAL, QUESTION_WORDS, TASK_VERBS
from gateway.detectors.lens import Lens
from gateway.detectors.past import Past
from gateway.detectors.text import Said, said
from gateway.values import Ask, Sighting

PIECES_MAX = 96
RECURS_MIN = 2
"""Earlier requests that must have held a piece before it is template; one more once 64 have been counted, of at most 128: ten
canned openings in turn, in three requests of ten, are found."""
ANCHOR_SHARE = 4
"""A template is named by its longest piece among those at least a quarter as frequent as its most frequent one."""
LABEL_CHARACTERS = 24
USER_CHARACTERS_MIN = 16
"""A user message that is shorter says nothing by itself: the system prompt counts as what is asked."""
PHRASE_CHARACTERS, PHRASE_HEAD, PHRASE_TAIL = 1_536, 1_024, 512
"""Of the user's message, what tripwires are sought in: orders stand before or after the material they are about."""
SKETCH = 8
WORDS_BYTES = 512
"""The slot's first words are enough to know whose they are, and what it is about."""

_PLAIN = bytes(value for value in range(256) if value not in CODE_SIGNS + DIGITS)
_WHITE = bytes(32 if value in b"\t\n\v\f\r" else value for value in range(256))
_CHOICES = frozenset(letter + sign for letter in "ABCDEabcde" for sign in ".)")


def look(ask: Ask, past: Past, lens: Lens, now_us: int) -> Sighting:
    """What the watch sees in a request. Changes `past`, and nothing else. Never raises on what a body holds."""
    body = ask.body
    text = said(body, ask.text_bytes, lens.seed)
    context, _, _, short = _pieces(text.system)
    pieces, marks, shots, all_read = _pieces(text.user)
    first = own = len(context)
    if len(text.user) < USER_CHARACTERS_MIN:
        own = 0  # what is asked stands in the system prompt
    if context:
        pieces = context + pieces
    lowered = [piece.lower() for piece in pieces]
    hashes = list(map(hash, lowered))
    known = past.counted(hashes)
    counts = list(map(known.__getitem__, hashes))
    least = RECURS_MIN + (past.recent >= 64)
    slot: list[str] = []
    slot_low: list[str] = []
    anchor, template_bytes, cued = "", 0, 0
    fingerprint, cue_of = lens.fingerprint, lens.cues
    for at, (piece, low, count) in enumerate(zip(pieces, lowered, counts)):
        if count >= least:
            template_bytes += len(piece)
            cue = cue_of.get(hashes[at])
            cued |= lens.cue(hashes[at], low) if cue is None else cue
        elif at >= own and len(piece) > 1:
            slot.append(piece)
            slot_low.append(low)
    if template_bytes:
        bar = max(max(counts) // ANCHOR_SHARE + 1, least)
        anchor = max([low for low, count in zip(lowered, counts) if count >= bar], key=len)
        if counts[-1] >= least and asks_for_input(lowered[-1]):
            cued |= INPUTS
    slot_text = "\n".join(slot_low).encode("utf-8", "replace")
    words = slot_text[:WORDS_BYTES].split()
    once = set(words)
    phrases = lens.phrases(_spoken(text, lowered, first, short and all_read))
    features = (
        min(1000, 1000 * template_bytes // (len(text.system) + len(text.user) + 1)),
        *_sentences(slot, slot_low),
        *_vocabulary(words, once, slot_text),
        min(1000, 100 * shots),
        min(1000, 250 * marks),
        _doublings(len(slot_text)),
        _doublings(text.bytes),
        min(1000, 125 * len(slot).bit_length()),
        min(1000, 250 * text.answers),
        1000 if text.tools else 0,
        *_habits(ask, body),
        _doublings(len(text.system)),
        *AS_FEATURES[cued],
    )
    return Sighting(
        text.bytes,
        len(slot_text),
        lens.familiar(b"t", anchor) if anchor else 0,
        fingerprint(b"c" + slot_text) if slot_text else 0,
        lens.sketch(once, SKETCH),
        _program(body, lens),
        features,
        phrases,
        fingerprint(b"r" + text.signature.encode("utf-8", "replace")) if text.signature else 0,
        fingerprint(b"o" + text.opening.encode("utf-8", "replace")) if text.opening else 0,
        lens.familiar(b"s", text.system) if text.system else 0,
        fingerprint(b"b" + text.before.encode("utf-8", "replace")) if text.before and text.signature else 0,
    )


def _pieces(text: str) -> tuple[list[str], int, int, bool]:
    """Lines, sentences and labels; signs of multiple choice; worked examples (how often the commonest label comes again);
    whether that is all of it, and not its first and last lines."""
    if not text:
        return [], 0, 0, True
    text = text.replace(". ", ".\n")
    if "?" in text:
        text = text.replace("? ", "?\n")
    if "!" in text:
        text = text.replace("! ", "!\n")
    lines = text.split("\n")
    if not (whole := len(lines) <= PIECES_MAX):
        lines = lines[: PIECES_MAX // 2] + lines[-PIECES_MAX // 2 :]
    pieces: list[str] = []
    labels: dict[str, int] = {}
    marks = 0
    for line in lines:
        line = line.strip()
        if not line:
            continue
        if (line[1:2] in ".)" and line[:2] in _CHOICES) or (line[2:3] == ")" and line[0] == "("):
            marks += 1
        if ":" in line:
            colon = line.find(":", 0, LABEL_CHARACTERS)
            if colon > 0 and line[colon + 1 : colon + 2] in ("", " "):
                label = line[: colon + 1]
                labels[label] = labels.get(label, 0) + 1
                pieces.append(label)
                line = line[colon + 2 :]
                if not line:
                    continue
        pieces.append(line)
    return pieces, marks, max(labels.values()) - 1 if labels else 0, whole


def _spoken(text: Said, lowered: list[str], first: int, whole: bool) -> bytes:
    """What tripwires are sought in, lower-case and with single spaces: the system prompt, and the user's message from piece
    `first` on. Pieces joined again are just that, unless only some lines were made pieces of."""
    long = len(text.user) > PHRASE_CHARACTERS
    if whole and not long:
        spoken = " ".join(lowered).encode("utf-8", "replace")
    else:
        if whole:
            user = " ".join(lowered[first:])
            system = " ".join(lowered[:first])
        else:
            user, system = text.user.lower(), text.system.lower()
        if long and len(user) > PHRASE_CHARACTERS:
            user = user[:PHRASE_HEAD] + user[-PHRASE_TAIL:]
        spoken = f"{system} {user}".encode("utf-8", "replace")
    if not whole or b"\t" in spoken or b"\r" in spoken or b"\v" in spoken or b"\f" in spoken:
        spoken = spoken.translate(_WHITE)
    while b"  " in spoken:
        spoken = spoken.replace(b"  ", b" ")
    return spoken


def _sentences(slot: list[str], slot_low: list[str]) -> tuple[int, int, int, int, int]:
    """tasks, opens, closes, questions, polish."""
    if not slot:
        return 0, 0, 0, 0, 0
    tasks = opens = questions = polish = 0
    for piece, low in zip(slot, slot_low):
        end = piece[-1]
        space = low.find(" ")
        first = (low[:space] if space >= 0 else low).strip("\"'*-#.,:")
        if first in TASK_VERBS:
            tasks += 1
            opens = opens or (1000 if piece is slot[0] else 0)
        elif first in QUESTION_WORDS:
            questions += 1
            if end == "?" and piece is slot[0] and len(slot) <= 2:
                opens = 1000
        elif end == "?":
            questions += 1
        if end in ".?!" and piece[0].isupper():
            polish += 1
    count = len(slot)
    closes = 0
    if low.startswith(CLOSING) or " how m" in low:
        closes = 1000
    return 1000 * tasks // count, opens, closes, 1000 * questions // count, 1000 * polish // count


def _vocabulary(words: list[bytes], once: set[bytes], text: bytes) -> tuple[int, int, int]:
    """personal, code, digits."""
    count, size = len(words) or 1, len(text) + 1
    personal = sum([words.count(word) for word in once & PERSONAL])
    signs = text.translate(None, _PLAIN)
    digits = len(signs.translate(None, CODE_SIGNS))
    return (
        min(1000, 10_000 * personal // count),
        min(1000, 10_000 * (len(signs) - digits) // size),
        min(1000, 10_000 * digits // size),
    )


def _doublings(size: int) -> int:
    """62.5 per mille for each doubling, in eighths of one."""
    if size < 2:
        return 0
    bits = size.bit_length() - 1
    eighths = (size << 3 >> bits) - 8
    return min(1000, (500 * bits + 62 * eighths) // 8)


def _number(value: Any) -> float | None:
    return value if type(value) in (int, float) else None


def _habits(ask: Ask, body: dict[str, Any]) -> tuple[int, int, int, int]:
    """samples, logprobs, warm, room."""
    temperature = _number(body.get("temperature"))
    warm = 500 if temperature is None or temperature != temperature else int(1000 * min(1.0, max(0.0, temperature)))
    return (
        min(1000, 250 * (ask.choices - 1)),
        1000 if body.get("logprobs") or body.get("logit_bias") or body.get("top_logprobs") else 0,
        warm,
        0 if ask.output_tokens_max is None else _doublings(ask.output_tokens_max),
    )


_SETTINGS = (
    *("n", "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "max_output_tokens", "stop", "seed"),
    *("presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias", "stream", "reasoning_effort"),
)
_SETTINGS_KNOWN = frozenset(_SETTINGS)
_CONTENT = frozenset(("messages", "input", "prompt", "system", "instructions", "tools", "user", "metadata"))


def _setting(value: object) -> str:
    """A setting's value, as far as it tells programs apart: a list or a mapping may be as large as a body."""
    if type(value) is list or type(value) is dict:
        first = next(iter(value), "")
        return f"{type(value).__name__}{len(value)}{first[:48] if type(first) is str else type(first).__name__}"
    return str(value)[:64]


def _program(body: dict[str, Any], lens: Lens) -> int:
    """The fingerprint of `_habit_text`, which is not even written for a body like one that came before."""
    parts: list[Any] = []
    for name, value in body.items():
        parts.append(name)
        if name in _SETTINGS_KNOWN:
            kind = type(value)
            if kind is list or kind is dict:
                return lens.familiar(b"h", _habit_text(body))
            # As it is written: 1, 1.0 and true are equal, and a number's hash has no key, so a sender could choose its equal.
            parts.append(value if kind is str else str(value))
    key = hash(tuple(parts))
    return lens.known.get(key) or lens.remember(key, b"h" + _habit_text(body).encode("utf-8", "replace"))


def _habit_text(body: dict[str, Any]) -> str:
    """Which fields a body has, and the values of its settings: the same for all requests of one program."""
    settings = [f"{name}={_setting(body[name])}" for name in _SETTINGS if name in body]
    names = sorted([name[:32] for name in body if name not in _CONTENT])[:32]
    return f"{settings}{names}{'tools' in body}"
