"""Enabling changed block tracking for a VDI: the section of that name in "Using changed block tracking"."""

import uuid
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.disks import OnBoot as OnBootWord
from xencbt.fixtures.lab import MIB, Lab
from xencbt.fixtures.vms import PowerState
from xencbt.harness.bitmap import BLOCK, describe, touched
from xencbt.harness.capabilities import MAIN
from xencbt.harness.decides import decides
from xencbt.harness.expectations import VdiType, refusals
from xencbt.harness.model import Enable, OnBoot
from xencbt.harness.needs import needs
from xencbt.harness.verdicts import Violation
from xencbt.suites.command_line import (
    OBSTACLES,
    assert_printed,
    assert_same_refusal,
    assert_unknown_uuid_refused,
    obstructed,
    storage_obstacles,
    switch,
)
from xencbt.suites.guests import undisturbed
from xencbt.suites.listing import assert_listed, block_map
from xencbt.suites.scenarios import DISK, Offer, build, situations
from xencbt.suites.situations import ASKED_FOR, IN_POWER_STATES, INELIGIBLE, WITH_CBT, WRITABLE, of_types
from xencbt.suites.statuses import assert_reads, only_status_becomes

DISK_SIZE = 4 * MIB

offsets = st.one_of(
    st.integers(0, DISK_SIZE - 1),
    st.integers(0, DISK_SIZE // BLOCK - 1).map(lambda block: block * BLOCK),
    st.integers(1, DISK_SIZE // BLOCK - 1).map(lambda block: block * BLOCK - 1),
)
lengths = st.sampled_from([1, 2, 512, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 2]) | st.integers(1, 4 * BLOCK)


@decides("ENABLE-01")
@pytest.mark.parametrize("kind", ["user", "system"])
def test_a_new_disk_has_tracking_disabled(lab: Lab, kind: str) -> None:
    """Nobody enabled it, so it is off."""
    assert_reads(lab.create_disk(type=kind), enabled=False)


@decides("ENABLE-02")
@pytest.mark.parametrize("kind", ["user", "system"])
def test_enabling_an_eligible_disk_reads_back_as_enabled(lab: Lab, kind: str) -> None:
    """The one field of the record changes, and nothing else."""
    disk = lab.create_disk(type=kind)
    with only_status_becomes(disk, enabled=True):
        disk.enable_cbt()
    assert_reads(disk, enabled=True)


@decides("ENABLE-02")
@pytest.mark.parametrize(
    "sr", [pytest.param(kind, marks=needs(f"sr:{kind}")) for kind in ("file", "unrounded", "second")]
)
def test_enabling_works_on_every_kind_of_storage_with_tracking(lab: Lab, sr: str) -> None:
    """What the documentation says holds for every driver that tracks."""
    disk = lab.create_disk(sr=sr)
    with only_status_becomes(disk, enabled=True):
        disk.enable_cbt()
    assert_reads(disk, enabled=True)


@decides("ENABLE-02", "ENABLE-13")
@needs(optional=ASKED_FOR)
@given(data=st.data())
def test_enabling_an_eligible_disk_in_any_situation(lab: Lab, data: st.DataObject) -> None:
    """It succeeds whatever the SR, the VM's power state and CBT before, changes one field, and loses nothing."""
    eligible = {VdiType.USER, VdiType.SYSTEM}
    offer = _alone(lab).narrowed(srs=WITH_CBT, types=eligible, on_boot=OnBoot.PERSIST, snapshot=False)
    situation = data.draw(situations(offer), label="situation")
    with lab.example():
        scene = build(lab, situation)
        with lab.precondition("the bitmap before"):
            before = scene.marks(scene.subject)
        with only_status_becomes(scene.disk, enabled=True):
            lab.check(scene.disk.attempt("enable_cbt"), scene.allowed(Enable(DISK)), "VDI.enable_cbt")
        scene.model.happened(Enable(DISK))
        assert_reads(scene.disk, enabled=True)
        scene.assert_same_marks(scene.subject, before)


@decides("ENABLE-03")
@needs("raw-import")
def test_enabling_makes_a_log_that_records_later_writes(disk: Disk) -> None:
    """The log is there: on storage that shows it by its use of space, and by what is listed afterwards."""
    lab = disk.lab
    used = _used(lab)
    disk.enable_cbt()
    if _shows_logs(lab) and _used(lab) <= used:
        raise Violation(
            "no log appeared on the SR", expected=(f"more than {used} bytes in use",), actual=f"{_used(lab)}"
        )
    baseline = disk.snapshot()
    disk.write(blocks=(0, 7, 63))
    assert_listed(baseline, disk, {0, 7, 63})


@decides("ENABLE-03")
@needs("guest-write", "vm-power")
def test_later_writes_of_a_guest_are_recorded(disk: Disk) -> None:
    """Enabled under a running VM, the log records from then on what the guest writes."""
    lab = disk.lab
    lab.create_vm(disk, power_state="Running")
    baseline = disk.enable_cbt().snapshot()
    disk.write(blocks=(3, 40))
    assert_listed(baseline, disk.snapshot(), {3, 40})


@decides("ENABLE-04")
@needs("raw-import")
@pytest.mark.parametrize(
    ("offset", "length", "blocks"),
    [
        pytest.param(5 * BLOCK + 17, 1, {5}, id="one byte"),
        pytest.param(5 * BLOCK, BLOCK, {5}, id="a whole block"),
        pytest.param(6 * BLOCK - 1, 1, {5}, id="the last byte of a block"),
        pytest.param(6 * BLOCK - 1, 2, {5, 6}, id="across a boundary"),
        pytest.param(DISK_SIZE - 1, 1, {DISK_SIZE // BLOCK - 1}, id="the last byte of the disk"),
    ],
)
def test_a_write_marks_the_blocks_it_touches(disk: Disk, offset: int, length: int, blocks: set[int]) -> None:
    """One bit stands for 64 KiB."""
    baseline = disk.enable_cbt().snapshot()
    disk.write(offset=offset, length=length)
    assert_listed(baseline, disk, blocks)


@decides("ENABLE-04")
@needs("raw-import")
@given(offset=offsets, length=lengths)
def test_any_write_marks_every_block_it_touches(lab: Lab, offset: int, length: int) -> None:
    """Whatever offset and length: not one touched block is left out."""
    with lab.example():
        disk = lab.create_disk(size=DISK_SIZE)
        baseline = disk.enable_cbt().snapshot()
        length = min(length, DISK_SIZE - offset)
        disk.write(offset=offset, length=length)
        assert_listed(baseline, disk, touched(offset, length))


@decides("ENABLE-04")
@needs("guest-write", "vm-power")
@given(offset=offsets, length=lengths)
def test_any_write_of_a_guest_marks_every_block_it_touches(lab: Lab, offset: int, length: int) -> None:
    """The same where a running VM writes."""
    with lab.example():
        disk = lab.create_disk(size=DISK_SIZE)
        lab.create_vm(disk, power_state="Running")
        baseline = disk.enable_cbt().snapshot()
        length = min(length, DISK_SIZE - offset)
        disk.write(offset=offset, length=length)
        assert_listed(baseline, disk.snapshot(), touched(offset, length))


@decides("ENABLE-19")
@needs("raw-import")
@given(writes=st.lists(st.tuples(offsets, lengths), max_size=3))
def test_writes_mark_no_other_block(lab: Lab, writes: list[tuple[int, int]]) -> None:
    """Precision: a backup copies no block that nobody wrote to."""
    with lab.example():
        disk = lab.create_disk(size=DISK_SIZE)
        baseline = disk.enable_cbt().snapshot()
        written: set[int] = set()
        for offset, wanted in writes:
            length = min(wanted, DISK_SIZE - offset)
            disk.write(offset=offset, length=length)
            written.update(touched(offset, length))
        bitmap = baseline.changed_blocks_to(disk)
        if bitmap.blocks - written:
            raise Violation(
                "blocks are marked that nobody wrote to",
                expected=(describe(written),),
                actual=describe(bitmap.blocks),
                block_map=block_map(bitmap, written, baseline, disk),
            )


@decides("ENABLE-05", "ENABLE-06")
@pytest.mark.parametrize("state", IN_POWER_STATES)
def test_the_vm_does_not_notice(lab: Lab, state: PowerState) -> None:
    """In every power state enabling works, and power state and devices are the same before and after."""
    disk, other = lab.create_disk(), lab.create_disk()
    vm = lab.create_vm(disk, other, power_state=state)
    with undisturbed(vm, by="VDI.enable_cbt"), lab.unchanged(other, after="enabling another disk of the VM"):
        with only_status_becomes(disk, enabled=True):
            disk.enable_cbt()
        if vm.power_state != state:
            raise Violation("the VM's power state changed", expected=(state,), actual=vm.power_state)
    assert_reads(disk, enabled=True)


@decides("ENABLE-06")
@needs("guest-write", "vm-power")
@pytest.mark.parametrize("state", ["Running", "Paused", "Suspended"])
def test_what_the_guest_writes_later_is_recorded(lab: Lab, state: PowerState) -> None:
    """Enabled in any power state, the disk is tracked once its guest goes on."""
    disk = lab.create_disk()
    vm = lab.create_vm(disk, power_state=state)
    baseline = disk.enable_cbt().snapshot()
    if state == "Paused":
        vm.unpause()
    elif state == "Suspended":
        vm.resume()
    disk.write(block=11)
    assert_listed(baseline, disk.snapshot(), {11})


@decides("ENABLE-07")
@needs("sr:no-pbd", optional=["sr-unplug"])
def test_enabling_needs_an_sr_with_a_pbd(lab: Lab, disk: Disk) -> None:
    """An SR that no host is connected to; the same call works where one is."""
    lab.refuses(lab.seeded_disk("no-pbd"), "enable_cbt", expectation=refusals.sr_not_attached())
    disk.enable_cbt()


@decides("ENABLE-07")
@needs("sr-unplug")
@pytest.mark.parametrize("enabled", [False, True], ids=["disabled", "enabled"])
def test_enabling_needs_a_plugged_pbd(disk: Disk, *, enabled: bool) -> None:
    """Refused while the PBD is unplugged, whatever the status; nothing has changed once it is plugged again."""
    if enabled:
        with disk.lab.precondition("an enabled disk"):
            disk.enable_cbt()
    with disk.lab.unchanged(disk, after="enabling while no PBD was plugged"), disk.lab.conditions.unplugged(MAIN):
        disk.lab.refuses(disk, "enable_cbt", expectation=refusals.sr_not_attached())
    disk.enable_cbt()
    assert_reads(disk, enabled=True)


@decides("ENABLE-07")
@needs("sr-state")
def test_enabling_needs_an_sr_that_the_storage_layer_knows(disk: Disk) -> None:
    """The PBD reads as plugged, but the storage layer has lost the SR."""
    with disk.lab.conditions.lost(MAIN):
        disk.lab.refuses(disk, "enable_cbt", expectation=refusals.sr_not_attached())
    disk.enable_cbt()


@decides("ENABLE-08")
@needs("sr:read-only")
def test_enabling_needs_a_writable_sr(lab: Lab, disk: Disk) -> None:
    """An SR that can only be read; the same call works on one that can be written."""
    lab.refuses(lab.seeded_disk("read-only"), "enable_cbt", expectation=refusals.read_only_sr())
    disk.enable_cbt()


@decides("ENABLE-08")
@needs("sr-state")
def test_enabling_is_refused_while_an_sr_cannot_be_written(disk: Disk) -> None:
    """The SR turns read-only after the disk was made, and turns back."""
    with disk.lab.conditions.read_only(MAIN):
        disk.lab.refuses(disk, "enable_cbt", expectation=refusals.read_only_sr())
    disk.enable_cbt()


@decides("ENABLE-08", "ENABLE-16")
@needs("sr:iso")
def test_a_driver_for_images_that_are_only_read_is_refused(lab: Lab, disk: Disk) -> None:
    """Read-only by nature, such a driver has no CBT either."""
    image = lab.seeded_disk("iso")
    lab.refuses(image, "enable_cbt", expectation=refusals.driver_without_cbt(lab.sr("iso").ref))
    disk.enable_cbt()


@decides("ENABLE-09")
@needs("sr:full")
def test_enabling_needs_space_for_the_log(lab: Lab, disk: Disk) -> None:
    """An SR that is full; the same call works on one with room."""
    lab.refuses(lab.seeded_disk("full"), "enable_cbt", expectation=refusals.full_sr())
    disk.enable_cbt()


@decides("ENABLE-09", "ENABLE-13")
@needs("sr-state")
def test_enabling_is_refused_while_an_sr_is_full(disk: Disk) -> None:
    """A disk that has its log already needs no room for it."""
    with disk.lab.conditions.free_bytes(MAIN, 0):
        disk.lab.refuses(disk, "enable_cbt", expectation=refusals.full_sr())
    disk.enable_cbt()
    with disk.lab.conditions.free_bytes(MAIN, 0), only_status_becomes(disk, enabled=True):
        disk.enable_cbt()


@decides("ENABLE-10")
@pytest.mark.parametrize("kind", of_types(kind for kind in Offer().types if kind in INELIGIBLE))
def test_other_types_are_refused_by_name(lab: Lab, disk: Disk, kind: VdiType) -> None:
    """Only user and system disks are eligible."""
    other = lab.create_disk(type=kind.value)
    lab.refuses(other, "enable_cbt", expectation=refusals.wrong_type(kind, other.ref))
    disk.enable_cbt()


@decides("ENABLE-10")
def test_a_snapshot_that_is_metadata_only_is_refused(disk: Disk) -> None:
    """What data_destroy leaves is of a type of its own, and still a snapshot: either is reason enough."""
    with disk.lab.precondition("a metadata-only snapshot"):
        metadata = disk.enable_cbt().snapshot().data_destroy()
    expected = refusals.metadata_only(metadata.ref, ordered=disk.lab.profile.ordered)
    disk.lab.refuses(metadata, "enable_cbt", expectation=expected)
    disk.enable_cbt()


@decides("ENABLE-11")
@needs("reset-on-boot")
def test_a_disk_that_is_reset_at_boot_is_refused_until_it_persists(lab: Lab) -> None:
    """After set_on_boot to persist the same call works."""
    disk = lab.create_disk(on_boot="reset")
    lab.refuses(disk, "enable_cbt", expectation=refusals.on_boot_reset())
    with lab.precondition("on_boot = persist"):
        disk.set_on_boot("persist")
    disk.enable_cbt()
    assert_reads(disk, enabled=True)


@decides("ENABLE-12")
@pytest.mark.parametrize("kind", ["never existed", "destroyed", "null"])
def test_an_unknown_reference_is_refused(lab: Lab, disk: Disk, kind: str) -> None:
    """And touches nothing else: a disk beside it stays as it is, and can be enabled itself."""
    ref = _reference(lab, kind)
    with lab.unchanged(disk, after="a call about an unknown VDI"):
        outcome = lab.session.call("VDI.enable_cbt", ref)
        lab.check(outcome, refusals.unknown_vdi(ref), "enabling a VDI that does not exist")
    disk.enable_cbt()


@decides("ENABLE-12")
def test_an_unknown_uuid_is_refused_when_it_is_resolved(lab: Lab, disk: Disk) -> None:
    """Whoever names a VDI by uuid learns it there; a known one leads to its disk."""
    unknown = _fresh_uuid(lab)
    with lab.unchanged(disk, after="resolving an unknown uuid"):
        outcome = lab.session.call("VDI.get_by_uuid", unknown)
        lab.check(outcome, refusals.unknown_uuid(unknown), "VDI.get_by_uuid of a VDI that does not exist")
    lab.session.value("VDI.enable_cbt", lab.session.value("VDI.get_by_uuid", disk.uuid))
    assert_reads(disk, enabled=True)


@decides("ENABLE-15")
@pytest.mark.parametrize("enabled", [False, True], ids=["of a disabled disk", "of an enabled disk"])
def test_a_snapshot_is_refused(disk: Disk, *, enabled: bool) -> None:
    """Also one that reads as enabled itself; its source can be enabled."""
    with disk.lab.precondition("a snapshot"):
        snapshot = (disk.enable_cbt() if enabled else disk).snapshot()
    disk.lab.refuses(snapshot, "enable_cbt", expectation=refusals.is_a_snapshot())
    disk.enable_cbt()


@decides("ENABLE-16")
@needs("sr:no-cbt")
def test_a_driver_without_tracking_is_refused(lab: Lab, disk: Disk) -> None:
    """The error names the SR; the same call works with a driver that tracks."""
    untracked = lab.create_disk(sr="no-cbt")
    lab.refuses(untracked, "enable_cbt", expectation=refusals.driver_without_cbt(lab.sr("no-cbt").ref))
    disk.enable_cbt()


@decides("ENABLE-16")
def test_a_raw_disk_is_refused(lab: Lab, disk: Disk) -> None:
    """On an SR that can track, a raw VDI has nothing to track with."""
    raw = lab.create_disk(sm_config={"type": "raw"})
    lab.refuses(raw, "enable_cbt", expectation=refusals.raw_vdi())
    disk.enable_cbt()


@needs(optional=ASKED_FOR)
@pytest.mark.parametrize(
    "narrow",
    [
        pytest.param(lambda offer: offer.narrowed(types=INELIGIBLE), marks=decides("ENABLE-10"), id="type"),
        pytest.param(lambda offer: offer.narrowed(on_boot=OnBoot.RESET), marks=decides("ENABLE-11"), id="on_boot"),
        pytest.param(lambda offer: offer.narrowed(snapshot=True), marks=decides("ENABLE-15"), id="snapshot"),
        pytest.param(lambda offer: offer.narrowed(srs=("no-cbt",)), marks=decides("ENABLE-16"), id="driver"),
    ],
)
@given(data=st.data())
def test_what_is_not_eligible_is_refused_in_any_situation(
    lab: Lab, data: st.DataObject, narrow: Callable[[Offer], Offer]
) -> None:
    """Whichever other reasons there are beside it; the whole record stays as it was."""
    situation = data.draw(situations(narrow(_alone(lab))), label="situation")
    with lab.example():
        scene = build(lab, situation)
        lab.refuses(scene.disk, "enable_cbt", expectation=scene.allowed(Enable(DISK)))


@pytest.mark.any_target
@decides("ENABLE-17")
@needs("cbt-calls", "sr-cbt", optional=["licence"])
def test_enabling_is_refused_without_the_licence(lab: Lab) -> None:
    """On a host that never had it, or one from which it is taken; the same disk can be disabled all the same."""
    licensed = lab.capabilities["cbt-licensed"].present
    disk = lab.create_disk()
    with lab.conditions.unlicensed() if licensed else nullcontext():
        lab.refuses(disk, "enable_cbt", expectation=refusals.unlicensed())
        disk.disable_cbt()
    if licensed:
        disk.enable_cbt()


@decides("ENABLE-17")
@needs("licence", "raw-import")
def test_what_is_enabled_keeps_working_without_the_licence(disk: Disk) -> None:
    """Its set goes on, and disabling stays possible; enabling again is refused until the licence is back."""
    lab = disk.lab
    baseline = disk.enable_cbt().snapshot()
    disk.write(block=5)
    with lab.conditions.unlicensed():
        assert_reads(disk, enabled=True)
        disk.write(block=6)
        assert_listed(baseline, disk.snapshot(), {5, 6})
        disk.disable_cbt()
        assert_reads(disk, enabled=False)
        lab.refuses(disk, "enable_cbt", expectation=refusals.unlicensed())
    disk.enable_cbt()
    assert_reads(disk, enabled=True)


@decides("ENABLE-18")
@needs("raw-import", "reset-on-boot")
@pytest.mark.parametrize("mode", ["reset", "persist"])
def test_what_happens_at_boot_cannot_be_set_while_enabled(disk: Disk, mode: OnBootWord) -> None:
    """Refused, even where it would stay the same; allowed before, and again once disabled."""
    lab = disk.lab
    with lab.precondition("on_boot, set while disabled"):
        disk.set_on_boot(mode).set_on_boot("persist")
    baseline = disk.enable_cbt().snapshot()
    disk.write(block=2)
    lab.refuses(disk, "set_on_boot", mode, expectation=refusals.cbt_enabled(disk.ref))
    assert_listed(baseline, disk, {2})
    disk.disable_cbt().set_on_boot(mode)


@decides("ENABLE-13")
@needs("raw-import")
def test_enabling_twice_keeps_recorded_changes(disk: Disk) -> None:
    """No error, no new set: what was recorded before is still listed, and so is what comes after."""
    baseline = disk.enable_cbt().snapshot()
    disk.write(block=7)
    with only_status_becomes(disk, enabled=True):
        disk.enable_cbt()
    assert_listed(baseline, disk, {7})
    disk.write(block=12)
    assert_listed(baseline, disk.snapshot(), {7, 12})


@decides("ENABLE-14")
@needs("xe", optional=ASKED_FOR)
def test_the_xe_command_enables_as_the_call_does(lab: Lab) -> None:
    """`xe vdi-enable-cbt uuid=…` prints nothing, and what the call does to one disk it does to another; also twice."""
    by_call, by_xe, other = lab.create_disk(), lab.create_disk(), lab.create_disk()
    with lab.unchanged(other, after="enabling other disks"):
        for _ in range(2):
            with only_status_becomes(by_call, enabled=True):
                by_call.enable_cbt()
            with only_status_becomes(by_xe, enabled=True):
                assert_printed(switch(lab, "enable_cbt", by_xe.uuid), "")
    assert_reads(by_call, enabled=True)
    assert_reads(by_xe, enabled=True)


@decides("ENABLE-14")
@needs("xe", optional=ASKED_FOR)
def test_what_the_xe_command_enabled_is_tracked_and_enabling_again_keeps_it(disk: Disk) -> None:
    """A set begins; running the command once more does not begin another."""
    lab = disk.lab
    lab.require("raw-import")
    assert_printed(switch(lab, "enable_cbt", disk.uuid), "")
    baseline = disk.snapshot()
    disk.write(block=7)
    assert_printed(switch(lab, "enable_cbt", disk.uuid), "")
    disk.write(block=12)
    assert_listed(baseline, disk.snapshot(), {7, 12})


@decides("ENABLE-14")
@needs("xe", optional=ASKED_FOR)
@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_the_xe_command_is_refused_as_the_call_is(lab: Lab, disk: Disk, obstacle: str) -> None:
    """The same reason, exit code 1, and nothing changes; the command works on a disk without the obstacle."""
    assert_same_refusal(obstructed(lab, obstacle)[0], "enable_cbt", OBSTACLES[obstacle].refusal)
    assert_printed(switch(lab, "enable_cbt", disk.uuid), "")
    assert_reads(disk, enabled=True)


@decides("ENABLE-14")
@needs("xe", optional=ASKED_FOR)
def test_the_xe_command_is_refused_by_storage_as_the_call_is(lab: Lab, disk: Disk) -> None:
    """On whichever SRs the target has that cannot track."""
    for obstructed_disk, refusal in storage_obstacles(lab):
        assert_same_refusal(obstructed_disk, "enable_cbt", refusal)
    if "read-only" in lab.bench.repositories:
        assert_same_refusal(lab.seeded_disk("read-only"), "enable_cbt", lambda _: refusals.read_only_sr())
    assert_printed(switch(lab, "enable_cbt", disk.uuid), "")


@decides("ENABLE-14")
@needs("xe", optional=ASKED_FOR)
def test_the_xe_command_does_not_know_an_unknown_uuid(lab: Lab, disk: Disk) -> None:
    """Refused as resolving it is; a known one leads to its disk."""
    unknown = _fresh_uuid(lab)
    with lab.unchanged(disk, after="an xe command for an unknown uuid"):
        assert_unknown_uuid_refused(lab, switch(lab, "enable_cbt", unknown), unknown)
    assert_printed(switch(lab, "enable_cbt", disk.uuid), "")
    assert_reads(disk, enabled=True)


@decides("ENABLE-20")
@needs(optional=ASKED_FOR)
@given(data=st.data(), operation=st.sampled_from(["enable_cbt", "disable_cbt"]))
def test_other_disks_are_not_touched(lab: Lab, data: st.DataObject, operation: str) -> None:
    """Whatever comes of the call: other disks keep record, status and bitmaps."""
    situation = data.draw(situations(Offer.of(lab).narrowed(srs=WRITABLE, fewest_beside=1)), label="situation")
    with lab.example():
        scene = build(lab, situation)
        with scene.others_untouched():
            scene.disk.attempt(operation)


@decides("ENABLE-20")
@needs("raw-import")
def test_enabling_and_disabling_one_disk_leaves_its_relatives_alone(disk: Disk) -> None:
    """A clone with a set of its own, a stranger on the same SR, and snapshots of either status."""
    lab = disk.lab
    with lab.precondition("a clone, another disk and snapshots"):
        clone, stranger = disk.clone(), lab.create_disk()
        baselines = {other: other.enable_cbt().snapshot() for other in (clone, stranger)}
        for other in baselines:
            other.write(block=9)
        snapshots = disk.snapshot(), disk.enable_cbt().snapshot()
    with lab.unchanged(*baselines, *baselines.values(), *snapshots, after="disabling and enabling another disk"):
        disk.disable_cbt().enable_cbt().disable_cbt()
    for other, baseline in baselines.items():
        assert_listed(baseline, other, {9})


@decides("ENABLE-20")
def test_the_other_disks_of_the_vm_are_left_alone(disk: Disk) -> None:
    """One that is tracked and one that is not, while a third disk of the same VM is switched on and off."""
    lab = disk.lab
    with lab.precondition("a VM with three disks"):
        others = lab.create_disk(), lab.create_disk().enable_cbt()
        lab.create_vm(disk, *others)
    with lab.unchanged(*others, after="enabling and disabling another disk of the VM"):
        disk.enable_cbt().disable_cbt()


def _alone(lab: Lab) -> Offer:
    """Return what situations without other disks can be made of."""
    return replace(Offer.of(lab).narrowed(srs=WRITABLE), beside=frozenset())


def _used(lab: Lab) -> int:
    lab.conditions.scan(MAIN)
    return int(lab.session.value("SR.get_physical_utilisation", lab.sr(MAIN).ref))


def _shows_logs(lab: Lab) -> bool:
    """Thick volumes: a log takes an extent of its own; elsewhere it may vanish in what the file system rounds up."""
    return lab.sr(MAIN).driver.startswith("lvm")


def _fresh_uuid(lab: Lab) -> str:
    return str(uuid.UUID(bytes=lab.content.draw(16), version=4))


def _reference(lab: Lab, kind: str) -> str:
    """Return a reference that stands for no VDI; raises Blocked where a disk cannot be destroyed."""
    if kind == "destroyed":
        with lab.precondition("a destroyed disk"):
            return lab.create_disk().destroy().ref
    return "OpaqueRef:NULL" if kind == "null" else f"OpaqueRef:{_fresh_uuid(lab)}"
