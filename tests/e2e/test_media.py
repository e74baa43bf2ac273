"""Audio and images by the vendor's SDK: served, metered by seconds, images and bytes, refused in its words, and the ledger has
what was delivered.

The demo model server hears a word a second, says the length of a WAV file by its head, and reads forms with a parser of another
make than the gateway's.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import wave
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import openai
import pytest

from tests.e2e.tenants import openai_of, policy_of, serving, used
from tests.support import Gateway, ModelServer, eventually, key, policies_of, temporary_dir

DAY = "per: day, window: calendar"
BUDGETS = f"""[
      {{name: requests, meter: requests, limit: 1000, {DAY}}}, {{name: seconds, meter: audio_seconds, limit: 8000, {DAY}}},
      {{name: images, meter: images, limit: 20, {DAY}}}, {{name: bytes, meter: upload_bytes, limit: 40MB, {DAY}}},
      {{name: tokens, meter: total_tokens, limit: 1M, {DAY}}}]"""
TENANTS = (
    *(
        "speech",
        "json",
        "text",
        "stream",
        "whisper",
        "translate",
        "make",
        "edit",
        "vary",
        "draw",
        "order",
        "bad",
        "large",
        "left",
    ),
    *("dies", "refused", "seconds", "count", "bytes", "kept", "drop"),
)


PLAN_OF = {"kept": "plain", "drop": "drop"}


def policy() -> str:
    plans = f"  media: {{endpoints: [audio/*, images/*], budgets: {BUDGETS}}}\n  plain: {{}}\n"
    plans += "  drop: {endpoints: [audio/*], output: {drop: [logprobs], refuse: [temperature]}}\n"
    return policy_of(plans, {name: PLAN_OF.get(name, "media") for name in TENANTS})


@pytest.fixture(scope="module")
def gateway(model: ModelServer) -> Iterator[Gateway]:
    with serving(policy(), model) as running:
        yield running


def wav(seconds: int, rate: int = 8000) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(rate)
        sound.writeframes(bytes(rate * seconds))
    return made.getvalue()


def test_speech(gateway: Gateway) -> None:
    """Audio comes byte for byte; its seconds are those of its text: 30 characters are two."""
    said = openai_of(gateway, "speech").audio.speech.create(
        model="demo-tts", voice="alloy", input="thirty characters of a sentence"[:30]
    )
    assert said.content == b"".join(b"\xff\xfb\x00" + word for word in b"thirty characters of a sentenc".split())
    assert used(gateway, "speech")["seconds"] == 2


def test_transcription(gateway: Gateway, model: ModelServer) -> None:
    """Seconds, tokens and bytes are what the answer and the file say; the model server gets the very file."""
    sound = wav(5)
    heard = openai_of(gateway, "json").audio.transcriptions.create(model="demo-listen", file=("a b.wav", sound, "audio/wav"))
    assert heard.text == "The gauger came at noon"
    file = model.last().json["file"]
    assert (file["filename"], file["kind"], file["sha256"]) == ("a b.wav", "audio/wav", sha256(sound).hexdigest())
    assert used(gateway, "json") == {"requests": 1, "seconds": 5, "bytes": len(sound), "tokens": 56}


def test_transcription_as_text(gateway: Gateway) -> None:
    """A text passes; it tells no seconds, so those of the file are charged: here those that 16 kbit/s would be."""
    heard = openai_of(gateway, "text").audio.transcriptions.create(
        model="demo-whisper", file=b"\xff" * 20_001, response_format="text"
    )
    assert str(heard).startswith("The gauger")
    assert used(gateway, "text")["seconds"] == 11


def test_transcription_streamed(gateway: Gateway) -> None:
    """Events come as they are, the last one's usage is charged."""
    events = list(openai_of(gateway, "stream").audio.transcriptions.create(model="demo-listen", file=wav(4), stream=True))
    assert [event.type for event in events] == [*["transcript.text.delta"] * 4, "transcript.text.done"]
    assert used(gateway, "stream") == {"requests": 1, "seconds": 4, "bytes": len(wav(4)), "tokens": 45}


def test_whisper_tells_seconds(gateway: Gateway) -> None:
    """What the answer tells is charged, and not what was held: 160,000 bytes are ten seconds and not eighty. A model
    that does not stream answers whole, whatever it was asked."""
    with openai_of(gateway, "whisper") as openai_client:
        answer = openai_client.audio.transcriptions.with_raw_response.create(
            model="demo-whisper", file=b"\xff" * 160_000, stream=True
        )
    assert answer.headers["content-type"].startswith("application/json")
    assert used(gateway, "whisper") == {"requests": 1, "seconds": 10, "bytes": 160_000}


