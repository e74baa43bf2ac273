"""The sections of a policy directory, gathered from all of its files: defaults, groups, models, upstreams, organisations,
plans, tenants.

A name belongs to the directory, not to a file: the same one written twice is a mistake that names both places, and a
tenant may name a plan of any file. What only the whole shows is checked last, by `check_whole`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from sys import intern

from gateway.policy import scalars
from gateway.policy.fields import Fields, Report, count, one_of, only, text
from gateway.policy.model import (
    DEFAULT_OUTPUT_TOKENS_MAX,
    DEFAULT_RULE,
    EVERYTHING,
    NO_OUTPUT,
    NO_WATCH,
    Budget,
    Key,
    Ladder,
    ModelRule,
    Organisation,
    Output,
    Place,
    Plan,
    Scope,
    Tenant,
    Upstream,
)
from gateway.policy.read_budgets import read_budgets
from gateway.policy.read_globs import GROUP, read_endpoints, read_groups, read_models
from gateway.policy.read_output import OUTPUT_WORDS, read_output
from gateway.policy.read_plans import WORDS as PLAN_WORDS
from gateway.policy.read_plans import Draft, read_draft, settle_plans
from gateway.policy.read_prices import read_price
from gateway.policy.read_purposes import read_purposes
from gateway.policy.read_upstreams import WORDS as UPSTREAM_WORDS
from gateway.policy.read_upstreams import read_upstream
from gateway.policy.read_watch import LADDER_WORDS, WATCH_WORDS, read_ladder, read_watch
from gateway.policy.words import (
    DEFAULTS_WORDS,
    KEY_WORDS,
    ORGANISATION_WORDS,
    RULE_DEFAULTS,
    RULE_WORDS,
    TENANT_WORDS,
    UNBOUNDED,
)
from gateway.policy.written import Written, spot, written_at
from gateway.policy.yaml_tree import Node, Scalar

_REPORTED = ("name", "meter", "override")
"""The words of a budget whose places are asked for when all is read."""


class Sections:
    """What the files of a directory say together."""

    def __init__(self, meters: Collection[str]) -> None:
        self.groups: dict[str, tuple[str, ...]] = {}
        self.models: list[ModelRule] = []
        self.upstreams: list[Upstream] = []
        self.organisations: dict[str, Organisation] = {}
        self.plans: dict[str, Plan] = {}
        self.tenants: dict[str, Tenant] = {}
        self.keys: dict[str, Key] = {}
        self.default_rule = DEFAULT_RULE
        self.base: Draft | None = None
        """What `defaults` says of plans, as it is written."""
        self.base_plan: Plan | None = None
        self.drafts: dict[str, Draft] = {}
        """Plans as they are written."""
        self.watch = NO_WATCH
        self.ladders: dict[str, Ladder] = {}
        self.references: dict[str, list[Written]] = {"organisation": [], "plan": [], "ladder": []}
        """Where what is named."""
        self.written: dict[int, Written] = {}
        """Where each budget and each upstream is written, by its id()."""
        self.outputs: dict[tuple[str, int, int], Written] = {}
        """Where each output policy is written, by file, line and column of its `min_tokens`."""
        self._meters = meters
        self._matches: dict[str, ModelRule] = {}
        self._places: dict[tuple[str, str], Place] = {}
        """Where each (section, name) was written first."""

    def read_first(self, roots: Sequence[Fields]) -> None:
        """What the sections of all files refer to, from the files that have any of it."""
        for root in roots:
            for name, key, globs in read_groups(root):
                if self._is_new(root.report, "groups", name, f"{root.at('groups')}.{name}", key):
                    self.groups[name] = globs
        self._read_defaults(roots)
        for root in self._only_one("watch", roots):
            node = root.value("watch")
            if node is not None:
                fields = Fields(root.report, node, root.at("watch"), WATCH_WORDS)
                self.watch = read_watch(fields)
                self._read_ladder_name(fields)

    def settle(self) -> None:
        """When all files have been read."""
        self.base_plan, self.plans = settle_plans(self.drafts, self.base)

    def _only_one(self, word: str, roots: Sequence[Fields]) -> list[Fields]:
        """The first file that has a section of which there is one in a directory; in all others it is reported."""
        written = [root for root in roots if word in root]
        for root in written[1:]:
            first = written[0].value(word)
            line = first.line if first is not None else 1
            root.refuse(word, f"already written at {written[0].report.file}:{line}: keep one")
        return written[:1]

    def _read_defaults(self, roots: Sequence[Fields]) -> None:
        for root in self._only_one("defaults", roots):
            node = root.value("defaults")
            if node is None:
                continue
            place = root.report.place(node)
            fields = Fields(root.report, node, root.at("defaults"), DEFAULTS_WORDS)
            self.default_rule = ModelRule(
                match="*",
                max_output_tokens=fields.get("max_output_tokens", count, DEFAULT_OUTPUT_TOKENS_MAX),
                price=None,
                unbounded_output=fields.get("unbounded_output", one_of(UNBOUNDED), "model"),
                budgets=(),
                place=place,
                places={word: place for word, place in fields.places().items() if word in RULE_DEFAULTS},
            )
            self.base = self._read_draft(fields, "", place)

    def read(self, root: Fields) -> None:
        """One file, from its top level; keep their order, by which the first that matches is found."""
        report = root.report
        for path, node in root.items("models"):
            self._read_rule(Fields(report, node, path, RULE_WORDS))
        for name, path, key, node in root.named("upstreams"):
            if self._is_new(report, "upstreams", name, path, key):
                upstream = read_upstream(Fields(report, node, path, UPSTREAM_WORDS), name, key, self.groups)
                self.written[id(upstream)] = Written(report, key, path, name)
                self.upstreams.append(upstream)
        for name, path, key, node in root.named("ladders"):
            if self._is_new(report, "ladders", name, path, key):
                fields = Fields(report, node, path, LADDER_WORDS)
                self.ladders[name] = read_ladder(fields, name, self._read_cluster_budgets, self._read_output)
        for name, path, key, node in root.named("organisations"):
            fields = Fields(report, node, path, ORGANISATION_WORDS)
            if self._is_new(report, "organisations", name, path, key):
                self._read_organisation(fields, name, report.place(key))
        for name, path, key, node in root.named("plans"):
            fields = Fields(report, node, path, PLAN_WORDS)
            if self._is_new(report, "plans", name, path, key):
                self.drafts[name] = self._read_draft(fields, name, report.place(key))
        for name, path, key, node in root.named("tenants"):
            fields = Fields(report, node, path, TENANT_WORDS)
            if self._is_new(report, "tenants", name, path, key):
                self._read_tenant(fields, name, report.place(key))

    def _read_budgets(self, fields: Fields, *scope: Scope) -> tuple[Budget, ...]:
        if "budgets" not in fields:
            return ()
        budgets = read_budgets(fields, meters=self._meters, groups=self.groups, scope=scope)
        for budget, (path, node) in zip(budgets, fields.items("budgets")):
            self.written[id(budget)] = Written(fields.report, only(node, _REPORTED), path, budget.name)
        return budgets

    def _read_cluster_budgets(self, fields: Fields) -> tuple[Budget, ...]:
        return self._read_budgets(fields, "organisation")  # to the ledger a cluster is an organisation of its own

    def _read_ladder_name(self, fields: Fields) -> str:
        """The `ladder` of a level; "" where it says nothing."""
        return self._read_reference(fields, "ladder") if "ladder" in fields else ""

    def _read_output(self, fields: Fields, *, of_model: bool = False) -> Output:
        node = fields.value("output")
        if node is None:
            return NO_OUTPUT
        output = read_output(Fields(fields.report, node, fields.at("output"), OUTPUT_WORDS), of_model=of_model)
        place = output.places.get("min_tokens")
        if place is not None:
            self.outputs[spot(place)] = Written(fields.report, node, fields.at("output"), "")
        return output

    def _read_rule(self, fields: Fields) -> None:
        report, defaults = fields.report, self.default_rule
        match = fields.need("match", text(_match), "")
        rule = ModelRule(
            match=match,
            max_output_tokens=fields.get("max_output_tokens", count, defaults.max_output_tokens),
            price=read_price(fields),
            unbounded_output=fields.get("unbounded_output", one_of(UNBOUNDED), defaults.unbounded_output),
            budgets=self._read_budgets(fields, "tenant", "model"),
            place=report.place(fields.node),
            output=self._read_output(fields, of_model=True),
            places={**defaults.places, **fields.places()},
        )
        earlier = self._matches.get("*") or self._matches.get(match)
        if match and earlier is not None:
            shadowed = f"`{earlier.match}` {written_at(earlier.place)} is before it"
            fields.refuse("match", f"never used: the first rule that matches applies, and {shadowed}")
        self._matches.setdefault(match, rule)
        self.models.append(rule)

    def _read_draft(self, fields: Fields, name: str, place: Place) -> Draft:
        budgets, output = self._read_budgets(fields, "tenant"), self._read_output(fields)
        self._read_ladder_name(fields)
        return read_draft(fields, name, place, budgets, output, self.groups)

    def _read_organisation(self, fields: Fields, name: str, place: Place) -> None:
        self.organisations[name] = Organisation(
            name=name,
            budgets=self._read_budgets(fields, "organisation"),
            place=place,
            output=self._read_output(fields),
            models=read_models(fields, self.groups, EVERYTHING),
            endpoints=read_endpoints(fields, EVERYTHING),
            purposes=read_purposes(fields),
            ladder=self._read_ladder_name(fields),
            places=fields.places(),
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
            models=read_models(fields, self.groups, EVERYTHING),
            endpoints=read_endpoints(fields, EVERYTHING),
            purposes=read_purposes(fields),
            ladder=self._read_ladder_name(fields),
            places=fields.places(),
        )

    def _read_key(self, report: Report, node: Node, path: str, tenant: str) -> Key:
        fields = Fields(report, node, path, KEY_WORDS)
        key = Key(
            id=fields.need("id", text(scalars.key_id), ""),
            digest=fields.need("hash", _digest, ""),
            tenant=tenant,
            budgets=self._read_budgets(fields, "key"),
            place=report.place(node),
            output=self._read_output(fields),
            models=read_models(fields, self.groups, EVERYTHING),
            endpoints=read_endpoints(fields, EVERYTHING),
            purposes=read_purposes(fields),
            ladder=self._read_ladder_name(fields),
            places=fields.places(),
        )
        id_node, hash_node = fields.value("id"), fields.value("hash")
        if key.id and id_node is not None:
            self._is_new(report, "key ids", key.id, fields.at("id"), id_node)
        if key.digest and hash_node is not None:
            earlier = self.keys.setdefault(key.digest, key)
            if earlier is not key:
                where = f"`{earlier.id}` of tenant `{earlier.tenant}` {written_at(earlier.place)}"
                report.add(hash_node, fields.at("hash"), f"the same key is already {where}")
        return key

    def _read_reference(self, fields: Fields, word: str) -> str:
        name = intern(fields.need(word, text(scalars.name), ""))
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


def _match(written: str) -> str:
    if written.startswith(GROUP):
        raise ValueError("a rule is for the models of one glob, not for a group: write a rule for each of its globs")
    return scalars.glob(written)


def _digest(node: Scalar) -> str:
    return scalars.key_digest(node.text)  # of whatever kind: no message may repeat what stands here
