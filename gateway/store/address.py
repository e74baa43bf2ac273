"""Store URLs: what `--store` may say, read into where to connect and as whom. No IO.

::

    redis://[user:password@]host[:port][/db]      also valkey://; port 6379, db 0
    rediss://...                                  the same over TLS; also valkeys://
    unix:///path/to.sock[?db=N]                   also redis+unix://, valkey+unix://; [user:password@] before the path

Secrets may stand in a URL: `str()` of an Address leaves them out, and no error message quotes one.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from gateway.errors import StoreFault

_TCP = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}
_UNIX = ("unix", "redis+unix", "valkey+unix")


class Address(NamedTuple):
    """Where a store is. `path` is "" for TCP, `host` is "" for a Unix socket."""

    host: str
    port: int
    path: str
    is_tls: bool
    db: int
    user: str
    password: str

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.is_tls else 'redis'}://{host}:{self.port}/{self.db}"

    def __repr__(self) -> str:
        return str(self)


def parse_url(url: str) -> Address:
    """Raises StoreFault naming what is wrong, never the URL's secrets."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise StoreFault("the store's URL cannot be read: is the port a number, and the password percent-encoded?") from error
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme in _UNIX:
        if parts.hostname:
            raise StoreFault("the store's URL names a host before its socket's path: write unix:///path (three slashes)")
        if not parts.path:
            raise StoreFault("the store's URL names no socket: write unix:///path/to.sock")
        db = _number((parse_qs(parts.query).get("db") or ["0"])[-1])
        return Address("", 0, unquote(parts.path), False, db, user, password)
    if parts.scheme not in _TCP:
        raise StoreFault(
            f"the store's URL starts with {parts.scheme or 'no scheme'!r}: allowed are redis://, rediss://, valkey:// and unix://"
        )
    if not parts.hostname:
        raise StoreFault("the store's URL names no host: write redis://host:port/db")
    db = _number(parts.path.strip("/") or (parse_qs(parts.query).get("db") or ["0"])[-1])
    return Address(parts.hostname, port or 6379, "", _TCP[parts.scheme], db, user, password)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 6:
        raise StoreFault(f"the store's URL names database {text[:20]!r}: allowed is a number from 0")
    return int(text)
