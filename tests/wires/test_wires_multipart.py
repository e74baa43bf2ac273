"""Forms: whatever way they are cut they mean the same, what could mean two things is refused, and what is written anew is read
the same by a parser of another make."""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wires.base import BadField
from gateway.wires.form import FIELD_BYTES_MAX, File, FormReader, written
from gateway.wires.multipart import HEAD_BYTES_MAX, PARTS_MAX, BadForm, End, Event, Multipart, Part, boundary_of

FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n'
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    b"\r\r\n\r\n--\r\n-b\r\n--\r\n"
    b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\r\n--b--\r\n'
)
EVENTS = [
    (Part("model", None, ""), b"whisper"),
    (Part("file", "a.wav", "audio/wav"), b"\r\r\n\r\n--\r\n-b\r\n--"),
    (Part("prompt", None, ""), b""),
]


def joined(events: list[Event]) -> list[tuple[Part, bytes]]:
    """Each part with its bytes."""
    found: list[tuple[Part, bytes]] = []
    for event in events:
        if isinstance(event, Part):
            found.append((event, b""))
        elif not isinstance(event, End):
            found[-1] = (found[-1][0], found[-1][1] + event)
    return found


def decode(*blocks: bytes, boundary: bytes = b"b") -> list[tuple[Part, bytes]]:
    parser = Multipart(boundary)
    events = [event for block in blocks for event in parser.decode(block)]
    parser.flush()
    return joined(events)


def test_every_split() -> None:
    """Cut in two at any place, or into single bytes, a form has the same parts."""
    assert decode(FORM) == EVENTS
    for at in range(len(FORM) + 1):
        assert decode(FORM[:at], FORM[at:]) == EVENTS
    assert decode(*(FORM[at : at + 1] for at in range(len(FORM)))) == EVENTS


@given(st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"z", b"\r\n--")), max_size=4), st.integers(1, 9))
def test_any_bytes(contents: list[bytes], step: int) -> None:
    """Bytes that look like the beginning of a boundary are bytes."""
    made = b"".join(b'--long-b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n%b\r\n' % c for c in contents)
    made += b"--long-b--"
    blocks = [made[at : at + step] for at in range(0, len(made), step)]
    assert [content for _, content in decode(*blocks, boundary=b"long-b")] == contents


@given(st.binary(max_size=300), st.integers(1, 50))
def test_garbage(body: bytes, step: int) -> None:
    """Anything else is refused with a message, and nothing else is raised; what is held is bounded."""
    with pytest.raises(BadForm):
        decode(*(body[at : at + step] for at in range(0, len(body), step)))


def test_memory_is_bounded() -> None:
    """A file is handed on as it comes; a head without an end is refused soon."""
    parser = Multipart(b"b")
    parser.decode(b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n')
    for _ in range(100):
        parser.decode(b"\r\n--" * 1000)
        assert len(parser._rest) < 8
    with pytest.raises(BadForm, match="bytes of headers"):
        decode(b"--b\r\nX: ", *[b"abc"] * HEAD_BYTES_MAX)


HEAD = 'Content-Disposition: form-data; name="f"'


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (HEAD.replace('"f"', '"f'), "cannot be read"),
        (HEAD.replace('"f"', '""'), "small letters"),
        (HEAD.replace('"f"', '"f g"'), "small letters"),
        (HEAD.replace('"f"', '"' + "f" * 65 + '"'), "small letters"),
        (HEAD.replace("form-data", "attachment"), "needs a header"),
        ("Content-Type: text/plain", "needs a header"),
        (HEAD + "\r\n" + HEAD, "same header twice"),
        (HEAD + "; name=g", "parameter twice"),
        (HEAD + "; NAME=g", "parameter twice"),
        (HEAD + "; name*=utf-8''g", "small letters"),
        (HEAD + "; filename*=latin-1''g", "must be UTF-8"),
        (HEAD + "; filename*=utf-8''%ff", "must be UTF-8"),
        (HEAD + '; filename="' + "a" * 256 + '"', "more than 255"),
        (HEAD + "\r\n folded", "on one line"),
        (HEAD + "\nX: y", "on one line"),
        (HEAD + "\r\nX : y", "on one line"),
        (HEAD + "\r\nX: a\0b", "on one line"),
        ("\r\n".join([HEAD, *(f"X-{at}: y" for at in range(8))]), "more than 8 headers"),
        (HEAD + "\r\nContent-Transfer-Encoding: quoted-printable", "encoded"),
    ],
)
def test_bad_heads(head: str, words: str) -> None:
    """A part whose head two parsers could read differently is refused."""
    with pytest.raises(BadForm, match=words):
        decode(b"--b\r\n" + head.encode() + b"\r\n\r\nx\r\n--b--")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "closing boundary"),
        (b"--b", "closing boundary"),
        (b"x--b--", "begin with its boundary"),
        (b"\r\n--b--", "begin with its boundary"),
        (b"--b --", "line break"),
        (b"--b\nx", "line break"),
        (b"--b--x", "Nothing may follow"),
        (b"--b--\r\n\r\n", "Nothing may follow"),
        (b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n\r\n' * (PARTS_MAX + 1) + b"--b--", "more than 64 parts"),
    ],
)
def test_bad_frames(body: bytes, words: str) -> None:
    """What surrounds the parts must be just so."""
    with pytest.raises(BadForm, match=words):
        decode(body)


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a=b:c"', b"a=b:c"),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ('multipart/form-data; boundary="a b"', None),
        ("multipart/form-data; boundary=a; boundary=b", None),
        ("multipart/form-data; boundary=" + "a" * 71, None),
        ("multipart/mixed; boundary=a", None),
    ],
)
def test_boundaries(kind: str, boundary: bytes | None) -> None:
    """One boundary, of the characters that a boundary may have."""
    if boundary is None:
        with pytest.raises(BadForm):
            boundary_of(kind)
    else:
        assert boundary_of(kind) == boundary


