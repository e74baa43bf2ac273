"""The sections of a policy directory: defaults, models, organisations, plans, tenants, gathered from all of its files.

A name belongs to the directory, not to a file: the same one written twice is a mistake that names both places, and a
tenant may name a plan of any file. What only the whole shows is checked last, by `check_whole`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

from gateway.policy import scalars
from gateway.policy.fields import Fields, Report, boolean, count, one_of, text
from gateway.policy.model import (
    DEFAULT_OUTPUT_TOKENS_MAX,
    DEFAULT_RULE,
    NO_OUTPUT,
    Budget,
    Key,
    ModelRule,
    Organisation,
    Output,
    Place,
    Plan,
    Price,
    Scope,
    Tenant,
)
from gateway.policy.read_budgets import read_budgets
from gateway.policy.read_globs import read_endpoints, read_models
from gateway.policy.read_output import OUTPUT_WORDS, read_output
from gateway.policy.yaml_tree import Node, Scalar

Unbounded = Literal["model", "learned"]
TOP_WORDS = ("version", "defaults", "models", "organisations", "plans", "tenants")
_RULE_WORDS = ("match", "max_output_tokens", "price", "unbounded_output", "budgets", "output")
_UNBOUNDED: tuple[Unbounded, ...] = ("model", "learned")


class Defaults(NamedTuple):
    max_output_tokens: int = DEFAULT_OUTPUT_TOKENS_MAX
    counts_cached_input: bool = False
    unbounded_output: Unbounded = "model"


class Written(NamedTuple):
    """A name, and where it was written."""

    report: Report
    node: Node
    path: str
    name: str


def read_defaults(root: Fields) -> Defaults:
    node = root.value("defaults")
    if node is None:
        return Defaults()
    fields = Fields(root.report, node, root.at("defaults"), Defaults._fields)
    return Defaults(
        fields.get("max_output_tokens", count, DEFAULT_OUTPUT_TOKENS_MAX),
        fields.get("counts_cached_input", boolean, False),
        fields.get("unbounded_output", one_of(_UNBOUNDED), "model"),
    )


class Sections:
    """What the files of a directory say together. Feed it one file after the other."""

    def __init__(self, meters: Collection[str], defaults: Defaults) -> None:
        self.models: list[ModelRule] = []
        self.organisations: dict[str, Organisation] = {}
        self.plans: dict[str, Plan] = {}
        self.tenants: dict[str, Tenant] = {}
        self.keys: dict[str, Key] = {}
        self._meters = meters
        self._defaults = defaults
        self._matches: dict[str, ModelRule] = {}
        self._places: dict[tuple[str, str], Place] = {}
        """Where each (section, name) was written first."""
        self.references: dict[str, list[Written]] = {"organisation": [], "plan": []}
        """Where tenants name what."""
        self.written: dict[int, Written] = {}
        """Where each budget is written, by its id()."""
        self.outputs: dict[int, Written] = {}
        """Where each output policy is written, by its id()."""
        self.default_rule = ModelRule("*", defaults.max_output_tokens, None, defaults.unbounded_output, (), DEFAULT_RULE.place)

    def read(self, root: Fields) -> None:
        """One file, from its top level."""
        report = root.report
        for path, node in root.items("models"):
            self._read_rule(Fields(report, node, path, _RULE_WORDS))
        for name, path, key, node in root.named("organisations"):
            fields = Fields(report, node, path, ("budgets", "output"))
            if self._is_new(report, "organisations", name, path, key):
                budgets = self._read_budgets(fields, "organisation")
                self.organisations[name] = Organisation(name, budgets, report.place(key), self._read_output(fields))
        for name, path, key, node in root.named("plans"):
            fields = Fields(report, node, path, ("budgets", "models", "endpoints", "counts_cached_input", "output"))
            if self._is_new(report, "plans", name, path, key):
                self._read_plan(fields, name, report.place(key))
        for name, path, key, node in root.named("tenants"):
            fields = Fields(report, node, path, ("organisation", "plan", "budgets", "output", "keys"))
            if self._is_new(report, "tenants", name, path, key):
                self._read_tenant(fields, name, report.place(key))

    def _read_budgets(self, fields: Fields, *scope: Scope) -> tuple[Budget, ...]:
        budgets = read_budgets(fields, meters=self._meters, scope=scope)
        for budget, (path, node) in zip(budgets, fields.items("budgets")):
            self.written[id(budget)] = Written(fields.report, node, path, budget.name)
        return budgets

    def _read_output(self, fields: Fields, *, of_model: bool = False) -> Output:
        node = fields.value("output")
        if node is None:
            return NO_OUTPUT
        output = read_output(Fields(fields.report, node, fields.at("output"), OUTPUT_WORDS), of_model=of_model)
        self.outputs[id(output)] = Written(fields.report, node, fields.at("output"), "")
        return output

    def _read_rule(self, fields: Fields) -> None:
        report, defaults = fields.report, self._defaults
        match = fields.need("match", text(scalars.glob), "")
        price_node = fields.value("price")
        rule = ModelRule(
            match=match,
            max_output_tokens=fields.get("max_output_tokens", count, defaults.max_output_tokens),
            price=None if price_node is None else _read_price(Fields(report, price_node, fields.at("price"), Price.__slots__)),
            unbounded_output=fields.get("unbounded_output", one_of(_UNBOUNDED), defaults.unbounded_output),
            budgets=self._read_budgets(fields, "tenant", "model"),
            place=report.place(fields.node),
            output=self._read_output(fields, of_model=True),
        )
        earlier = self._matches.get("*") or self._matches.get(match)
        if match and earlier is not None:
            shadowed = f"`{earlier.match}` {written_at(earlier.place)} is before it"
            fields.refuse("match", f"never used: the first rule that matches applies, and {shadowed}")
        self._matches.setdefault(match, rule)
        self.models.append(rule)

    def _read_plan(self, fields: Fields, name: str, place: Place) -> None:
        self.plans[name] = Plan(
            name=name,
            budgets=self._read_budgets(fields, "tenant"),
            models=read_models(fields),
            counts_cached_input=fields.get("counts_cached_input", boolean, self._defaults.counts_cached_input),
            place=place,
            output=self._read_output(fields),
            endpoints=read_endpoints(fields),
        )

    def _read_tenant(self, fields: Fields, name: str, place: Place) -> None:
        self.tenants[name] = Tenant(
            name=name,
            organisation=self._read_reference(fields, "organisation"),
            plan=self._read_reference(fields, "plan"),
            budgets=self._read_budgets(fields, "tenant"),
            keys=tuple(self._read_key(fields.report, node, path, name) for path, node in fields.items("keys")),
            place=place,
            output=self._read_output(fields),
        )

    def _read_key(self, report: Report, node: Node, path: str, tenant: str) -> Key:
        fields = Fields(report, node, path, ("id", "hash", "budgets", "output"))
        key_id = fields.need("id", text(scalars.key_id), "")
        digest = fields.need("hash", _digest, "")
        budgets = self._read_budgets(fields, "key")
        key = Key(key_id, digest, tenant, budgets, report.place(node), self._read_output(fields))
        id_node, hash_node = fields.value("id"), fields.value("hash")
        if key_id and id_node is not None:
            self._is_new(report, "key ids", key_id, fields.at("id"), id_node)
        if digest and hash_node is not None:
            earlier = self.keys.setdefault(digest, key)
            if earlier is not key:
                where = f"`{earlier.id}` of tenant `{earlier.tenant}` {written_at(earlier.place)}"
                report.add(hash_node, fields.at("hash"), f"the same key is already {where}")
        return key

    def _read_reference(self, fields: Fields, word: str) -> str:
        name = fields.need(word, text(scalars.name), "")
        node = fields.value(word)
        if name and node is not None:
            self.references[word].append(Written(fields.report, node, fields.at(word), name))
        return name

    def _is_new(self, report: Report, section: str, name: str, path: str, node: Node) -> bool:
        place = report.place(node)
        earlier = self._places.setdefault((section, name), place)
        if earlier is not place:
            report.add(node, path, f"`{name}` is already written {written_at(earlier)}")
        return earlier is place


def _read_price(fields: Fields) -> Price:
    input_price = fields.need("input", _price, 0)
    return Price(
        input=input_price,
        cached_input=fields.get("cached_input", _price, input_price),
        cache_write=fields.get("cache_write", _price, input_price),
        output=fields.need("output", _price, 0),
    )


def _digest(node: Scalar) -> str:
    return scalars.key_digest(node.text)  # of whatever kind: no message may repeat what stands here


def _price(node: Scalar) -> int:
    return scalars.price_nano_usd_per_1m(node.text)


def written_at(place: Place) -> str:
    """`at FILE:LINE`, for messages."""
    return f"at {place.file}:{place.line}"
