"""The pages and the code say the same: what is set, logged, written in YAML or typed is read from the code and compared.

A page is read as its reader does: by heading, table row and code block. What the code allows is asked of the code itself
where that can be done (an unknown word makes the policy's loader list the known ones), and else read from its source.
"""

import ast
import dataclasses
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from gateway import answer, settings
from gateway.errors import PolicyErrors
from gateway.policy.excerpts import report as reported
from gateway.policy.load import load_dir
from gateway.policy.model import Policy
from gateway.values import Ended, Side

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "CHANGELOG.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")))
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in (ROOT / "gateway").rglob("*.py")}


def page(name: str) -> str:
    return (ROOT / name).read_text()


def section(name: str, heading: str) -> str:
    """What stands below a heading, up to the next one."""
    found = re.search(
        rf"(?ms)^(#+) {re.escape(heading)}$(.*?)(?=^#{{1,6}} |\Z)", re.sub(r"(?ms)^```.*?^```$", _keep, page(name))
    )
    assert found, f"{name} has no heading {heading!r}"
    return found[2].replace("\0", "#")


def _keep(block: re.Match[str]) -> str:
    return re.sub("(?m)^#", "\0", block[0])  # a comment in a code block is no heading


def rows(name: str, heading: str) -> list[list[str]]:
    """The cells of the section's table, less its head."""
    lines = [line for line in section(name, heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def blocks(name: str, info: str) -> list[str]:
    """The code blocks of a page that are marked so, to the letter."""
    return re.findall(rf"(?ms)^```{re.escape(info)}\n(.*?)^```$", page(name))


def test_tables_are_read() -> None:
    """No check below is empty by accident: the helpers find what is plainly there."""
    assert len(rows("docs/operators.md", "Settings")) > 15
    assert len(blocks("docs/policies.md", "yaml")) > 5
    assert len(PAGES) >= 6


# Settings


def test_settings() -> None:
    """Every setting stands in the operators' table, in the order of --help, with its exact default; none besides."""
    expected = [(f"`{name}`", f"`{item.metadata['default']}`") for name, item in settings.TABLE.items()]
    assert expected == [(name, default) for name, default, _ in rows("docs/operators.md", "Settings")]


def test_secrets() -> None:
    """Every secret that is read from the environment is told, with its file."""
    read = _strings_of_calls("gateway/settings.py", "_from_environment")
    assert [(f"`{name}`", f"`{name}_FILE`") for name in read] == [(a, b) for a, b, _ in rows("docs/operators.md", "Secrets")]


def _strings_of_calls(path: str, function: str) -> list[str]:
    calls = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == function]
    return [call.args[0].value for call in named if isinstance(call.args[0], ast.Constant)]


def test_settings_file(tmp_path: Path) -> None:
    """The settings file that the page shows is one."""
    (text,) = blocks("docs/operators.md", "yaml")
    (tmp_path / "gauger.yaml").write_text(text)
    loaded = settings.load({"config": str(tmp_path / "gauger.yaml")}, {})
    assert (loaded.store_loss, loaded.body_limit_bytes) == ("refuse", 8_000_000)


def test_variables() -> None:
    """A GAUGER_ variable that a page names is one that is read."""
    names = ("GAUGER_SECRET", "GAUGER_ADMIN_TOKEN", "GAUGER_EVIDENCE_KEY")
    secrets = {f"{name}{end}" for name in names for end in ("", "_FILE")}
    known = {settings.variable(name) for name in settings.TABLE} | {"GAUGER_CONFIG"} | secrets
    assert {
        (name, found) for name in PAGES for found in re.findall(r"GAUGER_[A-Z_]*[A-Z]", page(name)) if found not in known
    } == set()


# What is logged


def _stored(tree: ast.AST, name: str) -> set[str]:
    """The constant keys that are assigned in `name[...]`."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and isinstance(node.slice, ast.Constant):
            target = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
            if target == name:
                found.add(node.slice.value)
    return found


def _record_fields() -> dict[str, set[str]]:
    """Every field of a request's line: those within it, or none."""
    tree = TREES["gateway/phases/record.py"]
    found: dict[str, set[str]] = {name: set() for name in _stored(tree, "fields")}
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign | ast.Assign) and isinstance(node.value, ast.Dict):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            keys = {key.value for key in node.value.keys if isinstance(key, ast.Constant)}
            if isinstance(target, ast.Name) and target.id == "fields":
                found.update((key, set()) for key in keys)
            elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                found[target.slice.value] = keys
    spine = [*ast.walk(TREES["gateway/proxy.py"]), *ast.walk(TREES["gateway/exchange.py"])]
    marks = [node for node in spine if isinstance(node, ast.Call)]
    timings = {call.args[0].value for call in marks if getattr(call.func, "attr", "") == "mark"}  # type: ignore[attr-defined]
    found["timings_us"] = timings | {name for name in _stored(tree, "_marks") if isinstance(name, str)}
    return found | {name: set() for name in ("event", *_stored(TREES["gateway/logs.py"], "event"))}


