"""OpenAI's and Anthropic's own SDK test suites, run directly and through the gateway: what passes directly must pass through.

    python bench/sdk_suites.py [--only openai] [--tests tests/api_resources/chat] [--show 20]

The suites come with the SDKs' source distributions, of the versions installed here; they get an environment of their own below
`.gauger/suites`. Their mock server's description of the APIs is not published with them, so the suites are asked first what
they will ask for, and a mock answers that from the SDKs' own types (suites/watcher.py, suites/mock_api.py).

Then each suite runs twice against the mock: directly, and through `gauger serve` with a plan that names every endpoint. Counted
are tests that send something over the network. Compared, for each request of a test that passes both ways, are the method,
path, query, headers and body that reach the server, and the status and body that come back.
A test that the gateway refuses by a rule (an endpoint it does not serve, an answer that is nobody's) is listed under that rule,
and is no pass.

Exit code: 0 when nothing that passes directly fails through the gateway but by a rule.
"""

from __future__ import annotations

import argparse
import collections
import hmac
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from targets import free_port

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".gauger" / "suites"
RESULTS = ROOT / "bench" / "results"
PYTHON = HOME / "venv" / "bin" / "python"
SECRET = "the-suites-secret"
NEEDS = (
    "pytest>=9", "pytest-asyncio", "respx", "inline-snapshot", "http-snapshot[httpx]", "time-machine", "dirty-equals", "rich",
)  # fmt: skip
"""What the suites' own conftest.py files import."""
START_S = 30.0


class Suite(NamedTuple):
    name: str
    keys: tuple[str, ...]
    """The API keys that its tests send."""
    base: str
    """What the SDK's base URL ends with."""
    extras: str
    """Of the SDK, that its tests import."""
    flags: tuple[str, ...] = ()

    @property
    def directory(self) -> Path:
        return HOME / f"{self.name}-{version(self.name)}"


SUITES = {
    "openai": Suite("openai", ("My API Key", "My Admin API Key"), "/v1", "aiohttp,realtime"),
    "anthropic": Suite("anthropic", ("my-anthropic-api-key",), "", "aiohttp,webhooks", ("-p", "tests._alias_httpx")),
}
RULES = {
    "unknown_url": "no rule names the path",
    "method_not_supported": "no rule names the method on this path",
    "endpoint_not_allowed": "the plan does not name the endpoint",
    "model_not_allowed": "the plan does not name the model",
    "response_not_found": "a kept answer that this tenant did not make",
    "item_not_found": "a kept item taken by reference",
    "field_not_allowed": "the output policy refuses a field",
}
"""Refusals that are meant, by `error.code`."""
WORDS = {
    "model: must be a string": "a generation that names no model: nothing says what it may cost, or what its answers may be",
    "is not possible here: send the whole input to have it counted": "a kept answer that is to be counted",
    "not_found_error": "no rule names the path",
    "No batch of yours has this id": "a batch that this tenant did not make",
    "No such File object of yours": "a file that this tenant did not upload",
    "files for other purposes are not taken": "an upload that is no file of requests",
    "it names a second model": "a second model within a request",
    "svg: must be a single field": "a second model within a request",
}
"""Refusals that are meant and have no code of their own, by what they say."""
OWNED = {
    "/v1/responses": {"model": "gpt-4o", "input": "text"},
}
"""Things that a suite reads, which only their maker may: where they are made, and of what. `x-suite-id` names the thing."""
REFERRED = (("/v1/responses", "previous_response_id"), ("/v1/responses", "string"))
"""Things that a suite's requests refer to by a field."""
EXPECTED_HEADERS = frozenset(
    (
        "authorization",
        "x-api-key",
        "host",
        "content-length",
        "content-type",
        "accept-encoding",
        "connection",
        "transfer-encoding",
    )
)
"""Headers that are the gateway's own on the way up."""


