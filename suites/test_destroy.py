"""Deleting VDI snapshot data and retaining the snapshot metadata: the page of that name, and the API reference."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.exports import addresses, connected, is_secured, served
from xencbt.fixtures.lab import MIB, Lab
from xencbt.fixtures.vms import NULL, Vm
from xencbt.harness.bitmap import BLOCK, block_count
from xencbt.harness.capabilities import MAIN
from xencbt.harness.decides import decides
from xencbt.harness.expectations import SUCCESS, VdiType, either, refusals
from xencbt.harness.images import export_whole, serves_vhd
from xencbt.harness.model import DataDestroy
from xencbt.harness.nbd_protocol import NbdRefused
from xencbt.harness.needs import needs
from xencbt.harness.outcome import Failed, Ok, Outcome
from xencbt.harness.sizes import GIB, Reach
from xencbt.harness.verdicts import Violation
from xencbt.suites.destroying import (
    METADATA,
    assert_gone,
    assert_metadata_only,
    data_freed,
    held_by_nobody,
    metadata_only,
    waiting,
)
from xencbt.suites.histories import WRITING, History, histories
from xencbt.suites.listing import assert_listed, assert_same_listings, listings
from xencbt.suites.restoring import assert_comparable, assert_safe, assert_same_content, assert_unrelated, contents
from xencbt.suites.scenarios import DISK, Offer, build, situations
from xencbt.suites.situations import ASKED_FOR, WITH_CBT
from xencbt.suites.switching_off import GROWTH
from xencbt.suites.test_listing import played

SIZE = 2 * MIB
"""Bytes of a disk: small, since its content is read again and again."""

Set = tuple[Disk, list[Disk]]
"""A tracked disk and its snapshots, oldest first."""


pytestmark = needs("raw-import", "raw-export")
"""Every test of this chapter writes to disks, and reads them."""


def backup_set(lab: Lab, snapshots: int = 3, *, sr: str = MAIN) -> Set:
    """Give a tracked disk with that many snapshots; before the nth the block of that number was written."""
    with lab.precondition("a backup set"):
        disk = lab.create_disk(sr=sr, size=SIZE).enable_cbt()
        return disk, [disk.write(block=number).snapshot() for number in range(snapshots)]


# DESTROY-01, 02: what data_destroy does


OTHER_DRIVERS = [pytest.param(kind, marks=needs(f"sr:{kind}")) for kind in ("file", "unrounded")]
"""SRs whose driver keeps its logs in its own way."""


@decides("DESTROY-01", "LIST-09")
@pytest.mark.parametrize("sr", [MAIN, *OTHER_DRIVERS])
def test_data_goes_and_metadata_stays(lab: Lab, sr: str) -> None:
    """The type becomes cbt_metadata, nothing can be read any more, and every listing is as it was."""
    disk, snapshots = backup_set(lab, sr=sr)
    members = [*snapshots, disk]
    before = listings(members)
    for snapshot in snapshots:
        with data_freed(snapshot):
            snapshot.data_destroy()
        assert_metadata_only(snapshot)
        assert_same_listings(members, before, "VDI.data_destroy")
    lab.conditions.scan(sr)
    for snapshot in snapshots:
        assert_metadata_only(snapshot)
    assert_same_listings(members, before, "SR.scan")


@decides("DESTROY-01", "LIST-09")
@given(history=histories(WRITING, longest=5), chosen=st.sets(st.integers(0, 5), min_size=1, max_size=3))
def test_metadata_tells_what_the_snapshot_told(lab: Lab, history: History, chosen: set[int]) -> None:
    """Whichever snapshots lose their data: all pairs list what they listed, and the others keep their bytes."""
    with lab.example():
        play = played(lab, history)
        snapshots = [play.disks[name] for name in play.names_of_snapshots()]
        images = contents(snapshots)
        members = [*snapshots, play.disks["a"]]
        before = listings(members)
        emptied = [snapshots[number % len(snapshots)] for number in sorted(chosen)]
        for snapshot in dict.fromkeys(emptied):
            snapshot.data_destroy()
            assert_metadata_only(snapshot)
        assert_same_listings(members, before, "VDI.data_destroy")
        for snapshot in snapshots:
            if snapshot not in emptied:
                assert_same_content(snapshot.read(), images[snapshot], "a snapshot that was left alone")


AFTERWARDS: dict[str, Callable[[Disk], object]] = {
    "the disk grows": lambda disk: disk.resize(disk.size + GROWTH),
    "the disk is cloned": Disk.clone,
    "the disk is copied": Disk.copy,
    "the SR is scanned": lambda disk: disk.lab.conditions.scan(MAIN),
    "a snapshot comes and goes": lambda disk: disk.snapshot().destroy(),
}


LONG_ROW = 24
"""Snapshots: as many as an image may have layers (30) for, before its host has coalesced those without data."""


@decides("LIST-09")
@pytest.mark.parametrize("happens", AFTERWARDS)
def test_metadata_is_a_baseline_whatever_happens_next(lab: Lab, happens: str) -> None:
    """What was written before it and after it is listed since snapshots that have no data any more."""
    disk, (first, middle, last) = backup_set(lab)
    first.data_destroy()
    last.data_destroy()
    disk.write(block=8)
    AFTERWARDS[happens](disk)
    later = disk.write(block=9).snapshot()
    assert_listed(first, later, {1, 2, 8, 9})
    assert_listed(last, later, {8, 9})
    assert_listed(last, disk, {8, 9})
    assert_listed(first, last, {1, 2})
    assert_safe(middle.changed_blocks_to(later), middle.read(), later.read(), between=(middle, later))


@decides("LIST-09")
def test_a_long_row_of_metadata_is_listed_from_end_to_end(lab: Lab) -> None:
    """Data goes after each backup, metadata stays: no limit to the layers of an image is one to the logs."""
    with lab.precondition("a backup set"):
        disk = lab.create_disk(size=2 * SIZE).enable_cbt()
        snapshots = [disk.snapshot()]
    for number in range(1, LONG_ROW):
        snapshots.append(disk.write(block=number).snapshot())
        snapshots[-2].data_destroy()
    assert_listed(snapshots[0], snapshots[-1], range(1, LONG_ROW))


@decides("DESTROY-02")
def test_destroying_data_twice_changes_nothing_more(lab: Lab) -> None:
    """What has no data any more is left as it is, whatever happened to the disk in between."""
    disk, snapshots = backup_set(lab)
    before = listings(snapshots)
    emptied = snapshots[1].data_destroy()
    for between in (None, disk.disable_cbt, disk.enable_cbt, disk.destroy):
        if between is not None:
            between()
        with lab.unchanged(*snapshots, after="a second VDI.data_destroy"):
            emptied.data_destroy()
        assert_metadata_only(emptied)
    assert_same_listings(snapshots, before, "a second VDI.data_destroy")


@decides("DESTROY-01", "DESTROY-04")
@needs("special-vdi-types", optional=["control"])
def test_the_data_of_a_system_disk_goes_for_good(lab: Lab) -> None:
    """While a VM refers to the snapshot it stays what it is; once its data is gone no scan finds any."""
    with lab.precondition("a snapshot of a tracked disk of type system"):
        snapshot = lab.create_disk(type=VdiType.SYSTEM.value, size=SIZE).enable_cbt().snapshot()
    vbd = lab.create_vm().attach(snapshot)
    assert_in_use(snapshot)
    assert_free_after(snapshot, vbd)
    assert_metadata_stays(snapshot)


@decides("DESTROY-01", "DESTROY-06")
@needs(reach=Reach(4 * GIB + SIZE, disks=4))
def test_more_than_4_gib_are_destroyed_like_less(lab: Lab) -> None:
    """The data is gone for good, and what was written beyond 4 GiB (near the end of what may be made) goes on."""
    with lab.precondition("a set of a large disk"):
        disk = lab.create_disk(size=lab.largest_size()).enable_cbt()
        beyond = block_count(disk.size - SIZE) + 1
        first, middle = disk.snapshot(), disk.write(block=beyond).snapshot()
        last = disk.write(block=1).snapshot()
    with data_freed(middle):
        middle.data_destroy()
    assert_metadata_stays(middle)
    middle.destroy()
    assert_listed(first, last, {1, beyond})


def assert_metadata_stays(snapshot: Disk) -> None:
    """Expect that `snapshot` is metadata only, and still is once the host has looked at what its storage has."""
    assert_metadata_only(snapshot)
    snapshot.lab.conditions.scan(snapshot.sr_kind)
    assert_metadata_only(snapshot)


# DESTROY-03: what is not destroyed alone


@decides("DESTROY-03")
@pytest.mark.parametrize("enabled", [True, False], ids=["enabled", "disabled"])
@pytest.mark.parametrize("derive", [None, Disk.clone, Disk.copy], ids=["disk", "clone", "copy"])
def test_what_is_no_snapshot_keeps_its_data(lab: Lab, derive: Callable[[Disk], Disk] | None, *, enabled: bool) -> None:
    """A disk is refused, enabled or not, were it made from a snapshot; the snapshot beside it is not."""
    disk, (*_, snapshot) = backup_set(lab)
    kept = disk if derive is None else derive(snapshot)
    if enabled:
        kept.enable_cbt()
    else:
        kept.disable_cbt()
    data = kept.read()
    lab.refuses(kept, "data_destroy", expectation=refusals.not_a_snapshot())
    assert_same_content(kept.read(), data, "a disk after a refused VDI.data_destroy")
    assert_metadata_only(snapshot.data_destroy())
    assert_same_content(kept.read(), data, "a disk after VDI.data_destroy of another")


@decides("DESTROY-03")
@pytest.mark.parametrize("before", ["never enabled", "disabled again"])
def test_a_snapshot_without_metadata_keeps_its_data(lab: Lab, before: str) -> None:
    """Where there is no metadata to keep it is refused; a snapshot of the same disk that has some is not."""
    disk = lab.create_disk().write(block=1)
    if before == "disabled again":
        disk.enable_cbt().disable_cbt()
    without = disk.snapshot()
    data = without.read()
    lab.refuses(without, "data_destroy", expectation=refusals.no_cbt_metadata(without.ref))
    assert_same_content(without.read(), data, "a snapshot after a refused VDI.data_destroy")
    assert_metadata_only(disk.enable_cbt().snapshot().data_destroy())


@decides("DESTROY-03")
@needs(optional=ASKED_FOR)
@given(data=st.data())
def test_data_destroy_in_any_situation(lab: Lab, data: st.DataObject) -> None:
    """Whatever the disk is, where it lies, and which VM runs with it: what the documentation says comes of it."""
    offer = replace(Offer.of(lab).narrowed(srs={*WITH_CBT, "no-cbt"}), snapshots=(True, True, False))
    situation = data.draw(situations(offer), label="situation")
    with lab.example():
        scene = build(lab, situation)
        expectation = scene.allowed(DataDestroy(DISK))
        with scene.others_untouched():
            if not expectation.succeeds:
                lab.refuses(scene.disk, "data_destroy", expectation=expectation)
                return
            lab.check(scene.disk.attempt("data_destroy"), expectation, "VDI.data_destroy")
            assert_metadata_only(scene.disk)


# DESTROY-04: while something refers to the snapshot


@decides("DESTROY-04")
@needs(optional=["control"])
@pytest.mark.parametrize("mode", ["RW", "RO"])
def test_a_snapshot_that_a_halted_vm_refers_to_keeps_its_data(lab: Lab, mode: str) -> None:
    """The VBD need not be attached: as long as it is there the data stays, and the type with it."""
    _, (_, snapshot, _) = backup_set(lab)
    vbd = lab.create_vm().attach(snapshot, mode="RW" if mode == "RW" else "RO")
    assert_in_use(snapshot)
    assert_free_after(snapshot, vbd)


@decides("DESTROY-04")
@needs("vm-power", optional=["control"])
def test_a_snapshot_that_a_running_vm_reads_keeps_its_data(lab: Lab) -> None:
    """Unplugging is not enough: the VBD has to go."""
    _, (_, snapshot, _) = backup_set(lab)
    vm = lab.create_vm()
    vbd = vm.attach(snapshot, mode="RO")
    vm.start()
    assert_in_use(snapshot)
    vm.shutdown()
    assert_in_use(snapshot)
    assert_free_after(snapshot, vbd)


@decides("DESTROY-04")
@needs(optional=["control"])
def test_a_disk_of_a_vm_snapshot_keeps_its_data(lab: Lab) -> None:
    """The VM snapshot's own VBD counts like any other."""
    disk, _ = backup_set(lab)
    taken = lab.create_vm(disk).snapshot()
    (held,) = taken.disks()
    assert_in_use(held)
    (vbd,) = taken.vbds()
    assert_free_after(held, vbd)


