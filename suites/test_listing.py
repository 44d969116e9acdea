"""Getting the list of blocks that changed between VDIs; what rests on backup sets is judged with those."""

from collections.abc import Callable
from functools import partial
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.images import Form, require_vhd, write_sparse
from xencbt.fixtures.lab import MIB, Lab
from xencbt.fixtures.vms import PowerState
from xencbt.harness.bitmap import BLOCK, Bitmap, block_count, describe
from xencbt.harness.capabilities import MAIN
from xencbt.harness.decides import decides
from xencbt.harness.expectations import refusals
from xencbt.harness.model import Enable, Resize, Snapshot, Write
from xencbt.harness.needs import needs
from xencbt.harness.outcome import Failed
from xencbt.harness.session import clock
from xencbt.harness.sizes import Reach
from xencbt.harness.verdicts import NotExercised, Violation
from xencbt.suites.edges import LARGEST, crossings, edges, power_of_two
from xencbt.suites.guests import WritingGuest, undisturbed
from xencbt.suites.happenings import AT_REST, EVENTS, IN_USE, Written, each
from xencbt.suites.histories import SIZE, WRITING, History, histories, perform
from xencbt.suites.listing import assert_listed, assert_lists_as_before, block_map
from xencbt.suites.play import Play
from xencbt.suites.restoring import assert_safe, assert_same_content
from xencbt.suites.situations import IN_POWER_STATES

SECTOR = 512

STEP = 2 * MIB
"""Drivers round sizes up to this, which is also a block of a VHD."""

MOST_ROUNDS = 200
"""How often a backup is made of a writing guest, at most: one snapshot must meet a write under way."""

CHORES: tuple[Callable[[Disk, Disk], object], ...] = (
    lambda _, earlier: earlier.data_destroy(),
    lambda _, earlier: earlier.destroy(),
    lambda disk, _: disk.clone(),
    lambda disk, _: disk.lab.conditions.scan(MAIN),
    lambda disk, _: disk.enable_cbt(),
)
"""What is done with a disk, or with an older snapshot of it, from one backup to the next."""

LONG = 33 * MIB + SECTOR
"""Bytes of a write beyond each power of two at which storage cuts requests, the 32 MiB of an NBD request among them."""

LONG_OF_A_GUEST = 5 * MIB + SECTOR
"""The same for a guest: more than the megabytes to which block devices cut what a guest asks for."""


pytestmark = needs("raw-import")
"""Every test of this chapter writes to disks."""


def tracked(lab: Lab) -> tuple[Disk, Disk]:
    """Give a tracked disk and its baseline."""
    with lab.precondition("a tracked disk with a baseline"):
        disk = lab.create_disk(size=SIZE).enable_cbt()
        return disk, disk.snapshot()


def played(lab: Lab, history: History) -> Play:
    """Perform `history` on a tracked disk `a` that has a baseline."""
    play = Play(lab)
    play.create("a", size=SIZE)
    play.do(Enable("a"))
    play.do(Snapshot("a", "a.1"))
    perform(play, history, ("a",))
    return play


def listed(play: Play) -> dict[tuple[str, str], Bitmap]:
    """List from each snapshot to each later one; what one bitmap says by itself is judged elsewhere (LIST-02)."""
    disks = play.disks
    return {
        (first, last): disks[first].changed_blocks_to(disks[last])
        for first, last in combinations(play.names_of_snapshots(), 2)
    }


def joined(bitmaps: dict[tuple[str, str], Bitmap], first: str, middle: str, last: str) -> Bitmap:
    """Return the two steps from `first` over `middle` to `last` as one bitmap."""
    return bitmaps[first, middle] | bitmaps[middle, last]


@decides("LIST-04")
@given(history=histories(WRITING, longest=8))
def test_two_steps_lose_no_block_that_one_step_shows(lab: Lab, history: History) -> None:
    """However a backup goes from one snapshot to a later one: directly or by way of any between, nothing is lost."""
    with lab.example():
        play = played(lab, history)
        bitmaps = listed(play)
        for first, middle, last in combinations(play.names_of_snapshots(), 3):
            must, disks = play.model.bounds(first, last).must, play.disks
            ways = {"directly": bitmaps[first, last], f"by way of {middle}": joined(bitmaps, first, middle, last)}
            for way, bitmap in ways.items():
                missed = must - bitmap.blocks
                if missed:
                    raise Violation(
                        f"{way} a backup loses {describe(missed)}",
                        expected=(f"at least {describe(must)}",),
                        actual=str(bitmap),
                        block_map=block_map(bitmap, must, disks[first], disks[last]),
                    )