def test_translation(gateway: Gateway) -> None:
    """The same into English."""
    with pytest.warns(DeprecationWarning, match="deprecated"):
        heard = openai_of(gateway, "translate").audio.translations.create(
            model="demo-whisper", file=wav(3), response_format="verbose_json"
        )
    assert (heard.text, heard.duration) == ("The gauger came", 3.0)
    assert used(gateway, "translate")["seconds"] == 3


def test_images(gateway: Gateway) -> None:
    """Images are counted, and their tokens where the model has such."""
    made = openai_of(gateway, "make").images.generate(
        model="gpt-image-1", prompt="a quiet face", n=2, quality="low", size="1024x1024"
    )
    assert made.data is not None
    assert len(made.data) == 2
    assert used(gateway, "make") == {"requests": 1, "images": 2, "tokens": 2 * 272 + 3}


def test_images_streamed(gateway: Gateway) -> None:
    """Partial images come as they are."""
    events = openai_of(gateway, "draw").images.generate(model="gpt-image-1", prompt="a rod", stream=True, partial_images=2)
    assert [event.type for event in events] == [
        *["image_generation.partial_image"] * 2,
        "image_generation.completed",
    ]
    assert used(gateway, "draw")["images"] == 1


def test_edits(gateway: Gateway, model: ModelServer) -> None:
    """Several images and a mask go up under their names, in their order."""
    made = openai_of(gateway, "edit").images.edit(
        model="gpt-image-1",
        prompt="two words",
        image=[b"first", b"second!"],
        mask=b"mask",
        n=3,
        extra_body={"moderation": "low"},
    )
    assert made.data is not None
    assert len(made.data) == 3
    seen = model.last().json
    assert [image["sha256"] for image in seen["image"]] == [sha256(b"first").hexdigest(), sha256(b"second!").hexdigest()]
    assert (seen["mask"]["bytes"], seen["moderation"], seen["n"]) == (4, "low", 3)
    assert used(gateway, "edit") == {"requests": 1, "images": 3, "bytes": 16, "tokens": 3 * 272 + 2}


def test_variations(gateway: Gateway) -> None:
    """A model must be named here; then they are images like others."""
    with pytest.warns(DeprecationWarning, match="deprecated"):
        made = openai_of(gateway, "vary").images.create_variation(image=b"png", model="dall-e-2", n=2)
    assert made.data is not None
    assert len(made.data) == 2
    status, answer = post(gateway, "vary", "/v1/images/variations", form(('name="image"; filename="a.png"', b"png")))
    assert (status, answer["error"]["param"], used(gateway, "vary")["images"]) == (400, "model", 2)


def post(
    gateway: Gateway, tenant: str, path: str, body: bytes, kind: str = "multipart/form-data; boundary=x"
) -> tuple[int, Any]:
    line = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    try:
        line.request("POST", path, body, {"Authorization": f"Bearer {key(tenant)}", "Content-Type": kind})
        answer = line.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        line.close()


def form(*parts: tuple[str, bytes]) -> bytes:
    made = b"".join(
        b"--x\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body + b"\r\n" for head, body in parts
    )
    return made + b"--x--\r\n"


MODEL = ('name="model"', b"demo-whisper")
FILE = ('name="file"; filename="a.mp3"', b"\xff" * 4000)
TRANSCRIBE = "/v1/audio/transcriptions"


def test_a_model_behind_its_file(gateway: Gateway, model: ModelServer) -> None:
    """The order of a form's parts makes no difference."""
    status, body = post(gateway, "order", TRANSCRIBE, form(FILE, MODEL))
    assert (status, body["text"]) == (200, "The")
    assert list(model.last().json) == ["model", "file"]
    assert (model.last().header("content-type") or "").startswith("multipart/form-data; boundary=gauger-")