@decides("DESTROY-04")
def test_a_vbd_that_goes_while_the_host_waits(lab: Lab) -> None:
    """A host that waits for it goes on and destroys the data; one that does not refuses, and changes nothing."""
    _, (_, snapshot, _) = backup_set(lab)
    vbd = lab.create_vm().attach(snapshot)
    before = snapshot.record()
    with ThreadPoolExecutor(1) as threads:
        other = lab.open_session()
        call = threads.submit(other.call, "VDI.data_destroy", snapshot.ref)
        waiting(snapshot, call.done)
        held_by_nobody(lab, vbd)
        outcome: Outcome = call.result()
    lab.check(outcome, either(SUCCESS, refusals.in_use(snapshot.ref)), "VDI.data_destroy while the VBD goes")
    if isinstance(outcome, Ok):
        assert_metadata_only(snapshot)
    elif snapshot.record()["type"] != before["type"]:
        raise Violation("a refused VDI.data_destroy changed the type", expected=(str(before["type"]),))


def assert_in_use(snapshot: Disk) -> None:
    """Expect that data_destroy is refused while a VBD refers to `snapshot`, and that its data is there."""
    data = snapshot.read()
    with snapshot.lab.conditions.short_wait():
        snapshot.lab.refuses(snapshot, "data_destroy", expectation=refusals.in_use(snapshot.ref))
    assert_same_content(snapshot.read(), data, "a snapshot after a refused VDI.data_destroy")


