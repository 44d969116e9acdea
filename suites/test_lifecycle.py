"""What other operations do to changed block tracking: snapshots, clones, moves, growth, reverts, and unclean stops."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import MIB, Lab
from xencbt.fixtures.vms import Vm
from xencbt.harness.bitmap import BLOCK, block_count
from xencbt.harness.capabilities import MAIN
from xencbt.harness.decides import decides
from xencbt.harness.expectations import SUCCESS, refusals
from xencbt.harness.model import Clone, Copy, Enable
from xencbt.harness.needs import needs
from xencbt.harness.verdicts import Violation
from xencbt.suites.alerts import (
    INCONSISTENT,
    RESIZE_FAILED,
    SNAPSHOT_FAILED,
    assert_switched_off,
    assert_tracked_silently,
)
from xencbt.suites.histories import WRITING, Doing, History, histories, perform
from xencbt.suites.listing import assert_listed, assert_lists_as_before
from xencbt.suites.play import Play
from xencbt.suites.restoring import (
    assert_comparable,
    assert_misses_nothing,
    assert_safe,
    assert_same_content,
    assert_unrelated,
    contents,
)
from xencbt.suites.reverting import Reverted, acts
from xencbt.suites.statuses import assert_reads
from xencbt.suites.switching_off import GROWTH, STOPPING
from xencbt.suites.test_listing import played

SIZE = 2 * MIB

SWITCHING = {Doing.WRITE: 3, Doing.SNAPSHOT: 4, Doing.ENABLE: 3, Doing.DISABLE: 2}
"""Disks that are enabled and disabled again and again, and snapshots of them in all these states."""


pytestmark = needs("raw-import", "raw-export")
"""Every test of this chapter writes to disks, and reads them."""


def tracked(lab: Lab) -> tuple[Disk, Disk]:
    """Give a tracked disk and its baseline; block 1 was written since."""
    with lab.precondition("a tracked disk with a baseline"):
        disk = lab.create_disk(size=SIZE).write(block=0).enable_cbt()
        baseline = disk.snapshot()
        return disk.write(block=1), baseline


# LIFE-01: snapshots


def _of_the_vm(disk: Disk) -> Disk:
    (held,) = disk.lab.create_vm(disk).snapshot().disks()
    return held


def _of_the_running_vm(disk: Disk) -> Disk:
    (held,) = disk.lab.create_vm(disk, power_state="Running").checkpoint().disks()
    return held


SNAPSHOTS: dict[str, Callable[[Disk], Disk]] = {
    "of the disk": Disk.snapshot,
    "of its VM": _of_the_vm,
    "of its VM with memory": _of_the_running_vm,
}

in_every_way = pytest.mark.parametrize(
    "way", [pytest.param(way, marks=needs("vm-power") if "memory" in way else ()) for way in SNAPSHOTS]
)


@decides("LIFE-01")
@in_every_way
def test_a_snapshot_of_an_enabled_disk_joins_its_set(lab: Lab, way: str) -> None:
    """It reads as enabled, and changes are listed up to it."""
    disk, baseline = tracked(lab)
    taken = SNAPSHOTS[way](disk)
    assert_reads(taken, enabled=True)
    assert_comparable([baseline, taken])
    assert_listed(baseline, taken, {1})
    assert_reads(disk, enabled=True)


@decides("LIFE-01")
@in_every_way
def test_a_snapshot_of_a_disabled_disk_is_in_no_set(lab: Lab, way: str) -> None:
    """It reads as disabled, and nothing can be listed up to it; enabling the disk later does not change that."""
    disk, baseline = tracked(lab)
    disk.disable_cbt()
    taken = SNAPSHOTS[way](disk)
    assert_reads(taken, enabled=False)
    assert_unrelated(baseline, taken)
    disk.enable_cbt()
    assert_reads(taken, enabled=False)
    assert_unrelated(taken, disk.snapshot())


@decides("LIFE-01")
@given(history=histories(SWITCHING, longest=7))
def test_every_snapshot_has_the_status_its_disk_had(lab: Lab, history: History) -> None:
    """However often the disk is enabled and disabled: each snapshot keeps its status, and its set."""
    with lab.example():
        play = Play(lab)
        play.create("a")
        perform(play, history, ("a",))
        play.listings()


# LIFE-02: clones and copies


DERIVED: dict[str, Callable[[Disk], Disk]] = {
    "clone": Disk.clone,
    "copy": Disk.copy,
    "copy to another SR": lambda disk: disk.copy("second"),
    "clone of its VM": lambda disk: _disk_of(disk.lab.create_vm(disk).clone()),
    "copy of its VM to another SR": lambda disk: _disk_of(disk.lab.create_vm(disk).copy("second")),
}


def _disk_of(vm: Vm) -> Disk:
    (disk,) = vm.disks()
    return disk


@decides("LIFE-02")
@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=needs("sr:second") if "another SR" in way else ()) for way in DERIVED]
)
@pytest.mark.parametrize("source", ["disk", "snapshot"])
def test_what_is_made_from_a_tracked_disk_starts_untracked(lab: Lab, source: str, way: str) -> None:
    """It has the source's bytes and no set; the source keeps its own, to the bit."""
    disk, baseline = tracked(lab)
    last = disk.snapshot()
    disk.write(block=2)
    origin = disk if source == "disk" else last
    before = assert_listed(baseline, disk, {1, 2}), origin.read()
    # A VM of its own comes to hold the disk on the way; all else of its record stays.
    with lab.unchanged(*([] if "VM" in way else [origin]), baseline, after=f"a {way} was made"):
        made = DERIVED[way](origin)
    assert_reads(made, enabled=False)
    assert_reads(origin, enabled=True)
    assert_same_content(made.read(), before[1], f"the {way}")
    assert_lists_as_before(baseline, disk, before[0], f"a {way}")
    lab.check(
        baseline.attempt("list_changed_blocks", made.ref), refusals.unrelated_across_srs(), f"listing up to a {way}"
    )


