"""Slow clients, malformed HTTP, a store that is lost, a stop in mid-stream: what an operator is woken for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.store.embedded import ensure_running
from tests.e2e.test_bad_input import GOOD, raw
from tests.support import Gateway, ModelServer, environ, eventually, key


def head(tenant: str, length: int) -> bytes:
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key(tenant)}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def ask(gateway: Gateway, tenant: str) -> int:
    return raw(gateway, head(tenant, len(GOOD)).replace(b"Host: x", b"Host: x\r\nConnection: close") + GOOD)[0]


def stream_body(**script: int) -> bytes:
    model = "demo-small?" + "&".join(f"{name}={value}" for name, value in script.items())
    return json.dumps(
        {"model": model, "max_tokens": 100_000, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    ).encode()


def test_a_body_that_does_not_come(fresh: Callable[..., Gateway]) -> None:
    """408, not a place that is taken for ever."""
    gateway = fresh("--body-timeout", "200ms")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(head("free", 1000) + b"{")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 408 ")


def test_a_stream_that_is_not_read(fresh: Callable[..., Gateway], model: ModelServer) -> None:
    """It is cut off, its upstream is told, and its place is free."""
    gateway = fresh("--read-timeout", "300ms")
    body = stream_body(tokens=100_000)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", gateway.port))
        connection.sendall(head("parallel", len(body)) + body)
        line = gateway.record()
    assert line["ended"] == "client_left"
    assert model.over(model.last()) == "client_left"
    assert gateway.usage("parallel")["in-flight"]["held"] == 0


def test_whole_answers_that_are_not_read(fresh: Callable[..., Gateway]) -> None:
    """One socket once filled the memory: it asked, pipelined, and read nothing.

    The first round may grow the heap (garbage of thousands of requests waits for the collector); the next must not.
    """
    gateway = fresh("--read-timeout", "1s")

    def pour() -> None:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=2) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with contextlib.suppress(OSError):  # cut off, or no longer read
                for _ in range(400):
                    connection.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)

    pour()
    before = resident_bytes(gateway)
    pour()
    assert resident_bytes(gateway) - before < 30_000_000


def test_head_has_no_body(gateway: Gateway) -> None:
    """Or the next answer on the connection would begin in its middle."""
    request = b"HEAD /x HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while block := connection.recv(65_536):
            answer += block
    first, _, second = answer.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 404 ")
    assert second.startswith(b"HTTP/1.1 200 ")
    assert b"aiohttp" not in answer


def test_expect_100_continue(gateway: Gateway) -> None:
    """curl asks before it sends a large body: it is told to go on, or refused without sending it."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(head("free", len(GOOD)).replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"))
        assert connection.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(GOOD)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(head("free", 60_000_000).replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")


MALFORMED = {
    "TLS": b"\x16\x03\x01\x02\x00\x01",
    "a bad header": b"GET / HTTP/1.1\r\nA b: c\r\n\r\n",
    "a huge header": b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000,
    "no HTTP": b"GET /v1/models FTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_http(gateway: Gateway, request_bytes: bytes) -> None:
    """An API's error and a closed connection, without a word of what serves it."""
    status, body = raw(gateway, request_bytes)
    assert status == 400
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


def test_many_headers_before_a_key(gateway: Gateway) -> None:
    """Fifteen megabytes a connection could be filled with headers that were each allowed: together they are bounded too."""
    sent = b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %b\r\n" % (number, b"a" * 60_000) for number in range(3))
    status, body = raw(gateway, sent)
    assert (status, json.loads(body)["error"]["type"]) == (431, "invalid_request_error")
    prompt = b"y" * 300_000
    body = json.dumps({"model": "demo-small", "messages": [{"role": "user", "content": prompt.decode()}]}).encode()
    large = head("free", len(body)).replace(b"Host: x", b"Host: x\r\nConnection: close\r\nCookie: " + b"a" * 60_000) + body
    assert raw(gateway, large)[0] == 200


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Content-Length: +5\r\n",
    ],
)
def test_ambiguous_framing_is_refused(gateway: Gateway, framing: bytes) -> None:
    """A request that two parsers could cut differently is no request."""
    answer = raw(gateway, b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n0\r\n\r\n")
    assert answer[0] == 400


def test_a_lost_store_leaves_a_local_share(fresh: Callable[..., Gateway], tmp_path: Path) -> None:
    """While the store is gone each gateway spends a tenth of a budget; when it is back, the counts are as they were."""
    gateway = fresh()
    assert [ask(gateway, "burst") for _ in range(3)] == [200] * 3
    os.kill(store_pid(gateway), signal.SIGSTOP)
    try:
        assert [ask(gateway, "burst") for _ in range(2)] == [200, 429]  # one is a tenth of ten
        assert gateway.record(4)["held_locally"] is True
        assert [line["side"] for line in gateway.log() if line["event"] == "store_lost"] == ["store"]
    finally:
        os.kill(store_pid(gateway), signal.SIGCONT)
    eventually(lambda: ask(gateway, "shadow") and any(line["event"] == "store_back" for line in gateway.log()), 20)
    assert gateway.usage("burst")["ten-a-minute"]["used"] <= 3


def test_a_lost_store_can_refuse(fresh: Callable[..., Gateway]) -> None:
    """The other choice: 503 with a retry, and readiness says so."""
    gateway = fresh("--store-loss", "refuse", "--store-timeout", "300ms")
    assert ask(gateway, "burst") == 200
    os.kill(store_pid(gateway), signal.SIGSTOP)
    try:
        assert ask(gateway, "burst") == 503
        readyz = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        eventually(lambda: raw(gateway, readyz)[0] == 503)  # its last word holds for a second
        assert raw(gateway, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")[0] == 200
    finally:
        os.kill(store_pid(gateway), signal.SIGCONT)


def test_a_client_that_leaves_while_the_upstream_is_dialled(contract_dir: Path, fresh: Callable[..., Gateway]) -> None:
    """Nothing was sent, so nothing is charged."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        first = fresh()
        gateway = Gateway(contract_dir, f"http://127.0.0.1:{deaf.getsockname()[1]}", first.data, wait=False)
        try:
            eventually(lambda: any(line["event"] == "serving" for line in gateway.log()))
            with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
                connection.sendall(head("burst", len(GOOD)) + GOOD)
                eventually(lambda: first.usage("burst")["ten-a-minute"]["remaining"] == 9)
            assert gateway.record()["ended"] == "upstream_unreached"
            eventually(lambda: first.usage("burst")["ten-a-minute"]["remaining"] == 10)
        finally:
            gateway.close()
            for filler in fillers:
                filler.close()


def test_a_full_log_does_not_hold_up_the_stop(contract_dir: Path, model: ModelServer, fresh: Callable[..., Gateway]) -> None:
    """Nobody reads the gateway's standard output: it serves, and it stops."""
    first = fresh()
    listen = socket.create_server(("127.0.0.1", 0))
    port = listen.getsockname()[1]
    listen.close()
    command = [sys.executable, "-m", "gateway.cli.main", "serve", "--policies", str(contract_dir), "--upstream", model.url]
    command += ["--listen", f"127.0.0.1:{port}", "--data", str(first.data), "--drain", "1s"]
    with subprocess.Popen(command, env=environ(), stdout=subprocess.PIPE) as process:

        def answers() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                    connection.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
                    return connection.recv(100).startswith(b"HTTP/1.1 404 ")
            except OSError:
                return False

        eventually(answers, 20)
        assert all(answers() for _ in range(3))  # more lines than a pipe holds
        process.terminate()
        assert process.wait(20) == 0


def resident_bytes(gateway: Gateway) -> int:
    return int(Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1]) * 4096


def store_pid(gateway: Gateway) -> int:
    """The embedded server that this gateway started."""
    for task in Path(f"/proc/{gateway.process.pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            return int(child)
    raise AssertionError("the gateway has no store of its own")


def test_a_stop_lets_streams_end(fresh: Callable[..., Gateway]) -> None:
    """SIGTERM: what runs is finished and settled, then the process ends with 0."""
    gateway = fresh("--drain", "10s")
    body = stream_body(tokens=40, gap_ms=25)
    received = []

    def read() -> None:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
            connection.sendall(head("tokens", len(body)).replace(b"Host: x", b"Host: x\r\nConnection: close") + body)
            while block := connection.recv(65_536):
                received.append(block)

    body = body.replace(b"100000", b"50")
    reader = threading.Thread(target=read)
    reader.start()
    eventually(lambda: len(received) > 3)
    assert gateway.stop() == 0
    reader.join(10)
    assert b"data: [DONE]" in b"".join(received)
    assert gateway.record()["usage"]["output_tokens"] == 40


def test_the_stores_setup_is_told(
    fresh: Callable[..., Gateway], contract_dir: Path, model: ModelServer, tmp_path: Path
) -> None:
    """An external store that may evict counters is named at the start, and the gateway serves on it."""
    first = fresh()
    url = ensure_running(first.data).url
    gateway = Gateway(contract_dir, model.url, first.data, "--store", url)
    try:
        assert ask(gateway, "burst") == 200
        assert [line["reason"] for line in gateway.log() if line["event"] == "store_setup"] == []
        assert first.usage("burst")["ten-a-minute"]["used"] == 1
    finally:
        gateway.close()


def test_bad_starts_say_what_is_wrong(contract_dir: Path, tmp_path: Path) -> None:
    """Every mistake at once, on stderr, with 2; nothing is started."""
    (tmp_path / "bad.yaml").write_text(
        "version: 1\nplans:\n  p: {budgets: [{name: b, metre: requests, limit: 0, per: minute}]}\n"
    )

    def start(*flags: str, **env: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "gateway.cli.main", "serve", *flags]
        done = subprocess.run(command, env={**environ(), **env}, capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stderr

    code, text = start("--policies", str(tmp_path))
    assert code == 2
    assert "bad.yaml:3:" in text
    assert "did you mean `meter`?" in text
    assert text.count("bad.yaml:3:") >= 2
    code, text = start("--listen", "nowhere", "--lease", "soon", "--upstream", "ftp://x")
    assert (code, text.count("is not allowed")) == (2, 2)
    code, text = start("--policies", str(contract_dir), GAUGER_SECRET="")
    assert (code, "GAUGER_SECRET" in text) == (2, True)
    code, text = start("--policies", str(contract_dir), "--upstream", "ftp://x")
    assert (code, "ftp" in text) == (2, True)
    code, text = start("--policies", str(contract_dir), AIOHTTP_NO_EXTENSIONS="1")
    assert (code, "C parser" in text) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        started_s = time.monotonic()
        code, text = start("--policies", str(contract_dir), "--listen", listen, "--data", str(tmp_path / "d"))
    assert (code, "cannot listen" in text) == (2, True), time.monotonic() - started_s