def assert_free_after(snapshot: Disk, vbd: str) -> None:
    """Expect that the data of `snapshot` can be destroyed once `vbd` is gone."""
    held_by_nobody(snapshot.lab, vbd)
    assert_metadata_only(snapshot.data_destroy())


# DESTROY-05: what metadata cannot be used for


def _resize_in_use(disk: Disk) -> Outcome:
    if disk.record()["type"] != METADATA:  # metadata no VM can have
        disk.lab.create_vm(disk, power_state="Running")
    return disk.attempt("resize_online", disk.size + 2 * MIB)


USES: dict[str, Callable[[Disk], Outcome]] = {
    "attached": lambda disk: disk.lab.create_vm().attempt_attach(disk),
    "attached read-only": lambda disk: disk.lab.create_vm().attempt_attach(disk, mode="RO"),
    "cloned": lambda disk: disk.attempt("clone"),
    "copied": lambda disk: disk.attempt("copy", disk.lab.sr().ref, NULL, NULL),
    "copied to another SR": lambda disk: disk.attempt("copy", disk.lab.sr("second").ref, NULL, NULL),
    "snapshotted": lambda disk: disk.attempt("snapshot"),
    "resized": lambda disk: disk.attempt("resize", disk.size + 2 * MIB),
    "resized in use": _resize_in_use,
    "exported": lambda disk: disk.export(0, BLOCK),
    "exported as VHD": lambda disk: export_whole(disk.lab.session, disk.ref, form="vhd"),
}
"""What is done with disks that have data, by the word of the documentation."""