@decides("LIST-12")
@given(history=histories(WRITING, longest=8))
def test_two_steps_show_what_one_step_shows(lab: Lab, history: History) -> None:
    """Both ways mark the same blocks."""
    with lab.example():
        play = played(lab, history)
        bitmaps = listed(play)
        for first, middle, last in combinations(play.names_of_snapshots(), 3):
            direct, steps, disks = bitmaps[first, last], joined(bitmaps, first, middle, last), play.disks
            if direct.blocks != steps.blocks:
                raise Violation(
                    f"from {first} to {last}, directly and by way of {middle}, differ",
                    expected=(str(direct),),
                    actual=str(steps),
                    block_map=block_map(steps, direct.blocks, disks[first], disks[last]),
                )


@decides("LIST-05")
@needs("raw-export")
def test_the_bitmap_covers_a_grown_disk(lab: Lab) -> None:
    """Changes from before the growth stay, and those of the new part are there."""
    disk, baseline = tracked(lab)
    small = disk.write(block=1).snapshot()
    grown = disk.write(block=2).resize(disk.size + 2 * STEP)
    beyond = block_count(small.size)
    last = grown.write(blocks=(3, beyond, block_count(grown.size) - 1)).snapshot()
    bitmap = assert_listed(baseline, last, {1, 2, 3, beyond, block_count(grown.size) - 1})
    assert_safe(bitmap, baseline.read(), last.read(), between=(baseline, last))
    assert_listed(small, last, {2, 3, beyond})
    assert_listed(baseline, small, {1})


@decides("LIST-05")
@given(
    growths=st.lists(st.integers(0, 3), min_size=1, max_size=3),
    places=st.lists(st.integers(0, 2**20), min_size=1, max_size=3),
)
def test_the_bitmap_covers_a_disk_that_grows_again_and_again(lab: Lab, growths: list[int], places: list[int]) -> None:
    """Of any growth, with writes and snapshots between: each listing has the length of its later state."""
    with lab.example():
        play = Play(lab)
        disk = play.create("a", size=STEP)
        play.do(Enable("a"))
        play.do(Snapshot("a", "start"))
        for number, growth in enumerate(growths):
            for place in places:
                play.do(Write("a", place % block_count(disk.size) * BLOCK, 1))
            play.do(Snapshot("a", f"before {number}"))
            play.do(Resize("a", disk.size + growth * STEP))
            play.do(Write("a", disk.size - 1, 1))
            play.do(Snapshot("a", f"after {number}"))
        play.listings()


@decides("LIST-02")
def test_a_write_over_many_blocks_is_listed_in_every_one_of_them(lab: Lab) -> None:
    """From the last sector of one block to the first of another: both ends are touched, and all between."""
    disk, baseline = tracked(lab)
    last = disk.write(offset=3 * BLOCK - SECTOR, length=2 * BLOCK + 2 * SECTOR).snapshot()
    assert_listed(baseline, last, {2, 3, 4, 5})


def assert_whole_write_is_listed(lab: Lab, length: int, power_state: PowerState) -> None:
    """Expect that every block of one write of `length` bytes is marked, by a running guest or where no VM runs."""
    with lab.precondition("a tracked disk with a baseline"):
        disk = lab.create_disk(size=length + STEP).enable_cbt()
        baseline = disk.snapshot()
        if power_state == "Running":
            lab.create_vm(disk, power_state=power_state)
    last = disk.write(offset=BLOCK - SECTOR, length=length).snapshot()
    assert_listed(baseline, last, range(block_count(BLOCK - SECTOR + length)))


@decides("LIST-02")
def test_a_long_write_is_listed_to_its_end(lab: Lab) -> None:
    """However it is cut up on its way into the storage."""
    assert_whole_write_is_listed(lab, LONG, "Halted")


@decides("LIST-02")
@needs("guest-write", "vm-power")
def test_a_long_write_of_a_guest_is_listed_to_its_end(lab: Lab) -> None:
    """The same through the path of a disk in use."""
    assert_whole_write_is_listed(lab, LONG_OF_A_GUEST, "Running")


def assert_listed_in_spite_of(event: Callable[[Written], object], lab: Lab, power_state: PowerState) -> None:
    """Expect that what is written to each of a VM's disks before and after `event` is listed, over each snapshot."""
    (disk, baseline), (other, baseline_of_other) = tracked(lab), tracked(lab)
    vm = lab.create_vm(disk, other, power_state=power_state)
    written = Written(disk, baseline, disk.write(block=0).snapshot(), vm)
    disk.write(block=1)
    other.write(block=3)
    with lab.precondition("what happens between"):
        event(written)
    last = disk.write(block=2).snapshot()
    assert_listed(baseline, last, {0, 1, 2})
    assert_listed(written.middle, last, {1, 2})
    assert_listed(baseline_of_other, other.write(block=4).snapshot(), {3, 4})


