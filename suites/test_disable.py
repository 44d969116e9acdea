"""Disabling changed block tracking for a VDI, row by row; the same in generated situations at the end of each row."""

import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import DISK_SIZE, Lab
from xencbt.fixtures.vms import PowerState
from xencbt.harness.bitmap import BLOCK
from xencbt.harness.decides import decides
from xencbt.harness.expectations import SUCCESS, Expectation, VdiType, refusals
from xencbt.harness.model import Disable, OnBoot
from xencbt.harness.needs import needs
from xencbt.harness.outcome import Failed
from xencbt.harness.session import clock
from xencbt.harness.verdicts import NotExercised, Violation
from xencbt.suites.command_line import (
    OBSTACLES,
    assert_printed,
    assert_same_refusal,
    assert_unknown_uuid_refused,
    obstructed,
    storage_obstacles,
    switch,
)
from xencbt.suites.guests import WritingGuest, undisturbed
from xencbt.suites.listing import assert_listed, assert_same_listings, listings
from xencbt.suites.scenarios import DISK, Offer, Situation, build, situations
from xencbt.suites.situations import ASKED_FOR, EVERYTHING, IN_POWER_STATES, WITH_CBT, of_types
from xencbt.suites.statuses import assert_reads, only_status_becomes

CREATABLE_INELIGIBLE = [kind for kind in EVERYTHING.types if not kind.eligible]
"""Types of disk that can be created and cannot be tracked."""

IN_EVERY_POWER_STATE = pytest.mark.parametrize("power_state", IN_POWER_STATES)

ROUNDS, MOST_ROUNDS = 5, 200
"""How often CBT is disabled under a writing guest: at least one of the calls must meet a write under way."""


@pytest.fixture
def tracked(disk: Disk) -> Disk:
    """Give the test a disk with CBT enabled."""
    return disk.enable_cbt()


def disabled(disk: Disk) -> None:
    """Disable CBT: the call must succeed, the disk then read as disabled, and nothing else in its record change."""
    with only_status_becomes(disk, enabled=False):
        disk.disable_cbt()
    assert_reads(disk, enabled=False)


def disabling_works(disk: Disk) -> None:
    """Show that the call works where the one condition that made it fail is not there: the positive control."""
    with disk.lab.precondition("CBT enabled on a disk without the obstacle"):
        disk.enable_cbt()
    disabled(disk)


# --- DISABLE-01: it succeeds, and reads as disabled -------------------------------------------------------------------


@decides("DISABLE-01")
def test_disabling_switches_tracking_off(tracked: Disk) -> None:
    """The call succeeds, the disk reads as disabled, and nothing else in its record changes."""
    disabled(tracked)


@decides("DISABLE-01")
def test_a_disk_can_be_enabled_and_disabled_again_and_again(disk: Disk) -> None:
    """Neither call uses itself up."""
    for _ in range(3):
        with disk.lab.precondition("CBT enabled again"):
            disk.enable_cbt()
        disabled(disk)


def allowing(lab: Lab) -> Offer:
    """Return what the target offers of situations in which disabling must succeed."""
    eligible = [kind for kind in VdiType if kind.eligible]
    return Offer.of(lab).narrowed(srs=WITH_CBT, types=eligible, on_boot=OnBoot.PERSIST, snapshot=False)


@decides("DISABLE-01")
@needs(optional=ASKED_FOR)
@given(data=st.data())
def test_disabling_works_in_every_situation_that_allows_it(lab: Lab, data: st.DataObject) -> None:
    """Any eligible disk, held by a VM or not, with any other disks beside it, which nothing happens to."""
    situation = replace(data.draw(situations(allowing(lab)), label="situation"), enabled=True)
    with lab.example():
        scene = build(lab, situation)
        with scene.others_untouched(), only_status_becomes(scene.disk, enabled=False):
            lab.check(scene.disk.attempt("disable_cbt"), scene.allowed(Disable(DISK)), "VDI.disable_cbt")
        assert_reads(scene.disk, enabled=False)