USING = {"copied to another SR": needs("sr:second"), "resized in use": needs("vm-power")}
"""What these take."""


@decides("DESTROY-05")
@pytest.mark.parametrize("use", [pytest.param(use, marks=USING.get(use, ())) for use in USES])
def test_metadata_alone_cannot_be_used_like_a_disk(lab: Lab, use: str) -> None:
    """The call that works on a disk with data is refused, naming the type, and changes nothing."""
    disk, snapshots = backup_set(lab)
    if use == "exported as VHD" and serves_vhd(lab.session, snapshots[0].ref) != Ok(""):
        use = "exported"  # a host that exports nothing as VHD is judged by what it does export
    if use == "resized in use" and "VDI_RESIZE_ONLINE" not in lab.sr().features:
        use = "resized"  # nor can a driver be judged by what it does with no disk
    with_data = disk if use in {"snapshotted", "resized", "resized in use"} else snapshots[0]
    lab.check(USES[use](with_data), SUCCESS, f"what has data is {use}")
    emptied = snapshots[1].data_destroy()
    expectation = refusals.wrong_type(VdiType.CBT_METADATA, emptied.ref)
    with lab.unchanged(emptied, after=f"a refusal: {use}"):
        outcome = USES[use](emptied)
        if isinstance(outcome, Ok):
            raise Violation(f"metadata alone was {use}", expected=expectation.words(lab.profile), actual="success")
        lab.check(outcome, expectation, f"metadata alone cannot be {use}")
    assert_metadata_only(emptied)


