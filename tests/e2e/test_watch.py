"""The watch through the whole gateway: a real store, a real analyst, an attack, and an honest tenant beside it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from gateway.policy.keys import digest
from gateway.store.embedded import ensure_running
from gateway.store.redis import RedisLedger
from gateway.store.watch import Placement, WatchStore
from gateway.values import Rung
from gateway.watch.watcher import write_rung
from tests.e2e.test_contract import one
from tests.support import SECRET, Gateway, environ, eventually, key, policies_of
from tests.watch.make import generator, honest

TENANT = '{{organisation: {organisation}, plan: p, keys: [{{id: {name}-1, hash: "hmac-sha256:{hash}"}}]}}'
PROBLEM = "https://iana.org/assignments/http-problem-types#abnormal-usage-detected"


def policy(mode: str, *, cluster: str = "requests, limit: 10", plan: str = "", marked: str = "true") -> str:
    tenants = "".join(
        f"  {name}: {TENANT.format(organisation=where, name=name, hash=digest(SECRET.encode(), key(name)))}\n"
        for name, where in (("burst", "acme"), ("tokens", "other"), ("money", "acme"))
    )
    return f"""
version: 1
models: [{{match: "*", max_output_tokens: 1000}}]
watch: {{ladder: fast}}
ladders:
  fast:
    mode: {mode}
    marked: {marked}
    climb_every: 1s
    delay: 1s
    jitter: 1s
    calm_after: 1h
    requests_min: 20
    steps:
      - {{name: notice, score: 70%, notify: true}}
      - {{name: tighten, score: 75%, budgets: 50%}}
      - {{name: strip, score: 80%, output: {{max_tokens: 5, drop: [logprobs]}}}}
      - {{name: refuse, score: 85%, refuse: true}}
    cluster:
      budgets: [{{name: shared, meter: {cluster}, per: hour, window: rolling}}]
organisations: {{acme: {{}}, other: {{}}}}
plans:
  p:
    budgets: [{{name: many, meter: requests, limit: 1000, per: hour, window: rolling}}]
{plan}
tenants:
{tenants}"""


def watch(gateway: Gateway, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli.main", "watch", *words]
    command += ["--policies", str(gateway.policies), "--data", str(gateway.data)]
    return subprocess.run(command, env=environ(), capture_output=True, text=True, check=False, timeout=60)


def attack(gateway: Gateway, seen: dict[str, dict[str, str]], until: Callable[[], bool]) -> None:
    """A generator that goes on until something has come of it; `seen` gets the first answer's headers of each step."""
    numbers = iter(range(1_000))

    def is_over() -> bool:
        body = {**generator(next(numbers)), "logprobs": True}
        status, headers, answer = one(gateway.url, "burst", body)
        seen.setdefault(headers.get("x-gauger-watch", ""), {**headers, "status": str(status), "body": json.dumps(answer)})
        return until()

    eventually(is_over, 60)


def test_an_attack_climbs_and_a_pardon_lets_it_go(fresh: Callable[..., Gateway]) -> None:
    """Step by step: marked, half the limit, shorter answers without logprobs, refused. An honest tenant beside it meets nothing
    of this. What is known of it can be read, and one command undoes it. No word of a prompt is in the log or the store."""
    with policies_of(policy("enforce")) as path:
        gateway = fresh("--analyst", "inside", policies=Path(path))
        honest_statuses = Counter(one(gateway.url, "tokens", honest(number))[0] for number in range(30))
        seen: dict[str, dict[str, str]] = {}
        attack(gateway, seen, lambda: "refuse" in seen)
        assert list(seen) == ["", "notice", "tighten", "strip", "refuse"]
        assert [seen[step]["x-ratelimit-limit-requests"] for step in ("notice", "tighten", "strip")] == ["1000", "500", "500"]
        assert (seen["strip"]["x-gauger-max-tokens"], seen["strip"]["x-gauger-dropped"]) == ("5", "logprobs")
        assert (seen["refuse"]["status"], seen["refuse"]["x-gauger-problem"]) == ("403", PROBLEM)
        told = json.loads(seen["refuse"]["body"])["error"]
        assert (told["code"], told["type"]) == ("abnormal_usage_detected", "invalid_request_error")
        assert not {word for word in ("generator", "invent", "template", "score", "cluster") if word in told["message"]}

        status, headers, _ = one(gateway.url, "tokens", honest(99))
        honest_statuses[status] += 1
        assert (honest_statuses, "x-gauger-watch" in headers) == ({200: 31}, False)
        assert {line["subject"] for line in gateway.log() if line["event"].startswith("watch_")} == {"burst"}

        shown = watch(gateway, "show", "burst").stdout
        assert "on ladder fast: step refuse since" in shown
        assert "strip: output: drop logprobs, max_tokens 5" in shown
        assert "looks like generator" in shown
        assert "asks the model to invent tasks, instructions, questions or problems: 100%" in shown
        assert watch(gateway, "list").stdout.splitlines()[1].split()[0] == "burst"

        pardoned = watch(gateway, "pardon", "burst", "--reason", "a school class")
        assert pardoned.returncode == 0, pardoned.stderr
        eventually(lambda: one(gateway.url, "burst", generator(2_000))[0] == 200)
        assert "x-gauger-watch" not in one(gateway.url, "burst", generator(2_001))[1]
        eventually(lambda: "pardoned at" in watch(gateway, "show", "burst").stdout, 30)
        assert any(line["event"] == "watch_pardon" and line["reason"] == "a school class" for line in gateway.log())

        for words in (("show", "nobody"), ("pardon", "nobody", "--reason", "x"), ("pardon", "burst", "--reason", " ")):
            refused = watch(gateway, *words)
            assert (refused.returncode, refused.stdout) == (2, "")
        texts = " ".join(body["messages"][0]["content"] for body in (generator(0), generator(1), honest(1)))
        words = {word.strip(".,;:()\"'").encode() for word in texts.split() if len(word) > 8}
        kept = everything(gateway.data)
        assert len(kept) > 1_000
        assert {word for word in words if word in kept or word in gateway.log_path.read_bytes()} == set()


