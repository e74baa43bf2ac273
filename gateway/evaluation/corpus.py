"""Text to evaluate on: a directory of workloads, one JSON object a line, read with its bad lines told.

A file is `NAME.jsonl` or `NAME.jsonl.gz`; a line has `source`, `role_mix` ("attack" or "benign"), `messages`, and sometimes
`group` (one tenant-like workload within the source), `params` (fields of the request), `family` and `workload`. Lines end in
\\n alone: the text may hold every other separator that Unicode knows.

Failure policy: a line that cannot be used is left out, counted and told with its place; a file that cannot be read is told
likewise. A directory without one usable line is an error. Text is kept as the bytes it came in and parsed when it is used.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import orjson

from gateway.errors import SettingsError
from gateway.evaluation import families

Role = Literal["attack", "benign"]
LINE_BYTES_MAX = 4_000_000
SOURCE_BYTES_MAX = 64_000_000
"""Text that is kept of one source: lines beyond it are counted, not kept."""
BAD_TOLD_MAX = 3
"""Bad lines of a file that are told one by one."""
GROUP_REQUESTS_MIN = 100
"""A group with fewer requests is no workload of its own: its tenants draw from the whole source."""
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


class Source(NamedTuple):
    """One workload: real text of one origin, from which tenants are drawn."""

    name: str
    role: Role
    family: str
    """What is held out together: sources made by one hand, or by one method."""
    workload: str
    """What kind of work it is, for the honest: what collateral is told by."""
    records: tuple[bytes, ...]
    groups: dict[str, tuple[int, ...]]
    """Places in `records` of each group that is large enough to be a tenant's."""
    requests: int
    """How many requests the records make."""
    text_bytes: int
    params: int
    """Records that bring parameters of their own."""

    @property
    def is_attack(self) -> bool:
        return self.role == "attack"


class Corpus(NamedTuple):
    sources: tuple[Source, ...]
    """By role, then name."""
    licences: dict[str, str]
    """By source, as far as the directory's README tells them."""
    notes: tuple[str, ...]
    """What could not be used, and why: one sentence each."""

    def of(self, role: Role) -> tuple[Source, ...]:
        return tuple(source for source in self.sources if source.role == role)

    def named(self, name: str) -> Source:
        (found,) = (source for source in self.sources if source.name == name)
        return found


class BadLine(ValueError):
    """Why a line cannot be used."""


def load(directory: Path) -> Corpus:
    """Read every workload of a directory. Raises SettingsError where there is nothing to read."""
    try:
        paths = sorted(path for path in directory.iterdir() if path.name.endswith((".jsonl", ".jsonl.gz")))
    except OSError as error:
        raise SettingsError(f"--corpus: {directory} cannot be read: {error.strerror}") from None
    if not paths:
        raise SettingsError(f"--corpus: {directory} holds no .jsonl or .jsonl.gz file")
    named = families.Named.load(directory)
    gathered: dict[tuple[Role, str], _Gathering] = {}
    notes: list[str] = []
    for path in paths:
        notes += _read(path, gathered)
    if not gathered:
        raise SettingsError(f"--corpus: no usable line in {directory}: {' '.join(notes)}")
    roles = {role: [name for each, name in gathered if each == role] for role in get_args(Role)}
    for name in sorted(set(roles["attack"]) & set(roles["benign"])):
        notes.append(f"{name}: has lines of both roles: taken as two sources.")
    sources = []
    for (role, name), gathering in sorted(gathered.items()):
        twice = name in roles["attack"] and name in roles["benign"]
        sources.append(gathering.source(f"{name} ({role})" if twice else name, role, named))
        if gathering.unkept:
            notes.append(f"{name}: {gathering.unkept:,} lines beyond {SOURCE_BYTES_MAX // 1_000_000} MB were not kept.")
    return Corpus(tuple(sources), families.licences(directory), tuple(notes))


