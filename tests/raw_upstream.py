"""A model server for the tests that are about bytes: it keeps each request as it came, and answers what the test wrote."""

from __future__ import annotations

import socketserver
import threading
from typing import Any, NamedTuple


class Came(NamedTuple):
    """A request as it came."""

    line: str
    headers: list[tuple[str, str]]
    """Names in lower case."""
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


class RawUpstream:
    """Answers `answers["METHOD target"]`, else the same without its query, else `{}`. `came`: the requests in their order.

    A list is answered with one after the other.
    """

    def __init__(self) -> None:
        self.answers: dict[str, bytes | list[bytes]] = {}
        self.came: list[Came] = []
        self.connections = 0
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                outer.connections += 1
                while (came := _read(self.rfile)) is not None:
                    outer.came.append(came)
                    asked = came.line.rpartition(" HTTP/")[0]
                    plain = outer.answers.get(asked.partition("?")[0], json_answer(b"{}"))
                    found = outer.answers.get(asked, plain)
                    self.wfile.write(found if isinstance(found, bytes) else found.pop(0))

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def last(self) -> Came:
        return self.came[-1]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def _read(file: Any) -> Came | None:
    line = file.readline().decode("latin-1").rstrip("\r\n")
    if not line:
        return None
    headers = []
    while header := file.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = header.partition(":")
        headers.append((name.lower(), value.strip()))
    length = next((int(value) for name, value in headers if name == "content-length"), 0)
    return Came(line, headers, file.read(length))


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer with its length."""
    lines = (b"HTTP/1.1 " + status, *headers, b"content-length: %d" % len(body), b"", body)
    return b"\r\n".join(lines)


def json_answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    return answer(body, b"content-type: application/json", *headers, status=status)
