"""Files of requests and OpenAI's batches by the vendor's SDK: judged line by line when uploaded, charged when submitted, and
nobody's but their maker's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.tenants import openai_of, policy_of, serving, used
from tests.support import Gateway, ModelServer, policies_of, temporary_dir

DAY = "per: day, window: calendar"
BUDGETS = (
    f"""[{{name: requests, meter: requests, limit: 10, {DAY}}}, {{name: out, meter: output_tokens, limit: 1000, {DAY}}},"""
    f""" {{name: bytes, meter: upload_bytes, limit: 1MB, {DAY}}}]"""
)
HERE = "files, batches, chat/completions, responses, embeddings"
PLANS = f"""
  batch: {{endpoints: [{HERE}], models: ["demo-*"], budgets: {BUDGETS}}}
  plain: {{}}
  curbed: {{endpoints: [{HERE}], budgets: {BUDGETS}, output: {{max_tokens: 20, drop: [stop], refuse: [tools], choices_max: 2}}}}
  blank: {{endpoints: [{HERE}], output: {{reasoning: blank}}}}
  shorten:
    endpoints: [{HERE}]
    budgets: [{{name: out, meter: output_tokens, limit: 100, {DAY}, on_exceed: shorten}}]
  changed: {{endpoints: [{HERE}], output: {{max_tokens: 50}}}}
"""
TENANTS = {
    **dict.fromkeys(("one", "other", "many", "long", "bad", "gone", "vectors", "refers"), "batch"),
    **{name: name for name in ("plain", "curbed", "blank", "shorten", "changed")},
}


def policy(plans: str = PLANS) -> str:
    return policy_of(plans, TENANTS, "models: [{match: '*', max_output_tokens: 300}]\n")


@pytest.fixture(scope="module")
def gateway(model: ModelServer) -> Iterator[Gateway]:
    with serving(policy(), model) as running:
        yield running


def line(at: int = 0, url: str = "/v1/chat/completions", **body: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"model": "demo-small?tokens=5", "messages": [{"role": "user", "content": "Hi"}], **body}
    return {"custom_id": f"r{at}", "method": "POST", "url": url, "body": asked}


def asks(*max_tokens: int, **more: Any) -> list[dict[str, Any]]:
    return [line(at, max_tokens=most, **more) for at, most in enumerate(max_tokens)]


def jsonl(lines: list[dict[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(each).encode() for each in lines)


def upload(gateway: Gateway, tenant: str, lines: list[dict[str, Any]]) -> str:
    return openai_of(gateway, tenant).files.create(file=("requests.jsonl", jsonl(lines)), purpose="batch").id


def submit(gateway: Gateway, tenant: str, file: str, endpoint: Any = "/v1/chat/completions") -> Any:
    return openai_of(gateway, tenant).batches.create(input_file_id=file, endpoint=endpoint, completion_window="24h")


def test_a_batch(gateway: Gateway, model: ModelServer) -> None:
    """An upload is one request and its bytes; the batch is charged each request at its bound; its results are its tenant's."""
    asked = openai_of(gateway, "one")
    file = upload(gateway, "one", asks(30, 50))
    kept = asked.files.content(file).read()
    assert [json.loads(each)["body"]["max_tokens"] for each in kept.splitlines()] == [30, 50]
    assert used(gateway, "one") == {"requests": 1, "bytes": len(kept)}
    assert asked.files.retrieve(file).purpose == "batch"
    made = submit(gateway, "one", file)
    assert used(gateway, "one") == {"requests": 3, "out": 80, "bytes": len(kept)}
    ended = asked.batches.retrieve(made.id)
    assert ended.status == "completed"
    assert ended.output_file_id is not None
    results = [json.loads(each) for each in asked.files.content(ended.output_file_id).text.splitlines()]
    assert [each["custom_id"] for each in results] == ["r0", "r1"]
    assert all(each["response"]["body"]["choices"] for each in results)
    assert model.last().header("authorization") == "Bearer upstream-secret"
    assert asked.batches.cancel(made.id).id == made.id
    assert asked.files.delete(file).deleted
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        asked.files.retrieve(file)
    assert used(gateway, "one") == {"requests": 3, "out": 80, "bytes": len(kept)}


def test_nobody_elses(gateway: Gateway, model: ModelServer) -> None:
    """An id opens nothing for another tenant of the same organisation, and the model server is not even asked."""
    file = upload(gateway, "gone", asks(1))
    made = submit(gateway, "gone", file)
    output = openai_of(gateway, "gone").batches.retrieve(made.id).output_file_id
    assert output is not None
    other, count = openai_of(gateway, "other"), len(model.seen)
    for item in (file, output, "file-unknown"):
        for ask in (other.files.retrieve, other.files.content, other.files.delete):
            with pytest.raises(openai.NotFoundError, match="No such File object"):
                ask(item)
    for look in (other.batches.retrieve, other.batches.cancel):
        with pytest.raises(openai.NotFoundError, match="No batch of yours"):
            look(made.id)
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        submit(gateway, "other", file)
    for everything in (other.files.list, other.batches.list):
        with pytest.raises(openai.APIStatusError) as refused:
            everything()
        assert refused.value.status_code == 405
    assert len(model.seen) == count
    assert used(gateway, "other") == {}


