"""A plan of the user's (`--faults FILE`): the plain life of a disk, with the plan's faults striking its calls."""

from collections.abc import Iterator
from itertools import combinations

import pytest

from xencbt.fixtures.lab import DISK_SIZE, Lab
from xencbt.harness.asked_faults import NamedPlan
from xencbt.harness.bitmap import BLOCK
from xencbt.harness.decides import decides
from xencbt.harness.disturbing import Faults
from xencbt.harness.model import DataDestroy, Destroy, Disable, Enable, ListChanged, Resize, Snapshot, Write
from xencbt.harness.needs import needs
from xencbt.suites.living import Life
from xencbt.suites.play import Play
from xencbt.suites.struck import Call, laid_here

DISK = "disk"

LIFE: tuple[Call, ...] = (
    Enable(DISK),
    Snapshot(DISK, "first"),
    Write(DISK, 0, 1),
    Snapshot(DISK, "second"),
    ListChanged("first", "second"),
    Write(DISK, 5 * BLOCK, 2 * BLOCK),
    Resize(DISK, 2 * DISK_SIZE),
    Snapshot(DISK, "third"),
    DataDestroy("first"),
    ListChanged("first", "third"),
    Destroy("second"),
    ListChanged("first", "third"),
    Write(DISK, 9 * BLOCK, 1),
    Disable(DISK),
    Enable(DISK),
    Snapshot(DISK, "fourth"),
)
"""What a client with backups does in the life of a disk; writes are a guest's, and no call that could be struck."""


@decides("FAULT-01", "FAULT-03", "FAULT-05")
@needs("faults", "raw-import", optional=["call-counts"])
@pytest.mark.planned_faults
def test_a_life_with_the_faults_of_a_plan(lab: Lab, faults: Faults, fault_plan: NamedPlan) -> None:
    """Each call happens completely or not at all, nothing recorded is lost, nothing is locked, the host recovers."""
    play, life = Play(lab), Life(lab, faults, fault_plan.plan)
    with lab.precondition("a disk"):
        play.create(DISK)
    with life.disturbed(play):
        for step in LIFE:
            if all(name in play.disks for name in _named(step)):
                life.live(play, step)
    with laid_here():
        for earlier, later in combinations([*play.names_of_snapshots(), DISK], 2):
            play.listing(earlier, later)


def _named(step: Call) -> Iterator[str]:
    """Yield the names of the disks that must be there for a step."""
    if isinstance(step, ListChanged):
        yield from (step.earlier, step.later)
    else:
        yield step.disk
