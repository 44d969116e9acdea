"""Incremental backup sets: what belongs together, what can be compared, and that nothing is lost within one."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import Lab
from xencbt.harness.bitmap import block_count
from xencbt.harness.decides import decides
from xencbt.harness.expectations import either, refusals
from xencbt.harness.model import Disable, Enable, Snapshot, Write
from xencbt.harness.needs import needs
from xencbt.harness.outcome import Ok
from xencbt.harness.verdicts import Violation
from xencbt.suites.histories import LENGTHS, SIZE, THINNING, WRITING, History, histories, perform
from xencbt.suites.listing import assert_listed
from xencbt.suites.play import Play
from xencbt.suites.restoring import (
    assert_comparable,
    assert_safe,
    assert_same_content,
    assert_unrelated,
    contents,
    marked,
    restored,
)
from xencbt.suites.switching_off import WAYS, stop_uncleanly

pytestmark = needs("raw-import", "raw-export")
"""Every test of this chapter writes to disks, and reads them."""


def tracked(lab: Lab) -> tuple[Disk, Disk]:
    """Give a tracked disk and the baseline of its first backup set."""
    with lab.precondition("a tracked disk with a baseline"):
        disk = lab.create_disk(size=SIZE).write(blocks=(0, 3, 63)).enable_cbt()
        return disk, disk.snapshot()


def begun(play: Play, size: int = SIZE) -> Play:
    """Begin a play with a tracked disk `a` of `size` bytes and its baseline `a.1`."""
    play.create("a", size=size)
    play.do(Enable("a"))
    play.do(Snapshot("a", "a.1"))
    return play


@decides("SET-01", "LIST-08")
def test_enabling_starts_a_new_set(disk: Disk) -> None:
    """Enabling starts a new backup set: what was snapshotted before is no part of it."""
    before = disk.write(block=1).snapshot()
    baseline = disk.write(block=2).enable_cbt().snapshot()
    later = disk.write(block=3).snapshot()
    assert_comparable([baseline, later])
    assert_unrelated(before, baseline)
    assert_unrelated(before, later)


@decides("SET-02", "LIST-02")
def test_changes_are_listed_against_the_baseline(disk: Disk) -> None:
    """The first snapshot after enabling is the baseline against which later changes are listed."""
    baseline = disk.enable_cbt().snapshot()
    first = disk.write(block=7).snapshot()
    second = disk.write(blocks=(8, 60)).snapshot()
    disk.write(block=20)
    assert_listed(baseline, first, {7})
    assert_listed(baseline, second, {7, 8, 60})
    assert_listed(baseline, disk, {7, 8, 20, 60})
    assert_listed(second, disk, {20})


@decides("SET-03", "LIST-08")
def test_disabling_ends_the_set(lab: Lab) -> None:
    """After disabling no snapshot joins the set: changes up to any later state cannot be listed."""
    disk, baseline = tracked(lab)
    last = disk.write(block=4).snapshot()
    assert_comparable([baseline, last, disk])
    disk.disable_cbt()
    untracked = disk.write(block=5).snapshot()
    assert untracked.cbt_enabled is False
    for member in (baseline, last):
        assert_unrelated(member, disk)
        assert_unrelated(member, untracked)


@decides("SET-04")
@pytest.mark.parametrize(
    "switch_off", [pytest.param(way, marks=needs(*names), id=way.__name__) for way, names in WAYS.items()]
)
def test_the_host_switching_tracking_off_ends_the_set(lab: Lab, switch_off: Callable[[Lab, Disk], list[Disk]]) -> None:
    """The set ends the same way when it was the host that disabled; enabling again does not revive it."""
    disk, baseline = tracked(lab)
    members = [baseline, disk.write(block=4).snapshot()]
    assert_comparable([*members, disk.write(block=10)])
    members += switch_off(lab, disk)
    if disk.cbt_enabled:
        raise Violation("the host did not switch tracking off", expected=("cbt_enabled false",), actual="true")
    untracked = disk.write(block=5).snapshot()
    assert_unrelated(members[-1], untracked)
    assert_unrelated(members[-1], disk)
    disk.enable_cbt().write(block=6)
    new_baseline = disk.snapshot()
    new_later = disk.write(block=7).snapshot()
    for member in members:
        for later in (untracked, disk, new_baseline, new_later):
            assert_unrelated(member, later)
    assert_comparable(members)
    assert_comparable([new_baseline, new_later])


@decides("SET-04")
@needs("crash", "guest-write", "vm-power")
def test_a_log_left_inconsistent_hides_no_change(lab: Lab) -> None:
    """Snapshots before anything attaches the disk again are the trap: the log may be taken for a good one."""
    disk, baseline = tracked(lab)
    assert_comparable([baseline, disk.write(block=4)])
    stop_uncleanly(lab, disk)
    doubtful = disk.snapshot()
    later = disk.write(block=30).snapshot()
    images = contents([baseline, doubtful, later])
    for last in (doubtful, later):
        outcome = baseline.attempt("list_changed_blocks", last.ref)
        lab.check(outcome, either(refusals.SUCCESS, refusals.unrelated()), "listing across an unclean stop")
        if isinstance(outcome, Ok):
            bitmap, pair = marked(outcome.value), (baseline, last)
            assert_safe(bitmap, images[baseline], images[last], "across an unclean stop", between=pair)


@decides("SET-05")
def test_enabling_again_starts_another_set_with_a_baseline_of_its_own(lab: Lab) -> None:
    """Enabling again starts another set: it has a baseline of its own, and nothing joins the two."""
    disk, baseline = tracked(lab)
    old = [baseline, disk.write(block=4).snapshot()]
    disk.disable_cbt().write(block=5).enable_cbt().write(block=6)
    for member in old:
        assert_unrelated(member, disk)
    new = [disk.snapshot(), disk.write(block=7).snapshot()]
    assert_comparable([*new, disk.write(block=8)])
    for member in old:
        for later in (*new, disk):
            assert_unrelated(member, later)


@decides("SET-05")
@needs("vm-power")
def test_a_set_that_ends_at_one_host_leaves_nothing_behind_at_another(lab: Lab) -> None:
    """Begun while the VM runs at one host of the pool and ended while it runs at the next, at each host twice."""
    with lab.precondition("a VM with a disk"):
        disk = lab.create_disk(size=SIZE)
        vm = lab.create_vm(disk)
        places = vm.places()
    old: list[Disk] = []
    for here, there in zip([*places, *places], [*places[1:], *places, *places[:1]], strict=True):
        vm.start(at=here)
        baseline = disk.enable_cbt().snapshot()
        vm.shutdown()
        last = disk.write(block=len(old)).snapshot()
        assert_comparable([baseline, last])
        for member in old:
            assert_unrelated(member, last)
        vm.start(at=there)
        disk.disable_cbt()
        vm.shutdown()
        old.append(last)


def of_an_earlier_set(disk: Disk) -> Disk:
    """Return a snapshot of the set that ended before the present one of `disk` began."""
    taken = disk.snapshot()
    disk.disable_cbt().enable_cbt()
    return taken


def of_another_disk(disk: Disk) -> Disk:
    """Return a snapshot of another tracked disk on the same SR."""
    return disk.lab.create_disk(sr=disk.sr_kind).enable_cbt().snapshot()


def of_a_disk_never_enabled(disk: Disk) -> Disk:
    """Return a snapshot of an untracked disk on the same SR."""
    return disk.lab.create_disk(sr=disk.sr_kind).write(block=1).snapshot()


@decides("SET-06", "LIST-08")
@pytest.mark.parametrize(
    "stranger", [of_an_earlier_set, of_another_disk, of_a_disk_never_enabled], ids=lambda way: way.__name__
)
def test_snapshots_of_different_sets_are_unrelated(lab: Lab, stranger: Callable[[Disk], Disk]) -> None:
    """Between snapshots of different sets on one SR listing fails, in either order, with the documented message."""
    disk, _ = tracked(lab)
    other = stranger(disk)
    ours = [disk.snapshot(), disk.write(block=9).snapshot()]
    assert_comparable(ours)
    for snapshot in ours:
        assert_unrelated(other, snapshot)
        assert_unrelated(snapshot, other)


@decides("LIST-06")
def test_the_reverse_order_is_unrelated(lab: Lab) -> None:
    """The earlier state comes first: the reverse order is refused as unrelated."""
    disk, baseline = tracked(lab)
    later = disk.write(block=9).snapshot()
    assert_comparable([baseline, later, disk])
    assert_unrelated(later, baseline)
    assert_unrelated(disk, baseline)
    assert_unrelated(disk, later)


@decides("SET-07", "LIST-09")
def test_an_old_set_can_be_compared_while_its_metadata_exists(lab: Lab) -> None:
    """Snapshots of an old set list among each other as before, also when their data is gone."""
    disk, baseline = tracked(lab)
    old = [baseline, disk.write(block=4).snapshot(), disk.write(blocks=(5, 62)).snapshot()]
    images = contents(old)
    before = assert_comparable(old, images)
    disk.disable_cbt().write(block=6)
    assert_comparable(old, images, before)
    disk.enable_cbt().snapshot()
    disk.write(block=7).snapshot()
    assert_comparable(old, images, before)
    for snapshot in old:
        snapshot.data_destroy()
        assert_comparable(old, images, before)


@decides("SET-07")
def test_what_was_exported_from_an_old_set_restores_the_disk_exactly(lab: Lab) -> None:
    """A baseline's export and the blocks changed since, written to a new disk, are the later snapshot byte by byte."""
    disk, baseline = tracked(lab)
    backup = baseline.read()
    last = disk.write(blocks=(3, 4)).write(offset=100, length=1).snapshot()
    disk.disable_cbt().write(block=5).enable_cbt().snapshot()
    state = last.read()
    assert state != backup
    restored_image = restored(backup, state, baseline.changed_blocks_to(last).blocks)
    anew = lab.create_disk(size=SIZE).write(offset=0, data=restored_image)
    assert_same_content(anew.read(), state, "the disk restored from an old set")


