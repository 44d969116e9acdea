"""What a host whose storage fails, or which loses its power, must still be: right about what changed, and usable.

Every disaster happens inside the emulated host, which is told to through its control interface and proves by receipts
that it happened, and where. Three things are judged each time: the answer, the state that is left, and that the host
answers again once the disaster is over.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.exports import ServedDisk
from xencbt.fixtures.lab import Lab
from xencbt.harness.capabilities import MAIN
from xencbt.harness.decides import decides
from xencbt.harness.disturbing import Faults
from xencbt.harness.errors import HarnessError
from xencbt.harness.faults import (
    Fault,
    LogDamaged,
    NbdDisturbed,
    NoSpaceForLog,
    PauseRefused,
    PbdUnplugged,
    Planned,
    PowerCut,
    SrReadOnly,
)
from xencbt.harness.model import Attach, Attachment, DataDestroy, Destroy, HostDisabled, UncleanStop
from xencbt.harness.nbd_protocol import NbdTrouble
from xencbt.harness.needs import needs
from xencbt.harness.verdicts import Violation
from xencbt.suites.alerts import SNAPSHOT_FAILED, assert_switched_off
from xencbt.suites.interrupting import (
    BASELINE,
    DEEDS,
    DISK,
    LAST,
    MIDDLE,
    Interruption,
    assert_damage_shows,
    assert_sr_code,
    quick_restarts,
)
from xencbt.suites.restoring import assert_same_content
from xencbt.suites.statuses import assert_reads

CODES = {
    "enable_cbt": ("SR_BACKEND_FAILURE_457",),
    "disable_cbt": ("SR_BACKEND_FAILURE_458", "SR_BACKEND_FAILURE_457"),
    "snapshot": ("SR_BACKEND_FAILURE_",),
    "data_destroy": ("SR_BACKEND_FAILURE_",),
}
"""How the code begins with which a failure of the storage surfaces, by the operation that meets it."""

FAILURES = [
    ("enable_cbt", NoSpaceForLog("enable_cbt")),
    ("enable_cbt", SrReadOnly("enable_cbt")),
    ("enable_cbt", PauseRefused("enable_cbt")),
    ("enable_cbt", PbdUnplugged("enable_cbt", "create_log")),
    ("disable_cbt", SrReadOnly("disable_cbt")),
    ("disable_cbt", PauseRefused("disable_cbt")),
    ("disable_cbt", PbdUnplugged("disable_cbt", "delete_log")),
    ("snapshot", SrReadOnly("snapshot")),
    ("snapshot", PauseRefused("snapshot")),
    ("snapshot", PbdUnplugged("snapshot", "create_log")),
    ("data_destroy", SrReadOnly("data_destroy")),
    ("data_destroy", PbdUnplugged("data_destroy", "delete_image")),
]

IN_USE = {("enable_cbt", "clear_flag"), ("destroy", "restore_links")}
"""Steps that are only taken for a disk that a VM runs with."""

NO_LOG_SPACE = {("resize", "unlink_log"), ("resize", "delete_log")}
"""Steps that are only taken where the new log finds no space."""

LEFT_OPEN = {("snapshot", "unlink_log"), ("snapshot", "delete_log")}
"""Steps that are only taken for a disk whose log was not closed."""

GIVING_UP = frozenset({"snapshot", "resize"})
"""Operations that succeed without a log, and end the tracking, where there is no space for one."""

OF_THE_HOST = "update_record"
"""The step that is the host's own and none of the storage's."""

DAMAGED = {("destroy", "unlink_log")}
"""Steps that are only taken for metadata whose log cannot be read."""


pytestmark = needs("faults", "raw-import", "raw-export", "sr-state", "crash", optional=("guest-write", "vm-power"))
"""Every test of this chapter writes to disks, reads them, and needs a host that can be told to fail."""


# --- FAULT-06: a failure of the storage surfaces, and changes nothing -------------------------------------------------


@decides("FAULT-06")
@pytest.mark.parametrize(("operation", "fault"), FAILURES, ids=lambda value: str(getattr(value, "name", value)))
def test_a_failure_of_the_storage_surfaces_and_leaves_nothing_half_done(
    lab: Lab, faults: Faults, operation: str, fault: Fault
) -> None:
    """An error of the SR's; the records of disk and snapshots are as before, and the same call works afterwards."""
    fails(lab, faults, operation, fault)


