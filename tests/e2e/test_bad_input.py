"""Bad input gets the wire's own error, and nothing is counted for it."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.support import Gateway, key

GOOD = b'{"model":"demo-small","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}'


def raw(gateway: Gateway, request: bytes) -> tuple[int, bytes]:
    """Send bytes as they are; the status and body of the answer (b"" when there is none)."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while block := connection.recv(65_536):
            answer += block
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def post(
    gateway: Gateway, body: bytes, *, path: str = "/v1/chat/completions", headers: str = "", tenant: str = "burst"
) -> tuple[int, bytes]:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {key(tenant)}\r\n"
        f"Content-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return raw(gateway, head.encode() + body)


BODIES = {
    "no JSON": b"{",
    "empty": b"",
    "an array": b"[]",
    "a string": b'"x"',
    "a key twice": GOOD[:-1] + b',"model":"demo-large"}',
    "a key twice, spelt with an escape": GOOD[:-1] + b',"mod\\u0065l":"demo-large"}',
    "a key twice, with white space": GOOD[:-1] + b',"model" :"demo-large"}',
    "a key twice in a message": GOOD.replace(b'"role":"user"', b'"role":"user","role":"system"'),
    "a key in another case": GOOD[:-1] + b',"Max_Tokens":100000}',
    "a key with a Kelvin sign": GOOD[:-1] + ',"max_to\u212aens":100000}'.encode(),
    "a key in full-width letters": GOOD[:-1] + ',"\uff4d\uff4f\uff44\uff45\uff4c":"x"}'.encode(),
    "two keys of a message that differ by case": GOOD.replace(b'"role":"user"', b'"role":"user","Role":"system"'),
    "NaN": GOOD[:-1] + b',"temperature":NaN}',
    "infinity": GOOD[:-1] + b',"temperature":1e999}',
    "max_tokens as a string": GOOD.replace(b"5", b'"5"'),
    "max_tokens negative": GOOD.replace(b"5", b"-5"),
    "max_tokens a float": GOOD.replace(b"5", b"5.0"),
    "max_tokens a bool": GOOD.replace(b"5", b"true"),
    "n a string": GOOD[:-1] + b',"n":"2"}',
    "n huge": GOOD[:-1] + b',"n":100000}',
    "stream a string": GOOD[:-1] + b',"stream":"true"}',
    "nested 20,000 deep": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "an array nested 20,000 deep": b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "not UTF-8": GOOD.replace(b"Hi", b"\xff\xfe"),
    "a lone surrogate": GOOD.replace(b"Hi", b"\\ud800"),
    "no model": b'{"messages":[{"role":"user","content":"Hi"}]}',
    "a model with a line break": GOOD.replace(b"demo-small", b"demo\\nsmall"),
    "no messages": b'{"model":"demo-small"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_bad_bodies(gateway: Gateway, body: bytes) -> None:
    """400 in OpenAI's shape."""
    status, answer = post(gateway, body)
    error = json.loads(answer)["error"]
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert error["message"]


@pytest.mark.parametrize("body", [BODIES["no JSON"], BODIES["an array"], BODIES["a key twice"], GOOD.replace(b"5", b"-5")])
def test_bad_bodies_on_the_other_wire(gateway: Gateway, body: bytes) -> None:
    """400 in Anthropic's shape."""
    status, answer = post(gateway, body, path="/v1/messages")
    told = json.loads(answer)
    assert (status, told["type"], told["error"]["type"]) == (400, "error", "invalid_request_error")


def test_messages_want_max_tokens(gateway: Gateway) -> None:
    """As the vendor does: max_tokens is required on this wire."""
    status, answer = post(gateway, b'{"model":"demo-small","messages":[{"role":"user","content":"Hi"}]}', path="/v1/messages")
    assert (status, "max_tokens" in json.loads(answer)["error"]["message"]) == (400, True)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/v1",
            "/v1/",
            "/v1/chat/completions/",
            "//v1/chat/completions",
            "/v1//chat/completions",
            "/V1/chat/completions",
        ),
        *("/v1/%2e%2e/v1/chat/completions", "/v1/chat/../chat/completions", "/v1/chat%2fcompletions", "/v1/assistants"),
        *("http://127.0.0.1/v1/chat/completions", "http://evil.example/v1/messages", "/v1/chat/completions;x", "/v1/models/.."),
    ],
)
def test_unknown_paths(gateway: Gateway, path: str) -> None:
    """Whatever is not exactly a known path is 404, in the wire's own shape."""
    status, answer = post(gateway, GOOD, path=path)
    assert (status, "error" in json.loads(answer)) == (404, True)


