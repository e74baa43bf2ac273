"""Policy tests, from `*.test.yaml` files beside the policies. Read as strictly as policies are, with every mistake at once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

from gateway.errors import Mistake, PolicyErrors
from gateway.policy import scalars
from gateway.policy import trial_scalars as values
from gateway.policy.fields import Fields, Report, among, count, one_of, scalar, text
from gateway.policy.model import Budget, Key, Organisation, Place, Plan, Policy, Tenant
from gateway.policy.read_when import read_instant, timezone_name
from gateway.policy.trials import Expect, Given, Request, Trial, Uses
from gateway.policy.yaml_text import FILE_BYTES_MAX
from gateway.policy.yaml_tree import Items, Node, Scalar, Table, read_tree

TOP_WORDS = ("version", "tests")
_WHO = ("tenant", "key", "model", "endpoint", "user")
TEST_WORDS = ("name", "at", "timezone", *_WHO, "input_tokens", "max_tokens", "given", "requests")
REQUEST_WORDS = (*_WHO, "after", "repeat", "input_tokens", "max_tokens", "takes", "uses", "fields", "score", "expect")
GIVEN_WORDS = ("budget", "used")
USES_WORDS = ("input_tokens", "cached_input_tokens", "output_tokens")
EXPECT_WORDS = (
    "refused_by", "reason", "retry_after", "shortened_to", "downgraded_to", "queued", "dropped", "would_refuse",
    "watched",
)  # fmt: skip
_OF_REFUSALS = ("refused_by", "reason", "retry_after")
VERDICTS = ("admitted", "refused")
START_US = 1_798_794_000_000_000
"""2027-01-01 09:00 UTC, a Friday."""
_BODY_DEPTH_MAX = 8


class _Who(NamedTuple):
    """What requests take over from their test."""

    tenant: str
    key: str
    model: str
    endpoint: str
    user: str
    input_tokens: int
    max_tokens: int | None


def find_trials(directory: Path) -> list[Path]:
    """The test files of a policy directory, by name. Raises OSError."""
    return sorted(path for path in directory.iterdir() if path.name.endswith((".test.yaml", ".test.yml")) and path.is_file())


def read_trials(paths: Collection[Path], policy: Policy, endpoints: Collection[str]) -> list[Trial]:
    """The tests of these files, in order. `endpoints`: those that can be tried. Raises PolicyErrors with every mistake."""
    mistakes: list[Mistake] = []
    trials: list[Trial] = []
    for path in paths:
        try:
            with path.open("rb") as file:
                data = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            mistakes.append(Mistake(str(path), 1, 1, "file", f"cannot be read: {error.strerror}"))
            continue
        tree = read_tree(data, str(path), mistakes)
        if tree is not None:
            trials += _Reader(Report(str(path), mistakes), policy, endpoints).read(tree)
    if mistakes:
        raise PolicyErrors(sorted(set(mistakes)))
    return trials


class _Reader:
    """Of one file."""

    def __init__(self, report: Report, policy: Policy, endpoints: Collection[str]) -> None:
        self._report = report
        self._policy = policy
        self._endpoints = endpoints
        self._budgets = {budget.name: budget for budget in budgets_of(policy)}

    def read(self, tree: Node) -> list[Trial]:
        root = Fields(self._report, tree, "", TOP_WORDS)
        root.need("version", values.version, None)
        trials = [self._read_test(Fields(self._report, node, path, TEST_WORDS)) for path, node in root.items("tests")]
        if not trials and root.is_usable:
            self._report.add(tree, "tests", "there are no tests: list at least one")
        names: dict[str, int] = {}
        for trial in trials:
            first = names.setdefault(trial.name, trial.place.line)
            if trial.name and first != trial.place.line:
                where = Scalar(trial.place.line, 1, trial.name, "text")
                self._report.add(where, "tests", f"`{trial.name}` is already a test, at line {first}")
        return trials

    def _read_test(self, fields: Fields) -> Trial:
        name = fields.need("name", text(values.title), "")
        timezone = fields.get("timezone", text(timezone_name), "UTC")
        at_us = read_instant(fields, "at", timezone=timezone)
        who = self._read_who(fields, _Who("", "", "", "chat/completions", "", 100, None))
        given = tuple(self._read_given(Fields(self._report, node, path, GIVEN_WORDS)) for path, node in fields.items("given"))
        if "requests" not in fields and fields.is_usable:
            self._report.add(fields.node, fields.path, "`requests` is missing")
        requests = tuple(
            self._read_request(Fields(self._report, node, path, REQUEST_WORDS), who, fields)
            for path, node in fields.items("requests")
        )
        place = self._report.place(fields.node)
        return Trial(
            name, START_US if at_us is None else at_us, given, requests, place, _as_request(who, place) if given else None
        )

    def _read_who(self, fields: Fields, before: _Who) -> _Who:
        tenant = fields.get("tenant", text(self._tenant), before.tenant)
        key = fields.get("key", text(lambda written: self._key(tenant, written)), before.key if tenant == before.tenant else "")
        return _Who(
            tenant=tenant,
            key=key,
            model=fields.get("model", text(scalars.glob), before.model),
            endpoint=fields.get("endpoint", one_of(self._endpoints), before.endpoint),
            user=fields.get("user", text(str), before.user),
            input_tokens=fields.get("input_tokens", count, before.input_tokens),
            max_tokens=fields.get("max_tokens", count, before.max_tokens),
        )

    def _tenant(self, name: str) -> str:
        if name not in self._policy.tenants:
            raise ValueError(f"there is no tenant `{name}`; {among(name, self._policy.tenants)}")
        return name

    def _key(self, tenant: str, key: str) -> str:
        keys = [known.id for known in self._policy.tenants[tenant].keys] if tenant in self._policy.tenants else [key]
        if key not in keys:
            raise ValueError(f"the tenant `{tenant}` has no key `{key}`; {among(key, keys)}")
        return key

    def _budget(self, name: str) -> str:
        if name not in self._budgets:
            raise ValueError(f"there is no budget `{name}`; {among(name, self._budgets)}")
        return name

    def _step(self, name: str) -> str:
        steps = ["none", *(step.name for ladder in self._policy.ladders.values() for step in ladder.steps)]
        if name not in steps:
            raise ValueError(f"there is no step `{name}` on any ladder; {among(name, steps)}")
        return name

    def _read_given(self, fields: Fields) -> Given:
        budget = fields.need("budget", text(self._budget), "")
        is_money = budget in self._budgets and self._budgets[budget].meter == "cost"
        used = fields.need("used", values.money if is_money else count, 0)
        return Given(budget, used, self._report.place(fields.node))

    def _read_request(self, fields: Fields, test: _Who, owner: Fields) -> Request:
        who = self._read_who(fields, test)
        for word in ("tenant", "model"):
            if fields.is_usable and word not in fields and word not in owner:
                self._report.add(fields.node, fields.path, f"neither the test nor the request says which `{word}`")
        uses = fields.value("uses")
        return Request(
            after_ms=fields.get("after", values.duration_ms, 0),
            repeat=fields.get("repeat", values.repeat, 1),
            **who._asdict(),
            takes_ms=fields.get("takes", values.duration_ms, 0),
            uses=Uses() if uses is None else self._read_uses(Fields(self._report, uses, fields.at("uses"), USES_WORDS)),
            fields=self._read_body(fields),
            score_milli=fields.get("score", values.score, None),
            expect=self._read_expect(fields),
            place=self._report.place(fields.node),
        )

    def _read_uses(self, fields: Fields) -> Uses:
        return Uses(
            fields.get("input_tokens", values.amount, None),
            fields.get("cached_input_tokens", values.whole, 0),
            fields.get("output_tokens", values.amount, None),
        )

    def _read_body(self, fields: Fields) -> dict[str, Any]:
        node = fields.value("fields")
        if node is None:
            return {}
        if not isinstance(node, Table):
            self._report.add(node, fields.at("fields"), "a mapping of fields of the request, as in `{n: 2, logprobs: true}`")
            return {}
        return {name: self._value(value, f"{fields.at('fields')}.{name}", 0) for name, (_, value) in node.entries.items()}

    def _value(self, node: Node, path: str, depth: int) -> Any:
        """A value of JSON."""
        if depth > _BODY_DEPTH_MAX:
            self._report.add(node, path, "nested too deeply for a test")
            return None
        if isinstance(node, Items):
            return [self._value(item, path, depth + 1) for item in node.items]
        if isinstance(node, Table):
            return {name: self._value(value, path, depth + 1) for name, (_, value) in node.entries.items()}
        return values.JSON_SCALARS[node.kind](node.text)

    def _read_expect(self, owner: Fields) -> Expect:
        node = owner.value("expect")
        path = owner.at("expect")
        if node is None:
            if owner.is_usable:
                self._report.add(owner.node, owner.path, "`expect` is missing")
            return Expect("admitted")
        place = self._report.place(node)
        if isinstance(node, Scalar):
            return Expect(scalar(self._report, node, path, one_of(VERDICTS), "admitted"), place=place)
        fields = Fields(self._report, node, path, EXPECT_WORDS)
        said = Expect(
            verdict="refused" if any(word in fields for word in _OF_REFUSALS) else "admitted",
            refused_by=fields.get("refused_by", text(self._budget), None),
            reason=fields.get("reason", text(scalars.name), None),
            retry_after_ms=fields.get("retry_after", values.retry_after_ms, None),
            shortened_to=fields.get("shortened_to", values.amount, None),
            downgraded_to=fields.get("downgraded_to", text(scalars.glob), None),
            queued_ms=fields.get("queued", values.amount_ms, None),
            dropped=self._names(fields, "dropped", str),
            would_refuse=self._names(fields, "would_refuse", self._budget),
            watched=fields.get("watched", text(self._step), None),
            place=place,
        )
        if said.verdict == "refused":
            for word in ("shortened_to", "queued", "dropped"):
                fields.refuse(word, "a request that is refused is not admitted: expect the one or the other")
        return said

    def _names(self, fields: Fields, word: str, read: Callable[[str], str]) -> tuple[str, ...] | None:
        if word not in fields:
            return None
        return tuple(scalar(self._report, node, path, text(read), "") for path, node in fields.items(word))


def budgets_of(policy: Policy) -> list[Budget]:
    """Every budget of a policy, wherever it is written."""
    owners: list[Plan | Organisation | Tenant | Key] = [*policy.plans.values(), *policy.organisations.values()]
    owners += [*policy.tenants.values(), *policy.keys.values()]
    return [*(budget for owner in owners for budget in owner.budgets), *(b for rule in policy.models for b in rule.budgets)]


def _as_request(who: _Who, place: Place) -> Request:
    return Request(0, 1, *who, 0, Uses(), {}, None, Expect("admitted"), place)