def fails(lab: Lab, faults: Faults, operation: str, fault: Fault, *, times: int = 1) -> None:
    """Have the call fail so many times in a row, each time healed, then succeed; nothing is changed or lost by it."""
    scene = Interruption(lab, DEEDS[operation], in_use=isinstance(fault, PauseRefused))
    with lab.unchanged(*scene.play.disks.values(), after=f"a failed {operation}"):
        for _ in range(times):
            with faults.armed(None, Planned(fault)):
                assert_sr_code(scene.attempt(), operation, *CODES[operation])
        scene.assert_nothing_locked()
        scene.list_changes()
    scene.carry_out()
    scene.judge()


def failures(lab: Lab) -> st.SearchStrategy[tuple[str, Fault]]:
    """Draw an operation, and a failure of the storage that can meet it at one of its steps."""
    steps = lab.control.steps()

    def of(operation: str) -> st.SearchStrategy[tuple[str, Fault]]:
        places = [(operation, step) for step in steps[operation]]
        cut_off = [PbdUnplugged(*at) for at in places if at not in IN_USE | LEFT_OPEN and at[1] != OF_THE_HOST]
        kinds: list[Fault] = [SrReadOnly(operation), *cut_off]
        kinds += [fault for named, fault in FAILURES if named == operation and fault not in kinds]
        return st.tuples(st.just(operation), st.sampled_from(kinds))

    return st.sampled_from(sorted(CODES)).flatmap(of)


@decides("FAULT-06")
@given(data=st.data())
def test_any_failure_of_the_storage_surfaces_and_leaves_nothing_half_done(
    lab: Lab, faults: Faults, data: st.DataObject
) -> None:
    """At whichever step it comes, and where the call is made and fails once more, or twice."""
    operation, fault = data.draw(failures(lab))
    times = data.draw(st.integers(1, 2))
    with lab.example():
        fails(lab, faults, operation, fault, times=times)


# --- FAULT-05: once it is over, the host answers ----------------------------------------------------------------------


@decides("FAULT-05")
@pytest.mark.parametrize(
    "fault",
    [
        NoSpaceForLog(),
        SrReadOnly(),
        PbdUnplugged("enable_cbt", "create_log"),
        PowerCut("enable_cbt", "create_log"),
        PowerCut("enable_cbt", "update_record"),
    ],
    ids=str,
)
def test_the_host_serves_again_when_the_disaster_is_over(disk: Disk, faults: Faults, fault: Fault) -> None:
    """It answers within the recovery deadline, and carries the very call out that came to grief."""
    with faults.armed(None, Planned(fault)):
        disk.attempt("enable_cbt")
    assert_reads(disk.enable_cbt(), enabled=True)


# --- FAULT-03: no recorded change is lost, nothing stays locked -------------------------------------------------------


@decides("FAULT-03")
@pytest.mark.parametrize("operation", DEEDS)
def test_a_power_cut_at_any_step_loses_no_change(lab: Lab, faults: Faults, operation: str) -> None:
    """The host stops before a step, and starts: the call has happened or has not, and all else holds.

    A thorough run takes each step in turn, on a disk that a VM runs with and on one that none does, a quick one a step
    of either that is drawn.
    """
    every = places(operation, lab.control.steps()[operation])
    with quick_restarts(lab):
        for place in every if lab.thorough else drawn(lab, every):
            with lab.example():
                cut_short(lab, faults, operation, place)


@dataclass(frozen=True, slots=True)
class Place:
    """A step at which the power is cut, of a disk that a VM runs with (`in_use`), or with no space for its log."""

    step: str
    in_use: bool
    scarce: bool = False


def places(operation: str, steps: Sequence[str]) -> list[Place]:
    """Return where the power can be cut in an operation with these steps, and in which circumstances."""
    found = [
        Place(step, in_use, (operation, step) in NO_LOG_SPACE) for step in steps for in_use in ways((operation, step))
    ]
    return [*found, Place(OF_THE_HOST, in_use=False, scarce=True)] if operation in GIVING_UP else found


def drawn(lab: Lab, every: Sequence[Place]) -> list[Place]:
    """Draw a place with the disk in use and one without, where there are both."""
    either = [[place for place in every if place.in_use is in_use] for in_use in (True, False)]
    return [lab.draws.choice(some) for some in either if some]


def ways(at: tuple[str, str]) -> tuple[bool, ...]:
    """Say whether a step is taken for a disk that is in use: always, never, or for either."""
    if at in IN_USE:
        return (True,)
    return (False,) if at[0] == "resize" or at in LEFT_OPEN | DAMAGED else (False, True)


