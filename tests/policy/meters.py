"""The meters' names as the policy's model fixes them; the policy room does not import the budgets room."""

from typing import get_args

from gateway.policy.model import MeterName

METERS: tuple[str, ...] = get_args(MeterName)
