"""What no policy names passes through as it came: both ways, byte by byte where bytes are what counts."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import zlib
from typing import Any

import pytest

from tests.raw_upstream import RawUpstream, answer, json_answer
from tests.support import FIXTURES, Gateway, eventually, key

CHAT = "/v1/chat/completions"
ASK = b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}'
ANSWER = json.dumps(
    {
        "id": "c",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ü"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()
STREAM = (FIXTURES.parent / "wires" / "transcripts" / "chat_usage.sse").read_bytes()
RESPONSES = FIXTURES.parent / "wires" / "transcripts"
Answer = tuple[int, dict[str, list[str]], bytes]


@pytest.fixture(scope="module")
def gateway(transparent: Gateway) -> Gateway:
    return transparent


def call(gateway: Gateway, method: str, target: str, body: bytes | None = None, tenant: str = "free", **headers: str) -> Answer:
    """One request on a connection of its own; headers by name, with _ for -."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    sent = {"Authorization": f"Bearer {key(tenant)}", "Content-Type": "application/json"}
    try:
        connection.request(method, target, body, sent | {name.replace("_", "-"): value for name, value in headers.items()})
        return told(connection.getresponse())
    finally:
        connection.close()


def told(response: http.client.HTTPResponse) -> Answer:
    headers: dict[str, list[str]] = {}
    for name, value in response.getheaders():
        headers.setdefault(name.lower(), []).append(value)
    return response.status, headers, response.read()


def raw(gateway: Gateway, request: bytes) -> bytes:
    """Everything that comes until the gateway closes."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def head(*lines: str, version: str = "1.1", target: str = CHAT) -> bytes:
    fixed = (
        f"POST {target} HTTP/{version}",
        "Host: x",
        f"Authorization: Bearer {key('free')}",
        "Content-Type: application/json",
    )
    return "\r\n".join((*fixed, *lines, "", "")).encode()


# the way up


def test_headers_that_no_rule_names(gateway: Gateway, upstream: RawUpstream) -> None:
    """SDKs' own, organisation and project, betas, traces and unheard-of ones arrive, twice where they were sent twice."""
    names = {
        "x-stainless-lang": "python", "x-stainless-retry-count": "1", "x-stainless-read-timeout": "600", "openai-beta": "a=v2",
        "openai-organization": "org-1", "openai-project": "proj_1", "anthropic-version": "2023-06-01",
        "idempotency-key": "k-1", "user-agent": "OpenAI/Python 3.57.0", "accept": "application/json",
        "traceparent": "00-1-2-01", "x-made-up": "caf\u00e9",
    }  # fmt: skip
    lines = [f"{name}: {value}" for name, value in names.items()] + [
        "anthropic-beta: one-2025",
        "anthropic-beta: two-2026, three",
    ]
    upstream.answers[f"POST {CHAT}"] = json_answer(ANSWER)
    request = head(*lines, "Connection: close", f"Content-Length: {len(ASK)}") + ASK
    assert raw(gateway, request.decode().encode("latin-1")).startswith(b"HTTP/1.1 200 ")
    came = upstream.last()
    assert {name: came.values(name) for name in names} == {name: [value] for name, value in names.items()}
    assert came.values("anthropic-beta") == ["one-2025", "two-2026, three"]


def test_headers_that_are_the_gateways_own(gateway: Gateway, upstream: RawUpstream) -> None:
    """A tenant's key and session stay here, and nobody is asked for what could not be counted or would not be whole."""
    upstream.answers[f"POST {CHAT}"] = json_answer(ANSWER)
    sent = {
        "Cookie": "a=b",
        "Accept_Encoding": "gzip, br, zstd",
        "If_None_Match": '"x"',
        "Range": "bytes=0-9",
        "TE": "trailers",
    }
    assert call(gateway, "POST", CHAT, ASK, **sent)[0] == 200
    came = upstream.last()
    assert [came.values(name) for name in ("cookie", "if-none-match", "range", "te")] == [[], [], [], []]
    assert came.values("accept-encoding") == ["identity"]
    assert key("free") not in str(came)


