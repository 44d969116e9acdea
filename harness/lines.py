"""The sessions of a replay: the run's own, those of users, and the one that faults strike; and calls over them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from xencbt.harness.background import ASYNC, DEADLINE_S, call_in_background, outcome_of_task
from xencbt.harness.disturbing import NEVER_ENDING_S, Faults
from xencbt.harness.faults import TaskNeverEnds, hides
from xencbt.harness.outcome import Ok
from xencbt.harness.verdicts import NotExercised, Unsupported
from xencbt.harness.witness.steps import DISTURBED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xencbt.fixtures.disks import Disk
    from xencbt.fixtures.lab import Lab
    from xencbt.harness.disturbing import Armed
    from xencbt.harness.faults import Planned, Receipt
    from xencbt.harness.outcome import Outcome
    from xencbt.harness.session import Session
    from xencbt.harness.witness.steps import Step
    from xencbt.proxies.interceptor import Interceptor


class Lines:
    """The lines of one replay, each opened when it is first used; what is armed at its end is healed by `open_now`."""

    def __init__(self, lab: Lab, open_now: ExitStack, interceptor: Callable[[], Interceptor] | None) -> None:
        self._lab = lab
        self._open = open_now
        self._faults = Faults(lab, interceptor, []) if interceptor is not None else None
        self._sessions: dict[str, Session] = {}
        self._armed: Armed | None = None
        self._healing = ExitStack()
        self._followed: set[str] = set()

    def session(self, line: str) -> Session:
        """Return the session of a line; raises NotRun or Unsupported where it cannot be."""
        if not line:
            return self._lab.session
        if line not in self._sessions:
            self._sessions[line] = self._faulty().session() if line == DISTURBED else self._lab.open_session(line)
        return self._sessions[line]

    def send(self, step: Step, method: str, *params: object) -> Outcome:
        """Make the call of a step, on its line and in its form.

        A task that only a fault was told of is followed to its end too: what comes next finds the call done.
        """
        session = self.session(step.line)
        if not step.background:
            outcome = session.call(method, *params, deadline_s=step.deadline_s)
        else:
            outcome = call_in_background(
                session, method, *params, deadline_s=self._patience_s(), answer_s=step.deadline_s
            )
        for task in set(self._hidden()) - self._followed:
            self._followed.add(task)
            outcome_of_task(self._lab.session, task)
        return outcome

    def arm(self, planned: tuple[Planned, ...], on: Disk | None) -> None:
        """Let `planned` faults strike, those on the wire the calls of the disturbed line; until `heal`."""
        faults = self._faulty()
        self._healing = self._open.enter_context(ExitStack())
        self._armed = self._healing.enter_context(faults.armed(self.session(DISTURBED), *planned, on=on))

    def heal(self) -> tuple[Receipt, ...]:
        """Heal what was armed last, and return its receipts; raises NotExercised where some of it never struck.

        How often it struck is not asked: a test that breaks off at a failure has its later calls still to be struck.
        """
        armed, self._armed = self._armed, None
        try:
            self._healing.close()
        except NotExercised:
            if armed is None or not all(receipt.firings for receipt in armed.receipts):
                raise
        return armed.receipts if armed is not None else ()

    def _faulty(self) -> Faults:
        self._lab.consent("faults")
        if self._faults is None:
            raise Unsupported("faults need an interceptor, and there is none here")
        return self._faults

    def _receipts(self) -> tuple[Receipt, ...]:
        return self._armed.receipts if self._armed is not None else ()

    def _patience_s(self) -> float:
        endless = any(isinstance(each.planned.fault, TaskNeverEnds) for each in self._receipts())
        return NEVER_ENDING_S if endless else DEADLINE_S

    def _hidden(self) -> Iterator[str]:
        """Yield the tasks that the host began, and the client was not told of."""
        for receipt in self._receipts():
            begun = [each for each in receipt.firings if each.method.startswith(ASYNC)]
            if begun and hides(receipt.planned.fault):
                yield from (str(each.answer.value) for each in begun if isinstance(each.answer, Ok))
