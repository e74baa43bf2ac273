"""TLS: the certificate must be trusted and name the host. `server.pem` is a self-signed certificate for localhost."""

from __future__ import annotations

import ssl as tls
from pathlib import Path

import pytest

from gateway.errors import UpstreamFault
from tests.upstream.scripted import Scripted, always, run, turns, upstream
from tests.upstream.test_pool import BOTH, sockets

HERE = Path(__file__).parent


def serving() -> tls.SSLContext:
    context = tls.create_default_context(tls.Purpose.CLIENT_AUTH)
    context.load_cert_chain(HERE / "server.pem", HERE / "server.key")
    return context


def trusting() -> tls.SSLContext:
    return tls.create_default_context(cafile=str(HERE / "server.pem"))


@BOTH
def test_tls(loop: str) -> None:
    """With a trusted certificate for the host a request passes, and the connection is reused."""

    async def main() -> None:
        async with Scripted(always(), ssl=serving()) as server:
            client = upstream(f"https://localhost:{server.port}", ssl=trusting())
            assert await client.probe()
            for body in (b"", b"x" * 300_000):
                reply = await client.send(b"POST", b"/", [], body)
                assert await reply.read(10) == b"ok"
            assert server.accepted == 1
            await client.close()
            assert client.connections == (0, 0)
            await turns(lambda: server.open == 0)

    run(main(), loop)


@BOTH
@pytest.mark.parametrize(
    ("host", "context", "reason"), [("127.0.0.1", trusting, "not valid for"), ("localhost", lambda: None, "self-signed")]
)
def test_refused_certificates(loop: str, host: str, context: object, reason: str) -> None:
    """A certificate for another host, or one nobody vouches for, is refused before a byte of the request goes out."""

    async def main() -> None:
        async with Scripted(always(), ssl=serving()) as server:
            before = sockets()
            client = upstream(f"https://{host}:{server.port}", ssl=context())  # type: ignore[operator]
            with pytest.raises(UpstreamFault) as caught:
                await client.send(b"GET", b"/", [], b"")
            assert (caught.value.kind, caught.value.reached) == ("connect", False)
            assert reason in caught.value.message
            assert not await client.probe()
            assert client.connections == (0, 0)
            await turns(lambda: sockets() <= before)
            await client.close()

    run(main(), loop)


@BOTH
def test_no_tls_on_the_other_side(loop: str) -> None:
    """A server that speaks plain HTTP where TLS is expected is a connect fault."""

    async def script(reader: object, writer: object) -> None:
        await reader.read(100)  # type: ignore[attr-defined]
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")  # type: ignore[attr-defined]

    async def main() -> None:
        async with Scripted(script) as server:
            client = upstream(f"https://localhost:{server.port}", ssl=trusting())
            with pytest.raises(UpstreamFault) as caught:
                await client.send(b"GET", b"/", [], b"")
            assert (caught.value.kind, caught.value.reached) == ("connect", False)
            await client.close()

    run(main(), loop)