@decides("LIFE-02")
@given(history=histories({**WRITING, Doing.DISABLE: 1}, longest=4), which=st.integers(0, 20), copying=st.booleans())
def test_nobody_else_notices_a_clone_or_a_copy(lab: Lab, history: History, which: int, *, copying: bool) -> None:
    """Of any disk or snapshot with any history: what is made has a set only once it is enabled, one of its own."""
    with lab.example():
        play = played(lab, history)
        names = list(play.disks)
        source = names[which % len(names)]
        play.do(Copy(source, "made", storage=MAIN) if copying else Clone(source, "made"))
        play.listings()
        play.do(Enable("made"))
        play.listings()


# LIFE-03: moving to another SR


@decides("LIFE-03")
@needs("migrate", "sr:second", "vm-power")
def test_an_enabled_disk_of_a_vm_stays_on_its_sr(lab: Lab) -> None:
    """Moving it is refused and loses nothing; once disabled it moves, with its bytes, and is not enabled there."""
    disk, baseline = tracked(lab)
    data = disk.read()
    vm = lab.create_vm(disk, power_state="Running")
    place = lab.sr("second").ref
    lab.refuses(disk, "pool_migrate", place, {}, expectation=refusals.cbt_enabled(disk.ref))
    assert_listed(baseline, disk.snapshot(), {1})
    moved = disk.disable_cbt().pool_migrate("second")
    vm.shutdown()
    (now,) = vm.disks()
    assert_moved(moved, now, data)


