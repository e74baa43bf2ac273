"""The only place where a Refusal or an UpstreamFault becomes HTTP or an in-stream error event, in the caller's own format.

Every request is answered by exactly one of: the upstream's answer relayed, a refusal from here, or a cut connection with an
error event from here in front of it. Messages name whose fault it is and never show an upstream's address.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Sequence

from gateway.errors import Refusal, StoreFault, UpstreamFault
from gateway.values import Limit
from gateway.whole import Headers, Whole
from gateway.wires.base import Family

SHORT_WAIT_MS = 60_000
"""Waits up to this are left to the SDK's own retries; beyond it the anthropic SDK hammers and others sleep for hours."""
JITTER_SHARE = 0.03
"""So that a thousand refused clients don't come back in one millisecond; never earlier than the true wait."""

_FAULTS = {
    "connect": (502, "upstream", "The upstream model server could not be reached."),
    "overloaded": (503, "overloaded", "All connections to the upstream model server are in use."),
    "timeout_connect": (504, "timeout", "The upstream model server could not be reached in time."),
    "timeout_first_byte": (504, "timeout", "The upstream model server did not begin its answer in time."),
    "timeout_between_chunks": (504, "timeout", "The upstream model server fell silent in the middle of its answer."),
    "timeout_total": (504, "timeout", "The upstream model server did not finish its answer in time."),
    "broken": (502, "upstream", "The upstream model server broke off its answer."),
    "credentials": (502, "upstream", "The upstream model server refused the gateway's own credentials."),
    "error_event": (502, "upstream", "The upstream model server reported an error in the middle of its answer."),
    "protocol": (502, "upstream", "The upstream model server sent an answer that is no valid HTTP or event stream."),
}


def refusal_of(fault: UpstreamFault) -> Refusal:
    """An upstream's fault as a refusal whose side is the upstream, without the operator's details."""
    status, kind, message = _FAULTS.get(fault.kind, _FAULTS["broken"])
    return Refusal(kind, message, status=status, side="upstream", reason=f"upstream:{fault.kind}")


def refusal_without_store(_fault: StoreFault) -> Refusal:
    """The operator chose to refuse while the store is gone."""
    message = "The gateway cannot check budgets at the moment. Nothing was charged; please try again."
    return Refusal("overloaded", message, status=503, side="store", retry_after_ms=1000, reason="store_unavailable")


def trace(error: BaseException) -> list[str]:
    """Where a bug is, for the log: the innermost frames and the error's type. Not its text, which may quote a request."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames] + [type(error).__name__]


def internal() -> Refusal:
    """A bug of ours. The traceback is in the log under the request's id, never in the answer."""
    return Refusal("internal", "The gateway failed on this request.", status=500, side="gateway", reason="internal")


def refuse(
    refusal: Refusal,
    family: Family,
    request_id: str,
    *,
    limits: Sequence[Limit] = (),
    now_s: float = 0.0,
    notes: Sequence[tuple[str, str]] = (),
) -> Whole:
    """The whole HTTP answer to a refused request. `notes`: headers that its answer would have had too."""
    headers = family.limit_headers(limits, now_s=now_s) if limits else []
    headers.append(("Content-Type", "application/json"))
    headers.append((family.request_id_header, request_id))
    headers.append(("x-gauger-refused-by", refusal.side))
    headers += notes
    if refusal.problem:
        headers.append(("x-gauger-problem", refusal.problem))
    status = family.status(refusal)
    if status == 429 or status >= 500:
        _add_retry(headers, refusal)
    if status == 405:
        headers.append(("Allow", "GET, POST"))
    return Whole(status, headers, family.error_body(refusal, request_id))


def _add_retry(headers: Headers, refusal: Refusal) -> None:
    """Say when to come back. See the table of what SDKs honour: the header x-should-retry precedes the others."""
    wait_ms = refusal.retry_after_ms
    if wait_ms is None:
        if refusal.side == "tenant":
            headers.append(("x-should-retry", "false"))
        return
    if wait_ms > SHORT_WAIT_MS:
        headers.append(("retry-after", str(-(-wait_ms // 1000))))
        headers.append(("x-should-retry", "false"))
        return
    wait_ms += round(random.random() * JITTER_SHARE * wait_ms)  # noqa: S311  # spreads clients, keeps no secret
    headers.append(("retry-after-ms", str(wait_ms)))
    headers.append(("retry-after", str(max(1, -(-wait_ms // 1000)))))