QUERIES = [
    "?",
    "?beta=true",
    "?a=1&a=2&b[]=%2F%20+&c=",
    "?api-version=2025-01-01&x=~!$'()*,;:@/?|^`{}\"<>\\",
    "?q=" + "y" * 30_000,
]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_query_strings(gateway: Gateway, upstream: RawUpstream, query: str) -> None:
    """As they were written, whatever they mean."""
    upstream.answers[f"POST {CHAT}"] = json_answer(ANSWER)
    request = head("Connection: close", f"Content-Length: {len(ASK)}", target=CHAT + query) + ASK
    assert raw(gateway, request).startswith(b"HTTP/1.1 200 ")
    assert upstream.last().line == f"POST {CHAT}{query} HTTP/1.1"


@pytest.mark.parametrize("size", [8_000, 16_400, 33_000, 60_000])
def test_large_headers(gateway: Gateway, upstream: RawUpstream, size: int) -> None:
    """Both ways."""
    upstream.answers[f"POST {CHAT}"] = json_answer(ANSWER, b"openai-large: " + b"d" * size)
    status, headers, _ = call(gateway, "POST", CHAT, ASK, anthropic_beta="u" * size)
    assert status == 200
    assert upstream.last().values("anthropic-beta") == ["u" * size]
    assert headers["openai-large"] == ["d" * size]


def test_chunked_bodies(gateway: Gateway, upstream: RawUpstream) -> None:
    """In whatever chunks, with extensions and trailers: one body, with a length, goes up, and its trailers don't."""
    upstream.answers[f"POST {CHAT}"] = json_answer(ANSWER)
    chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(ASK[at : at + 7]), ASK[at : at + 7]) for at in range(0, len(ASK), 7))
    request = head("Connection: close", "Transfer-Encoding: chunked", "Trailer: X-Sum") + chunks + b"0\r\nX-Sum: 1\r\n\r\n"
    assert raw(gateway, request).startswith(b"HTTP/1.1 200 ")
    came = upstream.last()
    assert json.loads(came.body) == json.loads(ASK)
    assert came.values("x-sum") == came.values("transfer-encoding") == []


def test_http_1_0_clients(gateway: Gateway, upstream: RawUpstream) -> None:
    """Whole answers and streams reach them too: a stream without chunks, ended by the close, and kept alive if they ask."""
    upstream.answers[f"POST {CHAT}"] = json_answer(ANSWER)
    once, _, body = raw(gateway, head(f"Content-Length: {len(ASK)}", version="1.0") + ASK).partition(b"\r\n\r\n")
    assert (b"Connection: close" in once, body) == (True, ANSWER)
    upstream.answers[f"POST {CHAT}"] = answer(STREAM, b"content-type: text/event-stream")
    asked = ASK[:-1] + b',"stream":true,"stream_options":{"include_usage":true}}'
    streamed, _, body = raw(gateway, head(f"Content-Length: {len(asked)}", version="1.0") + asked).partition(b"\r\n\r\n")
    assert b"chunked" not in streamed.lower()
    assert body == STREAM
    upstream.answers[f"POST {CHAT}"] = json_answer(ANSWER)
    kept = head("Connection: keep-alive", f"Content-Length: {len(ASK)}", version="1.0") + ASK
    assert raw(gateway, kept + head(f"Content-Length: {len(ASK)}", version="1.0") + ASK).count(ANSWER) == 2


def test_one_connection_for_all(gateway: Gateway, upstream: RawUpstream) -> None:
    """Whatever is answered, refusals and answers without a body too, the next request on the connection gets its own."""
    upstream.answers |= {
        f"POST {CHAT}": json_answer(ANSWER),
        "POST /v1/responses": json_answer(b'{"id":"resp_kept"}'),
        "DELETE /v1/responses/resp_kept": b"HTTP/1.1 204 No Content\r\n\r\n",
        "GET /v1/models": json_answer(b'{"object":"list","data":[]}'),
    }
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    headers = {"Authorization": f"Bearer {key('free')}", "Content-Type": "application/json"}
    connection.connect()
    opened = connection.sock
    asked = (
        ("POST", CHAT, ASK, 200), ("GET", "/v1/nothing", None, 404), ("POST", CHAT, b"{", 400), ("GET", CHAT, None, 405),
        ("POST", "/v1/responses", b'{"model":"m","input":"Hi"}', 200), ("DELETE", "/v1/responses/resp_kept", None, 204),
        ("HEAD", "/v1/models", None, 200), ("GET", "/v1/models", None, 200), ("POST", CHAT, ASK, 200),
    )  # fmt: skip
    for method, target, body, status in asked:
        connection.request(method, target, body, headers)
        assert (told(connection.getresponse())[0], method, target) == (status, method, target)
        assert connection.sock is opened
    connection.close()


