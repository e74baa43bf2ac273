"""What belongs together when something is held out, what kind of work it is, and under which licence it is used.

A record may say its `family` and `workload` itself, and a directory may hold `families.json`: an object of sources, each
`{"family": ..., "workload": ...}`. Otherwise both are read off the source's name: `benign_p3_rag_qa` is of the family `p3`
(what stands between its role and the next underscore), and its words say what work it is.

Failure policy: a `families.json` that cannot be used is an error (it says what is held out); a README that tells no licence
is none.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import orjson

from gateway.errors import SettingsError

EVALUATION = "evaluation"
WORKLOADS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (EVALUATION, ("eval", "harness", "benchmark", "bench", "mmlu", "cot")),
    ("tools", ("tool", "tools", "bfcl", "function", "functions", "agent", "agents", "swe")),
    ("code", ("ide", "code", "coding", "completion", "commit", "sql")),
    ("retrieval", ("rag", "qa", "ropes", "squad", "retrieval", "reading")),
    ("summaries", ("summarise", "summarize", "summary", "summaries", "summarisation", "summarization")),
    ("translation", ("translate", "translation")),
    ("rewriting", ("rewrite", "paraphrase", "edit", "grammar", "split")),
    ("classification", ("classify", "classification", "classifier", "label", "moderation", "sentiment", "pairs", "extract")),
    ("support", ("support", "customer", "task", "dialogue", "dialog", "voice", "assistant")),
    ("chat", ("chat", "chitchat", "arena", "user", "users", "human", "prompts", "roleplay", "story", "persona")),
)  # fmt: skip
"""A workload is the first whose words the source's name has; one that has none is a workload of its own."""
FILE = "families.json"
FILE_BYTES_MAX = 1_000_000


class Named(NamedTuple):
    """What a directory says of its sources; what it does not say is read off their names."""

    told: dict[str, dict[str, str]]

    @classmethod
    def load(cls, directory: Path) -> Named:
        path = directory / FILE
        if not path.exists():
            return cls({})
        try:
            told = orjson.loads(path.read_bytes()[: FILE_BYTES_MAX + 1])
        except (OSError, orjson.JSONDecodeError) as error:
            raise SettingsError(f"--corpus: {path} cannot be used: {error}") from None
        shape = '{"SOURCE": {"family": "...", "workload": "..."}, ...}'
        if type(told) is not dict:
            raise SettingsError(f"--corpus: {path} must be {shape}")
        for source, words in told.items():
            if type(words) is not dict or words.keys() - {"family", "workload"} or not all(map(_is_word, words.values())):
                raise SettingsError(f"--corpus: {path}: {source!r}: must be as in {shape}")
        return cls(told)

    def family(self, source: str) -> str:
        return self.told.get(source, {}).get("family") or family_of(source)

    def workload(self, source: str) -> str:
        return self.told.get(source, {}).get("workload") or workload_of(source)


def _is_word(value: object) -> bool:
    return type(value) is str and value != ""


def _words(source: str) -> list[str]:
    words = [word for word in re.split(r"[^a-z0-9]+", source.lower()) if word]
    return words[1:] if len(words) > 1 and words[0] in ("attack", "benign") else words


def family_of(source: str) -> str:
    """The first word of the name behind the role."""
    words = _words(source)
    return words[0] if words else source


def workload_of(source: str) -> str:
    words = set(_words(source))
    for workload, marks in WORKLOADS:
        if words & set(marks):
            return workload
    return family_of(source)


def licences(directory: Path) -> dict[str, str]:
    """By source, from the directory's README.md: a heading with the source's name, and below it a line `- licence: ...`."""
    try:
        text = (directory / "README.md").read_text("utf-8", "replace")[:FILE_BYTES_MAX]
    except OSError:
        return {}
    found: dict[str, str] = {}
    source = ""
    for line in text.split("\n"):
        if heading := re.match(r"#+\s+(\S+)", line):
            source = heading[1]
        elif source and (licence := re.match(r"-\s+licen[cs]e:\s*(.+)", line)):
            found.setdefault(source, licence[1].strip())
    return found