def test_unknown_methods(gateway: Gateway) -> None:
    """A known path asked the wrong way."""
    status, answer = raw(gateway, b"GET /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (status, json.loads(answer)["error"]["type"]) == (405, "invalid_request_error")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity"])
def test_compressed_bodies(gateway: Gateway, encoding: str) -> None:
    """Refused unread: nothing is ever decompressed for a tenant."""
    assert post(gateway, b"\x1f\x8b" + b"0" * 100, headers=f"Content-Encoding: {encoding}\r\n")[0] == 415


def test_other_content_types(gateway: Gateway) -> None:
    """415, and not a guess."""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {key('burst')}\r\n"
    assert raw(gateway, f"{head}Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{{}}".encode())[0] == 415


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def _peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_of_60_mb(gateway: Gateway, is_chunked: bool) -> None:
    """413, announced or not, and memory never grows by more than the limit and 2 MB."""
    Path(f"/proc/{gateway.process.pid}/clear_refs").write_text("5")  # the peak starts again from here
    before = _resident_bytes(gateway.process.pid)
    framing = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: 60000000"
    megabyte = b"x" * 1_000_000
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer " + key("burst").encode() + b"\r\n" + framing + b"\r\n\r\n"
        )
        try:
            for _ in range(60):
                connection.sendall(b"f4240\r\n" + megabyte + b"\r\n" if is_chunked else megabyte)
            if is_chunked:
                connection.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # the gateway need not hear it to the end
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    limit_bytes = 32_000_000 if is_chunked else 2_000_000  # an announced one is refused unread: only sockets' buffers
    assert _peak_bytes(gateway.process.pid) - before < limit_bytes + 2_000_000


def test_refused_bodies_are_not_kept(gateway: Gateway) -> None:
    """A refusal once held its body until the next collection, which is rare: ten bodies of 20 MB must not add up.

    The refusal's traceback held the frame that held the refusal.
    """
    body = b'{"model":"demo-small","model":"' + b"x" * 20_000_000 + b'"}'
    post(gateway, body)
    before = _resident_bytes(gateway.process.pid)
    for _ in range(10):
        assert post(gateway, body)[0] == 400
    assert _resident_bytes(gateway.process.pid) - before < 45_000_000


def test_millions_of_little_things(gateway: Gateway) -> None:
    """Refused by counting bytes, before a parser would spend seconds on them."""
    keys = b",".join(b'"k%d":0' % number for number in range(500_000))
    status, answer = post(gateway, GOOD[:-1] + b',"x":{' + keys + b"}}")
    assert (status, "strings and keys" in json.loads(answer)["error"]["message"]) == (400, True)
    status, answer = post(gateway, GOOD[:-1] + b',"x":[' + b"0," * 2_000_000 + b"0]}")
    assert (status, "items" in json.loads(answer)["error"]["message"]) == (400, True)
    text = b'1,2,3 and \\"so\\": on,\\n' * 200_000
    assert post(gateway, GOOD.replace(b"Hi", text), tenant="free")[0] == 200


def test_nothing_was_counted(gateway: Gateway) -> None:
    """A refused request costs its tenant nothing."""
    before = gateway.usage("burst")["ten-a-minute"]["remaining"]
    for name in ("a key twice", "max_tokens negative", "nested 20,000 deep"):
        post(gateway, BODIES[name])
    assert gateway.usage("burst")["ten-a-minute"]["remaining"] >= before


def test_no_forged_lines(gateway: Gateway) -> None:
    """What a caller sends cannot make a line of its own in the log, nor show a key or a prompt in one."""
    for path in ('/v1/x"}%0a{"event":"request","tenant":"forged"}', "/v1/x\x1b[31m", "/v1/\u2028{"):
        raw(gateway, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    post(gateway, GOOD.replace(b"Hi", b"a very secret prompt"), tenant="free")
    gateway.record(1)
    text = gateway.log_path.read_text()
    assert all(line.startswith("{") for line in text.splitlines())  # splits at U+2028 and its kin too
    assert [line for line in gateway.log() if line.get("tenant") == "forged"] == []
    assert "secret prompt" not in text
    assert "sk-gauger" not in text
