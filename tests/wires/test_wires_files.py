"""Files of requests: what a form, a batch and a line must be, and that a line that is written is one line to every reader."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wires import WIRES
from gateway.wires.base import BadField
from gateway.wires.form import File
from gateway.wires.multipart import Part
from gateway.wires.openai_batch_lines import read, written
from gateway.wires.openai_files import ENDPOINTS
from gateway.wires.references import file_ids

FILE = File(Part("file", "a.jsonl", ""), 0, 5, b"")
JUDGED = frozenset(("model", "messages"))


def line(text):
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return {"custom_id": text[:9] or "x", "method": "POST", "url": "/v1/chat/completions", "body": body}


@given(st.text())
def test_a_line_is_one_line(text):
    """Whatever is said in it: for readers that split at line feeds, and for those that split at all that Unicode has."""
    request = read(orjson.dumps(line(text)), JUDGED)
    made = written(request, orjson.dumps(request.body))
    assert made.endswith(b"\n")
    assert len(made.splitlines()) == len(made.decode().splitlines()) == 1
    assert orjson.loads(made) == line(text)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"purpose": "user_data", "file": [FILE]}, "purpose"),
        ({"file": [FILE]}, "purpose"),
        ({"purpose": ["batch"], "file": [FILE]}, "purpose"),
        ({"purpose": "batch"}, "file"),
        ({"purpose": "batch", "file": [FILE, FILE]}, "file"),
        ({"purpose": "batch", "file": [FILE._replace(size=0)]}, "file"),
    ],
)
def test_forms(body, param):
    """One file, not an empty one, for the one purpose that is served."""
    with pytest.raises(BadField) as caught:
        WIRES["openai.files"].judge(body)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"endpoint": "/v1/responses"}, "input_file_id"),
        ({"input_file_id": 5, "endpoint": "/v1/responses"}, "input_file_id"),
        ({"input_file_id": "f"}, "endpoint"),
        ({"input_file_id": "f", "endpoint": "/v1/moderations"}, "endpoint"),
        ({"input_file_id": "f", "endpoint": ["/v1/responses"]}, "endpoint"),
    ],
)
def test_batches(body, param):
    """A file's id and an endpoint that has batches."""
    with pytest.raises(BadField) as caught:
        WIRES["openai.batches"].judge(body)
    assert caught.value.param == param


def test_urls():
    """What a plan must name is the path of the url."""
    assert {url: f"/v1/{name}" for url, name in ENDPOINTS.items()} == {url: url for url in ENDPOINTS}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"messages": [{"content": [{"type": "file", "file": {"file_id": "a"}}, {"type": "text", "text": "file_id"}]}]}, ["a"]),
        ({"messages": [{"content": "file_id"}], "input": None, "tools": {}}, []),
        ({"input": [{"content": [{"type": "input_image", "file_id": "a"}, {"type": "input_file", "file_id": 5}]}]}, ["a", ""]),
        ({"input": [{"type": "computer_call_output", "output": {"type": "computer_screenshot", "file_id": "a"}}]}, ["a"]),
        ({"input": [{"type": "function_call_output", "output": [{"type": "input_file", "file_id": "a"}]}]}, ["a"]),
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["a", None]}}]}, ["a", ""]),
        ({"tools": [{"type": "code_interpreter", "container": "c"}, 5], "input": ["x", {"content": 5}]}, []),
    ],
)
def test_references(body, found):
    """Wherever the APIs take a file by its id."""
    assert file_ids(body) == found