def prepare(names: list[str]) -> None:
    """Fetch the suites and make their environment, once for these versions."""
    HOME.mkdir(parents=True, exist_ok=True)
    wanted = [f"{name}[{suite.extras}]=={version(name)}" for name, suite in SUITES.items()]
    mark = HOME / "ready"
    state = "\n".join((*wanted, *NEEDS))
    if not mark.exists() or mark.read_text() != state:
        say("making the suites' environment")
        subprocess.run([sys.executable, "-m", "venv", "--clear", HOME / "venv"], check=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted, *NEEDS], check=True)
        mark.write_text(state)
    for name in names:
        suite = SUITES[name]
        if suite.directory.exists():
            continue
        say(f"fetching the suite of {name} {version(name)}")
        with tempfile.TemporaryDirectory() as fetched:
            command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
            subprocess.run([*command, "--no-binary", name, f"{name}=={version(name)}", "-d", fetched], check=True)
            archive = next(Path(fetched).glob("*.tar.gz"))
            shutil.unpack_archive(archive, HOME, filter="data")


def run_suite(suite: Suite, mode: str, url: str, tests: list[str]) -> dict[str, Any]:
    """Run the suite; the watcher's word on it."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out.json"
        env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "ANTHROPIC_"))}
        env |= {"SUITE_MODE": mode, "SUITE_OUT": str(out), "SUITE_SDK": suite.name, "TEST_API_BASE_URL": url + suite.base}
        env["PYTHONPATH"] = str(ROOT / "bench" / "suites")
        command = [PYTHON, "-m", "pytest", "-o", "addopts=", *suite.flags, "-p", "watcher", "-q", "--tb=no", *tests]
        done = subprocess.run(command, cwd=suite.directory, env=env, capture_output=True, text=True, check=False)
        if not out.exists():
            raise SystemExit(f"the suite of {suite.name} did not run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return dict(json.loads(out.read_text()))


class Program:
    """A server that was started, on a port of loopback."""

    def __init__(self, port: int, command: list[Any], health: str, env: dict[str, str], log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._log = log.open("wb")
        self.process = subprocess.Popen(command, env=os.environ | env, stdout=self._log, stderr=subprocess.STDOUT)
        end_s = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(self.url + health, timeout=2).close()
                return
            except OSError:
                if time.monotonic() > end_s or self.process.poll() is not None:
                    self.close()
                    raise SystemExit(f"it did not start: {' '.join(map(str, command))}\n{log.read_text()[-2000:]}") from None
                time.sleep(0.05)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self._log.close()


def policy() -> str:
    """One tenant whose keys are the suites' own, and a plan that names all there is."""
    lines = ["version: 1", "organisations: {suites: {}}"]
    lines += ["plans:", '  all: {endpoints: ["*"], output: {stored: own, background: charge}}']
    lines += ["tenants:", "  suites:", "    organisation: suites", "    plan: all", "    keys:"]
    for number, key in enumerate(key for suite in SUITES.values() for key in suite.keys):
        digest = hmac.digest(SECRET.encode(), key.encode(), "sha256").hex()
        lines.append(f'      - {{id: "suite-{number}", hash: "hmac-sha256:{digest}"}}')
    return "\n".join(lines) + "\n"


def seen_by(mock: Program) -> dict[str, dict[str, Any]]:
    """The requests that came since it was last asked, by test and number."""
    with urllib.request.urlopen(mock.url + "/_seen", timeout=60) as answer:
        rows = json.load(answer)
    found = {}
    for row in rows:
        headers = dict.fromkeys(name for name, _ in row["headers"])
        row["headers"] = {name: [value for key, value in row["headers"] if key == name] for name in headers}
        found[row["headers"].pop("x-suite-test", ["?"])[0]] = row
    return found


class Verdict(NamedTuple):
    direct: set[str]
    """Tests that go over the network and pass directly."""
    through: set[str]
    refused: dict[str, list[str]]
    """By rule."""
    failed: dict[str, str]
    """Tests that pass directly and fail through the gateway by no rule: why."""
    changed: dict[str, list[str]]
    """What differs on the way, of tests that pass both ways: where."""
    unasked: set[str]
    """Tests that go over the network and fail already without the gateway."""
    requests: int
    """Requests that were compared."""


