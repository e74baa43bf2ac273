"""Budgets and terms with defaults, for the tests of this room."""

from __future__ import annotations

from typing import Any

from gateway.budgets.meters import Terms
from gateway.policy.model import Budget, Place, Price
from gateway.values import Caller

CALLER = Caller("solo", "acme", "key-1", "open")
PRICE = Price(input=1_000_000_000, cached_input=100_000_000, cache_write=1_250_000_000, output=10_000_000_000)
TERMS = Terms(PRICE, counts_cached_input=False)
SECRET = b"a secret of the deployment"


def budget(name: str = "ten-a-minute", **fields: Any) -> Budget:
    """Ten requests a minute for each tenant, but for what `fields` say."""
    limit = fields.pop("limit", 10)
    kind = "calendar" if fields.get("calendar") else "bucket"
    month_or_day_s = 2_592_000 if fields.get("calendar") == "month" else 86_400
    defaults: dict[str, Any] = {
        "meter": "requests",
        "limit": limit,
        "kind": kind,
        "period_s": month_or_day_s if kind == "calendar" else 60,
        "burst": limit,
        "calendar": "",
        "timezone": "UTC" if kind == "calendar" else "",
        "scope": ("tenant",),
        "enforce": True,
        "models": ("*",),
        "place": Place("test.yaml", 1),
    }
    return Budget(name=name, **(defaults | fields))


IN_FLIGHT = budget("in-flight", meter="concurrency", kind="concurrency", limit=5, period_s=0)
MONTH = budget("month", meter="cost", calendar="month", limit=50_000_000)