@decides("LIFE-03")
@needs("migrate", "sr:second")
@pytest.mark.parametrize("operation", ["migrate_send", "assert_can_migrate"])
@pytest.mark.parametrize("power_state", ["Halted", pytest.param("Running", marks=needs("vm-power"))])
def test_a_vm_does_not_take_its_enabled_disk_along(
    lab: Lab, operation: Literal["migrate_send", "assert_can_migrate"], power_state: Literal["Halted", "Running"]
) -> None:
    """Neither the call nor the question whether it could be made go through until tracking is off."""
    disk, baseline = tracked(lab)
    data = disk.read()
    vm = lab.create_vm(disk, power_state=power_state)
    with lab.unchanged(disk, after=f"a refused VM.{operation}"):
        refused = vm.attempt_to_send(operation, disk, "second")
        lab.check(refused, refusals.cbt_enabled(disk.ref), f"VM.{operation} with an enabled disk")
    assert_reads(disk, enabled=True)
    assert_listed(baseline, disk.snapshot(), {1})
    disk.disable_cbt()
    lab.check(vm.attempt_to_send(operation, disk, "second"), SUCCESS, f"VM.{operation} with a disabled disk")
    if power_state == "Running":
        vm.shutdown()
    if operation == "migrate_send":
        (now,) = vm.disks()
        assert_moved(now, now, data)


def assert_moved(moved: Disk, now: Disk, data: bytes) -> None:
    """Expect that the VM's disk `now` is the one that was `moved`: on the other SR, with its bytes, not enabled."""
    place = moved.lab.sr("second").ref
    found = (now.ref, now.record()["SR"])
    if found != (moved.ref, place):
        raise Violation("the disk was not moved", expected=(f"{moved.ref} on {place}",), actual=" on ".join(found))
    assert_reads(now, enabled=False)
    assert_same_content(now.read(), data, "the moved disk")


# LIFE-04: growing


@decides("LIFE-04")
def test_a_disk_that_grows_keeps_its_set(lab: Lab) -> None:
    """It stays enabled, and changes from before the growth and after it are listed together."""
    disk, baseline = tracked(lab)
    disk.resize(disk.size + GROWTH)
    assert_reads(disk, enabled=True)
    end = block_count(disk.size) - 1
    assert_listed(baseline, disk.write(block=end), {1, end})
    assert_safe(baseline.changed_blocks_to(disk), baseline.read(), disk.read(), between=(baseline, disk))
    assert_listed(baseline, disk.snapshot(), {1, end})


@decides("LIFE-04")
@needs("vm-power")
def test_a_disk_in_use_that_grows_keeps_its_set(lab: Lab) -> None:
    """The same where the driver can grow a disk that a running VM has."""
    disk, baseline = tracked(lab)
    if "VDI_RESIZE_ONLINE" not in lab.sr().features:
        return test_a_disk_that_grows_keeps_its_set(lab)
    vm = lab.create_vm(disk, power_state="Running")
    lab.check(disk.attempt("resize_online", disk.size + GROWTH), SUCCESS, "VDI.resize_online of an enabled disk")
    disk.size = int(disk.record()["virtual_size"])
    assert_reads(disk, enabled=True)
    vm.shutdown()
    end = block_count(disk.size) - 1
    assert_listed(baseline, disk.write(block=end), {1, end})
    return None


@decides("LIFE-04")
@needs("sr-state")
def test_a_log_that_cannot_follow_ends_the_tracking_of_a_disk_that_grows(lab: Lab) -> None:
    """The disk grows all the same, and the host says what it did; nothing joins the old set to the next one."""
    disk, baseline = tracked(lab)
    disk.resize(disk.size + GROWTH)
    assert_tracked_silently(disk)
    data = disk.read()
    with lab.conditions.logs_failing(MAIN):
        disk.resize(disk.size + GROWTH)
    assert_switched_off(disk, RESIZE_FAILED)
    assert_same_content(disk.read(), data + bytes(GROWTH), "the grown disk")
    assert_unrelated(baseline, disk)
    begins_anew(disk, [baseline])