def test_record_fields() -> None:
    """Every field that a request's line can have is told, with the fields within it; none is told that it never has."""
    documented = {
        name: set(words(cell)) for names, cell in rows("docs/operators.md", "The record of a request") for name in words(names)
    }
    actual = _record_fields()
    assert actual.keys() == documented.keys()
    assert len(actual) > 20
    assert {name: within for name, within in actual.items() if within} == {
        name: documented[name] for name, within in actual.items() if within
    }
    assert (set(get_args(Ended)), set(get_args(Side))) == (documented["ended"], documented["side"])
    assert set(answer._FAULTS) == documented["fault"]


def test_reasons() -> None:
    """Every reason that a refusal can have is told."""
    found = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal":
                (reason,) = [keyword.value for keyword in node.keywords if keyword.arg == "reason"] or [None]
                if isinstance(reason, ast.JoinedStr):
                    reason = reason.values[0]
                assert isinstance(reason, ast.Constant), (
                    f"line {node.lineno}: a refusal without a reason tells the record nothing"
                )
                found.add(reason.value)
    (line,) = [
        line for line in section("docs/operators.md", "The record of a request").splitlines() if line.startswith("Reasons:")
    ]
    assert found == {re.sub(r":[A-Z]+$", ":", word) for word in words(line)}


def test_log_events() -> None:
    """Every event that is logged is told, with its level and its fields."""
    found: dict[str, tuple[str, set[str]]] = {}
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and getattr(node.func.value, "id", "") == "log"
            ):
                event = node.args[0]
                assert isinstance(event, ast.Constant), f"{path}:{node.lineno}: an event's name is a constant"
                names = {keyword.arg for keyword in node.keywords if keyword.arg}
                level, known = found.setdefault(event.value, (node.func.attr, set()))
                assert level == node.func.attr
                known |= names
            elif isinstance(node, ast.Dict) and path == "gateway/logs.py":  # the one line that comes past structlog
                pairs = {
                    key.value: value for key, value in zip(node.keys, node.values, strict=True) if isinstance(key, ast.Constant)
                }
                level, event = pairs.pop("level"), pairs.pop("event")
                found[event.value] = (level.value, set(pairs))  # type: ignore[attr-defined]
    documented = {
        words(event)[0]: (level, set(words(names)))
        for event, level, names, _ in rows("docs/operators.md", "Other lines of the log")
    }
    assert found == documented


def test_all_loggers_are_called_log() -> None:
    """So that the test above sees every event."""
    for path in TREES:
        text = page(path)
        assert text.count("get_logger()") == len(re.findall(r"(?m)^ *log = structlog\.get_logger\(\)$", text)), path


# The policy language


def flow(mapping: dict[str, str]) -> str:
    return "{" + ", ".join(f"{word}: {value}" for word, value in mapping.items()) + "}"


PRICE = "{input: 1 USD / 1M tokens, output: 2 USD / 1M tokens}"
GENERAL = "{name: general, meter: requests, limit: 9, per: minute}"
TENANT = "{version: 1, organisations: {acme: {}}, plans: {free: {}}, tenants: {t: %s}}"
SECTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "Top level": ("%s", {"version": "1"}),
    "`defaults`": ("{version: 1, defaults: %s}", {}),
    "`models`, a list": ("{version: 1, models: [%s]}", {"match": "m"}),
    "`models[].price`": (
        "{version: 1, models: [{match: m, price: %s}]}",
        {"input": "1 USD / 1M tokens", "output": "2 USD / 1M tokens"},
    ),
    "`organisations.NAME`": ("{version: 1, organisations: {o: %s}}", {}),
    "`plans.NAME`": ("{version: 1, plans: {free: {}, p: %s}}", {}),
    "`upstreams.NAME`": ("{version: 1, upstreams: {u: %s}}", {"urls": '["http://10.0.0.1:8000"]'}),
    "`purposes`, a list": (
        "{version: 1, organisations: {o: {purposes: [%s]}}}",
        {"purpose": "batch", "until": '"2027-03-31"', "reason": "agreed"},
    ),
    "`watch`": ("{version: 1, watch: %s}", {}),
    "`ladders.NAME`": (
        "{version: 1, ladders: {l: %s}}",
        {"mode": "shadow", "steps": "[{name: a, score: 70%}]"},
    ),
    "`steps`, a list": ("{version: 1, ladders: {l: {mode: shadow, steps: [%s]}}}", {"name": "a", "score": "70%"}),
    "`cluster`": (
        "{version: 1, ladders: {l: {mode: shadow, steps: [{name: tighten, score: 70%%}], cluster: %s}}}",
        {"budgets": "[{name: b, meter: requests, limit: 5, per: day}]"},
    ),
    "`tenants.NAME`": (TENANT, {"organisation": "acme", "plan": "free"}),
    "`tenants.NAME.keys`, a list": (
        TENANT % "{organisation: acme, plan: free, keys: [%s]}",
        {"id": "k", "hash": f'"hmac-sha256:{"0" * 64}"'},
    ),
    "`budgets`, a list": (
        f"{{version: 1, models: [{{match: m, price: {PRICE}}}], "
        f"defaults: {{budgets: [{GENERAL}]}}, plans: {{p: {{budgets: [%s]}}}}}}",
        {"name": "b", "meter": "requests", "limit": "5", "per": "minute"},
    ),
}
"""By the heading of its table: a directory with a hole for the section, and the least that the section may hold."""
BESIDE = {
    "meter: cost": {"limit": "5 USD"},
    "limit: 5 USD": {"meter": "cost"},
    "window: calendar": {"per": "day"},
    "timezone: Europe/Berlin": {"window": "calendar", "per": "day"},
    "timezone: UTC": {"window": "calendar", "per": "day"},
    'since: "2027-01-31"': {"mode": "shadow"},
    "override: true": {"name": "general"},
}
"""What a word needs beside it."""


