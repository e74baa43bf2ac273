"""The watch by the admin listener: who stands where, a pardon, and what the operator knows, on a real store."""

from __future__ import annotations

import asyncio
import getpass
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from gateway.store.embedded import ensure_running
from gateway.store.redis import RedisLedger
from gateway.store.watch import Placement, WatchStore
from gateway.values import Rung
from gateway.watch.cases import CLUSTER, Case, Group, dossier_of, dossier_of_group
from gateway.watch.ladder import Footing
from gateway.watch.watcher import write_rung
from tests.e2e.test_contract import one
from tests.e2e.test_watch import FAR_US, analyst_of, attack, policy, watch
from tests.support import Gateway, environ, eventually, policies_of
from tests.watch.make import generator, honest

TOKEN = "an-admin-token-for-tests"
AT_US = 1_800_000_000_000_000


class Admin(NamedTuple):
    gateway: Gateway
    port: int

    def ask(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", token: str = TOKEN
    ) -> tuple[int, Any]:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


@pytest.fixture
def made(
    fresh: Callable[..., Gateway], free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Admin]]:
    monkeypatch.setenv("GAUGER_ADMIN_TOKEN", TOKEN)
    with policies_of(policy("enforce")) as path:

        def make(*flags: str) -> Admin:
            port = free_port()
            return Admin(fresh("--admin", f"127.0.0.1:{port}", *flags, policies=Path(path)), port)

        yield make


def place(data: Path, *placements: Placement, state: bytes = b"") -> None:
    async def main() -> None:
        ledger = await RedisLedger.connect(ensure_running(data).url)
        try:
            store = WatchStore(ledger.connection, entries_max=1_000)
            assert await store.lease("test", 60_000)
            assert await store.place("test", placements)
            assert await store.keep("test", "5-0", state) >= 0
        finally:
            await ledger.close()

    asyncio.run(main())


def standing(name: str, score: int, step: str, cluster: str = "") -> Placement:
    case = Case(name, "acme")
    case.footing, case.ladder, case.score, case.profile, case.requests = Footing(2, AT_US), "fast", score, "generator", 40
    case.cluster = cluster
    dossier = dossier_of(case, step, "notice" if cluster else "", is_shadow=False, review=step == "refuse", at_us=AT_US)
    return Placement(name, write_rung(Rung(name, "fast", step, 0, FAR_US)), dossier)


def now_us() -> int:
    return time.time_ns() // 1_000


def cluster(name: str, *members: str) -> Placement:
    group = Group(name)
    group.members, group.reasons, group.score = frozenset(members), ("shared payment: 2 tenants (usual: 1)",), 700
    return Placement(f"{CLUSTER}{name}", b"", dossier_of_group(group, {"fast": "notice"}, AT_US))