# --- DISABLE-02: neither guest nor data notice ------------------------------------------------------------------------


@decides("DISABLE-02")
@IN_EVERY_POWER_STATE
def test_disabling_leaves_power_state_and_devices_alone(tracked: Disk, power_state: PowerState) -> None:
    """The VM and its devices are the same before and after."""
    vm = tracked.lab.create_vm(tracked, power_state=power_state)
    with undisturbed(vm, by="VDI.disable_cbt"):
        tracked.disable_cbt()


@decides("DISABLE-02")
@needs("raw-export", "raw-import")
def test_disabling_changes_no_data(tracked: Disk) -> None:
    """A disk with snapshots below it reads the same before and after."""
    lab = tracked.lab
    with lab.precondition("content before and after a snapshot"):
        tracked.write(blocks=(0, 9)).snapshot()
        tracked.write(blocks=(9, 40))
        before = tracked.read()
    tracked.disable_cbt()
    assert_content(tracked, before)


@decides("DISABLE-02")
@needs("guest-write", "raw-export", "raw-import", "vm-power")
def test_a_guest_that_writes_while_tracking_is_disabled_loses_nothing(tracked: Disk) -> None:
    """Writes are under way while the log goes away: each of them is on the disk afterwards."""
    lab = tracked.lab
    with lab.precondition("a running VM that holds a disk with content"):
        before = tracked.write(blocks=(0, 9, 63)).read()
        vm = lab.create_vm(tracked, power_state="Running")
    met = rounds = 0
    with undisturbed(vm, by="VDI.disable_cbt under a writing guest"), WritingGuest(tracked) as guest:
        while rounds < ROUNDS or (not met and rounds < MOST_ROUNDS):
            rounds += 1
            with lab.precondition("CBT enabled under a writing guest"):
                tracked.enable_cbt()
            began = clock()
            tracked.disable_cbt()
            met += guest.wrote_between(began, clock())
    vm.shutdown()
    assert_content(tracked, guest.applied_to(before))
    if not met:
        raise NotExercised(f"no write was under way during {rounds} calls of VDI.disable_cbt")


@decides("DISABLE-02")
@needs("raw-import")
@pytest.mark.parametrize("power_state", ["Halted", pytest.param("Running", marks=needs("vm-power", "guest-write"))])
def test_the_log_goes_away(tracked: Disk, power_state: PowerState) -> None:
    """What could be listed before cannot be listed any more, to the disk itself or to a snapshot taken since."""
    lab = tracked.lab
    baseline = tracked.snapshot()
    vm = lab.create_vm(tracked, power_state=power_state)
    with lab.precondition("changes that are listed while CBT is enabled"):
        assert_listed(baseline, tracked.write(block=7).snapshot(), {7})
    tracked.disable_cbt()
    since = tracked.snapshot()
    if power_state == "Running":
        vm.shutdown()
    for later in (since, tracked):
        lab.refuses(baseline, "list_changed_blocks", later.ref, expectation=refusals.unrelated())


@decides("DISABLE-02")
@needs("raw-export", "raw-import", optional=["guest-write", "vm-power"])
@given(
    running=st.booleans(),
    before=st.lists(st.integers(0, DISK_SIZE - 1), max_size=3),
    after=st.lists(st.integers(0, DISK_SIZE - 1), max_size=3),
    snapshots=st.integers(0, 2),
)
def test_content_is_the_same_with_and_without_tracking(
    lab: Lab, *, running: bool, before: list[int], after: list[int], snapshots: int
) -> None:
    """Writes before and after, by a guest or not, with snapshots below or not: all of them are there."""
    running = running and lab.offers("vm-power", "guest-write")
    with lab.example():
        disk = lab.create_disk()
        content = bytearray(disk.size)
        with lab.precondition("a tracked disk with content"):
            disk.enable_cbt()
            vm = lab.create_vm(disk, power_state="Running" if running else "Halted")
            write(disk, before, content)
            for _ in range(snapshots):
                disk.snapshot()
        with undisturbed(vm, by="VDI.disable_cbt"):
            disk.disable_cbt()
        write(disk, after, content)
        if running:
            vm.shutdown()
        assert_content(disk, bytes(content))


