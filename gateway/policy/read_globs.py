"""The lists of globs of a policy file: which models or endpoints a budget or a level is for, and named groups of models.

Rule: a glob of endpoints that matches none of them is a mistake, because their names are known; models' names are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.policy import scalars
from gateway.policy.fields import Fields, among, scalar, text
from gateway.policy.globs import matcher
from gateway.policy.model import ENDPOINTS
from gateway.policy.shapes import choice, either, items, written
from gateway.policy.yaml_tree import Items, Scalar, shown

EVERY_MODEL = ("*",)
GROUP = "group:"
"""`group:fast` in a list of models stands for the globs of the group `fast`."""
Groups = Mapping[str, tuple[str, ...]]
_PREFIX = "/v1/"
ENDPOINT_GLOBS = items(either(choice(ENDPOINTS), written(r".*[*?\[].*")), may_be_empty=False)
PLAIN_GLOB = written(f"(?!{GROUP}){scalars.GLOB.pattern}", scalars.GLOB_IS)
GROUP_GLOBS = items(PLAIN_GLOB, may_be_empty=False)


def read_groups(owner: Fields) -> Iterator[tuple[str, Scalar, tuple[str, ...]]]:
    """The `groups` of a file's top level: (name, the name's node, globs)."""
    for name, path, key, node in owner.named("groups"):
        if not isinstance(node, Items):
            owner.report.add(node, path, "a group is a list of globs of models, as in `[gpt-*-mini, demo-small]`")
            continue
        globs = [
            scalar(owner.report, item, f"{path}[{index}]", text(_plain_glob), "*") for index, item in enumerate(node.items)
        ]
        if not globs:
            owner.report.add(key, path, "an empty list names no model: list globs, or remove the group")
        yield name, key, tuple(globs)


def read_models(owner: Fields, groups: Groups, default: tuple[str, ...] = EVERY_MODEL) -> tuple[str, ...]:
    """The `models` of a mapping, a list of globs and of groups; `default` where it is missing."""
    if "models" not in owner:
        return default
    globs: list[str] = []
    for path, node in owner.items("models", may_be_empty=False):
        globs += scalar(owner.report, node, path, text(lambda written: _expanded(written, groups)), EVERY_MODEL)
    if isinstance(owner.value("models"), Items) and not globs:
        owner.refuse("models", "an empty list names no model: remove the word for all of them, or list globs")
    return tuple(dict.fromkeys(globs))


def read_endpoints(owner: Fields, default: tuple[str, ...]) -> tuple[str, ...]:
    """The `endpoints` of a mapping, a list of globs that each match a known one; `default` where it is missing."""
    if "endpoints" not in owner:
        return default
    globs = [
        scalar(owner.report, node, path, text(_endpoint), "*") for path, node in owner.items("endpoints", may_be_empty=False)
    ]
    if isinstance(owner.value("endpoints"), Items) and not globs:
        owner.refuse("endpoints", "an empty list names no endpoint: remove the word for the usual ones, or list globs")
    return tuple(globs)


def _expanded(written: str, groups: Groups) -> tuple[str, ...]:
    if not written.startswith(GROUP):
        return (scalars.glob(written),)
    name = written.removeprefix(GROUP)
    if name not in groups:
        raise ValueError(f"there is no group {shown(name)}" + (f"; {among(name, groups)}" if groups else ""))
    return groups[name]


def _plain_glob(written: str) -> str:
    if written.startswith(GROUP):
        raise ValueError("a group holds globs of models, not other groups")
    return scalars.glob(written)


def _endpoint(glob: str) -> str:
    if not any(matcher((glob,))(endpoint) for endpoint in ENDPOINTS):
        raise ValueError(f"{shown(glob)} matches no endpoint; {among(glob.removeprefix(_PREFIX), ENDPOINTS)}")
    return glob