# the way down


def test_headers_of_answers(gateway: Gateway, upstream: RawUpstream) -> None:
    """What SDKs and their users read passes; the operator's session, account and servers do not show."""
    shown = {
        "openai-processing-ms": "12", "openai-version": "v", "openai-poll-after-ms": "9", "anthropic-made-up": "m",
        "content-language": "de", "deprecation": "@1", "sunset": "soon", "warning": "299 - old", "x-should-retry": "false",
    }  # fmt: skip
    hidden = {
        "set-cookie": "__cf_bm=1", "openai-organization": "org-operators", "x-ratelimit-limit-requests": "9", "server": "s",
        "via": "1.1 inside", "cf-ray": "r", "alt-svc": "h3", "etag": '"e"', "x-envoy-upstream-service-time": "3",
    }  # fmt: skip
    lines = [f"{name}: {value}".encode() for name, value in (shown | hidden).items()]
    upstream.answers[f"POST {CHAT}"] = json_answer(ANSWER, *lines, b"set-cookie: second=2", b"x-request-id: req_theirs")
    status, headers, body = call(gateway, "POST", CHAT, ASK)
    assert (status, body) == (200, ANSWER)
    assert {name: headers.get(name) for name in shown} == {name: [value] for name, value in shown.items()}
    assert [name for name in hidden if name in headers and headers[name] != ["gauger"]] == []
    assert headers["x-upstream-request-id"] == ["req_theirs"]
    assert headers["x-request-id"][0].startswith("req_")


def test_a_deleted_answer(gateway: Gateway, upstream: RawUpstream) -> None:
    """A 204 was once a fault of the upstream's, because it is no JSON. It has no body, and no length of one."""
    upstream.answers["POST /v1/responses"] = json_answer(b'{"id":"resp_gone"}')
    upstream.answers["DELETE /v1/responses/resp_gone"] = b"HTTP/1.1 204 No Content\r\nopenai-version: v\r\n\r\n"
    assert call(gateway, "POST", "/v1/responses", b'{"model":"m","input":"Hi"}')[0] == 200
    status, headers, body = call(gateway, "DELETE", "/v1/responses/resp_gone")
    assert (status, body, headers["openai-version"]) == (204, b"", ["v"])
    assert "content-length" not in headers
    upstream.answers[f"POST {CHAT}"] = b"HTTP/1.1 204 No Content\r\n\r\n"
    assert call(gateway, "POST", CHAT, ASK)[0] == 502  # where something was to be made it is one still


def test_head_of_models(gateway: Gateway, upstream: RawUpstream) -> None:
    """As GET, without the body but with its length."""
    listed = b'{"object":"list","data":[{"id":"m"}]}'
    upstream.answers["GET /v1/models"] = json_answer(listed)
    status, headers, body = call(gateway, "HEAD", "/v1/models")
    assert (status, headers["content-length"], body) == (200, [str(len(listed))], b"")
    assert call(gateway, "HEAD", CHAT)[0] == 405


def test_informational_answers_and_trailers(gateway: Gateway, upstream: RawUpstream) -> None:
    """100, 102 and 103 are between two servers, and so is what follows the last chunk; the answer is whole."""
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    chunked = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
    chunked += b"%x\r\n%b\r\n0\r\nx-sum: 1\r\n\r\n" % (len(ANSWER), ANSWER)
    upstream.answers[f"POST {CHAT}"] = early + chunked
    status, headers, body = call(gateway, "POST", CHAT, ASK)
    assert (status, body) == (200, ANSWER)
    assert not {"link", "x-sum", "trailer"} & headers.keys()


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_answers(gateway: Gateway, upstream: RawUpstream, coding: str) -> None:
    """None was asked for, and some servers compress all the same: it was a 502. It is read, counted and passed on plain."""

    def packed(body: bytes) -> bytes:
        return gzip.compress(body) if coding == "gzip" else zlib.compress(body)

    header = f"content-encoding: {coding}".encode()
    upstream.answers[f"POST {CHAT}"] = json_answer(packed(ANSWER), header)
    status, headers, body = call(gateway, "POST", CHAT, ASK, Accept_Encoding="gzip, deflate")
    assert (status, body, "content-encoding" in headers) == (200, ANSWER, False)
    assert output_of(gateway, headers) == 1
    asked = ASK[:-1] + b',"stream":true,"stream_options":{"include_usage":true}}'
    upstream.answers[f"POST {CHAT}"] = answer(packed(STREAM), b"content-type: text/event-stream", header)
    status, headers, body = call(gateway, "POST", CHAT, asked)
    assert (status, body, "content-encoding" in headers) == (200, STREAM, False)
    assert output_of(gateway, headers) == 10
    refused = b'{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}'
    upstream.answers[f"POST {CHAT}"] = json_answer(packed(refused), header, status=b"422 Unprocessable Entity")
    assert call(gateway, "POST", CHAT, ASK)[::2] == (422, refused)


