"""Realtime sessions through the gateway, with the vendor's own SDK: held, charged, cut and ended in their protocol."""

from __future__ import annotations

import hmac
import json
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import openai
import pytest
import websockets
from openai.resources.realtime.realtime import RealtimeConnection
from websockets.sync.client import ClientConnection, connect

from tests.support import SECRET, UPSTREAM_KEY, Gateway, ModelServer, eventually, key, policies_of

PLANS = """
  open: {}
  bursty:
    budgets:
      - {name: output-a-minute, meter: output_tokens, limit: 100, per: minute}
  monthly:
    budgets:
      - {name: output-a-month, meter: output_tokens, limit: 60, per: month, window: calendar, timezone: UTC}
  ahead:
    output: {hold_ahead: 20}
    budgets:
      - {name: output-a-day, meter: output_tokens, limit: 60, per: day, window: calendar}
  short:
    output: {max_tokens: 5}
  shortens:
    output: {min_tokens: 4}
    budgets:
      - {name: output-a-day, meter: output_tokens, limit: 12, per: day, window: calendar, on_exceed: shorten}
  single:
    budgets:
      - {name: in-flight, meter: concurrency, limit: 1}
  three:
    budgets:
      - {name: requests-a-day, meter: requests, limit: 3, per: day, window: calendar}
  counted:
    budgets:
      - {name: requests, meter: requests, limit: 100, per: day, window: calendar}
      - {name: input, meter: input_tokens, limit: 100k, per: day, window: calendar}
      - {name: output, meter: output_tokens, limit: 100k, per: day, window: calendar}
      - {name: seconds, meter: audio_seconds, limit: 100, per: day, window: calendar}
      - {name: in-flight, meter: concurrency, limit: 5}
  filtered:
    output: {filters: [{name: secret, literal: rod, action: mask}]}
  tempered:
    output: {drop: [tools], refuse: [top_p]}
"""


def _policy() -> str:
    names = [line.strip().partition(":")[0] for line in PLANS.splitlines() if line.startswith("  ") and line[2] != " "]
    text = "version: 1\nmodels:\n  - {match: demo-*, max_output_tokens: 50}\norganisations:\n  solo: {}\nplans:\n"
    for line in PLANS.splitlines()[1:]:
        is_name = line.startswith("  ") and line[2] != " "
        text += (line.replace(": {}", ":") + "\n    endpoints: [realtime]\n") if is_name else line + "\n"
    text += "  plain: {}\ntenants:\n"
    for name in (*names, "plain"):
        digest = hmac.digest(SECRET.encode(), key(name).encode(), "sha256").hex()
        text += f"  {name}:\n    organisation: solo\n    plan: {name}\n"
        text += f'    keys: [{{id: {name}-1, hash: "hmac-sha256:{digest}"}}]\n'
    return text


@pytest.fixture(scope="module")
def realtime_dir() -> Iterator[Path]:
    with policies_of(_policy()) as path:
        yield path


@pytest.fixture
def gateway(fresh: Callable[..., Gateway], realtime_dir: Path) -> Gateway:
    return fresh(policies=realtime_dir)


