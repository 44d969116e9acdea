"""Changed block tracking at its plainest: a backup set remembers all that was ever written in it, in order."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

BLOCK = 65536
GRANULE = 4
"""Blocks that a coarse host marks together."""


@dataclass(slots=True, eq=False)
class BackupSet:
    """Everything written since tracking was enabled; each entry is one write's blocks, or the moment of a snapshot."""

    history: list[frozenset[int]] = field(default_factory=list)

    def snapshot(self) -> "Place":
        """Return the place of a snapshot taken now."""
        self.history.append(frozenset())
        return Place(self, len(self.history))


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a set a disk stands: a snapshot at its moment, a live disk (None) always at the end.

    A snapshot of a snapshot shares its moment and comes after it, in its `turn`.
    """

    within: BackupSet
    moment: int | None = None
    turn: int = 0

    def beside(self, others: Iterable["Place"]) -> "Place":
        """Return the place of a snapshot of the snapshot here; `others` are the places taken."""
        turns = (other.turn for other in others if (other.within, other.moment) == (self.within, self.moment))
        return replace(self, turn=1 + max(turns))


def blocks_between(earlier: Place | None, later: Place | None) -> frozenset[int] | None:
    """Return the blocks written from `earlier` to `later`; None where they are unrelated, or the wrong way round."""
    if earlier is None or later is None or earlier.within is not later.within or earlier.moment is None:
        return None
    if later.moment is not None and (later.moment, later.turn) <= (earlier.moment, earlier.turn):
        return None
    return frozenset().union(*earlier.within.history[earlier.moment : later.moment])


def touched(offset: int, length: int) -> frozenset[int]:
    """Return the blocks that a write touches."""
    return frozenset(range(offset // BLOCK, (offset + length - 1) // BLOCK + 1))


def coarse(blocks: Collection[int]) -> frozenset[int]:
    """Return `blocks` with all the others of their granules."""
    return frozenset(block // GRANULE * GRANULE + number for block in blocks for number in range(GRANULE))


def bitmap(blocks: Collection[int], size: int) -> bytes:
    """Return one bit per block of a disk of `size` bytes, the first one the most significant of the first byte."""
    count = -(-size // BLOCK)
    data = bytearray(-(-count // 8))
    for block in blocks:
        if block < count:
            data[block // 8] |= 1 << (7 - block % 8)
    return bytes(data)
