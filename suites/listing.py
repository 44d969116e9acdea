"""Changed blocks as the chapters about switching tracking on and off look at them: what is listed, and still is."""

from collections.abc import Iterable, Sequence
from itertools import combinations

from xencbt.fixtures.disks import Disk
from xencbt.harness.bitmap import Bitmap, describe
from xencbt.harness.blockmap import BlockMap
from xencbt.harness.verdicts import Violation


def block_map(
    bitmap: Bitmap, expected: Iterable[int], earlier: Disk, later: Disk, *, allowed: Iterable[int] | None = None
) -> BlockMap:
    """Lay what was listed from `earlier` to `later` beside what had to be marked, for whoever reads of the failure."""
    return BlockMap.of(bitmap, expected, between=(earlier.shown, later.shown), size=later.size, allowed=allowed)


def assert_listed(earlier: Disk, later: Disk, blocks: Iterable[int]) -> Bitmap:
    """Expect that the changes from `earlier` to `later` can be listed and include `blocks` (LIST-02).

    Returns the bitmap; raises Violation with the blocks that a backup would lose.
    """
    wanted = frozenset(blocks)
    bitmap = earlier.changed_blocks_to(later)
    fault = bitmap.fault(later.size)
    if fault is not None:
        raise Violation(
            "the bitmap is malformed",
            expected=(f"one bit per block of {later}",),
            actual=fault,
            block_map=block_map(bitmap, wanted, earlier, later),
        )
    missed = wanted - bitmap.blocks
    if missed:
        raise Violation(
            f"written blocks are not listed: {describe(missed)}",
            expected=(f"at least {describe(wanted)}",),
            actual=describe(bitmap.blocks),
            block_map=block_map(bitmap, wanted, earlier, later),
        )
    return bitmap


def assert_lists_as_before(earlier: Disk, later: Disk, before: Bitmap, by: str) -> None:
    """Expect that nothing is missing in the changes from `earlier` to `later` that was listed `before`.

    `by` is what happened since. A host that lists more now costs time, and loses nothing.
    """
    now = assert_listed(earlier, later, ())
    if not now.keeps(before):
        raise Violation(
            f"{by} changed what is listed",
            expected=(str(before),),
            actual=str(now),
            block_map=block_map(now, before.blocks, earlier, later),
        )


def listings(snapshots: Sequence[Disk]) -> tuple[Bitmap, ...]:
    """List the changes of every pair of `snapshots`, which are in the order in which they were taken."""
    return tuple(earlier.changed_blocks_to(later) for earlier, later in combinations(snapshots, 2))


def assert_same_listings(snapshots: Sequence[Disk], before: Sequence[Bitmap], what: str) -> None:
    """Expect that every pair of `snapshots` lists all that `listings` gave `before`; `what` is what happened since."""
    pairs = combinations(enumerate(snapshots), 2)
    for ((first, earlier), (second, later)), was, now in zip(pairs, before, listings(snapshots), strict=True):
        if not now.keeps(was):
            raise Violation(
                f"the changes from snapshot {first + 1} to snapshot {second + 1} read otherwise after {what}",
                expected=(str(was),),
                actual=str(now),
                block_map=block_map(now, was.blocks, earlier, later),
            )
