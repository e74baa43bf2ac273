"""Upstreams: which model servers serve which models. One name, one or several URLs, and where its API key is found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from gateway.policy.fields import Fields, scalar, text
from gateway.policy.model import Upstream
from gateway.policy.read_globs import read_models
from gateway.policy.shapes import MODELS, items, needed, written
from gateway.policy.yaml_tree import Items, Node, shown

URLS_MAX = 64
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
WORDS = {
    "urls": needed(items(written(r"https?://[^\s?#]+"), may_be_empty=False, maxItems=URLS_MAX)),
    "models": MODELS,
    "key_env": written(_VARIABLE.pattern),
}


def read_upstream(fields: Fields, name: str, node: Node, groups: Mapping[str, tuple[str, ...]]) -> Upstream:
    """One entry of `upstreams`."""
    urls: list[str] = []
    for path, item in fields.items("urls", may_be_empty=False):
        url = scalar(fields.report, item, path, text(_base_url), "")
        if url and url in urls:
            fields.report.add(item, path, f"{shown(url)} is already in this list")
        urls.append(url)
    if isinstance(fields.value("urls"), Items) and not urls:
        fields.refuse("urls", "an empty list serves nothing: list base URLs")
    elif len(urls) > URLS_MAX:
        fields.refuse("urls", f"{len(urls)} are too many: at most {URLS_MAX}")
    elif "urls" not in fields and fields.is_usable:
        fields.report.add(node, fields.path, "`urls` is missing")
    return Upstream(
        name=name,
        urls=tuple(urls),
        models=read_models(fields, groups),
        key_env=fields.get("key_env", text(_variable), ""),
        place=fields.report.place(node),
    )


def _base_url(url: str) -> str:
    how = "a base URL is written like `http://10.0.0.1:8000` or `https://api.example.com`, without /v1"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(how) from None
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain or parts.query or parts.fragment:
        raise ValueError(how)
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials do not belong into a policy file: name an environment variable under `key_env`")
    if parts.path.rstrip("/").endswith("/v1"):
        raise ValueError("leave out /v1: it is part of every request's path")
    return url.rstrip("/")


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError("the name of an environment variable, in capitals, as in `OPENAI_API_KEY`; never the key itself")
    return name
