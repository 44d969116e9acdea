"""How often the host executed what a session called, where the target counts it (`call-counts`)."""

from xencbt.fixtures.lab import Lab
from xencbt.harness.session import Session
from xencbt.harness.verdicts import NotExercised, Violation


class Executions:
    """The executions of one session's calls."""

    def __init__(self, lab: Lab, session: Session) -> None:
        self._lab = lab
        self._session = session

    def of(self, method: str) -> int | None:
        """Return how often the host has begun to execute the call; None where nobody counts."""
        if not self._lab.offers("call-counts"):
            return None
        return self._lab.control.call_counts().get(method, {}).get(self._session.uuid, 0)

    def judge(self, method: str, before: int | None, deliveries: int) -> None:
        """Expect as many executions since `before` as there were deliveries.

        Raises Violation for more, NotExercised for fewer: then the host was not given what it should have been.
        """
        now = self.of(method)
        if before is None or now is None:
            return
        executed = now - before
        if executed > deliveries:
            raise Violation(
                f"{method} was executed more often than it was delivered",
                expected=(f"{deliveries} executions",),
                actual=f"{executed} executions",
            )
        if executed < deliveries:
            raise NotExercised(f"the host executed {executed} of {deliveries} deliveries of {method}")
