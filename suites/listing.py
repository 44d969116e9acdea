"""Changed blocks as the chapters about switching tracking on and off look at them: what is listed, and still is."""

from collections.abc import Iterable, Sequence
from itertools import combinations

from xencbt.fixtures.disks import Disk
from xencbt.harness.bitmap import Bitmap, describe
from xencbt.harness.verdicts import Violation


def assert_listed(earlier: Disk, later: Disk, blocks: Iterable[int]) -> Bitmap:
    """Expect that the changes from `earlier` to `later` can be listed and include `blocks` (LIST-02).

    Returns the bitmap; raises Violation with the blocks that a backup would lose.
    """
    wanted = frozenset(blocks)
    bitmap = earlier.changed_blocks_to(later)
    fault = bitmap.fault(later.size)
    if fault is not None:
        raise Violation("the bitmap is malformed", expected=(f"one bit per block of {later}",), actual=fault)
    missed = wanted - bitmap.blocks
    if missed:
        raise Violation(
            f"written blocks are not listed: {describe(missed)}",
            expected=(f"at least {describe(wanted)}",),
            actual=describe(bitmap.blocks),
        )
    return bitmap


def listings(snapshots: Sequence[Disk]) -> tuple[Bitmap, ...]:
    """List the changes of every pair of `snapshots`, which are in the order in which they were taken."""
    return tuple(earlier.changed_blocks_to(later) for earlier, later in combinations(snapshots, 2))


def assert_same_listings(snapshots: Sequence[Disk], before: Sequence[Bitmap], what: str) -> None:
    """Expect that every pair of `snapshots` lists what `listings` gave `before`; `what` is what happened since."""
    pairs = combinations(range(len(snapshots)), 2)
    for (first, second), was, now in zip(pairs, before, listings(snapshots), strict=True):
        if now != was:
            raise Violation(
                f"the changes from snapshot {first + 1} to snapshot {second + 1} read otherwise after {what}",
                expected=(str(was),),
                actual=str(now),
            )