BAD: dict[str, tuple[bytes, str, str | None]] = {
    "two models": (form(MODEL, FILE, MODEL), "more than once", "model"),
    "two models, one a list": (form(MODEL, ('name="model[]"', b"gpt-4"), FILE), "more than once", "model"),
    "a model as a list": (form(('name="model[]"', b"gpt-4"), FILE), "single field", "model"),
    "a model of another spelling": (form(MODEL, ('name="Model"', b"gpt-4"), FILE), "small letters", None),
    "a model as a file": (form(('name="model"; filename="x"', b"gpt-4"), FILE), "not be sent as a file", "model"),
    "a file as a field": (form(MODEL, ('name="file"', b"gpt-4")), "be sent as a file", "file"),
    "no file": (form(MODEL), "one file", "file"),
    "no model": (form(FILE), "model: must be", "model"),
    "text before": (b"hello\r\n" + form(MODEL, FILE), "begin with its boundary", None),
    "text behind": (form(MODEL, FILE) + form(MODEL, FILE), "Nothing may follow", None),
    "no end": (form(MODEL, FILE)[:-6], "before its closing boundary", None),
    "bare line feeds": (form(MODEL, FILE).replace(b"\r\n", b"\n"), "boundary", None),
    "huge headers": (form(('name="model"\r\nX-Long: ' + "a" * 9000, b"gpt-4"), FILE), "bytes of headers", None),
    "encoded": (form(('name="model"\r\nContent-Transfer-Encoding: base64', b"gpt-4"), FILE), "encoded", None),
    "name twice": (form(('name="model"; name="prompt"', b"gpt-4"), FILE), "parameter twice", None),
}


@pytest.mark.parametrize("case", BAD)
def test_forms_of_two_meanings(gateway: Gateway, model: ModelServer, case: str) -> None:
    """What two servers could read differently is a 400 in the vendor's words, goes nowhere, and costs nothing."""
    asked = len(model.seen)
    body, words, param = BAD[case]
    status, answer = post(gateway, "bad", TRANSCRIBE, body)
    assert (status, answer["error"]["type"], answer["error"]["param"]) == (400, "invalid_request_error", param)
    assert words in answer["error"]["message"]
    assert len(model.seen) == asked
    assert used(gateway, "bad") == {}


def test_no_form(gateway: Gateway) -> None:
    """JSON is no form, and a boundary of odd characters is none."""
    assert post(gateway, "bad", TRANSCRIBE, b"{}", "application/json")[0] == 415
    assert post(gateway, "bad", TRANSCRIBE, form(MODEL), 'multipart/form-data; boundary="a b"')[0] == 400
    assert post(gateway, "bad", TRANSCRIBE, form(MODEL), "multipart/form-data")[0] == 400


def test_large(gateway: Gateway, model: ModelServer) -> None:
    """Megabytes pass whole, and what they are is what was sent."""
    sound = bytes(range(256)) * 40_000
    openai_of(gateway, "large").audio.transcriptions.create(model="demo-whisper", file=sound, prompt="x", timeout=60)
    assert model.last().json["file"]["sha256"] == sha256(sound).hexdigest()
    assert used(gateway, "large") == {"requests": 1, "seconds": 640, "bytes": len(sound)}


def test_a_client_that_leaves_while_it_sends(gateway: Gateway, model: ModelServer) -> None:
    """Nothing was sent on, so nothing is charged."""
    asked, lines = len(model.seen), len(gateway.records())
    line = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    line.putrequest("POST", TRANSCRIBE)
    for name, value in (("Authorization", f"Bearer {key('left')}"), ("Content-Length", "5000000")):
        line.putheader(name, value)
    line.putheader("Content-Type", "multipart/form-data; boundary=x")
    line.endheaders(form(MODEL, FILE)[:3000])
    line.close()
    eventually(lambda: len(gateway.records()) > lines)
    assert gateway.records()[-1]["tenant"] == "left"
    assert len(model.seen) == asked
    assert used(gateway, "left") == {}


def test_a_client_that_leaves_while_it_is_sent_on() -> None:
    """The bytes that were sent are charged, and no seconds: nobody has heard the recording. The model server sees the end."""
    with socket.create_server(("127.0.0.1", 0)) as deaf, policies_of(policy()) as path, temporary_dir() as data:
        running = Gateway(path, f"http://127.0.0.1:{deaf.getsockname()[1]}", data, wait=False)
        try:
            eventually(lambda: b'"serving"' in running.log_path.read_bytes())
            line = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
            body = form(MODEL, ('name="file"; filename="a.wav"', wav(100, rate=200_000)))
            kind = "multipart/form-data; boundary=x"
            line.request("POST", TRANSCRIBE, body, {"Authorization": f"Bearer {key('left')}", "Content-Type": kind})
            served, _ = deaf.accept()
            with served:
                served.settimeout(20)
                assert served.recv(65_536)
                eventually(lambda: used(running, "left").get("bytes") or running.usage("left")["bytes"]["held"])
                line.close()
                eventually(lambda: bool(running.records()))
                while True:
                    try:
                        if not served.recv(1 << 20):
                            break
                    except ConnectionError:
                        break
            record = running.records()[-1]
            assert (record["ended"], record["status"]) == ("client_left", 0)
            eventually(lambda: running.usage("left")["seconds"]["held"] == 0)
            spent = used(running, "left")
            assert (spent["requests"], spent.get("seconds", 0)) == (1, 0)
            assert 0 < spent["bytes"] < len(body)
        finally:
            running.close()