@decides("LIST-11")
def test_deleting_a_snapshot_in_the_middle_loses_no_change(lab: Lab) -> None:
    """What was written before the deleted snapshot is listed for those after it."""
    disk, baseline = tracked(lab)
    middle = disk.write(block=4).snapshot()
    last = disk.write(block=5).snapshot()
    images = contents([baseline, last])
    assert_comparable([baseline, middle, last])
    middle.destroy()
    assert_comparable([baseline, last], images)
    assert_listed(baseline, disk.write(block=6), {4, 5, 6})


@decides("LIST-01")
@needs(optional=["sr:unrounded"])
@given(
    size=st.integers(1, SIZE),
    writes=st.lists(st.tuples(st.integers(0, SIZE - 1), st.sampled_from(LENGTHS)), min_size=1, max_size=4),
)
def test_a_bitmap_has_one_bit_for_each_block(lab: Lab, size: int, writes: list[tuple[int, int]]) -> None:
    """Of a disk of any size, where the target has a driver that does not round it."""
    sr = "unrounded" if lab.offers("sr:unrounded") else "main"
    with lab.example():
        play = Play(lab)
        disk = play.create("disk", sr=sr, size=size)
        play.do(Enable("disk"))
        play.do(Snapshot("disk", "baseline"))
        for place, length in writes:
            offset = place % disk.size
            play.do(Write("disk", offset, min(length, disk.size - offset)))
        bitmap = play.listing("baseline", "disk")
        assert bitmap is not None
        assert 8 * bitmap.length >= block_count(disk.size)


@decides("LIST-11")
@given(history=histories(THINNING, longest=8))
def test_no_change_is_lost_however_a_set_is_thinned_out(lab: Lab, history: History) -> None:
    """Whichever snapshots of a set are deleted, in whichever order: what is left lists all that was written."""
    with lab.example():
        play = begun(Play(lab))
        perform(play, history, ("a",))
        play.listings()


@decides("SET-07", "LIST-02")
@given(old=histories(WRITING, longest=7), new=histories(WRITING, longest=4))
def test_changed_blocks_restore_every_snapshot_of_an_old_set(lab: Lab, old: History, new: History) -> None:
    """On real content: each snapshot is what the one before it becomes by the changed blocks."""
    with lab.example():
        play = begun(Play(lab), size=SIZE // 2)
        perform(play, old, ("a",))
        members = [play.disks[name] for name in play.names_of_snapshots()]
        for step in (Disable("a"), Enable("a")):
            play.do(step)
        perform(play, new, ("a",))
        images = contents(members)
        bitmaps = assert_comparable(members, images)
        backup = images[members[0]]
        for earlier, later in pairwise(members):
            backup = restored(backup, images[later], bitmaps[earlier, later].blocks)
            assert_same_content(backup, images[later], "the disk restored from the changed blocks")
