"""Policies that change under a running gateway: by their files, by a signal, by the admin listener; and unusable ones."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_contract import one
from tests.e2e.test_remedies import chat, tenant
from tests.support import Gateway, eventually, policies_of

TOKEN = "an-admin-token-for-tests"


def policy(limit: int) -> str:
    return f"""
version: 1
organisations: {{acme: {{}}}}
plans:
  open: {{budgets: [{{name: an-hour, meter: requests, limit: {limit}, per: hour, window: rolling}}]}}
tenants:
  {tenant("burst", "open")}
"""


class Admin:
    """The admin listener of a gateway."""

    def __init__(self, gateway: Gateway, port: int, token: str = TOKEN) -> None:
        self.gateway, self._url, self._token = gateway, f"http://127.0.0.1:{port}", token

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        return 200, json.loads(text) if text.startswith("{") else text


@pytest.fixture
def admin(fresh: Callable[..., Gateway], free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("GAUGER_ADMIN_TOKEN", TOKEN)
    with policies_of(policy(2)) as path:
        port = free_port()
        yield Admin(fresh("--admin", f"127.0.0.1:{port}", policies=path), port)


def write(admin: Admin, text: str) -> None:
    path = admin.gateway.policies / "0.yaml"
    aside = path.with_suffix(".tmp")
    aside.write_text(text)
    os.replace(aside, path)


def reloads(admin: Admin) -> int:
    return admin.ask("GET", "/policy")[1]["reloads"]


def statuses(admin: Admin, count: int) -> list[int]:
    return [one(admin.gateway.url, "burst", chat())[0] for _ in range(count)]


def test_a_limit_that_changes_keeps_what_was_used(admin: Admin) -> None:
    """Files that change are read; three more requests fit where two of five were used."""
    assert statuses(admin, 3) == [200, 200, 429]
    write(admin, policy(5))
    eventually(lambda: reloads(admin) == 1)
    assert statuses(admin, 4) == [200, 200, 200, 429]


def test_a_policy_that_cannot_be_used_changes_nothing(admin: Admin) -> None:
    """The last good one stays, and the log, the metrics and the admin listener say so until it is mended."""
    write(admin, policy(5).replace("limit", "limits"))
    eventually(lambda: admin.ask("GET", "/policy")[1]["last_reload"] == "failed")
    state = admin.ask("GET", "/policy")[1]
    assert [mistake["line"] for mistake in state["mistakes"]] == [5, 5]
    assert statuses(admin, 3) == [200, 200, 429]
    assert "\ngauger_policy_last_reload_failed 1\n" in admin.ask("GET", "/metrics")[1]
    eventually(lambda: [line["count"] for line in admin.gateway.log() if line["event"] == "policy_refused"] == [2])
    write(admin, policy(5))
    eventually(lambda: reloads(admin) == 1)
    assert admin.ask("GET", "/policy")[1]["last_reload"] == "ok"
    assert "\ngauger_policy_last_reload_failed 0\n" in admin.ask("GET", "/metrics")[1]


def test_a_signal_reads_the_files_again(admin: Admin) -> None:
    """Where the file system tells of no changes."""
    path: Path = admin.gateway.policies
    aside = path.with_name(f"{path.name}-aside")
    shutil.move(path, aside)  # a directory that goes is no longer watched
    aside.joinpath("0.yaml").write_text(policy(5))
    shutil.move(aside, path)
    admin.gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: reloads(admin) == 1)
    assert statuses(admin, 6) == [200, 200, 200, 200, 200, 429]


def test_a_pushed_set_takes_the_place_of_the_files(admin: Admin) -> None:
    """In one step, and on disk too; a set with mistakes changes nothing."""
    status, answer = admin.ask("PUT", "/policy", {"files": {"new.yaml": policy(5).replace("open", "wide")}})
    assert (status, answer["reloads"]) == (200, 1)
    assert os.listdir(admin.gateway.policies) == ["new.yaml"]
    status, answer = admin.ask("PUT", "/policy", {"files": {"new.yaml": "version: 1\nplan: {}\n"}})
    assert (status, [mistake["file"] for mistake in answer["mistakes"]]) == (422, ["new.yaml"])
    assert admin.ask("PUT", "/policy", {"file": {}})[0] == 400
    assert statuses(admin, 6) == [200, 200, 200, 200, 200, 429]


def test_nothing_is_told_without_the_token(admin: Admin) -> None:
    """Not even whether a path exists."""
    stranger = Admin(admin.gateway, 0, "a-guess-of-somebody-else")
    stranger._url = admin._url
    assert {stranger.ask("GET", path)[0] for path in ("/policy", "/metrics", "/nothing")} == {401}
    assert admin.ask("GET", "/nothing")[0] == 404
    assert admin.ask("DELETE", "/policy")[0] == 405


def test_a_refusal_is_explained(admin: Admin) -> None:
    """Which budget, from which line, with the numbers of that moment."""
    answers = [one(admin.gateway.url, "burst", chat()) for _ in range(3)]
    status, why = admin.ask("GET", f"/requests/{answers[2][1]['x-request-id']}")
    (budget,) = why["budgets"]
    assert (status, why["reason"], why["tenant"]) == (200, "budget:an-hour", "burst")
    assert (Path(budget["file"]).name, budget["line"]) == ("0.yaml", 5)
    assert [budget[name] for name in ("limit", "used", "held", "remaining", "asked", "is_in_the_way")] == [2, 2, 0, 0, 1, True]
    assert admin.ask("GET", "/requests/req_none")[0] == 404
    assert 'gauger_refusals_total{side="tenant",reason="budget:an-hour"} 1\n' in admin.ask("GET", "/metrics")[1]


def test_reloads_under_load_fail_no_request(admin: Admin) -> None:
    """A hundred reloads while requests run: each of them is answered, by one policy or the other."""
    seen: list[int] = []
    is_over = threading.Event()

    def load() -> None:
        while not is_over.is_set():
            seen.append(one(admin.gateway.url, "burst", chat())[0])

    write(admin, policy(100_000))
    eventually(lambda: reloads(admin) == 1)
    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(100):
        (admin.gateway.policies / "0.yaml").write_text(policy(100_000 + number % 2 + 1))
        assert admin.ask("POST", "/policy/reload")[0] == 200
    is_over.set()
    for thread in threads:
        thread.join()
    assert set(seen) == {200}
    assert reloads(admin) >= 100