@contextmanager
def session(gateway: Gateway, tenant: str, model: str = "demo-small") -> Iterator[RealtimeConnection]:
    """A session by the vendor's SDK, its first event read."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key(tenant), max_retries=0) as client:
        with client.realtime.connect(model=model) as connection:
            assert connection.recv().type == "session.created"
            yield connection


def until(connection: RealtimeConnection, kind: str) -> list[Any]:
    """Events up to the first of a kind, and that one."""
    seen = []
    while not seen or seen[-1].type != kind:
        seen.append(connection.recv())
    return seen


def say(connection: RealtimeConnection, text: str) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    connection.conversation.item.create(item=item)


def test_a_session(gateway: Gateway, model: ModelServer) -> None:
    """A conversation of two responses: each is charged what it reported, and the records say so."""
    with session(gateway, "counted", "demo-small?tokens=7") as connection:
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"], "instructions": "be kind"})
        assert connection.recv().type == "session.updated"
        say(connection, "what is a cask")
        connection.response.create()
        events = until(connection, "response.done")
        assert "".join(event.delta for event in events if event.type == "response.output_text.delta").split()
        assert events[-1].response.status == "completed"
        assert events[-1].response.usage.input_tokens == 6
        connection.response.create()
        assert until(connection, "response.done")[-1].response.usage.input_tokens == 13
    usage = gateway.usage("counted")
    assert (usage["input"]["used"], usage["output"]["used"]) == (19, 14)
    assert usage["requests"]["used"] == 3
    assert usage["in-flight"]["held"] == 0
    first, second, whole = gateway.record(3) and gateway.records()
    assert [one["usage"]["output_tokens"] for one in (first, second)] == [7, 7]
    assert first["session"] == second["session"] == whole["id"]
    assert (whole["status"], whole["ended"], first["ended"]) == (101, "complete", "complete")
    assert model.last().header("authorization") == f"Bearer {UPSTREAM_KEY}"


def test_a_budget_that_is_spent_in_mid_session(gateway: Gateway, model: ModelServer) -> None:
    """The response that does not fit is refused by the vendor's error event and never sent; the session goes on."""
    with session(gateway, "bursty", "demo-small?tokens=60") as connection:
        connection.response.create(response={"max_output_tokens": 60, "output_modalities": ["text"]})
        assert until(connection, "response.done")[-1].response.status == "completed"
        connection.response.create(event_id="mine", response={"max_output_tokens": 60})
        (refused,) = until(connection, "error")
        assert (refused.error.code, refused.error.type, refused.error.event_id) == (
            "rate_limit_exceeded",
            "rate_limit_error",
            "mine",
        )
        assert "Limit 100, Used " in refused.error.message
        connection.response.create(response={"max_output_tokens": 20, "output_modalities": ["text"]})
        last = until(connection, "response.done")[-1].response
        assert (last.status, last.usage.output_tokens) == ("incomplete", 20)
    asked = [event for event in model.last().json if event["type"] == "response.create"]
    assert [event["response"]["max_output_tokens"] for event in asked] == [60, 20]


def test_a_session_whose_budget_is_gone_ends(gateway: Gateway, model: ModelServer) -> None:
    """A month's budget is spent: the error says insufficient_quota, then the session is closed with 1008."""
    with session(gateway, "monthly", "demo-small?tokens=50") as connection:
        connection.response.create(response={"max_output_tokens": 50, "output_modalities": ["text"]})
        until(connection, "response.done")
        connection.response.create(response={"max_output_tokens": 50})
        (refused,) = until(connection, "error")
        assert refused.error.code == "insufficient_quota"
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            connection.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason[:32]) == (1008, "You exceeded your current quota ")
    record = gateway.record(3)
    assert (record["ended"], record["cut"]) == ("cut", "budget")
    model.over(model.last())  # it has ended there too


def test_a_response_is_cut_where_its_budget_ends(gateway: Gateway, model: ModelServer) -> None:
    """A response that is held some way ahead is cancelled when no more can be held, and ends as at its bound."""
    with session(gateway, "ahead", "demo-small?tokens=5000&gap_ms=1") as connection:
        connection.response.create(response={"output_modalities": ["text"]})
        events = until(connection, "response.done")
        assert len([event for event in events if event.type == "response.output_text.delta"]) == 60
        last = events[-1].response
        assert (last.status, last.status_details.reason) == ("incomplete", "max_output_tokens")
        assert [event.error.code for event in events if event.type == "error"] == ["insufficient_quota"]
    record = gateway.record()
    assert (record["cut"], record["usage"]["output_tokens"]) == ("budget", last.usage.output_tokens)
    assert {"type": "response.cancel", "response_id": last.id} in model.last().json
    assert model.last().tokens < 5000


def test_a_response_is_shortened_to_what_fits(gateway: Gateway, model: ModelServer) -> None:
    """`on_exceed: shorten` lowers max_output_tokens to what the budget still holds."""
    with session(gateway, "shortens", "demo-small?tokens=50") as connection:
        connection.response.create(response={"max_output_tokens": "inf", "output_modalities": ["text"]})
        assert until(connection, "response.done")[-1].response.usage.output_tokens == 12
    assert model.last().json[-1]["response"]["max_output_tokens"] == 12
    assert gateway.usage("shortens")["output-a-day"]["used"] == 12


