"""Calls that a disaster of the storage cuts short: what is set up before, and what must hold when it is over."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import TYPE_CHECKING

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import MIB, Lab
from xencbt.harness.bitmap import BLOCK
from xencbt.harness.capabilities import MAIN
from xencbt.harness.expectations import refusals
from xencbt.harness.model import (
    Attach,
    Attachment,
    DataDestroy,
    Destroy,
    Disable,
    Enable,
    HostDisabled,
    Resize,
    Scan,
    Snapshot,
    UncleanStop,
    Write,
)
from xencbt.harness.outcome import Failed, Indeterminate, Outcome
from xencbt.harness.verdicts import Axis, Violation, judging
from xencbt.suites.destroying import METADATA
from xencbt.suites.locked import assert_nothing_locked
from xencbt.suites.play import Deed, Play
from xencbt.suites.restoring import assert_misses_nothing, assert_safe
from xencbt.suites.struck import laid_here
from xencbt.suites.wording import words

if TYPE_CHECKING:
    from xencbt.fixtures.vms import Vm

DISK, BASELINE, MIDDLE, LAST = "disk", "baseline", "middle", "last"
SIZE, GROWTH = 2 * MIB, 2 * MIB

DEEDS: dict[str, Deed] = {
    "enable_cbt": Enable(DISK),
    "disable_cbt": Disable(DISK),
    "snapshot": Snapshot(DISK, "newest"),
    "destroy": Destroy(MIDDLE),
    "resize": Resize(DISK, SIZE + GROWTH),
    "data_destroy": DataDestroy(MIDDLE),
}
"""The calls that are cut short, by the operation of the storage."""


class Interruption:
    """A disk with three snapshots and a block written between any two of them, and a call that comes to grief.

    What is wrong afterwards breaks the rows that the test decides. `in_use`: a running VM holds the disk. Making one
    raises Blocked where the calls do not work undisturbed.
    """

    def __init__(self, lab: Lab, deed: Deed, *, in_use: bool = False) -> None:
        self.lab = lab
        self.deed = deed
        self.play = Play(lab)
        self._vm: Vm | None = None
        with lab.precondition("a disk with snapshots"):
            self.play.create(DISK, size=SIZE)
            if not isinstance(deed, Enable):
                self.play.do(Enable(DISK))
            for block, name in enumerate((BASELINE, MIDDLE, LAST)):
                self.play.do(Write(DISK, block * BLOCK, BLOCK))
                self.play.do(Snapshot(DISK, name))
        if in_use:
            lab.require("guest-write")
            self._vm = lab.create_vm(self.disk)
            self._start()
        self.play.do(Write(DISK, 3 * BLOCK, BLOCK))
        self._enabled = self.play.model.enabled(DISK)

    @property
    def disk(self) -> Disk:
        """The disk."""
        return self.play.disks[DISK]

    @property
    def target(self) -> Disk:
        """The disk or snapshot that the call is about."""
        return self.play.disks[self.deed.disk]

    def attempt(self) -> Outcome:
        """Make the call, and judge nothing."""
        match self.deed:
            case Resize(_, size):
                return self.target.attempt("resize", size)
            case _:
                return self.target.attempt(self.operation)

    @laid_here()
    def carry_out(self) -> None:
        """Make the call undisturbed: it must work, as if nothing had been."""
        self.play.do(self.deed)

    @property
    def operation(self) -> str:
        """The operation's name."""
        return next(name for name, deed in DEEDS.items() if type(deed) is type(self.deed))

    @laid_here()
    def lost(self, outcome: Outcome, *, gave_up: bool = False) -> None:
        """Take in that the host stopped during the call, and runs again: the call has happened, or it has not.

        Which of them is read; from then on the model follows that. Where it `gave_up` a log for want of space, tracking
        ended with the call. Raises Violation when there was an answer.
        """
        if not isinstance(outcome, Indeterminate):
            actual = self.lab.mask(str(outcome))
            with judging(Axis.ANSWER):
                raise Violation("a host without power answers", expected=("no answer",), actual=actual)
        if self._happened():
            self.play.model.happened(self.deed)
            if gave_up:
                self.play.model.happened(HostDisabled(DISK))
        if self._vm is not None:
            self.play.note(UncleanStop(DISK))
        self.play.check_status(f"an interrupted {words(self.deed)}")

    @laid_here()
    def list_changes(self) -> None:
        """List what was recorded up to now, as the model says it must be."""
        for pair in combinations([name for name in (BASELINE, LAST, DISK) if name in self.play.disks], 2):
            self.play.listing(*pair)

    def _happened(self) -> bool:
        match self.deed:
            case Enable() | Disable():
                return self.disk.cbt_enabled is isinstance(self.deed, Enable)
            case Snapshot(_, name):
                known = {disk.ref for disk in self.play.disks.values()}
                made = sorted(set(self.disk.record()["snapshots"]) - known)
                if len(made) > 1:
                    raise Violation("an interrupted snapshot left several", expected=("one",), actual=str(len(made)))
                if made:
                    self.play.disks[name] = self.lab.disk_at(made[0], self.disk.sr_kind)
                return bool(made)
            case Destroy(disk):
                if self._known(self.target):
                    return False
                self.lab.journal.removed_ref(self.play.disks.pop(disk).ref)
                return True
            case Resize(_, size):
                self.disk.size = int(self.disk.record()["virtual_size"])
                if self.disk.size not in {SIZE, size}:
                    raise Violation("a half-grown disk", expected=(f"{SIZE}", f"{size}"), actual=str(self.disk.size))
                return self.disk.size == size
            case _:
                return bool(self.target.record()["type"] == METADATA)

    def _known(self, disk: Disk) -> bool:
        return disk.ref in self.lab.session.value("VDI.get_all")

    @laid_here()
    def judge(self) -> None:
        """Expect that nothing is locked, that no change is lost, and that what was switched off was so loudly.

        The call is repeated where that is harmless; then there is another write, another snapshot, and every pair of
        states is listed: as the model says, and by the bytes that are really there.
        """
        self.assert_nothing_locked()
        self.list_changes()
        if self._vm is not None:
            if self._vm.power_state != "Running":
                self._start()
            self._stop()
        self._assert_loud()
        self.lab.conditions.scan(MAIN)
        self.play.note(Scan(MAIN))  # what is half enabled comes to light when the storage is looked at
        if isinstance(self.deed, Enable | Disable | DataDestroy):
            self.play.do(self.deed)
        self.play.do(Write(DISK, 7 * BLOCK, BLOCK))
        self.play.do(Snapshot(DISK, "later"))
        images = self._images()
        for earlier, later in combinations(self._states(), 2):
            bitmap = self.play.listing(earlier, later)
            if bitmap is not None and {earlier, later} <= images.keys():
                pair = self.play.disks[earlier], self.play.disks[later]
                assert_safe(bitmap, images[earlier], images[later], f"from {earlier} to {later}", between=pair)

    @laid_here()
    def judge_by_content(self) -> None:
        """Expect that every listing that is given marks all blocks in which the contents really differ.

        For what the model does not know: damaged logs.
        """
        images = self._images()
        for earlier, later in combinations(images, 2):
            assert_misses_nothing(self.play.disks[earlier], self.play.disks[later])

    def _images(self) -> dict[str, bytes]:
        """Read every disk and snapshot that has data."""
        disks = {name: self.play.disks[name] for name in self._states()}
        return {name: disk.read() for name, disk in disks.items() if disk.record()["type"] != METADATA}

    def assert_nothing_locked(self) -> None:
        """Expect that no operation is marked as current on any of the disks, nor on their SR."""
        assert_nothing_locked(self.lab, self.play.disks.values(), f"after an interrupted {words(self.deed)}")

    def _assert_loud(self) -> None:
        """Expect a message where tracking went without being asked to."""
        off = self._enabled and not isinstance(self.deed, Disable) and not self.disk.cbt_enabled
        if off and not self.disk.messages():
            raise Violation("tracking was switched off silently", expected=("a message about it",), actual="none")

    def _states(self) -> list[str]:
        """Return the names of all snapshots, oldest first, and of the disk."""
        return [*self.play.names_of_snapshots(), DISK]

    def _start(self) -> None:
        assert self._vm is not None
        self._vm.start()
        self.play.note(Attach(DISK, Attachment.READ_WRITE))

    def _stop(self) -> None:
        assert self._vm is not None
        self._vm.shutdown()
        self.play.note(Attach(DISK, Attachment.NONE))


def assert_sr_code(outcome: Outcome, what: str, *codes: str) -> None:
    """Expect an error of the SR's: its code begins with one of `codes`, or says that the SR is out of reach."""
    expected = (*codes, "SR_NOT_ATTACHED", "SR_HAS_NO_PBDS")
    if not isinstance(outcome, Failed) or not outcome.code.startswith(expected):
        with judging(Axis.ANSWER):
            raise Violation(
                f"a failure of the storage during {what} must surface", expected=expected, actual=str(outcome)
            )


def assert_damage_shows(earlier: Disk, later: Disk) -> None:
    """Expect that nothing is listed over a log that was damaged."""
    refused = refusals.unrelated() | refusals.doubtful_log()
    later.lab.refuses(earlier, "list_changed_blocks", later.ref, expectation=refused)


@contextmanager
def quick_restarts(lab: Lab) -> Iterator[None]:
    """Have an emulated host start at once inside; nothing of it is measured."""
    usual = lab.control.options()["restart_s"]
    lab.control.options(restart_s=0.0)
    try:
        yield
    finally:
        lab.control.options(restart_s=usual)