def test_files_in_requests(gateway: Gateway, model: ModelServer) -> None:
    """A request may refer to its tenant's files and to nobody else's."""
    file = upload(gateway, "gone", asks(1))
    part: Any = {"type": "file", "file": {"file_id": file}}
    chat: Any = {"model": "demo-small", "messages": [{"role": "user", "content": [part]}], "max_tokens": 5}
    given: Any = [{"role": "user", "content": [{"type": "input_file", "file_id": file}]}]
    refers, count = openai_of(gateway, "refers"), len(model.seen)
    with pytest.raises(openai.NotFoundError, match="only files that you uploaded"):
        refers.chat.completions.create(**chat)
    with pytest.raises(openai.NotFoundError, match="only files that you uploaded"):
        refers.responses.create(model="demo-small", input=given)
    assert len(model.seen) == count
    assert openai_of(gateway, "gone").chat.completions.create(**chat).choices


def test_budgets_end(gateway: Gateway, model: ModelServer) -> None:
    """What does not fit is a 429 when the batch is made, whole: no part of it goes up or is charged."""
    many, long = upload(gateway, "many", asks(*[1] * 10)), upload(gateway, "long", asks(501, 500))
    count = len(model.seen)
    with pytest.raises(openai.RateLimitError, match="requests per day"):
        submit(gateway, "many", many)
    with pytest.raises(openai.RateLimitError, match="output tokens per day"):
        submit(gateway, "long", long)
    assert len(model.seen) == count
    assert used(gateway, "many").keys() == used(gateway, "long").keys() == {"requests", "bytes"}


def test_never_shortened(gateway: Gateway) -> None:
    """Requests that lie in a file cannot be shortened: a budget that says so refuses what does not fit."""
    file = upload(gateway, "shorten", asks(90, 90))
    with pytest.raises(openai.RateLimitError, match="output tokens per day"):
        submit(gateway, "shorten", file)
    assert used(gateway, "shorten") == {}


def test_refused_by_the_model_server(gateway: Gateway, model: ModelServer) -> None:
    """A batch of a file that is no longer there is one request."""
    file = upload(gateway, "refers", asks(5, 5, 5))
    openai_of(gateway, "refers").files.delete(file)
    with pytest.raises(openai.BadRequestError, match="does not exist"):
        submit(gateway, "refers", file)
    assert {name: amount for name, amount in used(gateway, "refers").items() if name != "bytes"} == {"requests": 2}


def test_plans_must_name_them(gateway: Gateway) -> None:
    """A plan that names no endpoints has neither files nor batches."""
    with pytest.raises(openai.PermissionDeniedError, match="files is not allowed"):
        upload(gateway, "plain", asks(1))
    with pytest.raises(openai.PermissionDeniedError, match="batches is not allowed"):
        submit(gateway, "plain", "file-1")


def test_output_policies_reach_in(gateway: Gateway, model: ModelServer) -> None:
    """In each line max_tokens is lowered or set, and fields are dropped; what must not be there is named."""
    file = upload(gateway, "curbed", [*asks(10, 400, stop=["x"]), line(2)])
    sent = openai_of(gateway, "curbed").files.content(file).read().splitlines()
    bodies = [json.loads(each)["body"] for each in sent]
    assert [each["max_tokens"] for each in bodies] == [10, 20, 20]
    assert all("stop" not in each for each in bodies)
    submit(gateway, "curbed", file)
    assert used(gateway, "curbed")["out"] == 50
    tools = [{"type": "function", "function": {"name": "f"}}]
    with pytest.raises(openai.BadRequestError, match=r"Line 2 of the file: `tools`"):
        upload(gateway, "curbed", [line(), line(1, tools=tools)])
    with pytest.raises(openai.BadRequestError, match=r"Line 1 of the file: `n`"):
        upload(gateway, "curbed", asks(1, n=3))


def test_edited_answers_have_no_batches(gateway: Gateway) -> None:
    """Results would come around the policy that blanks reasoning."""
    with pytest.raises(openai.BadRequestError, match="atches are not possible here"):
        upload(gateway, "blank", asks(1))


def test_unbounded_lines(gateway: Gateway) -> None:
    """A request that bounds nothing gets its model's bound: nobody is there to hold more for it while it runs."""
    file = upload(gateway, "long", [line(0, n=2)])
    assert json.loads(openai_of(gateway, "long").files.content(file).read())["body"]["max_tokens"] == 300
    submit(gateway, "long", file)
    assert used(gateway, "long")["out"] == 600