def output_of(gateway: Gateway, headers: dict[str, list[str]]) -> int:
    """The output tokens in the record of an answer."""

    def found() -> list[int]:
        return [line["usage"]["output_tokens"] for line in gateway.records() if line["id"] in headers["x-request-id"]]

    eventually(found)
    return found()[0]


def test_coded_in_a_way_that_nobody_asked_for(gateway: Gateway, upstream: RawUpstream) -> None:
    """What cannot be read cannot be counted: the upstream's fault."""
    upstream.answers[f"POST {CHAT}"] = json_answer(b"\x28\xb5\x2f\xfd", b"content-encoding: zstd")
    assert call(gateway, "POST", CHAT, ASK)[0] == 502


@pytest.mark.parametrize("status", [b"301 Moved Permanently", b"307 Temporary Redirect", b"308 Permanent Redirect"])
def test_redirects_within_the_api(gateway: Gateway, upstream: RawUpstream, status: bytes) -> None:
    """Passed on, not followed: where to go next is the client's to know, and to ask for here."""
    upstream.answers[f"POST {CHAT}"] = answer(
        b"moved", b"location: /v1/elsewhere?x=1", b"content-type: text/plain", status=status
    )
    before = len(upstream.came)
    got, headers, body = call(gateway, "POST", CHAT, ASK)
    assert (got, headers["location"], body) == (int(status[:3]), ["/v1/elsewhere?x=1"], b"moved")
    assert len(upstream.came) == before + 1


@pytest.mark.parametrize(
    "location", [b"http://127.0.0.1:1/v1/x", b"//evil.example/v1/x", b"/admin", b"v1/x", b"/v1/\\evil", b"/v1/a b\xc3\xa9", b""]
)
def test_redirects_to_elsewhere(gateway: Gateway, upstream: RawUpstream, location: bytes) -> None:
    """SDKs follow by themselves, with the tenant's key: no upstream sends them to where it would be read."""
    upstream.answers[f"POST {CHAT}"] = answer(b"", b"location: " + location, status=b"307 Temporary Redirect")
    status, headers, _ = call(gateway, "POST", CHAT, ASK)
    assert (status, "location" in headers) == (502, False)


def test_refusals_of_the_upstreams(gateway: Gateway, upstream: RawUpstream) -> None:
    """Its own limit reaches the client with its own wait and its own words, marked as the upstream's."""
    words = b'{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}'
    upstream.answers[f"POST {CHAT}"] = json_answer(
        words, b"retry-after: 7", b"retry-after-ms: 6500", status=b"429 Too Many Requests"
    )
    status, headers, body = call(gateway, "POST", CHAT, ASK)
    assert (status, body) == (429, words)
    waits = [headers[name] for name in ("retry-after", "retry-after-ms", "x-gauger-refused-by")]
    assert waits == [["7"], ["6500"], ["upstream"]]


# answers that are kept


KEPT = (RESPONSES / "responses_reasoning_tools.sse").read_bytes()


def kept(gateway: Gateway, upstream: RawUpstream, item: str, tenant: str) -> dict[str, Any]:
    """An answer of this tenant's with reasoning in it, as the upstream keeps it."""
    last = [line for line in KEPT.splitlines() if line.startswith(b"data: ")][-1]
    whole = json.loads(last[6:])["response"] | {"id": item}
    upstream.answers["POST /v1/responses"] = json_answer(json.dumps(whole).encode())
    upstream.answers[f"GET /v1/responses/{item}"] = json_answer(json.dumps(whole).encode())
    assert call(gateway, "POST", "/v1/responses", b'{"model":"m","input":"Hi"}', tenant)[0] == 200
    return dict(whole)