def test_who_stands_where_and_why(made: Callable[..., Admin]) -> None:
    """The list by its filters, the most suspicious first; a subject and a cluster with everything, and in words; an age and
    what is missing are told with it. What is not there is 404, and a filter that is none is told with those that are."""
    admin = made()
    place(
        admin.gateway.data, standing("burst", 900, "refuse", "c1"), standing("tokens", 600, "tighten"),
        standing("money", 100, "", "c1"), cluster("c1", "burst", "money"),
    )  # fmt: skip

    def names(query: str) -> list[str]:
        status, answer = admin.ask("GET", f"/watch{query}")
        assert status == 200, answer
        return [row["subject"] for row in answer["subjects"]]

    assert names("") == ["burst", "cluster:c1", "tokens", "money"]
    assert names("?review=1") == ["burst"]
    assert names("?step=tighten") == ["tokens"]
    assert names("?step=notice") == ["burst", "cluster:c1", "money"]
    assert names("?cluster=c1") == ["burst", "cluster:c1", "money"]
    assert names("?score=700") == ["burst", "cluster:c1"]
    assert names("?organisation=acme&ladder=fast") == ["burst", "tokens", "money"]
    assert names("?organisation=nobody") == []
    assert watch(admin.gateway, "list", "--step", "tighten").stdout.splitlines()[1].split()[0] == "tokens"
    _, answer = admin.ask("GET", "/watch")
    assert (answer["judged"], answer["left_off"], answer["analyst"]["is_active"]) == (4, 0, True)
    row = answer["subjects"][0]
    assert (row["score"], row["step"], row["cluster_step"], row["since"]) == (900, "refuse", "notice", "2027-01-15T08:00:00Z")

    status, told = admin.ask("GET", "/watch/burst")
    assert (status, told["score"], told["is_pardoned"]) == (200, 900, False)
    assert told["words"] == watch(admin.gateway, "show", "burst").stdout.splitlines()
    assert "on ladder fast: step refuse since 2027-01-15T08:00:00Z" in told["words"]
    status, told = admin.ask("GET", "/watch/clusters/c1")
    assert (status, told["members"]) == (200, ["burst", "money"])
    assert [row["subject"] for row in told["standings"]] == ["burst", "money"]
    assert "linked because shared payment: 2 tenants (usual: 1)" in told["words"]

    missing = [(now_us() - 60_000_000, "lost", 1_234), (now_us() - 9_000_000, "broken", 0), (1, "lost", 7)]
    place(admin.gateway.data, state=orjson.dumps({"read_us": 1, "recorded": "0", "missing": missing}))
    told = watch(admin.gateway, "list").stderr
    assert "1234 requests were never judged: the store keeps what `sightings` allows" in told
    assert "an unknown number of requests was never judged: a gateway was killed" in told
    assert len(told.splitlines()) == 2
    assert admin.ask("GET", "/watch")[1]["warnings"] == told.splitlines()

    for path, status, said in (
        ("/watch/nobody", 404, "there is no tenant 'nobody' in the policies"),
        ("/watch/burst/burst-1", 404, "burst/burst-1: nothing has been judged yet"),
        ("/watch/clusters/c9", 404, "there is no cluster c9"),
        ("/watch?stp=refuse", 400, "?stp: is not known; allowed: all, review, organisation, ladder, step, cluster, score"),
        ("/watch?review=yes", 400, "review: is to be one of 1, true, 0, false"),
        ("/watch?score=high", 400, "score: the least, per mille: 0 to 1000"),
    ):
        assert admin.ask("GET", path)[0] == status, path
        assert said in admin.ask("GET", path)[1]["error"]
    assert admin.ask("GET", "/watch", token="another-token-altogether")[0] == 401


def test_a_pardon_of_a_tenant_and_of_a_cluster(made: Callable[..., Admin]) -> None:
    """Gateways obey at once; who gave it is in the log; bad ones are told what is allowed, and pardon nobody."""
    admin = made()
    place(
        admin.gateway.data, standing("burst", 900, "refuse"), cluster("c1", "tokens", "money"), standing("money", 9, "refuse")
    )
    eventually(lambda: one(admin.gateway.url, "burst", honest(1))[0] == 403)
    for body, status, said in (
        (b"{", 400, "the body is no JSON"),
        ([], 400, 'the body is to be an object, as {"reason": '),
        ({"by": "ann"}, 400, "reason: is missing: it goes on record"),
        ({"by": 1, "reason": "x"}, 400, "by: is to be a text: it goes on record"),
        ({"by": "ann", "reason": " "}, 400, "reason: a line of 1 to 200 printable characters"),
        ({"by": "ann", "reason": "a\nb"}, 400, "reason: a line of 1 to 200 printable characters"),
        (
            {"by": "ann", "reason": "x", "days": 0},
            400,
            "days: for so long it does not climb again: a number above 0, up to 366",
        ),
        ({"by": "ann", "reason": "x", "days": True}, 400, "days: for so long"),
        ({"by": "ann", "reason": "x", "for": "7d"}, 400, "'for': is not known; allowed: reason, by, days"),
        (b" " * 20_000, 413, "the body is above 16384 bytes"),
    ):
        answer = admin.ask("POST", "/watch/burst/pardon", body)
        assert (answer[0], said in answer[1]["error"]) == (status, True), answer
    ann = {"by": "ann", "reason": "called, a school class", "days": 0.5}
    assert admin.ask("POST", "/watch/nobody/pardon", ann)[0] == 404
    assert admin.ask("POST", "/watch/clusters/c9/pardon", ann)[0] == 404
    assert one(admin.gateway.url, "burst", honest(2))[0] == 403

    status, answer = admin.ask("POST", "/watch/burst/pardon", ann)
    assert (status, answer["pardoned"]) == (200, ["burst"])
    eventually(lambda: one(admin.gateway.url, "burst", honest(3))[0] == 200)
    assert admin.ask("GET", "/watch/burst")[1]["is_pardoned"] is True
    status, answer = admin.ask("POST", "/watch/clusters/c1/pardon", ann)
    assert (status, answer["pardoned"]) == (200, ["cluster:c1", "money", "tokens"])
    eventually(lambda: one(admin.gateway.url, "money", honest(4))[0] == 200)

    def given() -> list[tuple[str, str, int]]:
        lines = [line for line in admin.gateway.log() if line["event"] == "watch_pardon_given"]
        return [(line["subject"], line["by"], line["members"]) for line in lines]

    eventually(lambda: given() == [("burst", "ann", 0), ("cluster:c1", "ann", 2)])