def write(disk: Disk, offsets: list[int], content: bytearray) -> None:
    """Write to `disk` at `offsets`, and the same to `content`."""
    for offset in offsets:
        data = disk.lab.content.draw(min(BLOCK, disk.size - offset))
        disk.write(offset=offset, data=data)
        content[offset : offset + len(data)] = data


def assert_content(disk: Disk, expected: bytes) -> None:
    """Expect that the disk reads as `expected`; raises Violation with the first byte that does not."""
    actual = disk.read()
    if actual != expected:
        at = next(
            (at for at, (have, want) in enumerate(zip(actual, expected, strict=False)) if have != want), len(actual)
        )
        raise Violation(
            "the disk's data changed", expected=(f"{len(expected)} bytes as written",), actual=f"another byte at {at}"
        )


# --- DISABLE-03: in every power state ---------------------------------------------------------------------------------


@decides("DISABLE-03")
@IN_EVERY_POWER_STATE
def test_disabling_works_whatever_the_vm_does(tracked: Disk, power_state: PowerState) -> None:
    """Halted, running, paused or suspended."""
    tracked.lab.create_vm(tracked, power_state=power_state)
    disabled(tracked)


# --- DISABLE-04: refused as enabling is -------------------------------------------------------------------------------


def refused_as_enabling(disk: Disk, expectation: Expectation) -> None:
    """Expect that disabling is refused as `expectation` says, changing nothing, and with the code enabling gets."""
    disabling = disk.lab.refuses(disk, "disable_cbt", expectation=expectation)
    enabling = disk.attempt("enable_cbt")
    if isinstance(enabling, Failed) and enabling.code != disabling.code:
        raise Violation(
            "disabling is refused otherwise than enabling", expected=(enabling.code,), actual=disabling.code
        )


@decides("DISABLE-04")
def test_an_unknown_reference_is_refused_and_touches_nothing(tracked: Disk) -> None:
    """A reference that was a disk once, and one that never was."""
    lab = tracked.lab
    with lab.precondition("the reference of a disk that is gone"):
        gone = lab.create_disk().destroy().ref
    with lab.unchanged(tracked, after="a call with an unknown reference"):
        for ref in (gone, f"OpaqueRef:{uuid.UUID(bytes=lab.content.draw(16))}"):
            outcome = lab.session.call("VDI.disable_cbt", ref)
            lab.check(outcome, refusals.unknown_vdi(ref), "VDI.disable_cbt with an unknown reference")
    lab.check(lab.session.call("VDI.disable_cbt", tracked.ref), SUCCESS, "VDI.disable_cbt with a known reference")


@decides("DISABLE-04")
def test_an_unknown_uuid_cannot_be_resolved(tracked: Disk) -> None:
    """By uuid the refusal comes before the call: there is no reference to call it with."""
    lab = tracked.lab
    unknown = str(uuid.UUID(bytes=lab.content.draw(16)))
    with lab.unchanged(tracked, after="resolving an unknown uuid"):
        outcome = lab.session.call("VDI.get_by_uuid", unknown)
        lab.check(outcome, refusals.unknown_uuid(unknown), "resolving an unknown uuid")
    known = lab.session.value("VDI.get_by_uuid", tracked.uuid)
    lab.check(lab.session.call("VDI.disable_cbt", known), SUCCESS, "VDI.disable_cbt with a reference from a known uuid")


