"""The state machine with a fault dimension: one example draws what is done and what goes wrong with it, together.

A rule of its own for each sort of fault puts one in wait for the next call that it can meet. So swarm testing leaves
some sorts out, and what fails is made shorter in both at once: fewer calls, and no fault that is not needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from xencbt.fixtures.disks import CREATING
from xencbt.harness.faults import (
    AnswerLost,
    ApiError,
    ConnectionReset,
    Duplicate,
    EmptyAnswer,
    Fault,
    HttpStatus,
    MalformedAnswer,
    Phase,
    Planned,
    RequestDropped,
    TruncatedAnswer,
)
from xencbt.harness.model import DataDestroy, Destroy, Disable, Enable, Snapshot
from xencbt.harness.model.allowing import OPERATIONS
from xencbt.suites import uncertain
from xencbt.suites.blame import breaking
from xencbt.suites.machine import Machine
from xencbt.suites.wording import words
from xencbt.suites.world import World

if TYPE_CHECKING:
    from xencbt.fixtures.lab import Lab
    from xencbt.harness.disturbing import Faults
    from xencbt.harness.outcome import Outcome
    from xencbt.harness.session import Session
    from xencbt.suites.play import Deed

Struck = Enable | Disable | Snapshot | DataDestroy | Destroy
"""Calls that a fault may meet."""

Trouble = tuple[Fault, Phase | None]
"""A fault, and its phase where that is not its usual one."""

LOST: tuple[Trouble, ...] = ((AnswerLost(), None), (ConnectionReset(), Phase.AFTER), (HttpStatus(), Phase.AFTER))
NEVER_SENT: tuple[Trouble, ...] = ((RequestDropped(), None), (ConnectionReset(), None), (HttpStatus(), None))
DAMAGED: tuple[Trouble, ...] = (
    (TruncatedAnswer(), None),
    (MalformedAnswer(), None),
    (EmptyAnswer(), None),
)
REFUSED: tuple[Trouble, ...] = ((ApiError(), None), (ApiError(), Phase.AFTER))
TWICE: Trouble = (Duplicate(), None)


class FaultyWorld(World):
    """A world in which a fault may lie in wait for the next call; that call goes through the interceptor.

    `struck` are the faults that met one, with the call.
    """

    def __init__(self, lab: Lab, faults: Faults, session: Session) -> None:
        super().__init__(lab, precise=False)
        self.waiting: Trouble | None = None
        self.struck: list[tuple[Struck, Trouble]] = []
        self._faults = faults
        self._session = session

    def do(self, step: Deed) -> None:
        """Do `step`; the fault in wait, if it can meet this call, meets it."""
        if self.waiting is None or not isinstance(step, Struck) or not self._suits(step, self.waiting):
            super().do(step)
            return
        trouble, self.waiting = self.waiting, None
        self.struck.append((step, trouble))
        if isinstance(step, Destroy):
            self.images.changed(step.disk)
        self._strike(step, trouble)

    def _suits(self, step: Struck, trouble: Trouble) -> bool:
        """Tell whether the fault may meet the call: what is done twice must be harmless, and what is made be found."""
        if trouble == TWICE:
            return isinstance(step, Enable | Disable)
        return not (isinstance(step, Snapshot) and self.play.model.disk(step.disk).is_a_snapshot)

    def _strike(self, step: Struck, trouble: Trouble) -> None:
        fault, phase = trouble
        operation, disk = OPERATIONS[type(step)], self.play.disks[step.disk]
        planned = Planned(fault, f"VDI.{operation}", phase=phase)

        def call() -> Outcome:
            with self._faults.armed(self._session, planned):
                return self._session.call(f"VDI.{operation}", disk.ref, *CREATING.get(operation, ()))

        if isinstance(step, Enable | Disable) and trouble == TWICE:
            outcome = call()
            self.lab.check(outcome, self.play.model.allowed(step), f"VDI.{operation}, delivered twice")
            with breaking("FAULT-04"):
                self.play.supposed(step, outcome)
                self.play.check_status(f"{words(step)}, delivered twice")
            return
        uncertain.make(self.play, step, call, arrived=planned.deliveries > 0)


class FaultyMachine(Machine):
    """The machine whose calls meet faults; `session` goes through the interceptor of `faults`."""

    world: FaultyWorld

    def __init__(self, lab: Lab, faults: Faults, session: Session) -> None:
        super().__init__(lab)
        self.world = FaultyWorld(lab, faults, session)

    @initialize(
        tracked=st.booleans().map(lambda untracked: not untracked),
        first=st.sampled_from((None, *LOST, *NEVER_SENT, *DAMAGED)),
        disable=st.booleans(),
    )
    def begin(self, *, tracked: bool, first: Trouble | None, disable: bool) -> None:
        """Create a disk, tracked and with a baseline or not; most often the first call to switch it meets a fault."""
        self.world.furnish("a", tracked=tracked)
        if first is not None:
            self.world.waiting = first
            self.world.do(Disable("a") if disable else Enable("a"))
            self.world.look()

    @rule(fault=st.sampled_from(LOST))
    def lose_an_answer(self, fault: Trouble) -> None:
        """Lose what the host answers to the next call."""
        self.world.waiting = fault

    @rule(fault=st.sampled_from(NEVER_SENT))
    def lose_a_call(self, fault: Trouble) -> None:
        """Lose the next call before the host sees it."""
        self.world.waiting = fault

    @rule(fault=st.sampled_from(DAMAGED))
    def damage_an_answer(self, fault: Trouble) -> None:
        """Damage the answer to the next call, so that it cannot be read."""
        self.world.waiting = fault

    @rule(fault=st.sampled_from(REFUSED))
    def refuse(self, fault: Trouble) -> None:
        """Answer the next call with an error, in its place or after it."""
        self.world.waiting = fault

    @rule()
    def deliver_twice(self) -> None:
        """Deliver the next call twice."""
        self.world.waiting = TWICE
