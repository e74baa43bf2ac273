"""The head of a request as bytes. Pure.

Rule: whatever the caller gives, exactly the lines that were meant go out. A CR, LF or NUL anywhere raises ValueError, and so
does a name that is no token or a target that is no path: they are the caller's bugs, and callers filter long before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.errors import SettingsError
from gateway.upstream.headers import HOP_BY_HOP
from gateway.upstream.origin import Origin

_METHODS = frozenset((b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))
"""HEAD and CONNECT are answered differently, and nothing here asks them."""
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(rb"/[!\"$-~]*")
_SET_HERE = HOP_BY_HOP | {b"host", b"content-length", b"expect"}
_NAMES_MAX = 512
_NAME_BYTES_MAX = 64


class HeadWriter:
    """Writes heads for one origin, with its credentials."""

    def __init__(self, origin: Origin, credentials: Sequence[tuple[bytes, bytes]]) -> None:
        """Raises SettingsError, without the credential, for one that cannot be a header."""
        for name, value in credentials:
            if not _TOKEN.fullmatch(name) or name.lower() in _SET_HERE:
                raise SettingsError(
                    f"upstream credential header {name!r} cannot be used: allowed is a name such as authorization"
                )
            if not value or not value.isascii() or not value.decode("ascii", "replace").isprintable() or value != value.strip():
                raise SettingsError(
                    f"the value of upstream credential header {name.decode()!r} cannot be used: "
                    "allowed is printable ASCII without spaces around it (does the file end in a line break?)"
                )
        self._prefix = b" " + origin.prefix
        self._fixed = b" HTTP/1.1\r\nhost: " + origin.authority + b"\r\nconnection: keep-alive"
        self._fixed += b"".join(b"\r\n" + name.lower() + b": " + value for name, value in credentials)
        self._fixed_lines = self._fixed.count(b"\r") + 2  # and the two breaks of the blank line
        self._owned = _SET_HERE | {name.lower() for name, _ in credentials}
        self._starts: dict[bytes, bytes] = {}
        """Name as given -> "\\r\\nname: ", for names that are not set here. Bounded, for tenants choose names."""

    def __call__(self, method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]], body_bytes: int) -> bytes:
        """The head of a request with a body of so many bytes, blank line included. Raises ValueError."""
        if method not in _METHODS:
            raise ValueError(f"method {method!r} is not one of those sent upstream")
        if not _TARGET.fullmatch(target):
            raise ValueError("the target is not an absolute path of printable ASCII without a fragment")
        starts = self._starts
        try:
            lines = [starts[name] + value for name, value in headers]
        except KeyError:
            lines = self._slowly(headers)
        if body_bytes or method != b"GET":
            lines.append(b"\r\ncontent-length: %d" % body_bytes)
        head = b"".join((method, self._prefix, target, self._fixed, *lines, b"\r\n\r\n"))
        # every line begins with one CR and one LF; one pass over the whole is cheaper than three searches in each value
        if len(head) - len(head.translate(None, b"\r\n\0")) != 2 * (self._fixed_lines + len(lines)):
            raise ValueError("a header value has a CR, LF or NUL")
        return head

    def _slowly(self, headers: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Lines of headers of which some name is new, or set here and so left out."""
        lines = []
        for name, value in headers:
            start = self._starts.get(name)
            if start is None:
                if not _TOKEN.fullmatch(name):
                    raise ValueError("a header name is not a token")
                lowered = name.lower()
                if lowered in self._owned:
                    continue
                start = b"\r\n" + lowered + b": "
                if len(self._starts) < _NAMES_MAX and len(name) <= _NAME_BYTES_MAX:
                    self._starts[name] = start
            lines.append(start + value)
        return lines
