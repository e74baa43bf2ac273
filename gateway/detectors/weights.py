"""The profiles' weights, as a plain table. Written by hand: a first set, from what is published of extraction.

A weight is what the logit gains when a measure goes from 0 to 1000; `usual` is the measure's median over honest windows, at
which a term says nothing.
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
    bias: float
    terms: tuple[Term, ...]


PROFILES = (
    Profile("generator", -4.0, (
        Term("says_invention", 4.0, 0), Term("says_rewriting", 3.0, 0), Term("says_training", 3.0, 0),
        Term("says_grading", 1.5, 0),
        Term("personal", -2.0, 300), Term("fresh", 1.0, 500), Term("turns", -1.0, 0), Term("tools", -1.5, 0),
        Term("room", 0.5, 0), Term("few", -1.0, 100),
    )),
    Profile("collector", -4.5, (
        Term("tasks", 4.0, 50), Term("questions", 1.5, 100), Term("personal", -4.0, 300), Term("polish", 2.5, 400),
        Term("fresh", 2.0, 500), Term("code", -1.5, 100), Term("near", -2.0, 50), Term("turns", -2.0, 0),
        Term("tools", -2.0, 0),
        Term("uneven", -2.0, 300), Term("size", -2.0, 450), Term("few", -1.0, 100),
    )),
    Profile("harvest", -5.0, (
        Term("says_steps", 3.0, 0), Term("says_hidden", 5.0, 0), Term("shots", -3.0, 0), Term("options", -1.0, 0),
        Term("samples", 2.0, 0), Term("numbers", 1.5, 100), Term("repeats", 0.5, 20), Term("personal", -2.0, 300),
        Term("fresh", 1.0, 500), Term("warm", 1.0, 500), Term("logprobs", 1.0, 0), Term("few", -1.0, 100),
    )),
    Profile("relay", -5.0, (
        Term("foreign", 9.0, 0), Term("programs", 2.0, 125), Term("few", -1.0, 100),
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
    "numbers": "how many sentences hold numbers",
    "repeats": "how many requests ask again what was asked before",
    "warm": "the temperature that is set",
    "logprobs": "how many requests ask for the probabilities of tokens",
    "foreign": "how many requests replay thinking that was given to another conversation",
    "programs": "how many kinds of program are at work under one name",
}
"""What each reason's number is, in words that can be read to a customer."""
