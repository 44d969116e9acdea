"""A bitmap beside the one that had to come, as evidence: runs of blocks, few enough to be drawn."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from xencbt.harness.bitmap import BLOCK, Bitmap, block_count, runs

MOST_RUNS = 2000
"""Runs of blocks that each list of a map keeps; the rest is cut, and said so."""


@dataclass(frozen=True)
class BlockMap:
    """What a listing reported beside what it had to: all in blocks of 64 KiB, of which the later disk has `blocks`.

    `earlier` and `later` name the two disks as the steps of the failure call them. `expected` had to be marked;
    `allowed` might be (None: only what had to), so that what is marked beyond it is too much.
    """

    earlier: str
    later: str
    blocks: int
    expected: frozenset[int]
    reported: frozenset[int]
    allowed: frozenset[int] | None = None

    @classmethod
    def of(
        cls,
        bitmap: Bitmap,
        expected: Iterable[int],
        *,
        between: tuple[str, str],
        size: int | None = None,
        allowed: Iterable[int] | None = None,
    ) -> "BlockMap":
        """Lay `bitmap` beside what had to be marked `between` two disks; the later one has `size` bytes.

        Without a size the map covers as many blocks as the bitmap has bits.
        """
        marks = bitmap.blocks
        blocks = 8 * bitmap.length if size is None else block_count(size)
        may = None if allowed is None else frozenset(allowed)
        return cls(*between, blocks, frozenset(expected), marks, may)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data: each list as runs, `[first, last]`; `cut` tells whether one of them is not whole."""
        too_much = self.reported - (self.expected if self.allowed is None else self.expected | self.allowed)
        lists = {
            "expected": runs(self.expected),
            "reported": runs(self.reported),
            "missing": runs(self.expected - self.reported),
            "extra": runs(too_much),
        }
        head = {"from": self.earlier, "to": self.later, "block_size": BLOCK, "blocks": self.blocks}
        cut = any(len(each) > MOST_RUNS for each in lists.values())
        return head | {name: each[:MOST_RUNS] for name, each in lists.items()} | {"cut": cut}
