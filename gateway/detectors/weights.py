"""The profiles' weights, as a plain table.

A weight is what the logit gains when a measure goes from 0 to 1000; `usual` is the measure's median over honest windows, at
which a term says nothing. Fitted on 2026-11-25 by `bench/fit_profiles.py --windows 8 --write`, on the 21 corpora that
docs/watch.md names and the families in `bench/families.py`; `gateway.evaluation.fit_profiles` says how. What they are worth on
traffic that was not fitted on stands in docs/watch.md. Relay is not fitted: nobody has examples of it.
"""

from __future__ import annotations

from typing import NamedTuple

_SHARE = "per mille"


class Term(NamedTuple):
    name: str
    weight: float
    usual: int
    unit: str = _SHARE


class Profile(NamedTuple):
    name: str
    stream: str
    """The kind of requests it looks at: one of `kinds.KINDS`."""
    bias: float
    """The sum at which every term is usual."""
    terms: tuple[Term, ...]


PROFILES = (
    Profile("generator", "inventing", -27.42, (
        Term("presence", 17.25, 0),
        Term("says_invention", 9.54, 0),
        Term("says_rewriting", 8.03, 0),
        Term("says_training", 9.46, 0),
        Term("makes", 9.7, 0),
        Term("changes", 3.16, 0),
        Term("varies", 5.3, 0),
        Term("models", 4.61, 0),
        Term("hard", 2.51, 0),
        Term("inputs", 5.59, 0),
        Term("room", 2.37, 0),
        Term("personal", -4.79, 43),
        Term("turns", -8.8, 0),
        Term("tools", -8.8, 0),
    )),
    Profile("collector", "orders", -4.6, (
        Term("presence", 8.12, 0),
        Term("tasks", 1.04, 27),
        Term("warm", 3.09, 500),
        Term("personal", -3.03, 43),
        Term("code", -1.52, 44),
        Term("uneven", -2.32, 272),
        Term("digits", -1.49, 110),
        Term("options", -1.51, 0),
        Term("shots", -1.51, 0),
        Term("system", -1.5, 0),
    )),
    Profile("harvest", "reasoning", -6.34, (
        Term("presence", 4.9, 0),
        Term("says_hidden", 7.27, 0),
        Term("says_steps", 2.42, 0),
        Term("says_grading", 5.16, 0),
        Term("grades", 2.45, 0),
        Term("problems", 9.67, 0),
        Term("samples", 6.03, 0),
        Term("warm", 4.92, 500),
        Term("room", 1.18, 0),
        Term("shots", -7.24, 0),
        Term("options", -5.03, 0),
        Term("personal", -4.96, 43),
        Term("turns", -4.85, 0),
        Term("tools", -4.79, 0),
        Term("uneven", -1.52, 272),
    )),
    Profile("relay", "all", -5.0, (
        Term("foreign", 9.0, 0),
        Term("programs", 2.0, 125),
        Term("few", -1.0, 100),
    )),
)  # fmt: skip

_NAMES = {term.name for profile in PROFILES for term in profile.terms}

REASONS = {
    "says_invention": "asks the model to invent tasks, instructions, questions or problems",
    "says_rewriting": "asks the model to rewrite prompts or to make them harder",
    "says_training": "speaks of data for training or evaluating models",
    "makes": "what recurs in them asks for questions, tasks or examples to be made",
    "changes": "what recurs in them asks for a task or an answer to be rewritten",
    "grades": "what recurs in them speaks of grading answers",
    "varies": "what recurs in them asks for variety",
    "models": "what recurs in them speaks of models and assistants",
    "hard": "what recurs in them speaks of difficulty",
    "inputs": "how many end with the label of what a user would say",
    "problems": "how many are examination problems",
    "says_grading": "has the model grade answers",
    "says_steps": "asks for reasoning step by step",
    "says_hidden": "asks for hidden reasoning to be written out",
    "personal": "how much requests speak of the sender's own affairs",
    "fresh": "how many of the longer words had not come before",
    "turns": "how long conversations are",
    "tools": "how many requests use tools",
    "room": "how long answers may be",
    "few": "how few requests this rests on",
    "share": "how many of all requests are of this kind",
    "presence": "how many of all requests are of this kind; all of the mark at half of them",
    "system": "how long the system prompt is",
    "tasks": "how many sentences are orders to carry out a task",
    "questions": "how many sentences are questions",
    "polish": "how many sentences are written out, from a capital letter to a full stop",
    "code": "how much of the text is code or data",
    "near": "how many requests are nearly the same as an earlier one",
    "uneven": "how much the length of what is asked varies",
    "size": "how long what is asked is",
    "shots": "how many worked examples a prompt holds",
    "options": "how many questions are multiple choice",
    "samples": "how many answers are asked for at once",
    "digits": "how much of the text is digits",
    "repeats": "how many requests ask again what was asked before",
    "warm": "the temperature that is set",
    "logprobs": "how many requests ask for the probabilities of tokens",
    "foreign": "how many requests replay thinking that was given to another conversation",
    "programs": "how many kinds of program are at work under one name",
}
"""What each reason's number is, in words that can be read to a customer."""
