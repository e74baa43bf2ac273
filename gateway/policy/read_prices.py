"""What a model costs: the `price` of a rule."""

from __future__ import annotations

from gateway.policy import scalars
from gateway.policy.fields import Fields
from gateway.policy.model import Price
from gateway.policy.shapes import PRICE, needed
from gateway.policy.yaml_tree import Scalar

WORDS = {"input": needed(PRICE), "cached_input": PRICE, "cache_write": PRICE, "output": needed(PRICE)}


def read_price(owner: Fields) -> Price | None:
    """The `price` of a mapping; None where there is none."""
    node = owner.value("price")
    if node is None:
        return None
    fields = Fields(owner.report, node, owner.at("price"), WORDS)
    input_price = fields.need("input", _price, 0)
    return Price(
        input=input_price,
        cached_input=fields.get("cached_input", _price, input_price),
        cache_write=fields.get("cache_write", _price, input_price),
        output=fields.need("output", _price, 0),
    )


def _price(node: Scalar) -> int:
    return scalars.price_nano_usd_per_1m(node.text)
