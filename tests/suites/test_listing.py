"""Listings pass what is right, and name the blocks or the pair of snapshots that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from xencbt.harness.bitmap import BLOCK, Bitmap
from xencbt.harness.verdicts import Violation
from xencbt.suites.listing import assert_listed, assert_lists_as_before, assert_same_listings, listings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xencbt.fixtures.disks import Disk

SIZE = 4 << 20


class FakeDisk:
    """A disk from which always the same blocks are listed."""

    size = SIZE
    shown = "OpaqueRef:1234…"

    def __init__(self, *blocks: int, size: int = SIZE) -> None:
        self.blocks = blocks
        self._size = size

    def changed_blocks_to(self, _: Disk) -> Bitmap:
        return Bitmap.of(self.blocks, self._size)


def disks(*fakes: FakeDisk) -> Sequence[Disk]:
    return cast("Sequence[Disk]", fakes)


def test_listed_blocks_pass() -> None:
    earlier, later = disks(FakeDisk(3, 11), FakeDisk())
    assert assert_listed(earlier, later, {3}).blocks == {3, 11}


def test_a_block_that_is_not_listed_is_named() -> None:
    earlier, later = disks(FakeDisk(3), FakeDisk())
    with pytest.raises(Violation, match="not listed: block 11") as caught:
        assert_listed(earlier, later, {3, 11})
    assert caught.value.actual == "block 3"
    drawn = caught.value.block_map
    assert drawn is not None
    assert (drawn.earlier, drawn.later, drawn.blocks) == (FakeDisk.shown, FakeDisk.shown, SIZE // BLOCK)
    assert (drawn.expected, drawn.reported) == (frozenset({3, 11}), frozenset({3}))


def test_a_bitmap_of_another_size_is_malformed() -> None:
    earlier, later = disks(FakeDisk(3, size=2 * SIZE), FakeDisk())
    with pytest.raises(Violation, match="malformed"):
        assert_listed(earlier, later, {3})


def test_the_pair_that_lists_otherwise_is_named() -> None:
    fakes = FakeDisk(1), FakeDisk(2), FakeDisk()
    snapshots = disks(*fakes)
    before = listings(snapshots)
    assert [bitmap.blocks for bitmap in before] == [{1}, {1}, {2}]
    assert_same_listings(snapshots, before, "nothing")
    fakes[1].blocks = (5,)
    with pytest.raises(Violation, match="from snapshot 2 to snapshot 3 read otherwise after a call") as caught:
        assert_same_listings(snapshots, before, "a call")
    assert "block 5" in caught.value.actual
    assert caught.value.block_map is not None
    assert caught.value.block_map.expected == {2}
    assert caught.value.block_map.reported == {5}


def test_a_listing_that_lacks_what_it_had_says_since_when() -> None:
    earlier, later = disks(FakeDisk(1, 2), FakeDisk())
    before = earlier.changed_blocks_to(later)
    assert_lists_as_before(earlier, later, before, "an export")
    more, changed = disks(FakeDisk(1, 2, 3), FakeDisk(1, 3))
    assert_lists_as_before(more, later, before, "an export")
    with pytest.raises(Violation, match="an export changed what is listed"):
        assert_lists_as_before(changed, later, before, "an export")
