"""Coalescing changed blocks onto a base, and restoring: what an incremental backup is for."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.images import Form, require_vhd, write_sparse
from xencbt.fixtures.lab import MIB, Lab
from xencbt.harness.bitmap import BLOCK, block_count
from xencbt.harness.capabilities import MAIN
from xencbt.harness.decides import decides
from xencbt.harness.needs import needs
from xencbt.harness.sizes import Reach
from xencbt.harness.verdicts import Violation
from xencbt.suites.coalescing import Backup, Image, Way, assert_same, reading, whole
from xencbt.suites.edges import LARGEST, crossings, edges, power_of_two

STEP = 2 * MIB
SIZES = (STEP, 2 * STEP, 3 * STEP)
ODD_SIZES = (1, 511, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 513, STEP + 1)
SOME_ODD_SIZES = (1, BLOCK, STEP + 1)
LENGTHS = (1, 512, BLOCK, BLOCK + 1)
SAMPLES = 24

by_nbd_or_raw = pytest.mark.parametrize("way", ["nbd", "raw"])
large = pytest.mark.parametrize("size", [power_of_two, int], ids=["power of two", "largest"])


pytestmark = needs("raw-import", "raw-export", optional=("nbd", "network-purpose", "sr:unrounded"))
"""Every test of this chapter writes to disks; some read them over NBD, for which networks may have to be changed."""


@pytest.fixture
def served(lab: Lab) -> Iterator[None]:
    """Have disks served over NBD."""
    lab.require("nbd")
    with lab.conditions.served_over_nbd():
        yield


@dataclass(frozen=True, slots=True)
class Round:
    """What happens between two snapshots: writes, growth by so many steps, more writes.

    `passes`: a snapshot is taken between, and destroyed before the changes are listed. `forgets`: the earlier one loses
    its data before that.
    """

    writes: tuple[tuple[int, int], ...]
    growth: int = 0
    later_writes: tuple[tuple[int, int], ...] = ()
    passes: bool = False
    forgets: bool = False


some_writes = st.lists(st.tuples(st.integers(0, 2**40), st.sampled_from(LENGTHS)), max_size=2).map(tuple)
rounds = st.lists(
    st.builds(Round, some_writes, st.sampled_from((0, 0, 1, 2)), some_writes, st.booleans(), st.booleans()),
    min_size=1,
    max_size=3,
)


def put(disk: Disk, known: Image, writes: Iterable[tuple[int, int]]) -> None:
    """Write new content at places taken modulo the disk's size, and note it in `known`."""
    offsets = [(place % disk.size, length) for place, length in writes]
    ranges = [(offset, disk.lab.content.draw(min(length, disk.size - offset))) for offset, length in offsets]
    if ranges:
        disk.write_ranges(ranges)
    for offset, data in ranges:
        known.overwrite(offset, data)


def backed_up(disk: Disk, known: Image, history: Iterable[Round], way: Way, step: int) -> tuple[Backup, Image]:
    """Back the disk up by a baseline and an increment for each round; give what was written up to the last snapshot.

    The disk is written to after each snapshot, before that is read.
    """
    backup, live = Backup(disk, full=way, changed=way), known.copy()
    for each in history:
        put(disk, live, each.writes)
        passing = [disk.snapshot()] if each.passes else []
        if each.growth:
            disk.resize(disk.size + each.growth * step)
            live.size = disk.size
        put(disk, live, [*each.later_writes, *([(disk.size - 1, 1)] if each.growth else ())])
        known = live.copy()

        def meanwhile(each: Round = each, passing: Sequence[Disk] = passing) -> None:
            put(disk, live, [(0, 1), *each.writes])
            for snapshot in passing:
                snapshot.destroy()
            if each.forgets:
                backup.latest.data_destroy()

        backup.increment(meanwhile)
    return backup, known


def started(lab: Lab, size: int, writes: Iterable[tuple[int, int]], sr: str = MAIN) -> tuple[Disk, Image]:
    """Give a tracked disk with content, and that content."""
    with lab.precondition("a tracked disk with content"):
        disk = lab.create_disk(size=size, sr=sr)
        known = Image(disk.size)
        put(disk, known, writes)
        disk.enable_cbt()
    return disk, known