def test_upstream_dies(gateway: Gateway) -> None:
    """A model server that breaks off after it has read everything: the bytes and the seconds are charged, as they were held."""
    with pytest.raises(openai.InternalServerError):
        openai_of(gateway, "dies").audio.transcriptions.create(model="demo-whisper?die_early=1", file=wav(7))
    assert {**used(gateway, "dies"), "tokens": 0} == {"requests": 1, "seconds": 7, "bytes": len(wav(7)), "tokens": 0}


def test_upstream_refuses(gateway: Gateway) -> None:
    """Refused by the model server: a request, and the bytes that went up; nothing was heard. Its own faults cost nothing."""
    with openai_of(gateway, "refused") as refused:
        with pytest.raises(openai.BadRequestError):
            refused.audio.transcriptions.create(model="demo-whisper?status=400", file=wav(7))
        with pytest.raises(openai.InternalServerError):
            refused.audio.transcriptions.create(model="demo-whisper?status=500", file=wav(7))
    assert used(gateway, "refused") == {"requests": 1, "bytes": len(wav(7))}


def test_seconds_end(gateway: Gateway) -> None:
    """What does not fit is a 429 of the vendor's that names the budget, before anything goes up."""
    with pytest.raises(openai.RateLimitError, match=r"seconds of audio per day \[budget seconds\]: Limit 8000, Requested 8001"):
        openai_of(gateway, "seconds").audio.transcriptions.create(model="demo-whisper", file=wav(8001, rate=1000))
    assert used(gateway, "seconds") == {}


def test_images_end(gateway: Gateway) -> None:
    """Two times eight images are sixteen of twenty."""
    asks = openai_of(gateway, "count")
    for _ in range(2):
        asks.images.generate(model="dall-e-3", prompt="x", n=8)
    with pytest.raises(openai.RateLimitError, match="images per day"):
        asks.images.generate(model="dall-e-3", prompt="x", n=8)
    assert used(gateway, "count")["images"] == 16


def test_bytes_end(gateway: Gateway) -> None:
    """Four times nine megabytes are thirty-six of forty."""
    asks = openai_of(gateway, "bytes")
    for _ in range(4):
        asks.images.edit(model="dall-e-2", prompt="x", image=bytes(9_000_000))
    with pytest.raises(openai.RateLimitError, match="uploaded bytes per day"):
        asks.images.edit(model="dall-e-2", prompt="x", image=bytes(9_000_000))
    assert used(gateway, "bytes")["bytes"] == 36_000_000


def test_plans_must_name_them(gateway: Gateway) -> None:
    """A plan that names no endpoints has none of these."""
    with openai_of(gateway, "kept") as asks:
        for ask in (
            lambda: asks.audio.speech.create(model="m", voice="alloy", input="x"),
            lambda: asks.audio.transcriptions.create(model="m", file=b"x"),
            lambda: asks.images.generate(model="m", prompt="x"),
            lambda: asks.images.edit(model="m", prompt="x", image=b"x"),
        ):
            with pytest.raises(openai.PermissionDeniedError, match="is not allowed for the tenant"):
                ask()


def test_output_policies_reach_into_forms(gateway: Gateway, model: ModelServer) -> None:
    """Fields are dropped from forms, and refused in them."""
    with openai_of(gateway, "drop") as asks:
        answer = asks.audio.transcriptions.with_raw_response.create(model="demo-listen", file=wav(1), include=["logprobs"])
        assert answer.headers["x-gauger-dropped"] == "logprobs"
        assert "include" not in model.last().json
        with pytest.raises(openai.BadRequestError, match="temperature"):
            asks.audio.transcriptions.create(model="demo-listen", file=wav(1), temperature=0.5)