def test_facts(made: Callable[..., Admin], tmp_path: Path) -> None:
    """Stated in bulk in three formats, known by what and by whom, never as they were; forgotten by tenant or all. A mistake
    changes nothing. The command states the same under the same hashes."""
    admin = made()
    facts = {"burst": {"payment": "card-4711", "signup": "2027-01-31"}, "tokens": {"network": "203.0.113.7/24"}}
    assert admin.ask("PUT", "/watch/facts", {"by": "ann", "tenants": facts}) == (200, {"tenants": 2})
    _, answer = admin.ask("GET", "/watch/facts")
    assert {name: (row["known"], row["by"]) for name, row in answer["tenants"].items()} == {
        "burst": (["payment", "signup"], "ann"),
        "tokens": (["network"], "ann"),
    }
    csv = b"tenant,payment\nmoney,card-4711\n"
    assert admin.ask("PUT", "/watch/facts?by=bob", csv, "text/csv")[0] == 200
    kept = stated(admin.gateway.data)
    assert kept["money"]["payment"] == kept["burst"]["payment"]
    assert b"4711" not in orjson.dumps(kept)
    assert re.fullmatch(r"[0-9a-f]{32}", kept["burst"]["payment"])
    (tmp_path / "facts.jsonl").write_text('{"tenant": "money", "payment": "card-4711"}\n')
    assert watch(admin.gateway, "facts", str(tmp_path / "facts.jsonl")).returncode == 0
    known = [line.split()[:3] for line in watch(admin.gateway, "facts").stdout.splitlines()]
    assert known[1:3] == [["burst", "payment,", "signup"], ["money", "payment", getpass.getuser()]]
    assert stated(admin.gateway.data)["money"]["payment"] == kept["money"]["payment"]

    for path, body, content_type, status, said in (
        ("", {"tenants": facts}, "application/json", 400, "by: a line of 1 to 200"),
        ("", {"by": "ann"}, "application/json", 400, "tenants: is missing"),
        ("", {"by": "ann", "tenants": {}, "all": 1}, "application/json", 400, "'all': is not known; allowed: by, tenants"),
        ("?by=ann", csv, "text/plain", 415, "allowed: application/json, text/csv, application/x-ndjson"),
        ("?by=ann", b"tenant,payment\nmoney,x\nnobody,y\n", "text/csv", 422, "1 mistake in the facts; nothing was stated"),
        ("?from=ann", csv, "text/csv", 400, "?from: is not known; allowed: by"),
    ):
        answer = admin.ask("PUT", f"/watch/facts{path}", body, content_type)
        assert (answer[0], said in answer[1]["error"]) == (status, True), answer
    assert answer[0] == 400
    _, answer = admin.ask("PUT", "/watch/facts?by=ann", b"tenant,payment\nmoney,x\nnobody,y\n", "text/csv")
    assert [(each["line"], each["path"]) for each in answer["mistakes"]] == [(3, "nobody")]
    assert stated(admin.gateway.data)["money"]["payment"] == kept["money"]["payment"]

    assert admin.ask("DELETE", "/watch/facts/money")[0] == 400
    assert admin.ask("DELETE", "/watch/facts/money?by=ann") == (200, {"tenants": 1})
    assert admin.ask("DELETE", "/watch/facts/money?by=ann")[0] == 404
    assert set(admin.ask("GET", "/watch/facts")[1]["tenants"]) == {"burst", "tokens"}
    assert admin.ask("DELETE", "/watch/facts?by=ann") == (200, {"tenants": 2})
    assert admin.ask("GET", "/watch/facts")[1] == {"tenants": {}}
    assert stated(admin.gateway.data)["burst"].keys() == {"by", "at_us"}

    def said() -> list[tuple[str, int, int]]:
        lines = [line for line in admin.gateway.log() if line["event"] == "watch_facts_stated"]
        return [(line["by"], line["tenants"], line["forgotten"]) for line in lines]

    eventually(lambda: said() == [("ann", 2, 0), ("bob", 1, 0), ("ann", 1, 1), ("ann", 2, 2)])