def reasoning_of(whole: dict[str, Any]) -> list[str]:
    said = [part["text"] for item in whole["output"] if item["type"] == "reasoning" for part in item["summary"]]
    assert said != []
    return said


def test_a_kept_answer_comes_as_it_is(gateway: Gateway, upstream: RawUpstream) -> None:
    """Whole, and with its query as it was written."""
    whole = kept(gateway, upstream, "resp_plain", "free")
    assert json.loads(call(gateway, "GET", "/v1/responses/resp_plain?include[]=x")[2]) == whole
    assert upstream.last().line == "GET /v1/responses/resp_plain?include[]=x HTTP/1.1"


def test_what_is_hidden_is_not_had_later(gateway: Gateway, upstream: RawUpstream) -> None:
    """Reasoning that a policy blanks was in the kept answer when it was asked for again: whole, or among the input's items."""
    whole = kept(gateway, upstream, "resp_thought", "left")
    said = reasoning_of(whole)
    _, _, body = call(gateway, "GET", "/v1/responses/resp_thought", tenant="left")
    assert [text for text in said if text in body.decode()] == []
    items = {"object": "list", "data": whole["output"], "has_more": False}
    upstream.answers["GET /v1/responses/resp_thought/input_items"] = json_answer(json.dumps(items).encode())
    _, _, listed = call(gateway, "GET", "/v1/responses/resp_thought/input_items", tenant="left")
    assert [text for text in said if text in listed.decode()] == []
    assert [item["type"] for item in json.loads(listed)["data"]] == [item["type"] for item in whole["output"]]


def test_a_kept_stream_comes_as_it_is(gateway: Gateway, upstream: RawUpstream) -> None:
    """Byte for byte, and from where the client left off: it was a 502 once."""
    kept(gateway, upstream, "resp_streamed", "free")
    for query in ("?stream=true", "?stream=true&starting_after=3"):
        upstream.answers[f"GET /v1/responses/resp_streamed{query}"] = answer(KEPT, b"content-type: text/event-stream")
        status, headers, body = call(gateway, "GET", f"/v1/responses/resp_streamed{query}")
        assert (status, headers["content-type"], body) == (200, ["text/event-stream"], KEPT)


def test_a_kept_stream_is_edited(gateway: Gateway, upstream: RawUpstream) -> None:
    """Reasoning is blanked in it; its middle, where nobody knows what came before, is not given out."""
    whole = kept(gateway, upstream, "resp_blank", "left")
    upstream.answers["GET /v1/responses/resp_blank?stream=true"] = answer(KEPT, b"content-type: text/event-stream")
    status, _, body = call(gateway, "GET", "/v1/responses/resp_blank?stream=true", tenant="left")
    assert (status, [text for text in reasoning_of(whole) if text in body.decode()]) == (200, [])
    assert b"event: response.completed" in body
    status, _, body = call(gateway, "GET", "/v1/responses/resp_blank?stream=true&starting%5Fafter=3", tenant="left")
    assert (status, json.loads(body)["error"]["param"]) == (400, "starting_after")


def test_a_kept_stream_that_breaks_off(gateway: Gateway, upstream: RawUpstream) -> None:
    """An error event, and never the end of a whole one."""
    kept(gateway, upstream, "resp_torn", "free")
    torn = KEPT[: len(KEPT) // 2]
    upstream.answers["GET /v1/responses/resp_torn?stream=true"] = answer(torn, b"content-type: text/event-stream")
    request = head("Connection: close", target="/v1/responses/resp_torn?stream=true").replace(b"POST", b"GET", 1)
    came = raw(gateway, request)
    assert b'data: {"error":{"message":"The upstream model server broke off its answer."' in came
    assert b"\r\n0\r\n\r\n" not in came


def test_kept_answers_are_their_owners(gateway: Gateway, upstream: RawUpstream) -> None:
    """Nobody else gets one, and the upstream is not even asked."""
    kept(gateway, upstream, "resp_mine", "free")
    before = len(upstream.came)
    assert call(gateway, "GET", "/v1/responses/resp_mine?stream=true", tenant="left")[0] == 404
    assert len(upstream.came) == before