@decides("DESTROY-05")
@needs("nbd")
def test_metadata_alone_is_not_offered_over_nbd(lab: Lab) -> None:
    """The snapshot with data is, or could be; what has none is refused."""
    _, (with_data, snapshot, _) = backup_set(lab)
    lab.check(with_data.attempt("get_nbd_info"), SUCCESS, "VDI.get_nbd_info of a snapshot with data")
    emptied = snapshot.data_destroy()
    lab.refuses(emptied, "get_nbd_info", expectation=refusals.wrong_type(VdiType.CBT_METADATA, emptied.ref))


@decides("DESTROY-05")
@needs("nbd", optional=["network-purpose"])
def test_metadata_alone_is_not_served_over_nbd(lab: Lab) -> None:
    """The export name that gave the snapshot's bytes while it had some is refused afterwards."""
    _, (_, snapshot, _) = backup_set(lab)
    data = snapshot.read(0, BLOCK)
    with lab.conditions.served_over_nbd():
        at = addresses(snapshot)[0]
        with served(snapshot, at) as opened:
            assert_same_content(opened.read(0, BLOCK), data, "the snapshot over NBD")
        snapshot.data_destroy()
        with connected(lab, at) as client:
            try:
                client.open(tls=is_secured(lab))
            except NbdRefused:
                return
        raise Violation("metadata alone is served over NBD", expected=("a refused export",), actual="an open export")


@decides("DESTROY-05", "DESTROY-06")
def test_metadata_alone_can_be_destroyed(lab: Lab) -> None:
    """Its changes go on to the next snapshot."""
    disk, (first, middle, last) = backup_set(lab)
    middle.data_destroy().destroy()
    assert_gone(middle)
    assert_listed(first, last, {1, 2})
    assert_listed(first, disk, {1, 2})


# DESTROY-06: destroying all of a snapshot


@decides("DESTROY-06")
@pytest.mark.parametrize("emptied", [False, True], ids=["with data", "metadata only"])
@pytest.mark.parametrize("position", [0, 1, 3], ids=["first", "middle", "last"])
def test_the_rest_of_the_set_stays_valid(lab: Lab, position: int, *, emptied: bool) -> None:
    """The snapshot is gone for good; the others list every block in which they differ, and hold what they held."""
    the_rest_stays_valid(lab, position, emptied=emptied)


