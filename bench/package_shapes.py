"""What a family of requests is made of: the requests that a published program sends, with what its code sends beside them."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from package_templates import At

Label = Literal["attack", "benign", "dual"]
Part = str | At
Content = Part | tuple[Part, ...]
"""Parts are joined as they stand. A str is glue, with marks for slots; what is longer than glue is an At."""


class Shape(NamedTuple):
    """One kind of request."""

    messages: tuple[tuple[str, Content], ...]
    """Role and content."""
    params: dict[str, Any] = {}  # noqa: RUF012  # nobody changes it
    """What the program sends by default; what it leaves to its user is left out."""
    weight: float = 1
    """How often, beside the others of its family."""


class Family(NamedTuple):
    """One program's traffic. `package` is who wrote it: what is held out together."""

    name: str
    label: Label
    package: str
    workload: str
    shapes: tuple[Shape, ...]
    note: str = ""


def says(user: Content, system: Content = "", weight: float = 1, **params: Any) -> Shape:
    """A request of one turn."""
    before = (("system", system),) if system else ()
    return Shape((*before, ("user", user)), params, weight)