def begins_anew(disk: Disk, members: list[Disk]) -> None:
    """Expect that enabling `disk` again starts a set that no one of the old `members` is related to (SET-05)."""
    disk.enable_cbt().write(block=4)
    fresh = disk.snapshot()
    for member in members:
        assert_unrelated(member, fresh)
        assert_unrelated(member, disk)
    assert_comparable([fresh, disk.write(block=5)])


# LIFE-05: a snapshot for which there is no new log


@decides("LIFE-05")
@needs("sr-state")
def test_a_log_that_cannot_be_rolled_ends_the_tracking_not_the_snapshot(lab: Lab) -> None:
    """The snapshot is complete and ends the set; the disk goes on untracked, and the host says so."""
    disk, baseline = tracked(lab)
    before = disk.snapshot()
    assert_tracked_silently(disk)
    disk.write(block=2)
    with lab.conditions.logs_failing(MAIN):
        last = disk.snapshot()
    assert_switched_off(disk, SNAPSHOT_FAILED)
    assert_same_content(last.read(), disk.read(), "the snapshot")
    disk.write(block=3)
    for member in (baseline, before, last):
        assert_unrelated(member, disk)
    assert_misses_nothing(baseline, before)
    assert_misses_nothing(before, last)
    assert_misses_nothing(baseline, last)
    assert_listed(baseline, before, {1})
    begins_anew(disk, [baseline, before, last])


@decides("LIFE-05")
@needs("guest-write", "sr-state", "vm-power")
def test_a_log_that_cannot_be_rolled_under_a_running_vm(lab: Lab) -> None:
    """The guest goes on writing; the host says what it did."""
    disk, baseline = tracked(lab)
    vm = lab.create_vm(disk, power_state="Running")
    assert_listed(baseline, disk.write(block=2).snapshot(), {1, 2})
    assert_tracked_silently(disk)
    with lab.conditions.logs_failing(MAIN):
        last = disk.write(block=3).snapshot()
    assert_switched_off(disk, SNAPSHOT_FAILED)
    disk.write(block=6)
    vm.shutdown()
    assert_misses_nothing(baseline, last)
    assert_unrelated(baseline, disk)


# LIFE-06: an unclean stop


@dataclass
class Stopped:
    """A tracked disk whose host stopped while a guest wrote to it; `data` is what was on it when the host was back."""

    disk: Disk
    baseline: Disk
    vm: Vm
    data: bytes

    @classmethod
    def uncleanly(cls, lab: Lab) -> "Stopped":
        """Bring it about, which takes STOPPING; raises Violation where a write was lost."""
        disk, baseline = tracked(lab)
        before = disk.read()
        vm = lab.create_vm(disk, power_state="Running")
        written = lab.content.draw(BLOCK)
        disk.write(block=11, data=written)
        lab.conditions.crash()
        data = disk.read()
        expected = before[: 11 * BLOCK] + written + before[12 * BLOCK :]
        assert_same_content(data, expected, "what was on the disk, and what the guest wrote, before the stop")
        return cls(disk, baseline, vm, data)


def _starting_the_vm(stopped: Stopped) -> bytes:
    stopped.vm.start()
    stopped.vm.shutdown()
    return stopped.data


def _plugging(stopped: Stopped) -> bytes:
    lab = stopped.disk.lab
    for vbd in stopped.vm.vbds():
        lab.session.value("VBD.destroy", vbd)
        lab.journal.removed_ref(vbd)
    other = lab.create_vm(power_state="Running")
    other.attach(stopped.disk)
    other.shutdown()
    return stopped.data


def _importing(stopped: Stopped) -> bytes:
    written = stopped.disk.lab.content.draw(BLOCK)
    stopped.disk.write(block=12, data=written)
    return stopped.data[: 12 * BLOCK] + written + stopped.data[13 * BLOCK :]


ATTACHING: dict[str, Callable[[Stopped], bytes]] = {
    "its VM starts": _starting_the_vm,
    "another VM plugs it": _plugging,
    "an import": _importing,
}
"""Ways in which a disk is next attached for writing; each returns what must then be on it."""