class _Gathering:
    """What has been read of one source so far."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.groups: dict[str, list[int]] = {}
        self.requests_of: Counter[str] = Counter()
        self.requests = self.size = self.unkept = self.params = 0
        self.family = self.workload = ""

    def take(self, line: bytes, record: dict[str, Any]) -> None:
        if self.size + len(line) > SOURCE_BYTES_MAX:
            self.unkept += 1
            return
        count = requests_in(record["messages"])
        group = record.get("group")
        if type(group) is str and group:
            self.groups.setdefault(group, []).append(len(self.records))
            self.requests_of[group] += count
        self.records.append(line)
        self.requests += count
        self.size += len(line)
        self.params += bool(record.get("params"))
        self.family = self.family or _word(record, "family")
        self.workload = self.workload or _word(record, "workload")

    def source(self, name: str, role: Role, named: families.Named) -> Source:
        groups = {
            group: tuple(places)
            for group, places in sorted(self.groups.items())
            if self.requests_of[group] >= GROUP_REQUESTS_MIN
        }
        family = self.family or named.family(name)
        workload = self.workload or ("extraction" if role == "attack" else named.workload(name))
        return Source(
            name, role, family, workload, tuple(self.records), groups, self.requests, self.size, self.params
        )  # fmt: skip


def _word(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    return value if type(value) is str else ""


def _read(path: Path, gathered: dict[tuple[Role, str], _Gathering]) -> list[str]:
    """Add a file's good lines to `gathered`; what to tell of its bad ones."""
    told: list[str] = []
    bad = good = 0
    try:
        for number, line in enumerate(_lines(path), 1):
            if not line.strip():
                continue
            try:
                record = parse(line, path.name)
            except BadLine as error:
                bad += 1
                if bad <= BAD_TOLD_MAX:
                    told.append(f"{path.name}:{number}: {error}.")
                continue
            good += 1
            gathered.setdefault((record["role_mix"], record["source"]), _Gathering()).take(line, record)
    except (OSError, EOFError, zlib.error) as error:
        told.append(f"{path.name}: cannot be read to its end ({error}): {good:,} lines were.")
    if bad > BAD_TOLD_MAX:
        told.append(f"{path.name}: {bad - BAD_TOLD_MAX:,} more bad lines.")
    if not bad and not good and not told:
        told.append(f"{path.name}: is empty.")
    return told


def _lines(path: Path) -> Iterator[bytes]:
    """Lines as bytes, split on \\n alone (which is how binary files iterate)."""
    with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as file:
        while line := file.readline(LINE_BYTES_MAX + 1):
            if len(line) > LINE_BYTES_MAX:
                while rest := file.readline(LINE_BYTES_MAX):  # pass over what is left of it
                    if rest.endswith(b"\n"):
                        break
            yield line


def parse(line: bytes, file_name: str = "") -> dict[str, Any]:
    """One line as a record that can be used: `source`, `role_mix` and `messages` are there and sane. Raises BadLine.

    A missing `source` is the file's name, and a missing `role_mix` what that name begins with.
    """
    if len(line) > LINE_BYTES_MAX:
        raise BadLine(f"longer than {LINE_BYTES_MAX:,} bytes")
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadLine(f"no JSON: {error.msg} at column {error.colno}") from None
    if type(record) is not dict:
        raise BadLine("no JSON object")
    stem = file_name.removesuffix(".gz").removesuffix(".jsonl")
    record.setdefault("source", stem)
    record.setdefault("role_mix", stem.partition("_")[0])
    if type(record["source"]) is not str or not record["source"]:
        raise BadLine("`source` is no text")
    if record["role_mix"] not in get_args(Role):
        raise BadLine('`role_mix` is neither "attack" nor "benign"')
    _check_messages(record.get("messages"))
    params = record.get("params")
    if params is not None and type(params) is not dict:
        raise BadLine("`params` is no object")
    return record


def _check_messages(messages: Any) -> None:
    if type(messages) is not list or not messages:
        raise BadLine("`messages` is no list with anything in it")
    for place, message in enumerate(messages):
        if type(message) is not dict or message.get("role") not in _ROLES:
            raise BadLine(f"`messages[{place}].role` is none of {', '.join(_ROLES)}")
        content = message.get("content")
        if type(content) is not str and type(content) is not list and not (content is None and message["role"] == "assistant"):
            raise BadLine(f"`messages[{place}].content` is no text")
    if requests_in(messages) == 0:
        raise BadLine("`messages` asks for nothing: no message of a user")


def requests_in(messages: list[dict[str, Any]]) -> int:
    """How many requests a conversation stands for."""
    return sum(1 for _ in turns(messages))


def turns(messages: list[dict[str, Any]]) -> Iterator[int]:
    """Where each request of a conversation ends: before each turn of the assistant, and at its end where a user has the last
    word. `messages[:end]` is what was sent; `messages[end]`, where there is one, is what was answered."""
    asked = False
    for place, message in enumerate(messages):
        if message["role"] == "assistant":
            if asked:
                yield place
        elif message["role"] == "user":
            asked = True
    if asked and messages[-1]["role"] != "assistant":
        yield len(messages)
