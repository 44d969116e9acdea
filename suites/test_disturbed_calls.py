"""Every call of changed block tracking, struck by every fault that can meet it on its way.

`test_faults` tells the story of the two switches; here each call of a backup is disturbed by each kind of fault: what
the client sees is what the fault lets it see, the host has carried the call out completely or not at all, as often as
it got it, nothing recorded is lost, nothing is locked, no other disk changes, and the host answers again.
"""

from dataclasses import replace
from itertools import combinations, cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.lab import DISK_SIZE, Lab
from xencbt.harness.bitmap import BLOCK
from xencbt.harness.decides import decides
from xencbt.harness.disturbing import Faults
from xencbt.harness.faults import (
    AnswerLost,
    Duplicate,
    Fault,
    LateDuplicate,
    Phase,
    Planned,
    RequestDropped,
    TaskFailed,
    TaskNeverEnds,
)
from xencbt.harness.model import (
    Clone,
    Copy,
    DataDestroy,
    Destroy,
    Disable,
    Enable,
    ListChanged,
    Resize,
    Snapshot,
    Write,
)
from xencbt.harness.needs import needs
from xencbt.suites.astray import Line
from xencbt.suites.disturbances import EXAMPLES, Disturbance, disturbances, forms
from xencbt.suites.histories import WRITING, History, histories, perform
from xencbt.suites.play import Play
from xencbt.suites.sending import Form
from xencbt.suites.struck import Call, laid_here, subject_of

pytestmark = needs("faults", "raw-import", optional=["call-counts"])

DISK = "disk"
FIRST, SECOND = "first", "second"

CALLS: dict[str, Call] = {
    "enable_cbt": Enable(DISK),
    "disable_cbt": Disable(DISK),
    "snapshot": Snapshot(DISK, "struck"),
    "clone": Clone(DISK, "struck"),
    "copy": Copy(DISK, "struck"),
    "resize": Resize(DISK, 2 * DISK_SIZE),
    "data_destroy": DataDestroy(FIRST),
    "destroy": Destroy(SECOND),
    "list_changed_blocks": ListChanged(FIRST, DISK),
}
"""The struck call, by its name."""

FOLLOWING: dict[str, tuple[str, Call]] = {
    "enabling, then disabling": ("enable_cbt", Disable(DISK)),
    "enabling, then a snapshot": ("enable_cbt", Snapshot(DISK, "in between")),
    "disabling, then enabling": ("disable_cbt", Enable(DISK)),
    "destroying data, then a snapshot": ("data_destroy", Snapshot(DISK, "in between")),
}
"""A call that is delivered again late, and what is done before."""

NEVER_BEGUN = (RequestDropped(), TaskFailed(), TaskNeverEnds())
"""What a call in the background meets before the host has it: no task is heard of, or one that fails or never ends."""

BEGUN = pytest.mark.parametrize(
    "met",
    [Disturbance(AnswerLost(), Phase.AFTER, Form.ASYNC), Disturbance(TaskNeverEnds(), Phase.AFTER, Form.ASYNC)],
    ids=lambda met: met.fault.name,
)
"""What it meets when the host has begun: its task is never heard of, or another is, which never ends."""

TASKS = pytest.mark.striking(AnswerLost.name, *(fault.name for fault in NEVER_BEGUN))

EVERY_CALL = pytest.mark.parametrize("call", CALLS)
FORMS = pytest.mark.parametrize("form", Form, ids=str)
HARMLESS = pytest.mark.parametrize("call", ["enable_cbt", "disable_cbt", "data_destroy"])
UNANSWERED = pytest.mark.parametrize("fault", [AnswerLost(), RequestDropped()], ids=lambda fault: fault.name)


@pytest.fixture
def line(lab: Lab, faults: Faults) -> Line:
    """Give the test a line on which calls can be struck."""
    return Line(lab, faults)


def prepared(lab: Lab, call: str) -> Play:
    """Begin a play: DISK with two snapshots and a write after each; not tracked any more where it is to be enabled."""
    play = Play(lab)
    with lab.precondition("a disk with two snapshots and recorded changes"):
        play.create(DISK)
        play.do(Enable(DISK))
        play.do(Snapshot(DISK, FIRST))
        play.do(Write(DISK, 0, 1))
        play.do(Snapshot(DISK, SECOND))
        play.do(Write(DISK, 5 * BLOCK, 2 * BLOCK))
        if call == "enable_cbt":
            play.do(Disable(DISK))
    return play


def goes_on(play: Play) -> None:
    """Go on as if nothing had been, and list what changed between all that is left: nothing recorded is lost."""
    with laid_here():
        play.do(Write(DISK, 9 * BLOCK, 1))
        play.do(Snapshot(DISK, "later"))
        for earlier, later in combinations([*play.names_of_snapshots(), DISK], 2):
            play.listing(earlier, later)


# --- FAULT-01: completely, or not at all ------------------------------------------------------------------------------


@decides("FAULT-01")
@EVERY_CALL
@UNANSWERED
def test_an_unanswered_call_has_happened_completely_or_not_at_all(
    lab: Lab, line: Line, call: str, fault: Fault
) -> None:
    """To the client an answer lost and a request lost are the same; the host's state tells which it was."""
    play = prepared(lab, call)
    line.strike(play, CALLS[call], fault)
    goes_on(play)