@decides("DISABLE-04")
@pytest.mark.parametrize("kind", of_types(CREATABLE_INELIGIBLE))
def test_other_types_than_user_or_system_are_refused(lab: Lab, kind: VdiType) -> None:
    """The refusal names the type; a user disk on the same SR is not refused."""
    disk = lab.create_disk(type=kind.value)
    refused_as_enabling(disk, refusals.wrong_type(kind, disk.ref))
    disabling_works(lab.create_disk())


@decides("DISABLE-04")
def test_a_system_disk_is_not_refused(lab: Lab) -> None:
    """The positive control of the other eligible type."""
    disabling_works(lab.create_disk(type="system"))


@decides("DISABLE-04")
def test_the_metadata_of_a_snapshot_is_refused(tracked: Disk) -> None:
    """What is left of a snapshot without its data keeps its status."""
    with tracked.lab.precondition("a snapshot without data"):
        metadata = tracked.snapshot().data_destroy()
    expected = refusals.metadata_only(metadata.ref, ordered=tracked.lab.profile.ordered)
    refused_as_enabling(metadata, expected)
    assert metadata.cbt_enabled is True
    disabled(tracked)


@decides("DISABLE-04")
@needs("reset-on-boot")
def test_a_disk_that_is_reset_at_boot_is_refused_until_it_persists(lab: Lab) -> None:
    """on_boot = reset is refused, and the same disk is not once it persists."""
    disk = lab.create_disk(on_boot="reset")
    refused_as_enabling(disk, refusals.on_boot_reset())
    with lab.precondition("on_boot back at persist"):
        disk.set_on_boot("persist")
    disabling_works(disk)


@decides("DISABLE-04")
@pytest.mark.parametrize("enabled", [True, False], ids=["tracked", "untracked"])
def test_a_snapshot_is_refused(disk: Disk, *, enabled: bool) -> None:
    """A snapshot keeps the status it was taken with; the disk it was taken of is not refused."""
    with disk.lab.precondition("a snapshot"):
        snapshot = (disk.enable_cbt() if enabled else disk).snapshot()
    refused_as_enabling(snapshot, refusals.is_a_snapshot())
    assert snapshot.cbt_enabled is enabled
    disabling_works(disk)


@decides("DISABLE-04")
@needs("sr:no-pbd", optional=["sr-unplug"])
def test_an_sr_that_was_never_attached_is_refused(lab: Lab) -> None:
    """No host has a PBD for the SR."""
    refused_as_enabling(lab.seeded_disk("no-pbd"), refusals.sr_not_attached())
    disabling_works(lab.create_disk())


@decides("DISABLE-04")
@needs("sr-unplug", "sr:second")
def test_an_unplugged_sr_is_refused_until_it_is_plugged(lab: Lab) -> None:
    """The PBD of the SR is unplugged; the tracked disk on it is disabled once it is plugged again."""
    with lab.precondition("a tracked disk on another SR"):
        disk = lab.create_disk(sr="second").enable_cbt()
    with lab.conditions.unplugged("second"):
        refused_as_enabling(disk, refusals.sr_not_attached())
    disabled(disk)


@decides("DISABLE-04")
@needs("sr:no-cbt")
def test_a_driver_without_tracking_is_refused(lab: Lab) -> None:
    """The refusal names the SR; a disk on an SR that can is not refused."""
    disk = lab.create_disk(sr="no-cbt")
    refused_as_enabling(disk, refusals.driver_without_cbt(lab.sr("no-cbt").ref))
    disabling_works(lab.create_disk())


def refusing(situation: Situation) -> bool:
    """Tell whether disabling and enabling share a reason to be refused in `situation`."""
    return not situation.eligible or situation.snapshot or situation.sr in {"no-cbt", "no-pbd", "iso"}


@decides("DISABLE-04")
@needs(optional=ASKED_FOR)
@given(data=st.data())
def test_every_situation_that_does_not_allow_it_is_refused_as_documented(lab: Lab, data: st.DataObject) -> None:
    """Any number of the shared obstacles at once: the code is of one that holds, and nothing changes."""
    situation = data.draw(situations(Offer.of(lab)).filter(refusing), label="situation")
    with lab.example():
        scene = build(lab, situation)
        with scene.others_untouched():
            refused_as_enabling(scene.disk, scene.allowed(Disable(DISK)))