@decides("LIST-02")
@pytest.mark.parametrize("event", each(EVENTS | AT_REST))
def test_what_was_written_is_listed_whatever_happens_next(lab: Lab, event: str) -> None:
    """Neither what is done with the disk nor with others takes anything from its log."""
    assert_listed_in_spite_of((EVENTS | AT_REST)[event], lab, "Halted")


@decides("LIST-02")
@needs("guest-write", "vm-power")
@pytest.mark.parametrize("event", each(EVENTS | IN_USE))
def test_what_a_guest_wrote_is_listed_whatever_happens_next(lab: Lab, event: str) -> None:
    """Nor from what of its log is still in memory."""
    assert_listed_in_spite_of((EVENTS | IN_USE)[event], lab, "Running")


@decides("LIST-02")
@needs("guest-write", "vm-power")
def test_what_a_guest_writes_is_listed_wherever_it_runs(lab: Lab) -> None:
    """At each host of the pool, one after the other."""
    disk, baseline = tracked(lab)
    vm = lab.create_vm(disk)
    places = vm.places()
    for block, place in enumerate(places):
        vm.start(at=place)
        disk.write(block=block)
        vm.shutdown()
    assert_listed(baseline, disk.snapshot(), range(len(places)))


@decides("LIST-02")
@needs("guest-write", "vm-power", "raw-export")
def test_backups_of_a_guest_that_never_rests_miss_nothing(lab: Lab) -> None:
    """Snapshots and listings, round after round while it writes, and what else is done with a disk under a guest."""
    disk, earlier = tracked(lab)
    lab.create_vm(disk, power_state="Running")
    before, met, rounds = earlier.read(), 0, 0
    with WritingGuest(disk) as guest:
        while rounds < len(CHORES) or (not met and rounds < MOST_ROUNDS):
            began = clock()
            later = disk.snapshot()
            met += guest.wrote_between(began, clock())
            after = later.read()
            assert_safe(earlier.changed_blocks_to(later), before, after, between=(earlier, later))
            with lab.precondition("what is done between backups"):
                CHORES[rounds % len(CHORES)](disk, earlier)
            earlier, before, rounds = later, after, rounds + 1
    if not met:
        raise NotExercised(f"no write was under way during {rounds} calls of VDI.snapshot")


def _imported(form: Form, disk: Disk, content: bytes) -> None:
    write_sparse(disk, {1: content}, form)


def _imported_as_vhd(disk: Disk, content: bytes) -> None:
    require_vhd(disk.lab)
    _imported("vhd", disk, content)


def _copied(disk: Disk, content: bytes) -> None:
    disk.lab.create_disk(size=disk.size).write(block=1, data=content).copy_into(disk)


FILLING: dict[str, Callable[[Disk, bytes], None]] = {
    "raw import": partial(_imported, "raw"),
    "import in frames": partial(_imported, "chunked"),
    "VHD import": _imported_as_vhd,
    "copy": _copied,
}
"""Ways in which a restore fills a disk that is there; they write the content to block 1, and may empty the others."""


@decides("LIST-02")
@needs("raw-export")
@pytest.mark.parametrize("way", FILLING)
def test_what_a_restore_writes_is_listed(lab: Lab, way: str) -> None:
    """Into a disk that is tracked: what it brings, and what it takes away."""
    with lab.precondition("a tracked disk with a baseline"):
        disk = lab.create_disk(size=2 * STEP).write(blocks=(5, block_count(2 * STEP) - 1)).enable_cbt()
        baseline = disk.snapshot()
        content = lab.content.draw(BLOCK)
        FILLING[way](disk, content)
        assert_same_content(disk.read(BLOCK, BLOCK), content, f"the disk after the {way}")
    last = disk.snapshot()
    before, after = baseline.read(), last.read()
    assert_safe(assert_listed(baseline, last, {1}), before, after, between=(baseline, last))


@decides("LIST-02")
@needs("raw-export")
def test_what_is_written_to_a_snapshot_is_listed_on_both_sides_of_it(lab: Lab) -> None:
    """Where the host lets anybody write to one: it differs then from what came before it, and from what came after."""
    disk, baseline = tracked(lab)
    middle = disk.write(block=1).snapshot()
    last = disk.write(block=2).snapshot()
    before = middle.read()
    if isinstance(middle.try_write(3 * BLOCK, BLOCK), Failed):
        assert_same_content(middle.read(), before, "a snapshot after a refused write")
    for earlier, later in combinations((baseline, middle, last, disk), 2):
        bitmap = assert_listed(earlier, later, ())
        assert_safe(bitmap, earlier.read(), later.read(), between=(earlier, later))