def assert_restores(backup: Backup, known: Image, way: Way) -> None:
    """Expect that the coalesced image is the last snapshot as `way` reads it, and what was written to the disk."""
    assert_same(backup.image, whole(backup.latest, way), "baseline and increments against the last snapshot")
    assert_same(backup.image, known, "baseline and increments against what was written")


@decides("RESTORE-01")
@pytest.mark.usefixtures("served")
@given(size=st.sampled_from(SIZES), history=rounds)
def test_increments_over_nbd_make_the_last_snapshot_of_the_baseline(lab: Lab, size: int, history: list[Round]) -> None:
    """Whatever was written between, whether the disk grew, and whether snapshots lost their data or are gone."""
    with lab.example():
        disk, known = started(lab, size, [(BLOCK - 1, 2), (size - 1, 1)])
        assert_restores(*backed_up(disk, known, history, "nbd", STEP), "raw")


@decides("RESTORE-01")
@given(size=st.sampled_from(ODD_SIZES), history=rounds, step=st.sampled_from((1, BLOCK - 1, BLOCK, STEP + 7)))
def test_increments_make_the_last_snapshot_of_a_disk_of_odd_size(
    lab: Lab, size: int, history: list[Round], step: int
) -> None:
    """Sizes of one block and less, and such as end in the middle of one, grown by as odd steps."""
    with lab.example():
        disk, known = started(lab, size, [(0, 1), (size - 1, 1)], sr="unrounded")
        assert_restores(*backed_up(disk, known, history, "raw", step), "raw")


@decides("RESTORE-01")
@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("size", SOME_ODD_SIZES)
def test_odd_sizes_are_read_to_their_end_over_nbd(lab: Lab, size: int) -> None:
    """The last block, be it whole or not, is part of the baseline and of an increment."""
    disk, known = started(lab, size, [(size - 1, 1)], sr="unrounded")
    backup = Backup(disk, full="nbd", changed="nbd")
    assert_same(backup.baseline, known, "the baseline against what was written")
    put(disk, known, [(size - 1, 1)])
    backup.increment()
    assert_restores(backup, known, "nbd")
    assert_restores(backup, known, "raw")


@decides("RESTORE-01")
@pytest.mark.usefixtures("served")
@large
@needs(reach=Reach(LARGEST, disks=5))
def test_increments_make_the_last_snapshot_of_a_large_disk(lab: Lab, size: Callable[[int], int]) -> None:
    """Written just below and above each power of two, 4 GiB among them, in the baseline and in each increment."""
    require_vhd(lab)
    disk, known = started(lab, size(lab.largest_size()), ())
    places = edges(disk.size)
    put_blocks(disk, known, places[0::3])
    backup = Backup(disk, full="vhd", changed="nbd")
    for number in (1, 2):
        put_blocks(disk, known, [*places[number::3], *places[number - 1 :: 6]])
        backup.increment(backup.latest.data_destroy)
    assert_restores(backup, known, "vhd")
    assert_sampled(backup, places)
    if not known.differing(backup.baseline) >= set(places[1::3]):
        raise Violation("the baseline", expected=("nothing of what was written later",), actual="it is there")


