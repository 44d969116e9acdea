"""Calls that go astray on their way: made through the interceptor, judged by state and by the executions counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import Lab
from xencbt.harness.disturbing import Faults
from xencbt.harness.errors import HarnessError
from xencbt.harness.expectations import SUCCESS
from xencbt.harness.faults import Duplicate, Fault, Planned
from xencbt.harness.model import Disable, Enable
from xencbt.harness.outcome import Indeterminate, Outcome
from xencbt.harness.verdicts import NotExercised, Violation
from xencbt.suites.listing import block_map
from xencbt.suites.play import Play

DISK = "disk"
"""The name, in a play, of the disk that the disturbed calls are about."""


class Switch(StrEnum):
    """The two calls that switch tracking."""

    ENABLE = "enable_cbt"
    DISABLE = "disable_cbt"

    @property
    def method(self) -> str:
        """The call's name on the wire."""
        return f"VDI.{self.value}"

    @property
    def wanted(self) -> bool:
        """What `cbt_enabled` reads once the call was executed."""
        return self is Switch.ENABLE

    @property
    def step(self) -> Enable | Disable:
        """The call on DISK, as the model follows it."""
        return Enable(DISK) if self is Switch.ENABLE else Disable(DISK)


class Wire:
    """The way through the interceptor: one session of its own, whose calls are disturbed or left alone.

    Executions are judged where the target counts them (`call-counts`); elsewhere state alone is judged. A tracked
    bystander with a recorded change is there all the time, and nothing that happens to another disk may touch it.
    Making one raises Blocked where the calls do not work undisturbed: without this control a lost answer proves
    nothing.
    """

    def __init__(self, lab: Lab, faults: Faults) -> None:
        self._lab = lab
        self._faults = faults
        self._session = faults.session()
        with lab.precondition("undisturbed calls through the interceptor"):
            self._works(lab.create_disk())
        with lab.precondition("a tracked disk beside the one that is disturbed"):
            self._bystander = lab.create_disk().enable_cbt()
            self._baseline = self._bystander.snapshot()
            self._recorded = self._baseline.changed_blocks_to(self._bystander.write(block=3))

    def repeat(self, play: Play, switch: Switch) -> None:
        """Make the call on DISK undisturbed; it must succeed, and what follows from it is judged."""
        with self._others_untouched(play, f"repeating {switch.method}"):
            self._undisturbed(switch, play.disks[DISK])
        play.model.happened(switch.step)
        self._judge_state(play, f"repeating {switch.method}")

    def strike(self, play: Play, switch: Switch, fault: Fault, *, calls: int = 1) -> None:
        """Make the call on DISK `calls` times in a row, each time meeting `fault`, and judge what came of it.

        The client must be left without an answer (but for a duplicate, whose first answer it gets); the host must not
        execute what never reached it, nor anything twice; the state must be that after the call where it reached the
        host, and that before where not; and no other disk may change. Raises Violation, or NotExercised when the fault
        did not fire or the host did not execute what it was given.
        """
        disk, what = play.disks[DISK], f"{switch.method} with {fault.name}"
        arrives = Planned(fault, switch.method).deliveries > 0
        with self._others_untouched(play, what), self._lab.unchanged(*([] if arrives else [disk]), after=what):
            self._disturb(switch, disk, fault, calls)
        if arrives:
            play.model.happened(switch.step)
        self._judge_state(play, what)

    def _works(self, disk: Disk) -> None:
        for switch in Switch:
            self._undisturbed(switch, disk)
            if disk.cbt_enabled is not switch.wanted:
                raise Violation(f"{switch.method} had no effect", expected=(str(switch.wanted),), actual="the opposite")

    @contextmanager
    def _others_untouched(self, play: Play, what: str) -> Iterator[None]:
        snapshots = [disk for name, disk in play.disks.items() if name != DISK]
        with self._lab.unchanged(self._bystander, *snapshots, after=what):
            yield
        recorded = self._baseline.changed_blocks_to(self._bystander)
        if recorded != self._recorded:
            raise Violation(
                f"another disk's recorded changes moved by {what}",
                expected=(str(self._recorded),),
                actual=str(recorded),
                block_map=block_map(recorded, self._recorded.blocks, self._baseline, self._bystander),
            )

    def _disturb(self, switch: Switch, disk: Disk, fault: Fault, calls: int) -> None:
        before = self._executions(switch)
        with self._faults.armed(self._session, Planned(fault, switch.method, times=calls)) as armed:
            outcomes = [self._session.call(switch.method, disk.ref) for _ in range(calls)]
        for outcome in outcomes:
            self._judge_answer(switch, fault, outcome)
        if isinstance(fault, Duplicate):
            for firing in armed.receipts[0].firings:
                second = firing.answer or Indeterminate("nobody saw an answer")
                self._lab.check(second, SUCCESS, f"the second of two deliveries of {switch.method}")
        self._judge_executions(switch, before, calls * Planned(fault, switch.method).deliveries)

    def _undisturbed(self, switch: Switch, disk: Disk) -> None:
        before = self._executions(switch)
        outcome = self._session.call(switch.method, disk.ref)
        self._lab.check(outcome, SUCCESS, f"{switch.method} through the interceptor, undisturbed")
        self._judge_executions(switch, before, 1)

    def _judge_answer(self, switch: Switch, fault: Fault, outcome: Outcome) -> None:
        if isinstance(fault, Duplicate):
            self._lab.check(outcome, SUCCESS, f"the first of two deliveries of {switch.method}")
        elif not isinstance(outcome, Indeterminate):
            raise HarnessError(f"{fault.name} fired, and yet {switch.method} was answered: {outcome}")

    def _executions(self, switch: Switch) -> int | None:
        """Return how often the host has begun to execute the call for our session; None where nobody counts."""
        if not self._lab.offers("call-counts"):
            return None
        return self._lab.control.call_counts().get(switch.method, {}).get(self._session.uuid, 0)

    def _judge_executions(self, switch: Switch, before: int | None, deliveries: int) -> None:
        now = self._executions(switch)
        if before is None or now is None:
            return
        executed = now - before
        if executed > deliveries:
            raise Violation(
                f"{switch.method} was executed more often than it was delivered",
                expected=(f"{deliveries} executions",),
                actual=f"{executed} executions",
            )
        if executed < deliveries:
            raise NotExercised(f"the host executed {executed} of {deliveries} deliveries of {switch.method}")

    def _judge_state(self, play: Play, what: str) -> None:
        play.check_status(what)
        disk, expected = play.disks[DISK], play.model.enabled(DISK)
        read = disk.record()["cbt_enabled"]
        if read is not expected:
            raise Violation(
                f"the record's cbt_enabled is wrong after {what}", expected=(str(expected),), actual=str(read)
            )