@decides("LIST-02")
@needs(reach=Reach(LARGEST, disks=4))
@pytest.mark.parametrize("size", [power_of_two, int], ids=["power of two", "largest"])
def test_writes_next_to_each_power_of_two_are_listed(lab: Lab, size: Callable[[int], int]) -> None:
    """Just below and just above, 4 GiB among them, each on its own side; what was not written is not needed for it."""
    with lab.precondition("a large tracked disk with a baseline"):
        disk = lab.create_disk(size=size(lab.largest_size())).enable_cbt()
        baseline = disk.snapshot()
    places = edges(disk.size)
    between = disk.write(blocks=places[0::2], length=512).snapshot()
    last = disk.write(blocks=places[1::2], length=512).snapshot()
    assert_listed(baseline, between, places[0::2])
    assert_listed(between, last, places[1::2])
    assert_listed(baseline, last, places)


@decides("LIST-03")
@needs(reach=Reach(LARGEST, disks=3))
def test_writes_next_to_each_power_of_two_mark_no_other_block(lab: Lab) -> None:
    """An offset that is cut short somewhere marks a block it does not mean."""
    with lab.precondition("a large tracked disk with a baseline"):
        disk = lab.create_disk(size=lab.largest_size()).enable_cbt()
        baseline = disk.snapshot()
    places = edges(disk.size)[::2]
    last = disk.write(blocks=places, length=512).snapshot()
    bitmap = assert_listed(baseline, last, places)
    superfluous = bitmap.blocks - set(places)
    if superfluous:
        raise Violation(
            "blocks never written are marked",
            expected=("none",),
            actual=describe(superfluous),
            block_map=block_map(bitmap, places, baseline, last),
        )


@decides("LIST-05")
@needs(reach=Reach(LARGEST, disks=6))
def test_the_bitmap_covers_a_disk_that_grew_across_powers_of_two(lab: Lab) -> None:
    """Over 4 GiB, 128 GiB, 1 TiB, to the largest size: what was written before and after each growth is listed."""
    most = lab.largest_size()
    first, *others = crossings(most)
    with lab.precondition("a tracked disk with a baseline"):
        disk = lab.create_disk(size=first - STEP).enable_cbt()
        states = [disk.snapshot()]
    written: list[set[int]] = []
    for size in (first + STEP, *(power + STEP for power in others), most):
        old = block_count(disk.size)
        disk.write(blocks=(old - 1,), length=1)
        disk.resize(size)
        disk.write(blocks=(old, block_count(disk.size) - 1), length=1)
        states.append(disk.snapshot())
        written.append({old - 1, old, block_count(disk.size) - 1})
    for (first, earlier), (last, later) in combinations(enumerate(states), 2):
        assert_listed(earlier, later, set().union(*written[first:last]))


@decides("LIST-07")
@needs("vm-power")
@pytest.mark.parametrize("mode", ["RW", "RO"])
def test_a_disk_in_use_cannot_be_the_later_one(lab: Lab, mode: str) -> None:
    """While a VM holds it the live disk is refused; a snapshot of it is not, nor the disk once it is let go."""
    disk, baseline = tracked(lab)
    disk.write(block=4)
    vm = lab.create_vm()
    vm.attach(disk, mode="RW" if mode == "RW" else "RO")
    vm.to("Running")
    lab.refuses(baseline, "list_changed_blocks", disk.ref, expectation=refusals.in_use(disk.ref))
    assert_listed(baseline, disk.snapshot(), {4})
    vm.shutdown()
    assert_listed(baseline, disk, {4})


@decides("LIST-07")
def test_a_disk_that_a_vm_snapshot_holds_can_be_the_later_one(lab: Lab) -> None:
    """A VM snapshot's VBDs are no use of the disk."""
    disk, baseline = tracked(lab)
    disk.write(block=4)
    (held,) = lab.create_vm(disk).snapshot().disks()
    assert_listed(baseline, held, {4})


@decides("LIST-07")
@needs("vm-power")
def test_a_disk_that_a_checkpoint_holds_can_be_the_later_one(lab: Lab) -> None:
    """Nor is it one that the VBDs of a snapshot with memory read as attached: nobody can write to it."""
    disk, baseline = tracked(lab)
    disk.write(block=4)
    (held,) = lab.create_vm(disk, power_state="Running").checkpoint().disks()
    assert_listed(baseline, held, {4})


@decides("LIST-10")
@pytest.mark.parametrize("power_state", IN_POWER_STATES)
def test_listing_needs_no_vm_offline_and_changes_nothing(lab: Lab, power_state: PowerState) -> None:
    """The VM of the disk goes on in any power state, no record changes, and the answer stays the same."""
    disk, baseline = tracked(lab)
    last = disk.write(blocks=(5, 6)).snapshot()
    vm = lab.create_vm(disk, power_state=power_state)
    with undisturbed(vm, by="VDI.list_changed_blocks"), lab.unchanged(disk, baseline, last, after="listing"):
        bitmap = assert_listed(baseline, last, {5, 6})
    assert_lists_as_before(baseline, last, bitmap, "listing")