@decides("RESTORE-01")
@pytest.mark.usefixtures("served")
@needs(reach=Reach(LARGEST, disks=8))
def test_increments_make_the_last_snapshot_of_a_disk_that_grew_across_the_edges(lab: Lab) -> None:
    """Over 4 GiB and other powers of two up to the largest size; written before and after each growth."""
    require_vhd(lab)
    most = lab.largest_size()
    sizes = (*(power + by for power in crossings(most) for by in (-STEP, STEP)), most)
    disk, known = started(lab, sizes[0], ())
    put_blocks(disk, known, [0, block_count(disk.size) - 1])
    backup = Backup(disk, full="vhd", changed="nbd")
    for before, size in pairwise(sizes):
        put_blocks(disk, known, {1, before // BLOCK - 2})
        disk.resize(size)
        known.size = disk.size
        put_blocks(disk, known, {0, before // BLOCK - 1, before // BLOCK, block_count(disk.size) - 1})
        backup.increment()
    assert_restores(backup, known, "vhd")
    assert_sampled(backup, sorted(known.blocks))


def put_blocks(disk: Disk, known: Image, blocks: Iterable[int]) -> None:
    """Write new content to whole blocks, all in one transfer, and note it in `known`."""
    content = {block: disk.lab.content.draw(BLOCK) for block in blocks}
    write_sparse(disk, content, "chunked")
    for block, data in content.items():
        known.put(block, data)


def assert_sampled(backup: Backup, near: Iterable[int]) -> None:
    """Expect the same over NBD: at these blocks, next to them, and at some drawn anywhere on the disk."""
    count = block_count(backup.latest.size)
    drawn = {int.from_bytes(backup.latest.lab.content.draw(8), "big") % count for _ in range(SAMPLES)}
    around = {block + by for block in near for by in (-1, 0, 1)}
    places = sorted(block for block in drawn | around if 0 <= block < count)
    sample = Image(backup.latest.size)
    with reading(backup.latest, "nbd") as read:
        sample.fill(places, read)
    wanted = {block: data for block, data in backup.image.blocks.items() if block in set(places)}
    assert_same(sample, Image(backup.image.size, wanted), "the last snapshot, sampled over NBD")


def coalesced(lab: Lab, size: int, way: Way, sr: str = MAIN) -> Backup:
    """Give a backup of a baseline and two increments."""
    disk, known = started(lab, size, [(0, BLOCK), (size - 1, 1)], sr=sr)
    history = (Round(((size // 2, BLOCK + 1),), forgets=True), Round(((size - 1, 1),)))
    return backed_up(disk, known, history, way, STEP)[0]


def assert_imports(backup: Backup, form: Form, way: Way) -> None:
    """Expect that a new disk holds nothing of the image, and all of it, and no more, once it was imported."""
    source = backup.latest
    fresh = source.lab.create_disk(size=source.size, sr=source.sr_kind)
    assert_same(whole(fresh, way), Image(source.size), "a new disk against zeros")
    write_sparse(fresh, backup.image.blocks, form)
    assert_same(whole(fresh, way), backup.image, f"the new disk after a {form} import against the image")


@decides("RESTORE-02")
@by_nbd_or_raw
@pytest.mark.parametrize("form", ["raw", "chunked", "vhd"])
def test_a_coalesced_image_imported_into_a_new_disk_reads_back_identical(
    lab: Lab, form: Form, way: Way, request: pytest.FixtureRequest
) -> None:
    """Whole, in frames, or as VHD; read over NBD or by the raw export."""
    if way == "nbd":
        request.getfixturevalue("served")
    if form == "vhd":
        require_vhd(lab)
    assert_imports(coalesced(lab, SIZES[-1], way), form, way)


@decides("RESTORE-02")
@pytest.mark.parametrize("form", ["raw", "chunked"])
@pytest.mark.parametrize("size", SOME_ODD_SIZES)
def test_an_image_of_odd_size_reads_back_identical(lab: Lab, size: int, form: Form) -> None:
    """To the last byte, and not beyond it."""
    assert_imports(coalesced(lab, size, "raw", sr="unrounded"), form, "raw")


@decides("RESTORE-02")
@pytest.mark.parametrize("form", ["raw", "vhd"])
def test_an_image_that_ends_within_a_block_goes_through_vhd(lab: Lab, form: Form) -> None:
    """Whole sectors, which is all that a VHD holds, but not whole blocks."""
    require_vhd(lab)
    assert_imports(coalesced(lab, STEP + 3 * 512, "vhd", sr="unrounded"), form, "vhd")


@decides("RESTORE-02")
@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("form", ["chunked", "vhd"])
@large
@needs(reach=Reach(LARGEST, disks=4))
def test_an_image_of_a_large_disk_reads_back_identical(lab: Lab, size: Callable[[int], int], form: Form) -> None:
    """With content just below and above each power of two; compared by its extents, sampled over NBD."""
    require_vhd(lab)
    disk, known = started(lab, size(lab.largest_size()), ())
    put_blocks(disk, known, edges(disk.size))
    backup = Backup(disk, full="vhd", changed="nbd")
    assert_imports(backup, form, "vhd")
    assert_sampled(backup, edges(disk.size))
