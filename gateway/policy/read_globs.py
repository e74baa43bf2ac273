"""The lists of globs of a policy file: which models a budget or a plan is for, and which endpoints a plan's tenants may use.

Rule: a glob of endpoints that matches none of them is a mistake, because their names are known; models' names are not.
"""

from __future__ import annotations

from gateway.policy import scalars
from gateway.policy.fields import Fields, among, scalar, text
from gateway.policy.globs import matcher
from gateway.policy.model import DEFAULT_ENDPOINTS, ENDPOINTS
from gateway.policy.yaml_tree import Items, shown

EVERY_MODEL = ("*",)
_PREFIX = "/v1/"


def read_models(owner: Fields) -> tuple[str, ...]:
    """The `models` of a mapping, a list of globs; every model where it is missing."""
    if "models" not in owner:
        return EVERY_MODEL
    globs = [
        scalar(owner.report, node, path, text(scalars.glob), "*") for path, node in owner.items("models", may_be_empty=False)
    ]
    if isinstance(owner.value("models"), Items) and not globs:
        owner.refuse("models", "an empty list names no model: remove the word for all of them, or list globs")
    return tuple(globs)


def read_endpoints(owner: Fields) -> tuple[str, ...]:
    """The `endpoints` of a mapping, a list of globs that each match a known one; the usual ones where it is missing."""
    if "endpoints" not in owner:
        return DEFAULT_ENDPOINTS
    globs = [
        scalar(owner.report, node, path, text(_endpoint), "*") for path, node in owner.items("endpoints", may_be_empty=False)
    ]
    if isinstance(owner.value("endpoints"), Items) and not globs:
        owner.refuse("endpoints", "an empty list names no endpoint: remove the word for the usual ones, or list globs")
    return tuple(globs)


def _endpoint(glob: str) -> str:
    if not any(matcher((glob,))(endpoint) for endpoint in ENDPOINTS):
        raise ValueError(f"{shown(glob)} matches no endpoint; {among(glob.removeprefix(_PREFIX), ENDPOINTS)}")
    return glob