def judge(direct: dict[str, Any], seen: dict[str, Any], through: dict[str, Any], seen_through: dict[str, Any]) -> Verdict:
    networked = {name.rpartition("#")[0] for name in seen}
    passed = {name for name in networked if direct.get(name, {}).get("outcome") == "passed"}
    verdict = Verdict(passed, set(), {}, {}, {}, networked - passed, 0)
    compared = 0
    for name in sorted(passed):
        result = through.get(name, {})
        answers = result.get("answers", [])
        by_tenant = bool(answers) and answers[-1].get("refused_by") == "tenant"
        if result.get("outcome") == "passed":
            verdict.through.add(name)
            compared += compare(name, direct[name], answers, seen, seen_through, verdict.changed)
        elif by_tenant and (rule := rule_of(result.get("refusal") or {}, answers[-1]["status"])):
            verdict.refused.setdefault(rule, []).append(f"{answers[-1]['method']} {generic(answers[-1]['target'])}")
        else:
            last = f" [{answers[-1]['method']} {answers[-1]['target']} -> {answers[-1].get('status')}]" if answers else ""
            verdict.failed[name] = str(result.get("error", result.get("outcome", "it did not run"))) + last
    return verdict._replace(requests=compared)


def rule_of(refusal: dict[str, Any], status: int) -> str:
    """The rule by which the gateway refused; "": by none that is meant."""
    if status == 405:
        return RULES["method_not_supported"]
    message = str(refusal.get("message"))
    if refusal.get("code") in RULES:
        return RULES[str(refusal["code"])]
    return next((rule for words, rule in WORDS.items() if words in (message, refusal.get("type")) or words in message), "")


def compare(
    name: str,
    direct: dict[str, Any],
    answers: list[Any],
    seen: dict[str, Any],
    through: dict[str, Any],
    out: dict[str, list[str]],
) -> int:
    """Note what the server and the client got differently; how many requests were compared."""
    for number, (one, other) in enumerate(zip(direct["answers"], answers, strict=False), 1):
        sent, came = seen.get(f"{name}#{number}"), through.get(f"{name}#{number}")
        where = f"{one['method']} {one['target']} ({name}#{number})"
        if sent is None or came is None:
            out.setdefault("the request did not reach the server", []).append(where)
            continue
        for part in ("method", "path", "query"):
            if sent[part] != came[part]:
                out.setdefault(f"request: {part}", []).append(where)
        for header in sorted((sent["headers"].keys() | came["headers"].keys()) - EXPECTED_HEADERS):
            if sent["headers"].get(header) != came["headers"].get(header):
                out.setdefault(f"request: header {header}", []).append(where)
        if sent["body"] != came["body"]:
            out.setdefault(f"request: body{difference(sent['body'], came['body'])}", []).append(where)
        for part in ("status", "sha256"):
            if one.get(part) != other.get(part):
                out.setdefault(f"answer: {'body' if part == 'sha256' else part}", []).append(where)
        for header in set(one["headers"]) - set(other["headers"]):
            out.setdefault(f"answer: header {header} is missing", []).append(where)
    return len(answers)


def difference(sent: Any, came: Any) -> str:
    if not (isinstance(sent, dict) and isinstance(came, dict)):
        return ""
    keys = sorted(key for key in sent.keys() | came.keys() if sent.get(key, "-") != came.get(key, "-"))
    how = {key: "added" if key not in sent else "gone" if key not in came else "changed" for key in keys}
    return ", field " + ", ".join(f"{key} {what}" for key, what in how.items())


def generic(target: str) -> str:
    """A path's first two segments: enough to tell what it is about."""
    return "/".join(target.partition("?")[0].split("/")[:4])