def test_the_limit_of_a_policy(gateway: Gateway, model: ModelServer) -> None:
    """max_tokens bounds a session's setting, a response's own, and one that sets nothing."""
    with session(gateway, "short", "demo-small?tokens=50") as connection:
        connection.session.update(session={"type": "realtime", "max_output_tokens": 4000, "output_modalities": ["text"]})
        assert connection.recv().session.max_output_tokens == 5  # type: ignore[union-attr]
        connection.session.update(session={"type": "realtime", "max_output_tokens": 3})
        assert connection.recv().session.max_output_tokens == 3  # type: ignore[union-attr]
        connection.session.update(session={"type": "realtime", "instructions": "hi"})
        assert connection.recv().session.max_output_tokens == 3  # type: ignore[union-attr]
        for given, made in ((None, 3), ({"max_output_tokens": "inf"}, 5), ({"max_output_tokens": 2}, 2)):
            connection.response.create(**({} if given is None else {"response": given}))
            assert until(connection, "response.done")[-1].response.usage.output_tokens == made


def speak(connection: RealtimeConnection, seconds: int = 1) -> None:
    connection.input_audio_buffer.append(audio="AAAA" * (16_000 * seconds))


VAD = {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}}


def test_a_response_that_the_server_begins(gateway: Gateway) -> None:
    """With turn detection the server answers by itself: held, charged and recorded like any other; what was heard too."""
    with session(gateway, "counted", "demo-small?tokens=30") as connection:
        connection.session.update(
            session={**VAD, "audio": {"input": {**VAD["audio"]["input"], "transcription": {"model": "t"}}}}
        )
        speak(connection, 2)
        events = until(connection, "response.done")
        assert len([event for event in events if event.type == "response.output_audio.delta"]) == 30
        (limits,) = (event for event in events if event.type == "rate_limits.updated")
        assert {one.name: one.limit for one in limits.rate_limits} == {"requests": 100, "tokens": 100_000}
    usage = gateway.usage("counted")
    # 20 tokens heard, 20 transcribed into 3; 30 spoken, which are one second and a half.
    assert (usage["input"]["used"], usage["output"]["used"]) == (40, 33)
    assert usage["seconds"]["used"] == 4
    assert gateway.record()["quote"]["input_tokens"] >= 20


def test_a_response_that_the_server_begins_without_a_budget(gateway: Gateway, model: ModelServer) -> None:
    """It is cancelled, nothing of it is passed on, and what it cost is charged to the session all the same."""
    with session(gateway, "three", "demo-small?tokens=500&gap_ms=10") as connection:
        for _ in range(2):
            connection.response.create(response={"max_output_tokens": 1})
            until(connection, "response.done")
        connection.session.update(session=VAD)
        speak(connection)
        events = until(connection, "response.done")
        kinds = [event.type for event in events]
        assert "error" in kinds
        assert "response.output_audio.delta" not in kinds
        last = events[-1].response
        assert (last.status, last.output) == ("cancelled", [])
    eventually(lambda: len(gateway.records()) == 4)
    refused, whole = gateway.records()[2:]
    assert (refused["verdict"], refused["reason"]) == ("refused", "budget:requests-a-day")
    assert whole["usage"]["input_tokens"] == last.usage.input_tokens > 0
    assert {"type": "response.cancel", "response_id": last.id} in model.last().json


def test_sessions_are_requests_in_flight(gateway: Gateway) -> None:
    """A second session beside the only one that is allowed is refused before its upgrade; a response needs no place."""
    with session(gateway, "single") as connection:
        connection.response.create()
        until(connection, "response.done")
        with pytest.raises(websockets.InvalidStatus) as refused, session(gateway, "single"):
            pass
    response = refused.value.response
    assert response.status_code == 429
    assert json.loads(response.body)["error"]["code"] == "rate_limit_exceeded"
    assert response.headers["x-gauger-refused-by"] == "tenant"


