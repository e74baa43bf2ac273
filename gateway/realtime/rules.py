"""What holds for the responses of a session: the running policy, looked up anew for each, for a session lasts an hour.

A policy that is reloaded, a plan that changes with the hour, a key that is taken back, a step that the caller has come to on
its ladder: the next response obeys. What the session itself holds (its request, its place in flight) stays in the budgets it
came from.
"""

from __future__ import annotations

from gateway.budgets.limits import plan_lines
from gateway.errors import Refusal
from gateway.house import House
from gateway.phases import admit
from gateway.phases.classify import obeyed, refuse, standing
from gateway.policy.model import Output
from gateway.snapshot import Admission, Snapshot
from gateway.values import Caller, Verdict

ENDPOINT = "realtime"


class Rules:
    """Of one session."""

    def __init__(self, house: House, policy: Snapshot, caller: Caller, model: str) -> None:
        """`policy`: the one that has let the session in."""
        self._house = house
        self._caller = caller
        self._model = model
        self._policy = policy
        self._verdict = self._standing(policy)
        self._known = self._work_out(policy)

    @property
    def known(self) -> Admission:
        """As last looked up."""
        return self._known

    @property
    def policy(self) -> Snapshot:
        """As last looked up."""
        return self._policy

    @property
    def digest(self) -> str:
        return self._policy.digest

    def now(self) -> Admission:
        """What holds now. Raises Refusal (permission, authentication) for a caller that may not go on."""
        policy = self._house.policies.snapshot()
        verdict = self._standing(policy)
        refuse(verdict)
        is_same = policy is self._policy and verdict == self._verdict
        if not is_same or self._house.store_now_us() >= self._known.effective.changes_at_us:
            self._verdict = verdict
            self._known = self._work_out(policy)
            self._policy = policy
        return self._known

    def _standing(self, policy: Snapshot) -> Verdict | None:
        """What is done about the caller, as the watch has it. Raises Refusal (authentication)."""
        watcher = self._house.watcher
        if watcher is None:
            return None
        try:
            return obeyed(standing(watcher, policy, self._caller, self._house.store_now_us()))
        except KeyError:
            raise _unknown_key() from None

    def _work_out(self, policy: Snapshot) -> Admission:
        caller, model = self._caller, self._model
        try:
            admit.permit(policy, caller, ENDPOINT)
            known = admit.admission(caller, model, ENDPOINT, policy, self._house.store_now_us(), self._verdict)
        except KeyError:
            raise _unknown_key() from None
        check_output(known.effective.output)
        # All budgets but places in flight, of which the session has one for all its responses.
        kept = tuple(budget for budget in known.effective.budgets if budget.kind != "concurrency")
        plan = plan_lines(kept, caller, model, secret=policy.secret)
        return known._replace(effective=known.effective._replace(budgets=kept), plan=plan)


def _unknown_key() -> Refusal:
    """The running policy does not have this key any more."""
    message = "Incorrect API key provided."
    return Refusal("authentication", message, status=401, code="invalid_api_key", reason="authentication")


def check_output(output: Output) -> None:
    """Raises Refusal where the policy wants of answers what cannot be done to speech."""
    wanted = ["filters"] if output.filters else []
    if output.reasoning in ("blank", "shorten"):
        wanted.append("reasoning")
    if wanted:
        message = (
            f"Realtime sessions are not possible under this policy: its output rules ({' and '.join(wanted)}) "
            "cannot be kept in speech."
        )
        raise Refusal("permission", message, status=403, code="endpoint_not_allowed", reason="output_not_applicable")