def test_embeddings_and_responses(gateway: Gateway, model: ModelServer) -> None:
    """Other endpoints have batches too; responses are not kept, and embeddings make no output."""
    vectors = {"custom_id": "v", "method": "POST", "url": "/v1/embeddings", "body": {"model": "demo-v", "input": ["a", "b"]}}
    asked = openai_of(gateway, "vectors")
    made = submit(gateway, "vectors", upload(gateway, "vectors", [vectors]), "/v1/embeddings")
    assert "out" not in used(gateway, "vectors")
    output = asked.batches.retrieve(made.id).output_file_id
    assert output is not None
    assert len(json.loads(asked.files.content(output).text)["response"]["body"]["data"]) == 2
    said = {**vectors, "url": "/v1/responses", "body": {"model": "demo-small", "input": "Hi", "max_output_tokens": 40}}
    file = upload(gateway, "vectors", [said])
    assert json.loads(asked.files.content(file).read())["body"]["store"] is False
    with pytest.raises(openai.BadRequestError, match="the requests of this file are for /v1/responses"):
        submit(gateway, "vectors", file)
    submit(gateway, "vectors", file, "/v1/responses")
    assert used(gateway, "vectors")["out"] == 40
    with pytest.raises(openai.BadRequestError, match=r"Line 1 of the file: .*previous_response_id"):
        upload(gateway, "vectors", [{**said, "body": said["body"] | {"previous_response_id": "resp_1"}}])


NO_LINES: list[tuple[bytes, str]] = [
    (b"not json", "Line 1 of the file: The body is not valid JSON"),
    (b"\n\n", "The file holds no requests"),
    (jsonl([line()]) + b"\n\n[]\n", "Line 3 of the file"),
    (jsonl([line(), line(1, stream=True)]), "Line 2 of the file: body.stream"),
    (jsonl([line() | {"url": "/v1/audio/speech"}]), "Line 1 of the file: url: must be one of"),
    (jsonl([line() | {"method": "GET"}]), "Line 1 of the file: method"),
    (jsonl([line() | {"custom_id": 5}]), "Line 1 of the file: custom_id"),
    (jsonl([line() | {"more": 5}]), "Line 1 of the file: A line has the fields"),
    (jsonl([line() | {"body": []}]), "Line 1 of the file: body"),
    (jsonl([line(), line(1, model="demo-large")]), "Line 2 of the file: body.model: all requests of a file"),
    (jsonl([line(model="gpt-5")]), "Line 1 of the file: The model gpt-5 is not allowed"),
    (jsonl([line(url="/v1/completions", prompt="x")]), "Line 1 of the file: The endpoint completions is not allowed"),
    (jsonl([line(max_tokens=-1)]), "Line 1 of the file: body.max_tokens"),
    (jsonl([line(Max_Tokens=9)]), "Line 1 of the file: The field 'Max_Tokens' looks like"),
    (jsonl([line()])[:-2] + b',"max_tokens":1,"max_tokens":9}}', "Line 1 of the file: The field 'max_tokens' is given twice"),
    (
        jsonl([line(messages=[{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}])]),
        "refer to files",
    ),
    (b'{"custom_id":"' + b"a" * 8_400_000, "Line 1 of the file: must have at most"),
]


@pytest.mark.parametrize(("content", "says"), NO_LINES, ids=[says[-24:] for _, says in NO_LINES])
def test_bad_lines(gateway: Gateway, model: ModelServer, content: bytes, says: str) -> None:
    """One bad line refuses the file with a 400 that names it; nothing goes up, and nothing is counted."""
    count = len(model.seen)
    with pytest.raises(openai.BadRequestError, match=says):
        openai_of(gateway, "bad").files.create(file=("requests.jsonl", content), purpose="batch")
    assert len(model.seen) == count
    assert used(gateway, "bad") == {}


@pytest.mark.parametrize("purpose", ["user_data", "vision", "assistants", "fine-tune", "evals"])
def test_other_purposes(gateway: Gateway, purpose: Any) -> None:
    """There is one purpose here."""
    with pytest.raises(openai.BadRequestError, match="purpose: must be 'batch' here"):
        openai_of(gateway, "bad").files.create(file=b"x", purpose=purpose)


def test_ends_of_lines_in_texts(gateway: Gateway) -> None:
    """What some readers take for the end of a line goes up as an escape: one line is one request, whoever reads it."""
    smuggled = "\u2028" + json.dumps(line(9)) + "\x85\u2029"
    lines = [line(0, messages=[{"role": "user", "content": smuggled}])]
    raw = json.dumps(lines[0], ensure_ascii=False).encode()
    asked = openai_of(gateway, "other")
    file = asked.files.create(file=("requests.jsonl", raw + b"\r\n"), purpose="batch").id
    kept = asked.files.content(file).read().decode()
    assert len(kept.splitlines()) == 1
    assert json.loads(kept)["body"]["messages"][0]["content"] == smuggled


def test_a_policy_that_changed(model: ModelServer) -> None:
    """A file is what its policy made of it: once that says something else, it is to be uploaded again."""
    with policies_of(policy()) as path, temporary_dir() as data:
        running = Gateway(path, model.url, data)
        try:
            file = upload(running, "changed", asks(90))
        finally:
            running.close()
        for text in path.glob("*.yaml"):
            text.write_text(policy(PLANS.replace("max_tokens: 50", "max_tokens: 40")))
        running = Gateway(path, model.url, data)
        try:
            with pytest.raises(openai.BadRequestError, match="upload it again"):
                submit(running, "changed", file)
            assert submit(running, "changed", upload(running, "changed", asks(90))).id
        finally:
            running.close()
