"""What a fresh checkout, an image and a release rely on."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from gateway.settings import TABLE

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "gateway").rglob("*.py"))
LINES_MAX = 300
"""A file of 200 lines has one idea, one of 300 should be thought about again: here it is no more a matter of taste."""
LONGER = {
    "gateway/upstream/connection.py": "one state machine, on the path of a request: one more call would be paid for each chunk",
    "gateway/values.py": "every value that crosses a border, in the order a request meets them: that order is its idea",
    "gateway/store/local.py": "the verbs of the ledger, side by side with the scripts they must equal",
}
"""Files that were thought about again, and why they stay whole; none of them may grow past 350 lines."""
LOCKS = ("requirements.lock", "deploy/runtime.lock")
ALPINE_OR_SLIM = re.compile(r"[\w./-]+:[\w.-]*(slim|alpine)[\w.-]*( AS \w+)?")


def pins(lock):
    """A lock's pins: {distribution: version}."""
    return dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+)", (ROOT / lock).read_text()))


def wanted(*, groups=()):
    """The distributions that pyproject.toml asks for, with the named dependency groups."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements = list(project["project"]["dependencies"])
    todo = list(groups)
    while todo:
        for item in project["dependency-groups"][todo.pop()]:
            if isinstance(item, dict):
                todo.append(item["include-group"])
            else:
                requirements.append(item)
    return {re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-") for requirement in requirements}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path):
    """A module that holds anything begins with a docstring, and is short enough to hold one idea."""
    source = path.read_text()
    tree = ast.parse(source)
    assert ast.get_docstring(tree) or not tree.body, "no module docstring"
    assert source.count("\n") <= (350 if str(path.relative_to(ROOT)) in LONGER else LINES_MAX)


@pytest.mark.parametrize(("lock", "groups"), [("requirements.lock", ("dev",)), ("deploy/runtime.lock", ("build",))])
def test_locks_cover_what_pyproject_asks_for(lock, groups):
    """A dependency added to pyproject.toml without `make lock` fails here, not in a user's fresh checkout."""
    assert wanted(groups=groups) - pins(lock).keys() == set()


def test_the_image_gets_the_versions_that_were_tested():
    """Every pin of the run-time lock is the same in the lock that the tests ran with; the test tools are not in it."""
    everything, image = pins("requirements.lock"), pins("deploy/runtime.lock")
    assert {name: everything.get(name) for name in image} == image
    assert {"pytest", "openai", "mypy"} & image.keys() == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_hashes_and_no_hosts(lock):
    """Each pin has its hashes, and the lock works with whatever index its reader uses."""
    text = (ROOT / lock).read_text()
    blocks = re.split(r"(?m)^(?=[a-z0-9-]+==)", text)[1:]
    assert [block.split("==")[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert re.findall(r"://|--index|--extra-index|--find-links|file:|@ ", text) == []


def test_make_help_lists_every_target():
    """`make help` is the list of what can be done: no target is missing from it."""
    makefile = (ROOT / "Makefile").read_text()
    phony = set(re.search(r"(?m)^\.PHONY: (.*)$", makefile)[1].split())
    shown = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True, timeout=30).stdout
    assert set(re.findall(r"(?m)^make (\w+) +\w", shown)) == phony
    assert {"setup", "run", "test", "bench", "lock"} <= phony


def test_ci_is_make_test():
    """CI runs what everyone can run: `make test`, and nothing else that could differ."""
    lines = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -euo pipefail"
    assert lines[-1] == "exec make --no-print-directory test </dev/null"
    assert len(lines) == 3


def test_the_image_is_small_and_not_root():
    """Slim bases, a numeric user who is not root, a health check, and a program that receives signals itself."""
    text = (ROOT / "Dockerfile").read_text()
    bases = re.findall(r"(?m)^FROM (.+)$", text)
    assert len(bases) == 2
    assert all(ALPINE_OR_SLIM.fullmatch(base) for base in bases)
    last = text[text.rindex("\nFROM ") :]
    assert int(re.search(r"(?m)^USER (\d+):\d+$", last)[1]) > 0
    assert "/healthz" in last[last.index("HEALTHCHECK") :]
    assert 'ENTRYPOINT ["gauger"]\nCMD ["serve"]' in last


def test_the_image_and_the_compose_file_set_what_exists():
    """A setting that was renamed would be ignored in silence: every GAUGER_ variable in deployment files is one."""
    known = {f"GAUGER_{name.upper()}" for name in TABLE} | {"GAUGER_SECRET", "GAUGER_SECRET_FILE", "GAUGER_CONFIG"}
    for name in ("Dockerfile", "deploy/compose.yaml"):
        assert set(re.findall(r"GAUGER_[A-Z_]+", (ROOT / name).read_text())) - known == set()


def test_what_the_dockerfile_copies_is_in_its_context():
    """.dockerignore lets in by name: a COPY of anything else would fail only in a build."""
    copied = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text())
    allowed = set(re.findall(r"(?m)^!(.+)$", (ROOT / ".dockerignore").read_text()))
    assert {name for names in copied for name in names.split()} <= allowed
    assert all((ROOT / name).exists() for name in allowed)


def test_compose_keeps_budgets_and_secrets():
    """The store appends to a file on a volume, never evicts, and is reachable by the gateway only; secrets are files."""
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    store, gauger = compose["services"]["valkey"], compose["services"]["gauger"]
    options = dict(zip(store["command"][1::2], store["command"][2::2], strict=True))
    assert (options["--appendonly"], options["--maxmemory-policy"]) == ("yes", "noeviction")
    assert store["volumes"] == ["store:/data"]
    assert "ports" not in store
    assert compose["networks"]["store"]["internal"] is True
    assert gauger["depends_on"]["valkey"]["condition"] == "service_healthy"
    assert {"GAUGER_SECRET", "UPSTREAM_API_KEY"} & gauger["environment"].keys() == set()
    assert all(port.startswith("127.0.0.1:") for port in gauger["ports"])


def test_the_licence_is_whole():
    """Apache-2.0, as pyproject.toml says."""
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
