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
    """The kind of requests it looks at: one of `window.KINDS`."""
    bias: float
    """The sum at which every term is usual."""
    terms: tuple[Term, ...]


PROFILES = (
    Profile("generator", "inventing", 0.79, (
        Term("share", 1.22, 0),
        Term("says_invention", 0.31, 0),
        Term("says_rewriting", 0.31, 0),
        Term("says_training", 0.31, 0),
        Term("room", 0.15, 0),
        Term("personal", -0.31, 132),
        Term("turns", -0.61, 0),
        Term("tools", -0.61, 0),
    )),
    Profile("collector", "orders", -5.55, (
        Term("share", 10.53, 0),
        Term("tasks", 4.5, 38),
        Term("personal", -3.44, 132),
        Term("code", -1.81, 36),
        Term("uneven", -3.25, 258),
        Term("digits", -1.8, 107),
        Term("options", -1.72, 0),
        Term("shots", -1.71, 0),
        Term("system", -1.81, 0),
    )),
    Profile("harvest", "reasoning", -2.28, (
        Term("share", 2.23, 0),
        Term("says_hidden", 8.25, 0),
        Term("says_steps", 0.34, 0),
        Term("says_grading", 6.64, 0),
        Term("samples", 7.09, 0),
        Term("warm", 4.12, 500),
        Term("room", 1.58, 0),
        Term("shots", -10.6, 0),
        Term("options", -7.01, 0),
        Term("personal", -6.87, 132),
        Term("turns", -6.37, 0),
        Term("tools", -4.98, 0),
        Term("uneven", -2.78, 258),
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
