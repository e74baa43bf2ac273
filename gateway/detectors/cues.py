"""What a piece of a tenant's own template asks for, by its words and their order: cues, weaker and broader than tripwires.

A tripwire knows a wording; a cue knows a verb and what it is done to. Cues are read only from text that recurs: what a program
says in every request is what it is for, and the same words in a slot are somebody's question. So they cost little, for pieces
that recur are remembered by their hash, and a slot full of such words fires nothing.

Each is a bit; what they are worth together is the profiles' matter.
"""

from __future__ import annotations

import re
from itertools import pairwise

NAMES = ("makes", "changes", "grades", "varies", "models", "hard", "inputs")
"""In the order of their bits, and of their features."""
MAKES, CHANGES, GRADES, VARIES, MODELS, HARD, INPUTS = (1 << bit for bit in range(len(NAMES)))
AS_FEATURES = tuple(tuple(1000 if bits >> bit & 1 else 0 for bit in range(len(NAMES))) for bits in range(1 << len(NAMES)))
PIECE_CHARACTERS = 600
LABEL_CHARACTERS = 48
REACH_MAKE, REACH = 14, 9
"""Words between a verb and what it is done to."""


def _stems(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _verbs(text: str) -> frozenset[str]:
    """Verbs in the forms that ask; what is generated, or rewritten, is there already."""
    found: set[str] = set()
    for verb in text.split():
        stem = verb.removesuffix("e")
        found |= {verb, verb + "s", stem + "ing"}
    return frozenset(found)


_MAKE = _verbs(
    "generate create write develop produce propose design construct compose formulate brainstorm devise invent synthesize "
    "synthesise craft"
) | _stems("come think build imagine writing written wrote generation creation")
_MADE = _stems(
    "instruction instructions prompt prompts question questions problem problems task tasks exercise exercises puzzle "
    "puzzles queries conversation conversations dialogue dialogues scenario scenarios example examples sample samples pair "
    "pairs triple triples triplet triplets utterances persona personas quiz quizzes dataset datasets"
)
_GIVEN = _stems("the this that these those your their its each every any following above given original said")
"""Before a thing that is there already, and not to be made."""
_CHANGE = _verbs("rewrite rephrase paraphrase evolve complicate improve enhance revise reformulate mutate increase") | _stems(
    "rewriter rewritten"
)
_CHANGED = _stems(
    "instruction instructions prompt prompts question questions problem problems task tasks response responses answer answers "
    "solution solutions query queries difficulty complexity"
)
_GRADE = _verbs("score rate rank grade evaluate assess judge critique compare") | _stems(
    "rubric rubrics criteria criterion scale feedback assessment evaluation ranking rating ratings scoring judge reward"
)
_GRADED = _stems(
    "response responses answer answers output outputs completion completions solution solutions assistant assistants "
    "generation generations candidate candidates instruction instructions"
)
_VARY = _stems(
    "diverse diversity diversify varied variety varying creative creativity novel novelty unique rare rarer repetition "
    "repetitive realistic plausible distinct"
)
_HARD = _stems("complex complexity difficult difficulty challenging harder complicated sophisticated intricate advanced")
_MODEL = _stems("llm llms gpt chatgpt chatbot chatbots")
_KIND, _OF = _stems("ai language large"), _stems("model models assistant assistants system systems")
_INPUT = _stems(
    "user human instruction instructions prompt prompts question questions problem problems exercise exercises queries persona"
)
_WORD = re.compile(r"[a-z]+")


def cues(low: str) -> int:
    """The cues of one piece, in lower case."""
    words = _WORD.findall(low[:PIECE_CHARACTERS])
    kinds = frozenset(words)
    found = 0
    if not kinds.isdisjoint(_MAKE) and _reaches(words, _MAKE, _MADE, REACH_MAKE, given=_GIVEN):
        found |= MAKES
    if not kinds.isdisjoint(_CHANGE) and _reaches(words, _CHANGE, _CHANGED, REACH):
        found |= CHANGES
    if not kinds.isdisjoint(_GRADE) and not kinds.isdisjoint(_GRADED):
        found |= GRADES
    if not kinds.isdisjoint(_VARY):
        found |= VARIES
    if not kinds.isdisjoint(_HARD):
        found |= HARD
    if words[:2] != ["you", "are"] and (
        not kinds.isdisjoint(_MODEL) or any(one in _KIND and two in _OF for one, two in pairwise(words))
    ):
        found |= MODELS
    return found


def asks_for_input(low: str) -> bool:
    """Whether the last piece of a prompt is a label that is to be followed by what a user would say."""
    return len(low) <= LABEL_CHARACTERS and low[-1] in ":#]>*" and not _INPUT.isdisjoint(_WORD.findall(low))


def _reaches(
    words: list[str], verbs: frozenset[str], things: frozenset[str], reach: int, *, given: frozenset[str] = frozenset()
) -> bool:
    """Whether one of these verbs is followed within reach by one of these things that is not a given one."""
    last = -reach - 1
    for at, word in enumerate(words):
        if at - last <= reach and word in things and words[at - 1] not in given:
            return True
        if word in verbs:
            last = at
    return False