def report(verdicts: dict[str, Verdict], show: int) -> str:
    lines = ["| suite | passed directly | passed through | refused by rule | failed through |", "|---|---:|---:|---:|---:|"]
    for name, one in verdicts.items():
        refused = sum(map(len, one.refused.values()))
        lines.append(f"| {name} {version(name)} | {len(one.direct)} | {len(one.through)} | {refused} | {len(one.failed)} |")
    for name, one in verdicts.items():
        lines += ["", f"## {name} {version(name)}", "", f"{one.requests} requests were compared both ways."]
        if one.unasked:
            lines.append(f"{len(one.unasked)} tests fail already against the mock alone, and are not counted.")
        for rule, targets in sorted(one.refused.items()):
            lines += ["", f"Refused: {rule} ({len(targets)} tests)", ""]
            if rule == RULES["unknown_url"]:
                kinds = collections.Counter("/".join(target.split(" ")[1].split("/")[2:3]) for target in targets)
                lines.append(", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))
                continue
            lines += [f"- {target}: {count}" for target, count in sorted(collections.Counter(targets).items())]
        if one.changed:
            lines += ["", "Passed, and changed on the way:", ""]
        for what, places in sorted(one.changed.items()):
            lines += [f"- {what}: {len(places)} requests, as in {places[0]}"]
        if one.failed:
            lines += ["", "**Passed directly, failed through the gateway:**", ""]
        whys: dict[str, list[str]] = {}
        for test, why in one.failed.items():
            whys.setdefault(why, []).append(test)
        for why, tests in list(whys.items())[:show]:
            lines.append(f"- {len(tests)} tests, as {tests[0]}: {why}")
        if len(whys) > show:
            lines.append(f"- and {len(whys) - show} more reasons")
    return "\n".join(lines) + "\n"


def run(suite: Suite, tests: list[str], directory: Path) -> Verdict:
    say(f"{suite.name}: asking the suite what it will ask for")
    table = directory / f"{suite.name}.json"
    table.write_text(json.dumps(run_suite(suite, "survey", "http://127.0.0.1:9", tests)))
    port, gate = free_port(), free_port()
    mock_command = [sys.executable, ROOT / "bench" / "suites" / "mock_api.py", "--port", str(port), "--table", table]
    mock = Program(port, mock_command, "/_seen", {}, directory / "mock.log")
    try:
        say(f"{suite.name}: running it directly")
        direct = run_suite(suite, "run", mock.url, tests)
        seen = seen_by(mock)
        (directory / "policies").mkdir(exist_ok=True)
        (directory / "policies" / "all.yaml").write_text(policy())
        command = [sys.executable, "-m", "gateway.cli.main", "serve", "--policies", directory / "policies"]
        command += ["--upstream", mock.url, "--listen", f"127.0.0.1:{gate}", "--store", "embedded", "--data", directory / "s"]
        env = {"GAUGER_SECRET": SECRET, "UPSTREAM_API_KEY": "the-upstreams-key"}
        gateway = Program(gate, command, "/readyz", env, RESULTS / "suites-gateway.log")
        try:
            say(f"{suite.name}: running it through the gateway")
            for path, made in table_owned(json.loads(table.read_text())):
                make(gateway, suite, path, made)
            seen_by(mock)
            through = run_suite(suite, "run", gateway.url, tests)
            return judge(direct, seen, through, seen_by(mock))
        finally:
            gateway.close()
    finally:
        mock.close()


def table_owned(table: dict[str, Any]) -> list[tuple[str, str]]:
    """Where the suite reads things of `OWNED`, and their ids."""
    found = {
        (path, rest.partition("/")[0])
        for path in OWNED
        for key in table
        if (target := key.partition(" ")[2]).startswith(path + "/") and (rest := target[len(path) + 1 :])
    }
    return sorted(found | {(path, item) for path, item in REFERRED if f"POST {path}" in table})


def make(gateway: Program, suite: Suite, path: str, item: str) -> None:
    """Make one of the things that the suite will read, so that it is its own."""
    headers = {"Authorization": f"Bearer {suite.keys[0]}", "Content-Type": "application/json", "x-suite-id": item}
    request = urllib.request.Request(gateway.url + path, json.dumps(OWNED[path]).encode(), headers)
    urllib.request.urlopen(request, timeout=30).close()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="the vendors' own SDK test suites, directly and through the gateway")
    parser.add_argument("--only", choices=SUITES, help="one suite")
    parser.add_argument("--tests", nargs="*", default=["tests/api_resources"], help="files or directories of the suite")
    parser.add_argument("--show", type=int, default=40, help="how many failures to list")
    arguments = parser.parse_args()
    names = [arguments.only] if arguments.only else list(SUITES)
    prepare(names)
    RESULTS.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="gs"))  # short: the store's socket lies below it
    try:
        verdicts = {name: run(SUITES[name], arguments.tests, directory) for name in names}
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    text = report(verdicts, arguments.show)
    (RESULTS / "suites.md").write_text(text)
    print(text)
    return 1 if any(one.failed for one in verdicts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