def load(directory: Path, **files: str) -> Policy:
    directory.mkdir(exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    return dataclasses.replace(load_dir(directory), digest="")


def messages(directory: Path, text: str) -> list[str]:
    with pytest.raises(PolicyErrors) as caught:
        load(directory, policy=text)
    return [mistake.message for mistake in caught.value.mistakes]


def allowed(directory: Path, text: str) -> set[str]:
    (message,) = messages(directory, text)
    return set(message.rpartition("allowed: ")[2].split(", "))


@pytest.mark.parametrize("heading", SECTIONS)
def test_policy_words(heading: str, tmp_path: Path) -> None:
    """Each section's table has the words that the loader knows, and says which are needed."""
    frame, least = SECTIONS[heading]
    load(tmp_path / "p", policy=frame % flow(least))
    table = {words(row[0])[0]: row for row in rows("docs/policies.md", heading)}
    assert allowed(tmp_path / "p", frame % flow({**least, "nonsense": "1"})) == table.keys()
    assert least.keys() == {word for word, row in table.items() if row[2].startswith("needed")}
    for word in least:
        rest = {name: value for name, value in least.items() if name != word}
        assert f"`{word}` is missing" in messages(tmp_path / "p", frame % flow(rest))


@pytest.mark.parametrize("heading", SECTIONS)
def test_policy_examples_and_defaults(heading: str, tmp_path: Path) -> None:
    """Each example in a table loads, and writing a default out changes nothing."""
    frame, least = SECTIONS[heading]
    for row in rows("docs/policies.md", heading):
        for example in words(row[3]):
            word, _, value = example.partition(": ")
            assert word == words(row[0])[0]
            load(tmp_path / "p", policy=frame % flow({**least, **BESIDE.get(example, {}), word: value}))
        if re.fullmatch(r"`[^`]+`", row[2]):
            word, value = words(row[0])[0], words(row[2])[0]
            without = {**least, **BESIDE.get(f"{word}: {value}", {})}
            assert load(tmp_path / "p", policy=frame % flow(without)) == load(
                tmp_path / "p", policy=frame % flow({**without, word: value})
            )


@pytest.mark.parametrize(
    ("heading", "word"),
    [
        *(("`budgets`, a list", word) for word in ("meter", "window", "mode", "scope")),
        ("`defaults`", "unbounded_output"),
        ("`models`, a list", "unbounded_output"),
    ],
)
def test_policy_choices(heading: str, word: str, tmp_path: Path) -> None:
    """Where a word takes one of a few, the table has all of them."""
    frame, least = SECTIONS[heading]
    (row,) = [row for row in rows("docs/policies.md", heading) if row[0] == f"`{word}`"]
    assert allowed(tmp_path / "p", frame % flow({**least, word: "nonsense"})) == set(words(row[1]))


def completed(snippet: str) -> dict[str, str]:
    """The snippet as a file, beside one with the least that it needs: who and what it names, and a price."""
    if snippet.startswith("- "):
        indented = "".join(f"      {line}\n" for line in snippet.splitlines())
        snippet = f"plans:\n  p:\n    budgets:\n{indented}"
    if "version:" not in snippet:
        snippet = f"version: 1\n{snippet}"
    tree = yaml.safe_load(snippet)
    frame = {"version": 1, "models": [{"match": "frame", "price": yaml.safe_load(PRICE)}]}
    for word in ("organisation", "plan"):
        named = {tenant[word] for tenant in tree.get("tenants", {}).values()}
        frame[f"{word}s"] = {name: {} for name in named - tree.get(f"{word}s", {}).keys()}
    return {"a-frame": yaml.safe_dump(frame), "b-snippet": snippet}


@pytest.mark.parametrize("snippet", blocks("docs/policies.md", "yaml"), ids=lambda text: text[:40].splitlines()[0])
def test_policy_snippets_load(snippet: str, tmp_path: Path) -> None:
    """Every snippet is a policy, or part of one."""
    load(tmp_path / "p", **completed(snippet))


def test_policy_mistakes_are_the_ones_shown(tmp_path: Path) -> None:
    """The bad example gives exactly the report that the page prints."""
    (bad,), (report,) = blocks("docs/policies.md", "yaml bad"), blocks("docs/policies.md", "text")
    with pytest.raises(PolicyErrors) as caught:
        load(tmp_path / "p", acme=bad)
    assert report == f"{reported(caught.value)}\n".replace(f"{tmp_path / 'p'}/", "policies/")


# What is typed


@pytest.mark.parametrize("name", PAGES)
def test_make_targets(name: str) -> None:
    """Every `make X` on a page is a target."""
    targets = set(re.findall(r"(?m)^([a-z]+):", page("Makefile")))
    assert set(re.findall(r"(?m)(?:^|`|\.\.\. )make ([a-z]+)", page(name))) <= targets


def test_readme_commands() -> None:
    """The two commands come first, and the lines to paste are those that `make run` prints."""
    shown = blocks("README.md", "sh")
    assert re.findall(r"(?m)^make (\w+)", shown[0]) == ["run", "test"]
    (text,) = [
        node.value.value
        for node in TREES["gateway/cli/demo.py"].body
        if isinstance(node, ast.Assign) and node.targets[0].id == "_TRY" and isinstance(node.value, ast.Constant)  # type: ignore[attr-defined]
    ]
    printed = text.format(listen=settings.TABLE["listen"].metadata["default"], before="", usage="", model="demo-small")
    commands = [line.strip() for line in printed.splitlines() if line.startswith("   ")]
    assert commands == [block.strip() for block in shown[1:4]]


@pytest.mark.parametrize("name", PAGES)
def test_commands_and_flags(name: str) -> None:
    """A `gauger` command or flag that a page names exists."""
    sources = "".join(page(path) for path in TREES if path.startswith("gateway/cli/"))
    commands = set(re.findall(r"add_parser\(\s*\"(\w+)\"", sources))
    flags = {f"--{each.replace('_', '-')}" for each in settings.TABLE} | set(re.findall(r"\"(--[a-z-]+)\"", sources))
    named = set(re.findall(r"(?:`|bin/|^)gauger ([a-z]+)", page(name), re.M))
    assert named <= commands
    assert set(re.findall(r"(?<=[` ])--[a-z][a-z-]+", page(name))) <= flags | {"--build", "--scale"}


def test_usage_json() -> None:
    """Every key that `gauger usage --json` prints is told."""
    (function,) = [node for node in TREES["gateway/cli/usage.py"].body if getattr(node, "name", "") == "_as_json"]
    printed = {node.value for node in ast.walk(function) if isinstance(node, ast.Constant) and str(node.value).isidentifier()}
    (line,) = [
        line for line in section("docs/operators.md", "What a tenant has left").splitlines() if line.startswith("`--json`")
    ]
    assert printed - {"enforce", "shadow"} == set(words(line)) - {"--json"}


def _sent_by_the_watch() -> set[str]:
    return {command.lower() for command in re.findall(r'_send\(\(b"([A-Z]+)"', page("gateway/store/watch.py"))} - {"script"}


def test_store_user() -> None:
    """The store's user that the page makes may do what the scripts and the connection do, and nothing else."""
    (line,) = re.findall(r"(?m)^ACL SETUSER .*$", page("docs/operators.md"))
    called = {
        command.lower()
        for script in (ROOT / "gateway/store/lua").glob("*.lua")
        for command in re.findall(r"call\('([A-Z]+)'", script.read_text())
    }
    sent = {"ping", "select", "script|load", "evalsha", *_sent_by_the_watch()}
    assert called | sent == {word[1:] for word in line.split() if word.startswith("+")}


# Links


def slug(heading: str) -> str:
    """A heading's anchor, as the usual renderers make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", PAGES)
def test_links(name: str) -> None:
    """Every link to a file or a heading of this repository resolves."""
    text = re.sub(r"(?ms)^```.*?^```$", "", page(name))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", target.read_text()))
            assert anchor in [slug(heading) for heading in headings], link
