"""What no documentation promises but every backup needs: calls whose answer, or whose request, goes astray.

Every disturbed call passes the interceptor, and its receipt proves that the fault fired. The client's view ("no
answer") decides nothing here: judged are the host's state, what it lists, and how often it executed the call.
Of duplicates only immediate ones are made; what one that arrives late may do is the other half of FAULT-04.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.lab import DISK_SIZE, Lab
from xencbt.harness.bitmap import BLOCK
from xencbt.harness.decides import decides
from xencbt.harness.disturbing import Faults
from xencbt.harness.faults import AnswerLost, Duplicate, Fault, Planned, RequestDropped
from xencbt.harness.model import Disable, Enable, Snapshot, Write
from xencbt.harness.needs import needs
from xencbt.suites.astray import Line
from xencbt.suites.play import Play
from xencbt.suites.struck import laid_here

DISK = "disk"
"""The disk that the disturbed calls are about."""


class Switch(StrEnum):
    """The two calls that switch tracking."""

    ENABLE = "enable_cbt"
    DISABLE = "disable_cbt"

    @property
    def wanted(self) -> bool:
        """What `cbt_enabled` reads once the call was executed."""
        return self is Switch.ENABLE

    @property
    def step(self) -> Enable | Disable:
        """The call on DISK."""
        return Enable(DISK) if self is Switch.ENABLE else Disable(DISK)


SWITCHES = pytest.mark.parametrize("switch", list(Switch), ids=str)
UNANSWERED = pytest.mark.parametrize("fault", [AnswerLost(), RequestDropped()], ids=lambda fault: fault.name)

Range = tuple[int, int]
"""A write: offset and length in bytes."""

WRITES = st.lists(st.tuples(st.integers(0, DISK_SIZE - 2 * BLOCK), st.integers(1, 2 * BLOCK)), max_size=2)


@pytest.fixture
def line(lab: Lab, faults: Faults) -> Line:
    """Give the test a line on which calls can be struck."""
    return Line(lab, faults)


def prepared(lab: Lab, *, enabled: bool, writes: Iterable[Range] = ((0, 1),)) -> Play:
    """Begin a play with DISK, enabled or not, its snapshot `baseline`, and `writes` after that."""
    play = Play(lab)
    with lab.precondition("a disk with a baseline"):
        play.create(DISK)
        if enabled:
            play.do(Enable(DISK))
        play.do(Snapshot(DISK, "baseline"))
        write(play, writes)
    return play


def write(play: Play, writes: Iterable[Range]) -> None:
    """Write to DISK."""
    for offset, length in writes:
        play.do(Write(DISK, offset, length))


def nothing_is_lost(play: Play) -> None:
    """List the changes between all snapshots and to DISK: all that was written is there, and other sets are refused."""
    names = [*play.names_of_snapshots(), DISK]
    with laid_here():
        for earlier, later in combinations(names, 2):
            play.listing(earlier, later)


# --- FAULT-01: it happened completely, or not at all ------------------------------------------------------------------


@decides("FAULT-01")
@needs("faults", "raw-import", optional=["call-counts"])
@pytest.mark.striking(AnswerLost.name)
@SWITCHES
def test_a_call_whose_answer_is_lost_has_happened_completely(lab: Lab, line: Line, switch: Switch) -> None:
    """The host acted and its answer is lost: state, set and recorded changes are those after the call."""
    play = prepared(lab, enabled=not switch.wanted)
    line.strike(play, switch.step, AnswerLost())
    play.do(Snapshot(DISK, "after the fault"))
    play.do(Write(DISK, 7 * BLOCK, 1))
    play.do(Snapshot(DISK, "later"))
    nothing_is_lost(play)


@decides("FAULT-01")
@needs("faults", "raw-import", optional=["call-counts"])
@pytest.mark.striking(RequestDropped.name)
@SWITCHES
def test_a_call_that_never_arrived_has_not_happened_at_all(lab: Lab, line: Line, switch: Switch) -> None:
    """The request is lost: to the client it looks the same, and nothing has changed."""
    play = prepared(lab, enabled=not switch.wanted)
    line.strike(play, switch.step, RequestDropped())
    play.do(Write(DISK, 7 * BLOCK, 1))
    play.do(Snapshot(DISK, "later"))
    nothing_is_lost(play)


# --- FAULT-02: repeating converges ------------------------------------------------------------------------------------


@decides("FAULT-02")
@needs("faults", "raw-import", optional=["call-counts"])
@SWITCHES
@UNANSWERED
def test_repeating_a_call_that_was_not_answered_converges(lab: Lab, line: Line, switch: Switch, fault: Fault) -> None:
    """Whatever was lost, calling again succeeds and ends where one answered call would have ended."""
    play = prepared(lab, enabled=not switch.wanted)
    line.strike(play, switch.step, fault)
    play.do(Snapshot(DISK, "after the fault"))
    play.do(Write(DISK, 7 * BLOCK, 1))
    line.repeat(play, switch.step)
    line.repeat(play, switch.step)
    play.do(Snapshot(DISK, "later"))
    nothing_is_lost(play)


@decides("FAULT-02")
@needs("faults", "raw-import", optional=["call-counts"])
@pytest.mark.striking(AnswerLost.name)
@SWITCHES
def test_losing_several_answers_in_a_row_is_no_worse_than_losing_one(lab: Lab, line: Line, switch: Switch) -> None:
    """Three calls in a row go unanswered; the fourth is answered with success."""
    play = prepared(lab, enabled=not switch.wanted)
    with line.armed(play, Planned(AnswerLost(), f"VDI.{switch}", times=3)):
        for _ in range(3):
            line.call(play, switch.step)
    line.repeat(play, switch.step)
    play.do(Snapshot(DISK, "later"))
    nothing_is_lost(play)


# --- FAULT-04: duplicates change nothing more -------------------------------------------------------------------------


@decides("FAULT-04")
@needs("faults", "raw-import", optional=["call-counts"])
@pytest.mark.striking(Duplicate.name)
@SWITCHES
def test_an_immediate_duplicate_changes_nothing_more(lab: Lab, line: Line, switch: Switch) -> None:
    """The second delivery follows its original at once; the state, set and changes are those after one."""
    play = prepared(lab, enabled=not switch.wanted)
    line.strike(play, switch.step, Duplicate())
    play.do(Snapshot(DISK, "after the fault"))
    play.do(Write(DISK, 7 * BLOCK, 1))
    play.do(Snapshot(DISK, "later"))
    nothing_is_lost(play)


@decides("FAULT-04")
@needs("faults", "raw-import", optional=["call-counts"])
@pytest.mark.striking(Duplicate.name)
@SWITCHES
def test_a_duplicate_of_a_call_that_had_nothing_to_do_keeps_the_recorded_changes(
    lab: Lab, line: Line, switch: Switch
) -> None:
    """Enabling twice what is enabled, or disabling twice what is disabled, moves nothing."""
    play = prepared(lab, enabled=switch.wanted)
    line.strike(play, switch.step, Duplicate())
    play.do(Write(DISK, 7 * BLOCK, 1))
    play.do(Snapshot(DISK, "later"))
    nothing_is_lost(play)


# --- the same, generated ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Story:
    """A call on a disk that is enabled or not, the fault it meets, how often it is repeated, and the writes between."""

    switch: Switch
    fault: Fault
    enabled: bool
    repeats: int
    before: tuple[Range, ...]
    between: tuple[Range, ...]
    after: tuple[Range, ...]

    def play(self, lab: Lab, line: Line) -> None:
        """Play it, and list in the end what every pair of the disks and snapshots must and must not list."""
        play = prepared(lab, enabled=self.enabled, writes=self.before)
        line.strike(play, self.switch.step, self.fault)
        play.do(Snapshot(DISK, "after the fault"))
        write(play, self.between)
        for _ in range(self.repeats):
            line.repeat(play, self.switch.step)
        write(play, self.after)
        play.do(Snapshot(DISK, "later"))
        nothing_is_lost(play)


def stories(*faults: Fault, fewest: int = 0, most: int = 0) -> st.SearchStrategy[Story]:
    """Draw stories with one of `faults`, repeated `fewest` to `most` times."""
    writes = WRITES.map(tuple)
    return st.builds(
        Story,
        switch=st.sampled_from(Switch),
        fault=st.sampled_from(faults),
        enabled=st.booleans(),
        repeats=st.integers(fewest, most),
        before=writes,
        between=writes,
        after=writes,
    )


@decides("FAULT-01")
@needs("faults", "raw-import", optional=["call-counts"])
@pytest.mark.striking(AnswerLost.name, RequestDropped.name)
@given(data=st.data())
def test_reading_the_state_tells_whether_an_unanswered_call_happened(
    lab: Lab, faults: Faults, line: Line, data: st.DataObject
) -> None:
    """Answer or request lost, the disk enabled before or not, with any writes around."""
    story = data.draw(stories(*faults.among(AnswerLost(), RequestDropped())))
    with lab.example():
        story.play(lab, line)


@decides("FAULT-02")
@needs("faults", "raw-import", optional=["call-counts"])
@pytest.mark.striking(AnswerLost.name, RequestDropped.name)
@given(data=st.data())
def test_repeating_converges_whatever_was_lost(lab: Lab, faults: Faults, line: Line, data: st.DataObject) -> None:
    """Answer or request lost, then one or two calls that are answered, with any writes around."""
    story = data.draw(stories(*faults.among(AnswerLost(), RequestDropped()), fewest=1, most=2))
    with lab.example():
        story.play(lab, line)


@decides("FAULT-04")
@needs("faults", "raw-import", optional=["call-counts"])
@pytest.mark.striking(Duplicate.name)
@given(story=stories(Duplicate(), most=1))
def test_a_duplicate_is_as_good_as_one_delivery(lab: Lab, line: Line, story: Story) -> None:
    """Two immediate deliveries, followed by another call or not, with any writes around."""
    with lab.example():
        story.play(lab, line)