# --- DISABLE-05: once more changes nothing ----------------------------------------------------------------------------


@decides("DISABLE-05")
def test_disabling_a_disk_that_was_never_enabled_changes_nothing(disk: Disk) -> None:
    """No error, and the whole record as before."""
    with disk.lab.unchanged(disk, after="disabling a disabled disk"):
        disk.disable_cbt()


@decides("DISABLE-05")
@needs("raw-import")
def test_disabling_twice_changes_nothing_more(tracked: Disk) -> None:
    """No error, the whole record as before, and the snapshots of the old set list what they did."""
    lab = tracked.lab
    with lab.precondition("a disk that was disabled, and the snapshots of its set"):
        first = tracked.snapshot()
        second = tracked.write(block=7).snapshot()
        tracked.disable_cbt()
    before = listings((first, second))
    with lab.unchanged(tracked, first, second, after="disabling once more"):
        tracked.disable_cbt()
    assert_same_listings((first, second), before, "disabling once more")


@decides("DISABLE-05")
@needs(optional=ASKED_FOR)
@given(data=st.data())
def test_disabling_a_disabled_disk_changes_nothing_in_any_situation(lab: Lab, data: st.DataObject) -> None:
    """Never enabled, or enabled once and disabled since: no error, and nothing moves."""
    situation = replace(data.draw(situations(allowing(lab)), label="situation"), enabled=False)
    was_enabled = data.draw(st.booleans(), label="enabled and disabled before")
    with lab.example():
        scene = build(lab, situation)
        if was_enabled:
            with lab.precondition("a disk that was enabled once"):
                scene.disk.enable_cbt().disable_cbt()
        with scene.others_untouched(), lab.unchanged(scene.disk, after="disabling a disabled disk"):
            lab.check(scene.disk.attempt("disable_cbt"), scene.allowed(Disable(DISK)), "VDI.disable_cbt")


# --- DISABLE-06: the command line -------------------------------------------------------------------------------------


@decides("DISABLE-06")
@needs("xe", optional=ASKED_FOR)
def test_the_xe_command_disables_as_the_call_does(lab: Lab) -> None:
    """`xe vdi-disable-cbt uuid=…` prints nothing, and what the call does to one disk it does to another; also twice."""
    by_call, by_xe, other = (lab.create_disk().enable_cbt() for _ in range(3))
    snapshots = by_call.snapshot(), by_xe.snapshot()
    with lab.unchanged(other, *snapshots, after="disabling other disks"):
        for _ in range(2):
            with only_status_becomes(by_call, enabled=False):
                by_call.disable_cbt()
            with only_status_becomes(by_xe, enabled=False):
                assert_printed(switch(lab, "disable_cbt", by_xe.uuid), "")
    assert_reads(by_call, enabled=False)
    assert_reads(by_xe, enabled=False)


@decides("DISABLE-06")
@needs("xe", optional=ASKED_FOR)
def test_the_xe_command_ends_the_set(tracked: Disk) -> None:
    """What comes after it cannot be listed against the set, nor once CBT is enabled again."""
    lab = tracked.lab
    baseline = tracked.snapshot()
    assert_printed(switch(lab, "disable_cbt", tracked.uuid), "")
    lab.refuses(baseline, "list_changed_blocks", tracked.ref, expectation=refusals.unrelated())
    with lab.precondition("CBT enabled again"):
        later = tracked.enable_cbt().snapshot()
    lab.refuses(baseline, "list_changed_blocks", later.ref, expectation=refusals.unrelated())


