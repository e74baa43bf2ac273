"""Where an upstream is: its base URL, read strictly. Pure; opens nothing."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from gateway.errors import SettingsError

_ALLOWED = "allowed is http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]"
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """A base URL's parts."""

    is_tls: bool
    host: str
    """Name or address, without the brackets of an IPv6 literal."""
    port: int
    is_literal: bool
    """`host` is an IP address: there is nothing to resolve."""
    prefix: bytes
    """Path in front of every target, without a slash at its end; b"" for none."""
    authority: bytes
    """Value of the Host header: the port only where it is not the scheme's own."""

    @property
    def where(self) -> str:
        """`host:port`, for an operator."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_base_url(url: str) -> Origin:
    """Raises SettingsError, which never repeats a URL that may carry a secret."""
    if "@" in url:
        raise SettingsError(f"the upstream URL must not contain a user or password (or any '@'); {_ALLOWED}")
    if "?" in url or "#" in url:
        raise SettingsError(f"the upstream URL must not have a query or a fragment; {_ALLOWED}")
    if not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        raise SettingsError(f"the upstream URL {url!r} has a space, a backslash or a character outside ASCII; {_ALLOWED}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"the upstream URL {url!r} is not valid: {error}; {_ALLOWED}") from None
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise SettingsError(f"the upstream URL {url!r} cannot be used; {_ALLOWED}")
    if port == 0 or parts.netloc.endswith(":"):
        raise SettingsError(f"the upstream URL {url!r} has no usable port: 1 to 65535; {_ALLOWED}")
    is_literal = _is_address(host)
    if not is_literal and not _is_name(host):
        raise SettingsError(f"the upstream URL {url!r} names no valid host; {_ALLOWED}")
    segments = parts.path.split("/")
    if segments[-1] == "v1" or segments[-2:] == ["v1", ""]:
        raise SettingsError(f"the upstream URL {url!r} ends with /v1: leave it out, for every request's path begins with it")
    if not _PATH.fullmatch(parts.path) or "." in segments or ".." in segments:
        raise SettingsError(f"the upstream URL {url!r} has a path with empty, '.' or '..' segments; {_ALLOWED}")

    default_port = _DEFAULT_PORTS[parts.scheme]
    authority = f"[{host}]" if ":" in host else host
    if port is not None and port != default_port:
        authority = f"{authority}:{port}"
    return Origin(
        is_tls=parts.scheme == "https",
        host=host,
        port=port or default_port,
        is_literal=is_literal,
        prefix=parts.path.rstrip("/").encode(),
        authority=authority.encode(),
    )


def _is_address(host: str) -> bool:
    try:
        return "%" not in ipaddress.ip_address(host).compressed  # a zone id has no place in a Host header
    except ValueError:
        return False


def _is_name(host: str) -> bool:
    is_all_digits = host.replace(".", "").isdigit()  # "127.1" would be an address to some resolvers, a name to others
    return len(host) <= 253 and not is_all_digits and _HOST_NAME.fullmatch(host) is not None