@pytest.mark.parametrize(
    ("tenant", "target", "status", "code"),
    [
        ("nobody", "?model=demo-small", 401, "invalid_api_key"),
        ("plain", "?model=demo-small", 403, "endpoint_not_allowed"),
        ("filtered", "?model=demo-small", 403, "endpoint_not_allowed"),
        ("open", "", 400, "missing_model"),
        ("open", "?model=demo-small&call_id=rtc_1", 400, None),
        ("open", "?model=demo-small&intent=transcription", 400, None),
        ("open", "?model=demo-small%3Fstatus%3D500", 502, None),
        ("open", "?model=demo-small%3Fstatus%3D401", 502, None),
        ("open", "?model=demo-small%3Fstatus%3D404", 404, None),
        ("open", "?model=demo-small%3Fstatus%3D429", 429, "rate_limit_exceeded"),
    ],
)
def test_refused_before_the_upgrade(gateway: Gateway, tenant: str, target: str, status: int, code: str | None) -> None:
    """What is known before a session begins is refused in HTTP, in the vendor's error format."""
    headers = {"Authorization": f"Bearer {key(tenant)}"}
    with pytest.raises(websockets.InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{gateway.port}/v1/realtime{target}", additional_headers=headers)
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["error"]["code"] == code


def test_a_request_that_is_no_handshake(gateway: Gateway) -> None:
    """A plain GET is told what the endpoint is."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key("open"), max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            client.get("/realtime?model=demo-small", cast_to=object)
    assert refused.value.code == "bad_handshake"


def raw(gateway: Gateway, *protocols: str, model: str = "demo-small", **headers: str) -> ClientConnection:
    url = f"ws://127.0.0.1:{gateway.port}/v1/realtime?model={quote(model)}"
    return connect(url, subprotocols=protocols or None, additional_headers=headers or None, compression=None)  # type: ignore[arg-type]


def test_a_browsers_key(gateway: Gateway, model: ModelServer) -> None:
    """A key may come as a subprotocol; it goes no further, and the log does not have it."""
    with raw(gateway, "realtime", f"openai-insecure-api-key.{key('open')}", "openai-beta.realtime-v1") as connection:
        assert connection.subprotocol == "realtime"
        assert json.loads(connection.recv())["type"] == "session.created"
    seen = model.last()
    assert key("open") not in str(seen.headers)
    assert seen.header("authorization") == f"Bearer {UPSTREAM_KEY}"
    assert seen.header("openai-beta") == "realtime=v1"
    assert seen.header("sec-websocket-protocol") is None
    for protocols in ((f"openai-insecure-api-key.{key('open')}",), ("realtime", "openai-insecure-api-key.wrong")):
        with pytest.raises(websockets.InvalidStatus):
            raw(gateway, *protocols)
    gateway.record(2)
    assert key("open") not in gateway.log_path.read_text()


@pytest.mark.parametrize(
    ("text", "code", "param"),
    [
        ("no JSON", "invalid_json", None),
        ("[]", "invalid_json", None),
        ('{"type": "response.create", "type": "session.update"}', "invalid_json", None),
        ("{}", "invalid_event", "type"),
        ('{"type": 1}', "invalid_event", "type"),
        ('{"type": "response.create", "event_id": 1}', "invalid_event", "event_id"),
        ('{"type": "response.create", "response": []}', "invalid_event", "response"),
        ('{"type": "response.create", "response": {"max_output_tokens": -1}}', "invalid_value", "response.max_output_tokens"),
        ('{"type": "response.create", "response": {"max_output_tokens": "9"}}', "invalid_value", "response.max_output_tokens"),
        ('{"type": "response.create", "response": {"Max_Output_Tokens": 1}}', "invalid_event", "response"),
        ('{"type": "session.update", "session": {"type": "transcription"}}', "invalid_event", "session.type"),
        ('{"type": "session.update", "session": {"model": "demo-large"}}', "invalid_event", "session.model"),
        ('{"type": "transcription_session.update"}', "invalid_event", "type"),
        (b"\x00\x01", "invalid_event", None),
    ],
)
def test_hostile_events(gateway: Gateway, model: ModelServer, text: str | bytes, code: str, param: str | None) -> None:
    """What is no event, or could be read in two ways, is answered by the vendor's error event; nothing goes up."""
    with raw(gateway, Authorization=f"Bearer {key('open')}") as connection:
        connection.recv()
        connection.send(text)
        error = json.loads(connection.recv())["error"]
        assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
        connection.send('{"type": "response.create", "response": {"max_output_tokens": 1}}')
        assert json.loads(connection.recv())["type"] == "response.created"
    assert [event["type"] for event in model.last().json] == ["response.create"]


def test_a_message_that_is_too_large(gateway: Gateway) -> None:
    """Beyond 16 MiB the session is closed with 1009, and nobody keeps the message."""
    with raw(gateway, Authorization=f"Bearer {key('open')}") as connection:
        connection.recv()
        with pytest.raises(websockets.ConnectionClosedError) as closed:  # noqa: PT012
            connection.send("a" * (17 << 20))
            connection.recv()
    # What it still sends may reset the connection before it reads why.
    assert closed.value.rcvd is None or closed.value.rcvd.code == 1009
    assert gateway.record()["ended"] == "client_left"


def test_fields_that_a_policy_names(gateway: Gateway, model: ModelServer) -> None:
    """`drop` and `refuse` hold in sessions and responses."""
    tool = {"type": "function", "name": "f", "parameters": {}}
    with session(gateway, "tempered") as connection:
        connection.session.update(session={"type": "realtime", "tools": [tool]})
        connection.recv()
        connection.response.create(response={"top_p": 0.5})  # type: ignore[typeddict-unknown-key]
        (refused,) = until(connection, "error")
        assert (refused.error.code, refused.error.param) == ("field_not_allowed", "response.top_p")
    assert model.last().json == [{"type": "session.update", "session": {"type": "realtime"}}]
    assert gateway.record()["dropped"] == ["tools"]


def test_an_error_of_the_servers_own(gateway: Gateway) -> None:
    """A response beside another is the server's to refuse: what was held for it is given back, and its error is passed on."""
    with session(gateway, "counted", "demo-small?tokens=400&gap_ms=10") as connection:
        connection.response.create()
        until(connection, "response.output_item.added")
        connection.response.create()
        error = until(connection, "error")[-1].error
        assert (error.code, error.event_id) == ("conversation_already_has_active_response", None)
        connection.response.create(event_id="mine")
        assert until(connection, "error")[-1].error.event_id == "mine"
        connection.response.cancel()
        assert until(connection, "response.done")[-1].response.status == "cancelled"
    first, second, third = gateway.record(4) and gateway.records()[:3]
    assert [one["ended"] for one in (first, second, third)] == ["upstream_refused", "upstream_refused", "client_left"]
    assert "held" not in gateway.usage("counted")["output"] or gateway.usage("counted")["output"]["held"] == 0


SLOW = "demo-small?tokens=2000&gap_ms=10"
"""A response that runs for longer than any test."""


def delivered(connection: ClientConnection, count: int) -> int:
    """Read on until `count` deltas have come."""
    while count:
        count -= json.loads(connection.recv())["type"].endswith(".delta")
    return count


def ask_for_text(connection: ClientConnection) -> None:
    connection.recv()
    connection.send(json.dumps({"type": "response.create", "response": {"output_modalities": ["text"]}}))


def test_a_client_that_is_gone(gateway: Gateway, model: ModelServer) -> None:
    """Its upstream session ends at once, and what runs is charged its input and what had been delivered."""
    connection = raw(gateway, model=SLOW, Authorization=f"Bearer {key('counted')}")
    ask_for_text(connection)
    delivered(connection, 5)
    connection.socket.shutdown(socket.SHUT_RDWR)
    assert model.over(model.last()) in ("client_left", "complete")
    response, whole = gateway.record(2) and gateway.records()
    assert (response["ended"], whole["ended"]) == ("client_left", "client_left")
    assert response["usage"]["is_complete"] is False
    assert 5 <= response["usage"]["output_tokens"] <= 1000
    assert 0 < response["usage"]["input_tokens"] == response["quote"]["input_tokens"]
    usage = gateway.usage("counted")
    assert usage["output"]["used"] == response["usage"]["output_tokens"]
    assert (usage["in-flight"]["held"], usage["output"]["held"], usage["requests"]["used"]) == (0, 0, 2)


def test_an_upstream_that_breaks_off(gateway: Gateway) -> None:
    """The client gets a server_error event and 1011; what was delivered is charged."""
    with raw(gateway, model="demo-small?tokens=50&die_after=7", Authorization=f"Bearer {key('counted')}") as connection:
        ask_for_text(connection)
        events = []
        with pytest.raises(websockets.ConnectionClosedError) as closed:  # noqa: PT012
            while True:
                events.append(json.loads(connection.recv()))
    assert (events[-1]["type"], events[-1]["error"]["type"]) == ("error", "server_error")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
    response, whole = gateway.record(2) and gateway.records()
    assert (response["ended"], whole["ended"]) == ("upstream_died", "upstream_died")
    assert response["usage"]["output_tokens"] == 7
    assert [line["fault"] for line in gateway.log() if line["event"] == "upstream_fault"] == ["broken"]


def test_a_stop(gateway: Gateway) -> None:
    """At a stop an idle session is closed with 1001; one whose response runs ends when that is done. All is charged."""
    idle = raw(gateway, Authorization=f"Bearer {key('counted')}")
    idle.recv()
    with raw(gateway, model="demo-small?tokens=40&gap_ms=20", Authorization=f"Bearer {key('counted')}") as busy:
        ask_for_text(busy)
        delivered(busy, 2)
        gateway.process.terminate()
        with pytest.raises(websockets.ConnectionClosedOK) as closed:
            idle.recv()
        kinds = []
        with pytest.raises(websockets.ConnectionClosedOK) as finished:  # noqa: PT012
            while True:
                kinds.append(json.loads(busy.recv())["type"])
    assert kinds[-1] == "response.done"
    for end in (closed.value.rcvd, finished.value.rcvd):
        assert end is not None
        assert (end.code, end.reason) == (1001, "The gateway is shutting down: please connect again.")
    assert gateway.stop() == 0
    assert [(line["ended"], line["usage"]["output_tokens"]) for line in gateway.records()] == [
        ("cut", 0), ("complete", 40), ("cut", 0)
    ]  # fmt: skip
    assert gateway.log()[-1]["unfinished_tasks"] == 0


def test_a_gateway_that_is_killed(fresh: Callable[..., Gateway], realtime_dir: Path) -> None:
    """What it held is free when its leases run out; what it had reported is charged, and no more than was delivered by then."""
    first = fresh("--lease", "1s", "--renew-every", "100ms", policies=realtime_dir)
    connection = raw(first, model=SLOW, Authorization=f"Bearer {key('counted')}")
    ask_for_text(connection)
    delivered(connection, 60)
    other = fresh(policies=realtime_dir)
    eventually(lambda: other.usage("counted")["output"]["used"] > 0)
    first.kill()
    eventually(lambda: other.usage("counted")["in-flight"]["held"] == 0)
    usage = other.usage("counted")
    assert usage["output"]["held"] == 0
    assert 0 < usage["output"]["used"] < 2000
    assert usage["requests"]["used"] == 2


def test_a_policy_that_changes_in_mid_session(fresh: Callable[..., Gateway]) -> None:
    """The next response obeys a policy that was reloaded; a key that is gone ends the session."""
    text = _policy()
    with policies_of(text) as path:
        gateway = fresh(policies=path)
        with session(gateway, "open", "demo-small?tokens=9") as connection:
            connection.response.create()
            assert until(connection, "response.done")[-1].response.usage.output_tokens == 9
            limited = text.replace("  open:\n", "  open:\n    output: {max_tokens: 4}\n", 1)
            _reload(gateway, path, limited)
            connection.response.create()
            assert until(connection, "response.done")[-1].response.usage.output_tokens == 4
            _reload(gateway, path, limited.replace("{id: open-1,", "{id: open-2,"))
            connection.response.create()
            (refused,) = until(connection, "error")
            assert refused.error.code == "invalid_api_key"
            with pytest.raises(websockets.ConnectionClosedError):
                connection.recv()


def _reload(gateway: Gateway, path: Path, text: str) -> None:
    count = sum(line["event"] == "policy_reloaded" for line in gateway.log())
    (path / "0.yaml").write_text(text)
    gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: sum(line["event"] == "policy_reloaded" for line in gateway.log()) > count)


def test_a_client_that_reads_nothing(fresh: Callable[..., Gateway], realtime_dir: Path) -> None:
    """Nothing piles up for it: the upstream is read no further, and after `read_timeout` the session is over."""
    gateway = fresh("--read-timeout", "1s", policies=realtime_dir)
    before = resident_bytes(gateway)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        target = "/v1/realtime?model=demo-small%3Ftokens%3D100000%26ignore_max%3D1"
        connection.sendall(
            f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key('open')}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        assert connection.recv(12) == b"HTTP/1.1 101"
        ask = b'{"type":"response.create"}'
        connection.sendall(bytes([0x81, 0x80 | len(ask), 0, 0, 0, 0]) + ask)  # masked with zeros
        record = gateway.record(2)
    assert record["ended"] == "client_left"
    assert resident_bytes(gateway) - before < 30_000_000


def resident_bytes(gateway: Gateway) -> int:
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))