def everything(data: Path) -> bytes:
    """Every key and value of the store, as they stand there."""
    server = ensure_running(data)
    with redis.Redis.from_url(server.url) as client:
        found = []
        for name in client.scan_iter(count=1_000):
            kind = client.type(name)
            read = {b"hash": client.hgetall, b"string": client.get, b"stream": client.xrange}.get(kind)
            found.append(repr((name, read(name) if read else None)))
        return "".join(found).encode()


def test_shadow_changes_nothing(fresh: Callable[..., Gateway]) -> None:
    """The same attack in shadow: every answer is as if nobody looked, and what would have been done is on record."""
    with policies_of(policy("shadow")) as path:
        gateway = fresh("--analyst", "inside", policies=Path(path))
        seen: dict[str, dict[str, str]] = {}

        def refused_in_shadow() -> bool:
            return any(record.get("watch", {}).get("step") == "refuse" for record in gateway.records())

        attack(gateway, seen, refused_in_shadow)
        assert list(seen) == [""]
        records = gateway.records()
        assert {record["status"] for record in records} == {200}
        assert {record["watch"]["mode"] for record in records if "watch" in record} == {"shadow"}
        assert not any("dropped" in record or "max_tokens" in record for record in records)


def place(data: Path, *rungs: Rung) -> None:
    """Say where subjects stand, as an analyst would."""

    async def main() -> None:
        ledger = await RedisLedger.connect(ensure_running(data).url)
        try:
            store = WatchStore(ledger.connection, entries_max=1_000)
            assert await store.lease("test", 60_000)
            assert await store.place("test", [Placement(rung.subject, write_rung(rung)) for rung in rungs])
        finally:
            await ledger.close()

    asyncio.run(main())


FAR_US = 4_000_000_000_000_000


def member(name: str) -> Rung:
    return Rung(name, "fast", "", 0, FAR_US, "c1", "notice")