@decides("DISABLE-06")
@needs("xe", optional=ASKED_FOR)
@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_the_xe_command_is_refused_as_the_call_is(lab: Lab, tracked: Disk, obstacle: str) -> None:
    """The same reason, exit code 1, and nothing changes; the command works on a disk without the obstacle."""
    assert_same_refusal(obstructed(lab, obstacle)[0], "disable_cbt", OBSTACLES[obstacle].refusal)
    assert_printed(switch(lab, "disable_cbt", tracked.uuid), "")
    assert_reads(tracked, enabled=False)


@decides("DISABLE-06")
@needs("xe", optional=ASKED_FOR)
def test_the_xe_command_is_refused_by_storage_as_the_call_is(lab: Lab, tracked: Disk) -> None:
    """On whichever SRs the target has that cannot track."""
    for obstructed_disk, refusal in storage_obstacles(lab):
        assert_same_refusal(obstructed_disk, "disable_cbt", refusal)
    assert_printed(switch(lab, "disable_cbt", tracked.uuid), "")


@decides("DISABLE-06")
@needs("xe", optional=ASKED_FOR)
def test_the_xe_command_does_not_know_an_unknown_uuid(lab: Lab, tracked: Disk) -> None:
    """Refused as resolving it is; a known one leads to its disk."""
    unknown = str(uuid.UUID(bytes=lab.content.draw(16), version=4))
    with lab.unchanged(tracked, after="an xe command for an unknown uuid"):
        assert_unknown_uuid_refused(lab, switch(lab, "disable_cbt", unknown), unknown)
    assert_printed(switch(lab, "disable_cbt", tracked.uuid), "")
    assert_reads(tracked, enabled=False)


# --- DISABLE-07: snapshots keep what they have ------------------------------------------------------------------------


@decides("DISABLE-07")
@needs("raw-import")
def test_snapshots_stay_enabled_and_comparable(tracked: Disk) -> None:
    """Two snapshots read as enabled after their disk was disabled, and list the same changes."""
    lab = tracked.lab
    with lab.precondition("two snapshots of a set"):
        baseline = tracked.snapshot()
        later = tracked.write(blocks=(3, 11)).snapshot()
    before = assert_listed(baseline, later, {3, 11})
    with lab.unchanged(baseline, later, after="disabling the disk they were taken of"):
        tracked.disable_cbt()
    assert baseline.cbt_enabled is True
    assert later.cbt_enabled is True
    assert_same_listings((baseline, later), (before,), "disabling the disk")


@decides("DISABLE-07")
@needs("raw-import", optional=["vm-power"])
@given(
    writes=st.lists(st.frozensets(st.integers(0, DISK_SIZE // BLOCK - 1), max_size=3), min_size=1, max_size=3),
    without_data=st.frozensets(st.integers(0, 3)),
    running=st.booleans(),
    again=st.booleans(),
)
def test_every_snapshot_keeps_its_status_and_its_changes(
    lab: Lab, writes: list[frozenset[int]], *, without_data: frozenset[int], running: bool, again: bool
) -> None:
    """A set of snapshots, with data or without, of a disk in use or not: all pairs list the same as before."""
    running = running and lab.offers("vm-power")
    with lab.example():
        with lab.precondition("a set of snapshots, some of them without data"):
            disk = lab.create_disk().enable_cbt()
            snapshots = [disk.snapshot()]
            snapshots += [disk.write(blocks=blocks).snapshot() if blocks else disk.snapshot() for blocks in writes]
            for number in without_data & set(range(len(snapshots))):
                snapshots[number].data_destroy()
            lab.create_vm(disk, power_state="Running" if running else "Halted")
            before = listings(snapshots)
        with lab.unchanged(*snapshots, after="disabling the disk they were taken of"):
            disk.disable_cbt()
        if again:
            with lab.precondition("another set of the same disk"):
                disk.enable_cbt().snapshot()
        assert [snapshot.cbt_enabled for snapshot in snapshots] == [True] * len(snapshots)
        assert_same_listings(snapshots, before, "disabling the disk")
