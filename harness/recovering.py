"""After a fault: time for what it still does, then the target has to answer again (FAULT-05)."""

import time
from collections.abc import Callable

from xencbt.harness.outcome import Indeterminate, Outcome
from xencbt.harness.verdicts import Axis, Violation, judging

RECOVERY_DEADLINE_S = 30.0
RECOVERY_PAUSE_S = 0.05

QUIET_WINDOW_S = 2.0
"""How long nothing is asked of a real host after a fault is healed: what the fault still does must be over when the
next one begins (a switch that converges, a call that still runs although its client is gone). An emulated host has none
of that: when it says healed, nothing lingers."""


def recovered(
    ask: Callable[[float], Outcome],
    what: str,
    *,
    quiet_s: float = QUIET_WINDOW_S,
    deadline_s: float = RECOVERY_DEADLINE_S,
) -> float:
    """Wait the quiet window, then until `ask` is answered; return the seconds that took after the window.

    `ask` makes a cheap read within the seconds it is given; a refusal is an answer. `what` was healed, in words. Raises
    Violation (of the recovery) when none came by the deadline.
    """
    time.sleep(quiet_s)
    began = time.monotonic()
    while True:
        left = deadline_s - (time.monotonic() - began)
        outcome = ask(max(left, RECOVERY_PAUSE_S))
        if not isinstance(outcome, Indeterminate):
            return time.monotonic() - began
        if time.monotonic() - began >= deadline_s:
            expected = (f"an answer within {deadline_s:g} s",)
            with judging(Axis.RECOVERY):
                raise Violation(
                    f"the host does not answer after {what} was healed", expected=expected, actual=str(outcome)
                )
        time.sleep(RECOVERY_PAUSE_S)  # between two looks at a condition that has a deadline