@decides("DESTROY-06")
@pytest.mark.parametrize("emptied", [False, True], ids=["with data", "metadata only"])
@pytest.mark.parametrize("sr", OTHER_DRIVERS)
def test_the_rest_of_the_set_stays_valid_with_another_driver(lab: Lab, sr: str, *, emptied: bool) -> None:
    """The chain is mended where the snapshot was, whether its log is a volume or a file."""
    the_rest_stays_valid(lab, 1, emptied=emptied, sr=sr)


def the_rest_stays_valid(lab: Lab, position: int, *, emptied: bool, sr: str = MAIN) -> None:
    """Destroy one of four snapshots, and expect that all others are what they were, to each other as well."""
    disk, snapshots = backup_set(lab, 4, sr=sr)
    images = contents([*snapshots, disk])
    going = snapshots.pop(position)
    if emptied:
        going.data_destroy()
    going.destroy()
    lab.conditions.scan(sr)
    assert_gone(going)
    assert_comparable([*snapshots, disk], images)
    for left in [*snapshots, disk]:
        assert_same_content(left.read(), images[left], "what is left of the set")
    assert_comparable([*snapshots, disk.write(block=9).snapshot()])


@decides("DESTROY-06")
@pytest.mark.parametrize("emptied", [False, True], ids=["with data", "metadata only"])
def test_changes_go_on_to_a_snapshot_of_another_size(lab: Lab, *, emptied: bool) -> None:
    """The disk grew after the snapshot that goes was taken: what it knew is listed to the larger ones all the same."""
    disk, (first, middle) = backup_set(lab, 2)
    disk.resize(disk.size + GROWTH)
    end = block_count(disk.size) - 1
    last = disk.write(block=end).snapshot()
    images = contents([first, last])
    if emptied:
        middle.data_destroy()
    middle.destroy()
    assert_safe(assert_listed(first, last, {1, end}), images[first], images[last], between=(first, last))
    assert_listed(first, disk, {1, end})


@decides("DESTROY-06")
@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1)], ids=["oldest first", "newest first"])
def test_all_between_the_first_and_the_last_go(lab: Lab, order: tuple[int, ...]) -> None:
    """What they knew adds up in the last, step by step or each in turn: a backup since the first misses nothing."""
    disk, snapshots = backup_set(lab, 5)
    kept = [snapshots[0], snapshots[4]]
    images = contents([*kept, disk])
    for number in order:
        snapshots[number].destroy()
        assert_gone(snapshots[number])
    assert_comparable([*kept, disk], images)


@decides("DESTROY-06")
@given(order=st.permutations(range(4)), emptied=st.sets(st.integers(0, 3)), kept=st.integers(1, 2))
def test_snapshots_go_in_any_order(lab: Lab, order: list[int], emptied: set[int], kept: int) -> None:
    """However many go, in whatever order, with or without their data: what is left compares safely."""
    with lab.example():
        disk, snapshots = backup_set(lab, 4)
        images = contents([*snapshots, disk])
        for number in order[kept:]:
            going = snapshots[number]
            if number in emptied:
                going.data_destroy()
            going.destroy()
        left = [snapshots[number] for number in sorted(order[:kept])]
        assert_comparable([*left, disk], images)


@decides("DESTROY-06")
@needs("vm-power", "guest-write")
@pytest.mark.parametrize(
    "can_pause",
    [pytest.param(True, id="can pause"), pytest.param(False, id="cannot pause", marks=needs("sr-state"))],
)
def test_a_snapshot_that_goes_under_a_running_vm_takes_no_changes_along(lab: Lab, *, can_pause: bool) -> None:
    """Also where the host cannot hold the disk up to merge: then it refuses, or keeps what it knows."""
    disk, (first, middle, last) = backup_set(lab)
    vm = lab.create_vm(disk, power_state="Running")
    disk.write(block=20)
    if can_pause:
        last.destroy()
    else:
        with lab.conditions.pauses_refused(MAIN):
            last.attempt("destroy")
    disk.write(block=21)
    later = disk.snapshot()
    vm.shutdown()
    for snapshot in (first, middle):
        assert_comparable([snapshot, later, disk])
    assert_listed(middle, later, {2, 20, 21})


