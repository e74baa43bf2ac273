import pytest

from gateway.errors import SettingsError
from gateway.upstream.origin import parse_base_url
from gateway.upstream.request import HeadWriter

ORIGIN = parse_base_url("http://models.test:8000/base/")


def writer() -> HeadWriter:
    return HeadWriter(ORIGIN, [(b"Authorization", b"Bearer upstream-secret")])


def test_head() -> None:
    """Host, length, keep-alive and credentials are set here and replace the caller's; all else follows as given."""
    given = [
        (b"x-a", b"1"), (b"AUTHORIZATION", b"Bearer tenant"), (b"Host", b"evil"), (b"Content-Length", b"9"),
        (b"Transfer-Encoding", b"chunked"), (b"Connection", b"close"), (b"Expect", b"100-continue"), (b"X-A", b"2"),
    ]  # fmt: skip
    assert writer()(b"POST", b"/v1/x?y=1", given, 3) == (
        b"POST /base/v1/x?y=1 HTTP/1.1\r\nhost: models.test:8000\r\nconnection: keep-alive\r\n"
        b"authorization: Bearer upstream-secret\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 3\r\n\r\n"
    )


def test_length_of_nothing() -> None:
    """A GET without a body has no length; a POST without one says so."""
    assert b"content-length" not in writer()(b"GET", b"/", [], 0)
    assert b"content-length: 0\r\n" in writer()(b"POST", b"/", [], 0)


@pytest.mark.parametrize("value", [b"a\r\nx-evil: 1", b"a\n", b"\r", b"a\0b", b"a\r\n\r\nGET / HTTP/1.1"])
def test_no_injection_by_value(value: bytes) -> None:
    """A CR, LF or NUL in a value is refused, alone or together."""
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        writer()(b"POST", b"/", [(b"x-a", value), (b"x-b", b"fine")], 0)


@pytest.mark.parametrize("name", [b"", b"a b", b"x:", b"authorization ", b"a\r\nb", b"a\0", b"\xff"])
def test_no_injection_by_name(name: bytes) -> None:
    """A name that is no token is refused."""
    with pytest.raises(ValueError, match="token"):
        writer()(b"POST", b"/", [(name, b"v")], 0)


@pytest.mark.parametrize("target", [b"", b"x", b"/a b", b"/a\r\n", b"/a\n", b"/\0", b"/\xff", b"/a#b", b"http://evil/", b"*"])
def test_no_injection_by_target(target: bytes) -> None:
    """Only an absolute path of printable ASCII is a target."""
    with pytest.raises(ValueError, match="target"):
        writer()(b"POST", target, [], 0)


@pytest.mark.parametrize("method", [b"HEAD", b"CONNECT", b"post", b"GET /x HTTP/1.1\r\n"])
def test_methods(method: bytes) -> None:
    """Methods that are answered differently, and what is no method, are refused."""
    with pytest.raises(ValueError, match="method"):
        writer()(method, b"/", [], 0)


def test_names_are_remembered_within_bounds() -> None:
    """Names that tenants invent do not fill the memory."""
    write = writer()
    for number in range(2000):
        assert b"x-%d: v" % number in write(b"GET", b"/", [(b"X-%d" % number, b"v")], 0)
    assert len(write._starts) <= 512


@pytest.mark.parametrize("credential", [(b"host", b"x"), (b"a b", b"x"), (b"x-api-key", b"sk-1\n"), (b"x-api-key", b"")])
def test_bad_credentials(credential: tuple[bytes, bytes]) -> None:
    """A credential that cannot be a header stops the start, and its value is not shown."""
    with pytest.raises(SettingsError) as caught:
        HeadWriter(ORIGIN, [credential])
    assert "sk-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "host", "port", "prefix", "authority"),
    [
        ("http://a.test", "a.test", 80, b"", b"a.test"),
        ("http://a.test:80/", "a.test", 80, b"", b"a.test"),
        ("HTTPS://A.test/v/w/", "a.test", 443, b"/v/w", b"a.test"),
        ("https://a.test:80", "a.test", 80, b"", b"a.test:80"),
        ("http://[::1]:8000/b", "::1", 8000, b"/b", b"[::1]:8000"),
        ("http://10.0.0.1", "10.0.0.1", 80, b"", b"10.0.0.1"),
        ("http://vllm_0.models.svc:1", "vllm_0.models.svc", 1, b"", b"vllm_0.models.svc:1"),
    ],
)
def test_base_urls(url: str, host: str, port: int, prefix: bytes, authority: bytes) -> None:
    """What a base URL says is what is connected to and what the Host header carries."""
    origin = parse_base_url(url)
    assert (origin.host, origin.port, origin.prefix, origin.authority) == (host, port, prefix, authority)


@pytest.mark.parametrize(
    "url",
    [
        "", "a.test", "//a.test", "ftp://a.test", "unix:/x", "http://", "http:///x", "http://user:hunter2@a.test",
        "http:/hunter2@a.test", "http://a.test/?key=hunter2", "http://a.test/#hunter2", "http://a.test:0", "http://a.test:x",
        "http://a.test:", "http://a.test:65536", "http://a b", "http://a\n.test", "http://a.test/\r\nx", "http://ä.test",
        "http://[::1", "http://[::1%25eth0]", "http://a..b", "http://-a.test", "http://a.test/x/../y", "http://a.test//x",
        "http://127.1", "http://a\\b", "http://" + "a" * 64,
    ],
)  # fmt: skip
def test_bad_base_urls(url: str) -> None:
    """A URL that cannot be used is refused, the message says what is allowed, and secrets in it are not repeated."""
    with pytest.raises(SettingsError) as caught:
        parse_base_url(url)
    assert "allowed is http://HOST" in str(caught.value)
    assert "hunter2" not in str(caught.value)