@decides("FAULT-01", "FAULT-03", "FAULT-05")
@pytest.mark.parametrize("fault", EXAMPLES, ids=lambda fault: fault.name)
def test_each_kind_of_fault_leaves_a_host_that_is_right_and_usable(lab: Lab, line: Line, fault: Fault) -> None:
    """Enabling, taking a snapshot, destroying data, listing changes: each is met by it, in its phases by turns."""
    play = prepared(lab, "enable_cbt")
    steps: tuple[Call, ...] = (Enable(DISK), Snapshot(DISK, "struck"), DataDestroy(FIRST), ListChanged(FIRST, SECOND))
    for step, phase in zip(steps, cycle(fault.phases), strict=False):
        line.strike(play, step, fault, phase=phase, form=forms(fault)[0])
    goes_on(play)


@decides("FAULT-01", "FAULT-03", "FAULT-05")
@TASKS
@EVERY_CALL
@BEGUN
def test_a_call_in_the_background_has_happened_completely_or_not_at_all(
    lab: Lab, line: Line, call: str, met: Disturbance
) -> None:
    """Its task is not heard of, fails or never ends: what the call itself came to, the host's state tells."""
    play, step = prepared(lab, call), CALLS[call]
    for fault in NEVER_BEGUN:
        line.strike(play, step, fault, form=Form.ASYNC)
    line.strike(play, step, met.fault, phase=met.phase, form=met.form)
    goes_on(play)


# --- FAULT-02: repeating converges ------------------------------------------------------------------------------------


@decides("FAULT-02")
@UNANSWERED
def test_repeating_data_destroy_after_a_lost_answer_converges(lab: Lab, line: Line, fault: Fault) -> None:
    """Whether the data are gone already or not, calling again succeeds, and again."""
    play = prepared(lab, "data_destroy")
    step = CALLS["data_destroy"]
    line.strike(play, step, fault)
    line.repeat(play, step)
    line.repeat(play, step)
    goes_on(play)


@decides("FAULT-02")
@TASKS
@HARMLESS
@BEGUN
def test_repeating_a_call_whose_task_was_lost_converges(lab: Lab, line: Line, call: str, met: Disturbance) -> None:
    """Whatever became of the task, calling again succeeds, directly and in the background."""
    play, step = prepared(lab, call), CALLS[call]
    line.strike(play, step, met.fault, phase=met.phase, form=met.form)
    line.repeat(play, step)
    line.repeat(play, step, Form.ASYNC)
    goes_on(play)


# --- FAULT-04: duplicates ---------------------------------------------------------------------------------------------


@decides("FAULT-04")
@pytest.mark.striking(Duplicate.name)
@HARMLESS
@FORMS
def test_the_same_request_twice_is_harmless(lab: Lab, line: Line, call: str, form: Form) -> None:
    """A client that sends again by itself, as the stock binding does: the second delivery changes nothing more."""
    play = prepared(lab, call)
    line.strike(play, CALLS[call], Duplicate(), form=form)
    goes_on(play)


@decides("FAULT-04")
@pytest.mark.striking(LateDuplicate.name)
@pytest.mark.parametrize("following", FOLLOWING)
def test_a_late_duplicate_ends_as_some_order_of_all_deliveries_does(lab: Lab, line: Line, following: str) -> None:
    """The second delivery comes after a call that undoes the first, or that builds upon it."""
    call, then = FOLLOWING[following]
    play = prepared(lab, call)
    with line.armed(play, Planned(LateDuplicate(), f"VDI.{call}")):
        line.call(play, CALLS[call])
        line.call(play, then)
    goes_on(play)


@decides("FAULT-04")
@pytest.mark.striking(LateDuplicate.name)
def test_a_late_duplicate_of_data_destroy_finds_nothing_where_the_snapshot_is_gone(lab: Lab, line: Line) -> None:
    """The snapshot is destroyed before the second delivery arrives; that changes nothing."""
    play = prepared(lab, "data_destroy")
    with line.armed(play, Planned(LateDuplicate(), "VDI.data_destroy")):
        line.call(play, DataDestroy(SECOND))
        line.call(play, Destroy(SECOND))
    goes_on(play)


@decides("FAULT-01")
@pytest.mark.striking(Duplicate.name)
@pytest.mark.parametrize("call", ["snapshot", "clone", "copy", "resize", "destroy"])
@FORMS
def test_the_same_request_twice_where_nothing_is_promised_of_it(lab: Lab, line: Line, call: str, form: Form) -> None:
    """Two snapshots may come of it (told, not failed); whatever was made is whole, and no recorded change is lost."""
    play = prepared(lab, call)
    line.strike(play, CALLS[call], Duplicate(), form=form)
    goes_on(play)


# --- the same, generated ----------------------------------------------------------------------------------------------


@decides("FAULT-01", "FAULT-03", "FAULT-05")
@pytest.mark.striking(*(fault.name for fault in EXAMPLES), Duplicate.name)
@given(
    enabled=st.booleans(), history=histories(WRITING, longest=4), call=st.sampled_from(sorted(CALLS)), data=st.data()
)
def test_any_call_on_any_history_survives_any_fault(
    lab: Lab, faults: Faults, line: Line, *, enabled: bool, history: History, call: str, data: st.DataObject
) -> None:
    """Any kind, parameters, phase and form, on a disk with any past, tracked or not; each fault meets a call."""
    met = data.draw(st.lists(disturbances(*faults.among(*EXAMPLES, Duplicate())), min_size=1, max_size=2))
    with lab.example():
        play = Play(lab)
        with lab.precondition("a disk with a past"):
            play.create(DISK)
            if enabled:
                play.do(Enable(DISK))
            play.do(Snapshot(DISK, FIRST))
            play.do(Snapshot(DISK, SECOND))
            perform(play, history, (DISK,))
        for number, each in enumerate(met):
            step = CALLS[call]
            if isinstance(step, Snapshot | Clone | Copy):
                step = replace(step, name=f"struck {number}")
            if subject_of(step) in play.disks:
                line.strike(play, step, each.fault, phase=each.phase, form=each.form)
        goes_on(play)