def stated(data: Path) -> dict[str, dict[str, Any]]:
    async def main() -> dict[str, dict[str, Any]]:
        ledger = await RedisLedger.connect(ensure_running(data).url)
        try:
            facts = await WatchStore(ledger.connection, entries_max=1_000).facts()
        finally:
            await ledger.close()
        return {tenant: orjson.loads(each.data) for tenant, each in facts.items()}

    return asyncio.run(main())


def test_an_operators_afternoon(made: Callable[..., Admin]) -> None:
    """A campaign climbs, the operator reads of it and pardons it by one request; the analyst is killed and started again, and
    the pardon holds. Facts and pardon are in the evidence with who gave them."""
    admin = made("--analyst", "inside")
    seen: dict[str, dict[str, str]] = {}
    attack(admin.gateway, seen, lambda: "strip" in seen)
    eventually(lambda: admin.ask("GET", "/watch?step=strip")[1]["subjects"] != [], 30)
    assert any("looks like generator" in line for line in admin.ask("GET", "/watch/burst")[1]["words"])
    assert admin.ask("PUT", "/watch/facts", {"by": "ann", "tenants": {"burst": {"payment": "x"}}})[0] == 200
    assert admin.ask("POST", "/watch/burst/pardon", {"by": "ann", "reason": "a school class"})[0] == 200
    eventually(lambda: admin.ask("GET", "/watch/burst")[1]["is_pardoned"] is False, 30)
    assert any("pardoned at" in line and "by ann: a school class" in line
               for line in admin.ask("GET", "/watch/burst")[1]["words"])  # fmt: skip
    subprocess.run(["kill", "-9", str(analyst_of(admin.gateway))], check=True)
    eventually(lambda: sum(line["event"] == "analyst_active" for line in admin.gateway.log()) == 2, 60)
    for number in range(60):
        assert "x-gauger-watch" not in one(admin.gateway.url, "burst", generator(3_000 + number))[1]
    eventually(lambda: admin.ask("GET", "/watch")[1]["warnings"] == [], 60)
    words = admin.ask("GET", "/watch/burst")[1]["words"]
    assert any("by ann: a school class, and it does not climb until" in line for line in words)

    command = [sys.executable, "-m", "gateway.cli.main", "evidence", "export", "--data", str(admin.gateway.data)]
    command += ["--tenant", "burst", "--policies", str(admin.gateway.policies), "--out", str(admin.gateway.data / "e.jsonl")]
    told = subprocess.run(command, env=environ(), capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 0, told.stderr
    lines = [json.loads(line) for line in (admin.gateway.data / "e.jsonl").read_text().splitlines()]
    decisions = [line["body"] for line in lines if line.get("body", {}).get("kind") == "decision"]
    given = sorted((each["decision"], each["by"], each["reason"]) for each in decisions if each["by"])
    assert given == [("facts", "ann", "payment"), ("pardon", "ann", "a school class")]
