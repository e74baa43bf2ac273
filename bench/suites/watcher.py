"""A pytest plugin for the vendors' suites: it asks them what they will ask for, or watches them run.

SUITE_MODE=survey: no request leaves the process. For each one that a test would send, the answer that its SDK expects is made
from the SDK's own types and written to SUITE_OUT: {"METHOD /path": answer}. That is all the mock server knows.
SUITE_MODE=run: requests are sent as they are, with one header more (`x-suite-test`, the test and the number of its request),
and SUITE_OUT gets what became of each test: its outcome, its error, and the answers it got.

It changes nothing else of the SDKs or of the tests.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from pathlib import Path
from typing import Any, get_args

import httpx2
import pytest
from sample import NoSample, sample

MODE = os.environ["SUITE_MODE"]
OUT = Path(os.environ["SUITE_OUT"])
SDK = os.environ["SUITE_SDK"]
_answers: dict[str, dict[str, Any]] = {}
_tests: dict[str, dict[str, Any]] = {}
_now: list[str] = [""]


def _answer(cast_to: Any, stream_cls: Any) -> dict[str, Any]:
    """What an API would answer where the SDK reads `cast_to`."""
    name = getattr(cast_to, "__name__", "")
    answer: dict[str, Any] = {"status": 200}
    if cast_to is None or name == "NoneType":
        answer["status"] = 204
    elif name in ("HttpxBinaryResponseContent", "BinaryAPIResponse", "AsyncBinaryAPIResponse"):
        answer["bytes"] = "\x00\x01binary"
    elif cast_to is str:
        answer["text"] = "text"
    elif name in ("JSONLDecoder", "AsyncJSONLDecoder") or "JSONLDecoder" in repr(cast_to):
        answer["lines"] = sample(get_args(cast_to)[0])
    else:
        try:
            answer["json"] = sample(cast_to)
        except NoSample as why:
            answer["json"], answer["unsure"] = {}, str(why)[:200]
    if stream_cls is not None and (events := get_args(stream_cls)):
        try:
            answer["event"] = sample(events[0])
        except NoSample:
            answer["event"] = {}
    return answer


def _survey(cast_to: Any, response: httpx2.Response, stream_cls: Any) -> None:
    """Note what is expected here, and end the test."""
    request = response.request
    key = f"{request.method} {request.url.raw_path.decode().partition('?')[0]}"
    if key not in _answers or ("event" not in _answers[key] and stream_cls is not None):
        _answers[key] = _answer(cast_to, stream_cls)
    pytest.skip("surveyed")


def _install_survey() -> None:
    base = importlib.import_module(f"{SDK}._base_client")

    def send(self: Any, request: Any, **_: Any) -> Any:
        return httpx2.Response(200, request=request, content=b"")

    async def send_async(self: Any, request: Any, **_: Any) -> Any:
        return httpx2.Response(200, request=request, content=b"")

    def process(self: Any, *, cast_to: Any, response: Any, stream_cls: Any, **_: Any) -> Any:
        _survey(cast_to, response, stream_cls)

    async def process_async(self: Any, *, cast_to: Any, response: Any, stream_cls: Any, **_: Any) -> Any:
        _survey(cast_to, response, stream_cls)

    httpx2.Client.send, httpx2.AsyncClient.send = send, send_async  # type: ignore[method-assign]
    base.SyncAPIClient._process_response = process
    base.AsyncAPIClient._process_response = process_async


def _install_watch() -> None:
    send, send_async = httpx2.Client.send, httpx2.AsyncClient.send

    def tagged(request: httpx2.Request) -> dict[str, Any]:
        answers = _tests.setdefault(_now[0], {"answers": []})["answers"]
        answers.append(seen := {"method": request.method, "target": request.url.raw_path.decode()})
        request.headers["x-suite-test"] = f"{_now[0]}#{len(answers)}"
        return seen

    def noted(seen: dict[str, Any], response: httpx2.Response) -> httpx2.Response:
        seen["status"] = response.status_code
        seen["headers"] = sorted({name.lower() for name in response.headers})
        seen["refused_by"] = response.headers.get("x-gauger-refused-by", "")
        if hasattr(response, "_content"):
            seen["sha256"] = hashlib.sha256(response.content).hexdigest()
        return response

    def watched(self: Any, request: Any, **options: Any) -> Any:
        seen = tagged(request)
        return noted(seen, send(self, request, **options))

    async def watched_async(self: Any, request: Any, **options: Any) -> Any:
        seen = tagged(request)
        return noted(seen, await send_async(self, request, **options))

    httpx2.Client.send, httpx2.AsyncClient.send = watched, watched_async  # type: ignore[method-assign]


def pytest_configure(config: pytest.Config) -> None:
    _install_survey() if MODE == "survey" else _install_watch()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _now[0] = item.nodeid


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = (yield).get_result()
    noted = _tests.setdefault(item.nodeid, {"answers": []})
    if call.when == "call" or report.outcome != "passed":
        noted["outcome"] = report.outcome
    if call.excinfo is not None and report.outcome == "failed":
        error = call.excinfo.value
        noted["error"] = f"{type(error).__name__}: {error}"[:300]
        body = getattr(error, "body", None)
        inner = body.get("error", body) if isinstance(body, dict) else None
        if isinstance(inner, dict):
            noted["refusal"] = {name: inner.get(name) for name in ("code", "type", "param", "message")}


def pytest_sessionfinish(session: pytest.Session) -> None:
    OUT.write_text(json.dumps(_answers if MODE == "survey" else _tests))