def cut_short(lab: Lab, faults: Faults, operation: str, place: Place) -> None:
    """Cut the power at one step of one operation, in the circumstances in which that step is taken, and judge."""
    at, deed = (operation, place.step), DEEDS[operation]
    if at == ("destroy", "restore_links"):
        deed = Destroy(LAST)  # whose successor is the disk in use
    scene = Interruption(lab, deed, in_use=place.in_use)
    planned = [Planned(PowerCut(*at))]
    if place.scarce:
        planned.append(Planned(NoSpaceForLog(operation)))  # type: ignore[arg-type]  # one of the words
    if at == ("destroy", "restore_links"):
        planned.append(Planned(PauseRefused("destroy")))
    if at in LEFT_OPEN:
        leave_open(scene)
    with ExitStack() as damaged:
        if at in DAMAGED:
            scene.play.do(DataDestroy(MIDDLE))
            damage = Planned(LogDamaged("corrupt"))
            damaged.enter_context(faults.armed(None, damage, on=scene.target))
        with faults.armed(None, *planned):
            outcome = scene.attempt()
    scene.lost(outcome, gave_up=place.scarce)
    if at in DAMAGED:
        scene.assert_nothing_locked()
        scene.judge_by_content()
    else:
        scene.judge()


def leave_open(scene: Interruption) -> None:
    """Have the host stop uncleanly while a guest writes to the disk."""
    lab, disk = scene.lab, scene.disk
    lab.require("guest-write")
    vm = lab.create_vm(disk, power_state="Running")
    scene.play.note(Attach(DISK, Attachment.READ_WRITE))
    disk.write(block=5)
    lab.conditions.crash()
    scene.play.note(UncleanStop(DISK))
    vm.destroy()


@decides("FAULT-03")
def test_a_snapshot_for_whose_next_log_there_is_no_space_loses_no_change(lab: Lab, faults: Faults) -> None:
    """It succeeds and holds what was recorded; the disk is not tracked any more, and the host says so."""
    scene = Interruption(lab, DEEDS["snapshot"])
    with faults.armed(None, Planned(NoSpaceForLog("snapshot"))):
        scene.play.disks["newest"] = scene.disk.snapshot()
    assert_switched_off(scene.disk, SNAPSHOT_FAILED)
    scene.play.model.happened(scene.deed)
    scene.play.note(HostDisabled(DISK))
    scene.judge()


@decides("FAULT-03")
@pytest.mark.parametrize("how", ["lost", "truncated", "corrupt"])
def test_a_damaged_log_is_never_believed(lab: Lab, faults: Faults, how: str) -> None:
    """What it held is refused; the intervals beside it, and a set that is begun anew, are as good as ever."""
    scene = Interruption(lab, DEEDS["disable_cbt"])
    play, disk = scene.play, scene.disk
    damage = LogDamaged(how)  # type: ignore[arg-type]  # one of the words
    with faults.armed(None, Planned(damage), on=disk):
        assert_damage_shows(play.disks[LAST], disk)
    if play.listing(BASELINE, LAST) is None:
        raise Violation("intact logs must be listed", expected=("a bitmap",), actual="a refusal")
    scene.assert_nothing_locked()
    lab.conditions.scan(MAIN)
    disk.disable_cbt()
    disk.enable_cbt()
    disk.write(block=9)
    assert_damage_shows(play.disks[LAST], disk)
    scene.judge_by_content()


# --- reading over NBD -------------------------------------------------------------------------------------------------


@decides("FAULT-03", "FAULT-05")
@needs("nbd", "network-purpose")
@pytest.mark.parametrize("how", ["error", "short-read", "cut", "wrong-bytes"])
def test_a_disturbed_read_over_nbd_leaves_a_snapshot_that_can_be_read_and_used(
    lab: Lab, faults: Faults, how: str
) -> None:
    """The connection breaks or brings rubbish; afterwards the right bytes come, and nothing holds the snapshot."""
    scene = Interruption(lab, DEEDS["data_destroy"])
    snapshot, disturbed = scene.target, NbdDisturbed(how)  # type: ignore[arg-type]  # one of the words
    content = snapshot.read()
    with lab.conditions.served_over_nbd():
        with faults.armed(None, Planned(disturbed)), snapshot.over_nbd() as served:
            comes_wrong(served, content)
        with snapshot.over_nbd() as served:
            assert_same_content(served.read(), content, "read over NBD again")
    scene.assert_nothing_locked()
    scene.carry_out()
    scene.judge()


def comes_wrong(served: ServedDisk, content: bytes) -> None:
    """Read all of a disk while reads are disturbed: an error comes, or other bytes; else the fault is none."""
    try:
        read = b"".join(served.client.stream(0, served.size))
    except NbdTrouble:
        return
    if read == content:
        raise HarnessError("reading was disturbed, and yet the right bytes came")