@decides("LIFE-06")
@needs(*STOPPING)
@pytest.mark.parametrize("way", ATTACHING)
def test_the_next_attach_after_an_unclean_stop_ends_the_tracking(lab: Lab, way: str) -> None:
    """The host switches it off and says so; every byte is where it was."""
    stopped = Stopped.uncleanly(lab)
    data = ATTACHING[way](stopped)
    assert_switched_off(stopped.disk, INCONSISTENT)
    assert_same_content(stopped.disk.read(), data, "the disk after the unclean stop")
    assert_unrelated(stopped.baseline, stopped.disk)
    begins_anew(stopped.disk, [stopped.baseline])


@decides("LIFE-06")
@needs(*STOPPING)
def test_every_disk_in_use_is_noticed_at_every_stop(lab: Lab) -> None:
    """Not only the first disk of a VM, nor only the first time: each is switched off, and the host says so again."""
    disks = [tracked(lab)[0] for _ in range(2)]
    vm = lab.create_vm(*disks)
    for stops in (1, 2):
        baselines = [disk.enable_cbt().snapshot() for disk in disks]
        vm.start()
        for disk in disks:
            disk.write(block=10 + stops)
        lab.conditions.crash()
        vm.start()
        vm.shutdown()
        for disk, baseline in zip(disks, baselines, strict=True):
            assert_switched_off(disk, INCONSISTENT, times=stops, beside=disks)
            assert_unrelated(baseline, disk)


@decides("LIFE-06")
@needs(*STOPPING)
@pytest.mark.parametrize("way", ["clean shutdown", "not in use"])
def test_a_log_that_was_closed_survives_the_stop(lab: Lab, way: str) -> None:
    """The positive control: what nobody wrote to when the host stopped stays tracked, and no message is raised."""
    disk, baseline = tracked(lab)
    vm = lab.create_vm(disk, power_state="Running" if way == "clean shutdown" else "Halted")
    if way == "clean shutdown":
        disk.write(block=11)
        vm.shutdown()
    data = disk.read()
    lab.conditions.crash()
    vm.start()
    vm.shutdown()
    assert_tracked_silently(disk)
    assert_same_content(disk.read(), data, "the disk after the unclean stop")
    assert_listed(baseline, disk, {1, 11} if way == "clean shutdown" else {1})


def _reading(stopped: Stopped) -> None:
    other = stopped.disk.lab.create_vm()
    for vbd in stopped.vm.vbds():
        stopped.disk.lab.session.value("VBD.destroy", vbd)
        stopped.disk.lab.journal.removed_ref(vbd)
    other.attach(stopped.disk, mode="RO")
    other.start()
    other.shutdown()


MEANWHILE: dict[str, Callable[[Stopped], object]] = {
    "nothing": lambda _: None,
    "a snapshot": lambda stopped: stopped.disk.snapshot(),
    "a read-only attach": _reading,
    "a scan": lambda stopped: stopped.disk.lab.conditions.scan(MAIN),
    "growth": lambda stopped: stopped.disk.resize(stopped.disk.size + GROWTH),
}
"""What may happen to the disk after the stop, before anybody writes to it again."""


@decides("LIFE-06", "LIST-02")
@needs(*STOPPING)
@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_nothing_makes_a_good_log_of_one_left_open(lab: Lab, meanwhile: str) -> None:
    """Listing from before the stop is refused or misses nothing, whatever was done first, also once it is enabled."""
    stopped = Stopped.uncleanly(lab)
    MEANWHILE[meanwhile](stopped)
    taken = stopped.disk.snapshot()
    assert_misses_nothing(stopped.baseline, taken)
    assert_misses_nothing(stopped.baseline, stopped.disk)
    later = stopped.disk.write(block=13).enable_cbt().write(block=14).snapshot()
    for state in (taken, later, stopped.disk):
        assert_misses_nothing(stopped.baseline, state)