@decides("DESTROY-06")
def test_a_snapshot_that_is_destroyed_leaves_other_sets_alone(lab: Lab) -> None:
    """The set that was ended before, and the one of another disk, list what they listed."""
    disk, old = backup_set(lab)
    _, others = backup_set(lab)
    before = listings(old), listings(others)
    disk.disable_cbt().enable_cbt()
    first, second = disk.snapshot(), disk.write(block=7).snapshot()
    first.destroy()
    assert_same_listings(old, before[0], "a snapshot of a later set was destroyed")
    assert_same_listings(others, before[1], "a snapshot of another disk was destroyed")
    assert_unrelated(old[-1], second)


# DESTROY-07, 08


@decides("DESTROY-07")
@needs("special-vdi-types")
def test_metadata_cannot_be_made_out_of_nothing(lab: Lab) -> None:
    """Of the types that anybody may create the host makes a disk; of this one it makes none."""
    lab.check(lab.attempt_disk(type="user"), SUCCESS, "VDI.create with type user")
    before = metadata_only(lab)
    outcome = lab.attempt_disk(type=METADATA)
    if isinstance(outcome, Ok):
        raise Violation("VDI.create made a disk of type cbt_metadata", expected=("a refusal",), actual="success")
    lab.check(outcome, refusals.wrong_type(VdiType.CBT_METADATA), "VDI.create with type cbt_metadata")
    assert isinstance(outcome, Failed)
    appeared = metadata_only(lab) - before
    if appeared:
        raise Violation("a refused VDI.create left a disk", actual=", ".join(sorted(appeared)))


@decides("DESTROY-08")
def test_what_a_vm_snapshot_keeps_of_a_disk_without_data(lab: Lab) -> None:
    """The VM snapshot itself, its other disk with all its bytes, and no device that promises data where none is."""
    disk, _ = backup_set(lab)
    with lab.precondition("a VM snapshot with two disks"):
        other = lab.create_disk().write(block=5)
        taken = lab.create_vm(disk, other).snapshot()
        held, kept = taken.disks()
        data = kept.read()
        held_by_nobody(lab, next(ref for ref, vbd in taken.vbds().items() if vbd["VDI"] == held.ref))
    held.data_destroy()
    record = taken.record()
    if record["is_a_snapshot"] is not True:
        raise Violation("the VM snapshot is none any more", actual=f"is_a_snapshot {record['is_a_snapshot']!r}")
    devices = _devices(taken)
    if devices not in ([kept.ref], sorted([kept.ref, held.ref])):
        raise Violation("the VM snapshot has other disks", expected=(f"{kept}, perhaps {held}",), actual=str(devices))
    assert_same_content(kept.read(), data, "the other disk of the VM snapshot")


@decides("DESTROY-08")
def test_there_is_no_way_back_to_a_vm_snapshot_of_which_only_metadata_is_left(lab: Lab) -> None:
    """The VM keeps the disk that it has, with all its bytes: nothing could take its place."""
    disk, _ = backup_set(lab)
    with lab.precondition("a VM snapshot"):
        vm = lab.create_vm(disk)
        taken = vm.snapshot()
        (held,) = taken.disks()
        held_by_nobody(lab, *taken.vbds())
    held.data_destroy()
    data = disk.read()
    with lab.unchanged(disk, held, after="a refused VM.revert"):
        outcome = vm.attempt_revert(taken)
        lab.check(outcome, refusals.wrong_type(VdiType.CBT_METADATA, held.ref), "VM.revert to metadata alone")
    if _devices(vm) != [disk.ref]:
        raise Violation("the VM has other disks", expected=(str(disk),), actual=str(_devices(vm)))
    assert_same_content(disk.read(), data, "the disk of the VM")


def _devices(vm: Vm) -> list[str]:
    return sorted(vbd["VDI"] for vbd in vm.vbds().values())
