"""Which row of the catalogue a host broke, by what was wrong and what had been done since it was right; pure.

A history decides many rows at once. Naming the one that broke is what makes its failure worth reading, and leaves the
others undecided instead of failed.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from xencbt.harness.expectations import VdiType
from xencbt.harness.model import (
    Clone,
    Copy,
    DataDestroy,
    Destroy,
    Disable,
    Disk,
    Enable,
    Plug,
    Resize,
    Revert,
    Scan,
    Snapshot,
    Step,
)
from xencbt.harness.verdicts import Violation

LOST_BY: Mapping[type[Step], str] = {
    DataDestroy: "LIST-09",
    Destroy: "LIST-11",
    Scan: "STATUS-04",
    Plug: "STATUS-04",
    Clone: "LIFE-02",
    Copy: "LIFE-02",
    Resize: "LIST-05",
    Revert: "LIFE-07",
}
"""Where changes that could be listed, or a relation, are lost: the row that promises that a step loses none."""


class Past:
    """What was done so far, and since when which changes could be listed: who is to blame when they cannot any more.

    >>> past = Past()
    >>> past.noted(Enable("disk"))
    >>> past.right("baseline", "disk")
    """

    def __init__(self) -> None:
        self.done: list[Step] = []
        self._born: dict[str, int] = {}
        self._right: dict[tuple[str, str], int] = {}
        self._disturbed = 0

    def noted(self, step: Step) -> None:
        """Take in what was done, be it refused."""
        self.done.append(step)
        if isinstance(step, Snapshot | Clone | Copy):
            self._born[step.name] = len(self.done)

    def disturbed(self) -> None:
        """Take in that a fault met what was done last."""
        self._disturbed = len(self.done)

    def right(self, earlier: str, later: str) -> None:
        """Take in that the changes between the two were listed rightly now."""
        self._right[earlier, later] = len(self.done)

    def lost_by(self, earlier: str, later: str, sources: Sequence[str], usual: str) -> str:
        """Return the row broken where changes between the two are lost, as `of_lost_changes` does.

        `sources` are the disks that the two are snapshots of: what a snapshot lacks, its disk may have lost before.
        """
        right = [self._right.get((earlier, name), 0) for name in (later, *sources)]
        since = max(self._born.get(earlier, 0), *right)
        if self._disturbed > since:
            return "FAULT-03"
        return of_lost_changes(self.done[since:], {earlier, later, *sources}, usual)


def of_lost_changes(since: Sequence[Step], family: Collection[str], usual: str) -> str:
    """Return the row broken where changes within a set are lost: that of the latest step which must lose none.

    `since` are the steps done since the same was answered rightly (or could be), oldest first; `family` are the two
    disks and those they are snapshots of. `usual` is the row where nothing of the kind was done.
    """
    for step in reversed(since):
        if type(step) in LOST_BY:
            return LOST_BY[type(step)]
        if isinstance(step, Enable):
            return "ENABLE-13" if step.disk in family else "ENABLE-20"
        if isinstance(step, Disable):
            return "DISABLE-07" if step.disk in family else "ENABLE-20"
    return usual


def of_invented_relation(first: Disk, last: Disk) -> str:
    """Return the row broken where changes are listed between two disks that have nothing to do with each other."""
    if first.member is None or last.member is None:
        return "SET-03" if first.member is not None and last.name == first.snapshot_of else "LIST-08"
    if first.member.set == last.member.set:
        return "LIST-06"
    return "SET-03" if last.name == first.snapshot_of else "SET-06"


def of_status(step: Step, disk: Disk) -> str:
    """Return the row broken where `cbt_enabled` of `disk` is wrong after `step`."""
    match step:
        case Enable(name):
            return "ENABLE-02" if disk.name == name else "ENABLE-20"
        case Disable(name):
            return "DISABLE-01" if disk.name == name else "DISABLE-07" if disk.snapshot_of == name else "ENABLE-20"
        case Snapshot():
            return "LIFE-01"
        case Clone() | Copy():
            return "LIFE-02"
        case Resize():
            return "LIFE-04"
        case Revert():
            return "LIFE-07"
        case DataDestroy():
            return "DESTROY-01"
        case Destroy():
            return "DESTROY-06"
        case Scan() | Plug():
            return "STATUS-04"
        case _:
            return "STATUS-01"


def of_outcome(step: Step, disk: Disk | None, *, succeeds: bool) -> str | None:
    """Return the row broken where `step` on `disk` has an outcome it must not have; None where no row speaks of it.

    `succeeds`: whether it had to succeed.
    """
    metadata_only = disk is not None and disk.type is VdiType.CBT_METADATA
    if metadata_only and isinstance(step, Enable | Disable | Snapshot | Clone | Copy | Resize | Destroy):
        return "DESTROY-05"
    match step:
        case Enable():
            return "ENABLE-02" if succeeds else "ENABLE-15"
        case Disable():
            return "DISABLE-01" if succeeds else "DISABLE-04"
        case Snapshot():
            return "LIFE-01"
        case Clone() | Copy():
            return "LIFE-02" if succeeds else None
        case Resize():
            return "LIFE-04" if succeeds else None
        case DataDestroy():
            return ("DESTROY-02" if metadata_only else "DESTROY-01") if succeeds else "DESTROY-03"
        case Destroy():
            return "DESTROY-06" if succeeds else None
        case _:
            return None


@contextmanager
def breaking(row: str | None) -> Iterator[None]:
    """Let a violation inside say that it breaks `row`, unless it knows better."""
    try:
        yield
    except Violation as violation:
        if row is not None and not violation.requirements:
            violation.requirements = (row,)
        raise