# LIFE-07: reverting


@decides("LIFE-07")
@pytest.mark.parametrize("power_state", ["Halted", pytest.param("Running", marks=needs("vm-power"))])
def test_reverting_makes_no_listing_that_misses_a_block(lab: Lab, power_state: Literal["Halted", "Running"]) -> None:
    """From older and newer snapshots to the reverted disk: refused, or every differing block is marked."""
    disk, baseline = tracked(lab)
    vm = lab.create_vm(disk)
    older = vm.snapshot()
    disk.write(block=2)
    newer = vm.snapshot()
    disk.write(block=3)
    states = [baseline, *older.disks(), *newer.disks()]
    images = contents(states)
    assert_comparable(states, images)
    if power_state == "Running":
        vm.start()
    vm.revert(older)
    (back,) = vm.disks()
    assert_same_content(back.read(), images[states[1]], "the reverted disk")
    assert_comparable(states, images)
    for step in (None, 20, 21):
        if step is not None:
            back.enable_cbt().write(block=step)
        taken = back.snapshot()
        for state in states:
            assert_misses_nothing(state, back)
            assert_misses_nothing(state, taken)


@decides("LIFE-07")
def test_reverting_again_and_again(lab: Lab) -> None:
    """What was tracked between two reverts is a set of its own, or joins the first one without a gap."""
    disk, _ = tracked(lab)
    vm = lab.create_vm(disk)
    taken = vm.snapshot()
    states = [*taken.disks()]
    for number in range(3):
        vm.revert(taken)
        (back,) = vm.disks()
        back.enable_cbt().write(block=10 + number)
        states.append(back.snapshot())
    for at, later in enumerate(states):
        for earlier in states[:at]:
            assert_misses_nothing(earlier, later)


@decides("LIFE-07")
@given(story=st.lists(acts(), min_size=2, max_size=5))
def test_reverting_to_any_snapshot_after_any_history(lab: Lab, story: list[tuple[str, int]]) -> None:
    """Writes, VM snapshots, reverts and switching in any order: every bitmap is held against the real bytes."""
    with lab.example():
        world = Reverted(lab, SIZE)
        for act, number in story:
            world.do(act, number)
        bitmaps = world.play.listings()
        images = contents(world.play.disks.values())
        for (earlier, later), bitmap in bitmaps.items():
            pair = world.play.disks[earlier], world.play.disks[later]
            assert_safe(bitmap, images[pair[0]], images[pair[1]], f"from {earlier} to {later}", between=pair)


# LIFE-08: out and in again


@decides("LIFE-08")
@pytest.mark.parametrize("of_a_snapshot", [False, True], ids=["VM", "VM snapshot"])
def test_a_vm_that_comes_in_again_is_not_tracked(lab: Lab, *, of_a_snapshot: bool) -> None:
    """Its disks have the bytes that went out and no set; the disks it was made from keep theirs."""
    disk, baseline = tracked(lab)
    with lab.precondition("a VM with an enabled and a disabled disk"):
        other = lab.create_disk(size=SIZE).write(block=7)
        vm = lab.create_vm(disk, other)
    source = vm.snapshot() if of_a_snapshot else vm
    origins = source.disks()
    images = contents(origins)
    before = assert_listed(baseline, origins[0], {1})
    with lab.unchanged(*origins, baseline, after="an export and an import of the VM"):
        made = source.through_a_file(MAIN).disks()
    if len(made) != len(origins):
        raise Violation("the VM came in with other disks", expected=(f"{len(origins)} disks",), actual=f"{len(made)}")
    for came, origin in zip(made, origins, strict=True):
        assert_reads(came, enabled=False)
        assert_same_content(came.read(), images[origin], "what came in")
        assert_unrelated(baseline, came)
        assert_unrelated(origin, came)
    assert_lists_as_before(baseline, origins[0], before, "the export")
    begins_anew(made[0], [baseline, disk])
