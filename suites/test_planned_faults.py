"""A plan of the user's (`--faults FILE`): the plain life of a disk, with the plan's faults striking its calls."""

from collections.abc import Iterator
from itertools import combinations

import pytest

from xencbt.fixtures.lab import DISK_SIZE, Lab
from xencbt.harness.asked_faults import CLIENT_DEADLINE_S, NamedPlan
from xencbt.harness.bitmap import BLOCK
from xencbt.harness.decides import decides
from xencbt.harness.disturbing import Faults
from xencbt.harness.model import DataDestroy, Destroy, Disable, Enable, ListChanged, Resize, Snapshot, Write
from xencbt.harness.needs import needs
from xencbt.harness.outcome import Failed
from xencbt.suites.astray import Line
from xencbt.suites.play import Play
from xencbt.suites.struck import Call, laid_here

DISK = "disk"

TRIES = 3
"""How often the client makes a call that the host has not carried out."""

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
    line = Line(lab, faults, hanging_s=CLIENT_DEADLINE_S)
    play = Play(lab)
    with lab.precondition("a disk"):
        play.create(DISK)
    with line.armed(play, *fault_plan.plan):
        for step in LIFE:
            if all(name in play.disks for name in _named(step)):
                live(line, play, step)
    with laid_here():
        for earlier, later in combinations([*play.names_of_snapshots(), DISK], 2):
            play.listing(earlier, later)


def live(line: Line, play: Play, step: Call) -> None:
    """Do one step, and where it has not happened make the call again, as clients do; a refusal of the host's stays."""
    if isinstance(step, Write):
        play.do(step)
        return
    for _ in range(TRIES):
        struck = line.call(play, step)
        if struck.happened or isinstance(struck.answer, Failed):
            return


def _named(step: Call) -> Iterator[str]:
    """Yield the names of the disks that must be there for a step."""
    if isinstance(step, ListChanged):
        yield from (step.earlier, step.later)
    else:
        yield step.disk