def gather(*parts: tuple[str, bytes], step: int = 7) -> tuple[dict[str, object], bytes]:
    made = b"".join(
        b"--b\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body + b"\r\n" for head, body in parts
    )
    made += b"--b--\r\n"
    reader = FormReader(b"b", frozenset(("file", "image", "image[]")))
    kept = b"".join(piece for at in range(0, len(made), step) for piece in reader.feed(made[at : at + step]))
    return reader.finish(), kept


def test_fields_are_typed() -> None:
    """Numbers and switches are such as in JSON; a list is a list; what is no number stays a text for its judge to refuse."""
    body, _ = gather(
        ('name="n"', b"2"), ('name="stream"', b"true"), ('name="temperature"', b"0.25"), ('name="include[]"', b"a"),
        ('name="include[]"', b"b"), ('name="partial_images"', b"1e3"), ('name="a[b]"', "ü".encode()),
    )  # fmt: skip
    assert body == {"n": 2, "stream": True, "temperature": 0.25, "include": ["a", "b"], "partial_images": "1e3", "a[b]": "ü"}


def test_fields_are_bounded() -> None:
    """A field of megabytes, and one that is no UTF-8, are refused."""
    with pytest.raises(BadField, match="at most"):
        gather(('name="prompt"', bytes(FIELD_BYTES_MAX + 1)), step=65_536)
    with pytest.raises(BadField, match="at most"):
        gather(*((f'name="p{at}"', bytes(FIELD_BYTES_MAX)) for at in range(5)), step=65_536)
    with pytest.raises(BadField, match="UTF-8"):
        gather(('name="prompt"', b"\xff"))


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=60)), min_size=1, max_size=4), st.text(max_size=40), st.integers(1, 64))
def test_written_anew(files: list[tuple[str, bytes]], prompt: str, step: int) -> None:
    """Whatever files are called, what goes up is read as the gateway read it, by its own parser and by Python's for mail."""
    quoted = [(name.translate({ord(c): None for c in '"\\\r\n\0'}) or "x", content) for name, content in files]
    quoted = [(name if name.isprintable() else "x", content) for name, content in quoted]
    heads = [(f'name="image[]"; filename="{name}"', content) for name, content in quoted]
    body, kept = gather(*heads, ('name="prompt"', prompt.encode("utf-8", "replace")), step=step)
    sent = b"".join(piece.text + kept[piece.begin : piece.begin + piece.size] for piece in written(body, b"gauger-1"))
    read = [(part.filename, content) for part, content in decode(sent, boundary=b"gauger-1")]
    assert read == [(None, prompt.encode("utf-8", "replace")), *((name.replace("/", "_"), content) for name, content in quoted)]
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: multipart/form-data; boundary=gauger-1\r\n\r\n" + sent)
    parts = list(message.iter_parts())
    assert [part.get_param("name", "", "content-disposition") for part in parts] == ["prompt", *["image[]"] * len(quoted)]
    assert [part.get_payload(decode=True) for part in parts[1:]] == [content for _, content in quoted]


def test_files_lie_one_after_the_other() -> None:
    """Where each begins, and the first of its bytes."""
    body, kept = gather(('name="image[]"; filename="a"', b"abc"), ('name="image[]"; filename="b"', b"de"))
    assert kept == b"abcde"
    assert body["image"] == [File(Part("image[]", "a", ""), 0, 3, b"abc"), File(Part("image[]", "b", ""), 3, 2, b"de")]