def test_a_cluster_shares_one_budget_exactly(fresh: Callable[..., Gateway]) -> None:
    """Two tenants of two organisations, through two gateways, sixty at once: ten pass, whoever sends them. The others are told
    when to come back and nothing else, and their own budgets are charged for what passed alone."""
    with policies_of(policy("enforce")) as path:
        gateways = [fresh(policies=Path(path)) for _ in range(2)]
        place(gateways[0].data, member("burst"), member("tokens"))
        for gateway in gateways:
            eventually(lambda gateway=gateway: "x-gauger-watch" in head_of(gateway, "burst"))  # type: ignore[misc]
        spent = len(gateways)  # the first answer of each that was marked
        before = [gateways[0].usage(name)["many"]["used"] for name in ("burst", "tokens")]

        def send(number: int) -> tuple[int, dict[str, str], Any]:
            return one(gateways[number % 2].url, ("burst", "tokens")[number // 2 % 2], honest(number))

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(send, range(60)))
        assert Counter(status for status, _, _ in answers) == {200: 10 - spent, 429: 50 + spent}
        refused = next((headers, body) for status, headers, body in answers if status == 429)
        assert refused[0]["x-gauger-problem"] == PROBLEM
        assert int(refused[0]["retry-after"]) > 60
        assert not any(character.isdigit() for character in refused[1]["error"]["message"])
        eventually(lambda: all(gateways[0].usage(name)["many"]["held"] == 0 for name in ("burst", "tokens")))
        after = [gateways[0].usage(name)["many"]["used"] for name in ("burst", "tokens")]
        assert sum(after) - sum(before) == 10 - spent
        assert one(gateways[0].url, "money", honest(1))[0] == 200


def head_of(gateway: Gateway, tenant: str) -> dict[str, str]:
    return one(gateway.url, tenant, honest(0))[1]


def test_whoever_is_refused_is_refused_everywhere(fresh: Callable[..., Gateway]) -> None:
    """In both vendors' formats, and where nothing is looked at: forms, sessions, embeddings. Lists of models stay open."""
    with policies_of(policy("enforce", plan='    endpoints: ["*"]\n')) as path:
        gateway = fresh(policies=Path(path))
        place(gateway.data, Rung("burst", "fast", "refuse", 0, FAR_US))

        def ask(path: str, data: bytes | None, content_type: str = "application/json") -> tuple[int, str, dict[str, Any]]:
            headers = {"Authorization": f"Bearer {key('burst')}", "Content-Type": content_type}
            request = urllib.request.Request(f"{gateway.url}{path}", data=data, headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return answer.status, "", {}
            except urllib.error.HTTPError as error:
                return error.code, error.headers.get("x-gauger-problem", ""), json.loads(error.read())

        chat = json.dumps(honest(1)).encode()
        eventually(lambda: ask("/v1/chat/completions", chat)[0] == 403)
        messages = ask("/v1/messages", chat)
        assert messages[:2] == (403, PROBLEM)
        assert (messages[2]["type"], messages[2]["error"]["type"]) == ("error", "permission_error")
        form = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\ndemo-small\r\n--x--\r\n'
        for path_, data, content_type in (
            ("/v1/embeddings", json.dumps({"model": "demo-small", "input": "x"}).encode(), "application/json"),
            ("/v1/audio/transcriptions", form, "multipart/form-data; boundary=x"),
        ):
            assert ask(path_, data, content_type)[:2] == (403, PROBLEM)
        assert ask("/v1/models", None)[0] == 200


def test_a_step_reaches_a_session_that_is_open(fresh: Callable[..., Gateway]) -> None:
    """Sessions were a way round every step but a refusal, and round that once they were open: the next response obeys now."""
    with policies_of(policy("enforce", plan='    endpoints: ["*"]\n')) as path:
        gateway = fresh(policies=Path(path))
        create = json.dumps({"type": "response.create", "response": {"output_modalities": ["text"]}})
        with connect(
            f"ws://{gateway.url.removeprefix('http://')}/v1/realtime?model=demo-small%3Ftokens%3D40",
            additional_headers={"Authorization": f"Bearer {key('burst')}"},
        ) as session:

            def tokens() -> int:
                session.send(create)
                while (event := json.loads(session.recv(timeout=20)))["type"] not in ("response.done", "error"):
                    pass
                return -1 if event["type"] == "error" else int(event["response"]["usage"]["output_tokens"])

            assert tokens() == 40
            place(gateway.data, Rung("burst", "fast", "strip", 0, FAR_US))
            eventually(lambda: tokens() == 5)
            place(gateway.data, Rung("burst", "fast", "refuse", 0, FAR_US))
            eventually(lambda: tokens() == -1)
            with pytest.raises(ConnectionClosed):
                session.recv(timeout=20)
            assert session.close_code == 1008
        eventually(lambda: gateway.usage("burst")["many"]["held"] == 0)


def test_a_stream_runs_as_far_as_its_cluster_holds(fresh: Callable[..., Gateway]) -> None:
    """A stream that holds a little ahead is cut in its own protocol where the cluster's tokens end."""
    plan = "    output: {hold_ahead: 16}\n"
    with policies_of(policy("enforce", cluster="output_tokens, limit: 100", plan=plan)) as path:
        gateway = fresh(policies=Path(path))
        place(gateway.data, member("burst"))
        eventually(lambda: "x-gauger-watch" in head_of(gateway, "burst"))
        body = {**honest(1), "model": "demo-small?tokens=400", "max_tokens": 400, "stream": True}
        request = urllib.request.Request(
            f"{gateway.url}/v1/chat/completions",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {key('burst')}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read().decode()
        assert '"finish_reason":"length"' in text.replace(" ", "")
        assert text.rstrip().endswith("data: [DONE]")
        eventually(lambda: any(record["stream"] for record in gateway.records()))
        (record,) = [record for record in gateway.records() if record["stream"]]
        assert (record["ended"], record["cut"]) == ("cut", "budget")
        assert 0 < record["usage"]["output_tokens"] <= 100
        assert one(gateway.url, "burst", {**body, "stream": False})[0] == 429


def test_an_analyst_that_is_killed(fresh: Callable[..., Gateway]) -> None:
    """It is started again and goes on from where it was: who stood on a step stands there, before and after."""
    with policies_of(policy("enforce")) as path:
        gateway = fresh("--analyst", "inside", policies=Path(path))
        seen: dict[str, dict[str, str]] = {}
        attack(gateway, seen, lambda: "tighten" in seen)
        os.kill(analyst_of(gateway), signal.SIGKILL)
        eventually(lambda: any(line["event"] == "analyst_died" for line in gateway.log()))
        assert "x-gauger-watch" in one(gateway.url, "burst", generator(900))[1]
        eventually(lambda: sum(line["event"] == "analyst_active" for line in gateway.log()) == 2, 60)
        attack(gateway, seen, lambda: "refuse" in seen)
        assert list(seen)[1:] == ["notice", "tighten", "strip", "refuse"]
        assert gateway.stop() == 0


def analyst_of(gateway: Gateway) -> int:
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split()
    (pid,) = [int(child) for child in children if b"\0analyst\0" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return pid


def test_a_ladder_that_is_not_marked_leaves_no_mark(fresh: Callable[..., Gateway]) -> None:
    """A step that strips and clamps says nothing of it, in answers, streams and forms; marked, it does in all of them."""
    form = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\ndemo-small\r\n'
    form += b'--x\r\nContent-Disposition: form-data; name="image[]"; filename="a.png"\r\n\r\nx\r\n'
    form += b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na house\r\n--x--\r\n'
    for marked in ("true", "false"):
        with policies_of(policy("enforce", marked=marked, plan='    endpoints: ["*"]\n')) as path:
            gateway = fresh(policies=Path(path))
            place(gateway.data, Rung("burst", "fast", "strip", 0, FAR_US))
            body = {**honest(1), "model": "demo-small?tokens=40", "max_tokens": 40, "logprobs": True}

            def shortened(gateway: Gateway = gateway, body: dict[str, Any] = body) -> bool:
                return bool(one(gateway.url, "burst", body)[2]["usage"]["completion_tokens"] == 5)

            eventually(shortened)
            told = [headers_of(gateway, json.dumps({**body, "stream": stream}).encode()) for stream in (False, True)]
            told.append(headers_of(gateway, form, "images/edits", "multipart/form-data; boundary=x"))
            names = [{name for name in headers if name in MARKS} for headers in told]
            assert names == ([MARKS, MARKS, {"x-gauger-watch"}] if marked == "true" else [set(), set(), set()])


MARKS = {"x-gauger-watch", "x-gauger-dropped", "x-gauger-max-tokens"}


def headers_of(
    gateway: Gateway, data: bytes, path: str = "chat/completions", content_type: str = "application/json"
) -> dict[str, str]:
    request = urllib.request.Request(
        f"{gateway.url}/v1/{path}",
        data=data,
        headers={"Authorization": f"Bearer {key('burst')}", "Content-Type": content_type},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read()) from error


def test_the_operator_is_told_what_is_old(fresh: Callable[..., Gateway]) -> None:
    """Without an analyst a pardon holds at once; what is printed says that nobody judges, and that it is still to be read."""
    with policies_of(policy("enforce")) as path:
        gateway = fresh("--analyst", "inside", policies=Path(path))
        seen: dict[str, dict[str, str]] = {}
        attack(gateway, seen, lambda: "refuse" in seen)
        eventually(lambda: "to undo it: gauger watch pardon burst --reason" in watch(gateway, "show", "burst").stdout, 30)
        assert watch(gateway, "show", "burst").stderr == ""
        pid = analyst_of(gateway)
        os.kill(pid, signal.SIGSTOP)
        try:
            assert watch(gateway, "pardon", "burst", "--reason", "called").returncode == 0
            eventually(lambda: one(gateway.url, "burst", generator(2_000))[0] == 200)
            assert "burst has been pardoned since" in watch(gateway, "show", "burst").stderr
            eventually(lambda: "no analyst is active" in watch(gateway, "list").stderr, 30)
        finally:
            os.kill(pid, signal.SIGCONT)
        eventually(lambda: watch(gateway, "list").stderr == "", 30)
        assert one(gateway.url, "burst", generator(2_001))[0] == 200
