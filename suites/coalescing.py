"""What a backup keeps of a disk: a full image of the baseline, onto which the changed blocks of later snapshots go.

Images are sparse, so that those of large disks cost what was written to them.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.images import read_sparse, stretches
from xencbt.harness.bitmap import BLOCK, Bitmap, block_count, describe
from xencbt.harness.verdicts import Blocked, Violation
from xencbt.suites.listing import assert_listed

Way = Literal["nbd", "raw", "vhd"]
"""How content is read: over NBD, or by the raw or the VHD export."""

RUN_BLOCKS = 64
"""Blocks that are read at once."""

MOST_BYTES = 2 * 2**30
"""Bytes that a test is willing to read as changed: a host that marks more makes an incremental backup of no use."""

ZEROS = bytes(BLOCK)

ReadStream = Callable[[int, int], Iterable[bytes]]
"""Reads that many bytes at an offset, in pieces."""


@dataclass
class Image:
    """The content of a disk of `size` bytes: its blocks of 64 KiB that are not zeros, the last one filled up."""

    size: int
    blocks: dict[int, bytes] = field(default_factory=dict)

    def put(self, block: int, data: bytes) -> None:
        """Replace a block, which may end with the disk."""
        whole = data.ljust(BLOCK, b"\0")
        if whole == ZEROS:
            self.blocks.pop(block, None)
        else:
            self.blocks[block] = whole

    def overwrite(self, offset: int, data: bytes) -> None:
        """Replace bytes at any place."""
        for block in range(offset // BLOCK, block_count(offset + len(data))):
            start = max(offset - block * BLOCK, 0)
            piece = data[block * BLOCK + start - offset :][: BLOCK - start]
            whole = self.blocks.get(block, ZEROS)
            self.put(block, whole[:start] + piece + whole[start + len(piece) :])

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes at any place."""
        first, beyond = offset // BLOCK, block_count(offset + length)
        joined = b"".join(self.blocks.get(block, ZEROS) for block in range(first, beyond))
        return joined[offset - first * BLOCK :][:length]

    def copy(self) -> "Image":
        """Return another image with the same content."""
        return Image(self.size, dict(self.blocks))

    def fill(self, blocks: Iterable[int], read: ReadStream) -> None:
        """Replace `blocks`, ascending, by what `read` gives of them."""
        for offset, length in stretches(iter(blocks), self.size, RUN_BLOCKS):
            data = b"".join(read(offset, length))
            if len(data) != length:
                raise Violation(
                    f"reading {length} bytes at {offset}", expected=(f"{length} bytes",), actual=f"{len(data)} bytes"
                )
            for at in range(0, length, BLOCK):
                self.put((offset + at) // BLOCK, data[at : at + BLOCK])

    def take(self, marked: Bitmap, other: "Image") -> None:
        """Replace the blocks that are `marked` by those of another image."""
        for block in self.blocks.keys() | other.blocks.keys():
            if block in marked:
                self.put(block, other.blocks.get(block, ZEROS))

    def differing(self, other: "Image") -> frozenset[int]:
        """Return the blocks in which two images differ."""
        return frozenset(
            block for block in self.blocks.keys() | other.blocks if self.blocks.get(block) != other.blocks.get(block)
        )


def assert_same(actual: Image, expected: Image, what: str) -> None:
    """Expect that two images are equal, byte for byte; raises Violation with the blocks in which they are not."""
    if actual.size != expected.size:
        raise Violation(f"{what}: the size", expected=(f"{expected.size} bytes",), actual=f"{actual.size} bytes")
    differing = actual.differing(expected)
    if differing:
        raise Violation(what, expected=("every byte is the same",), actual=f"others in {describe(differing)}")


@contextmanager
def reading(disk: Disk, way: Way) -> Iterator[ReadStream]:
    """Read ranges of a disk inside, over NBD (it must be served) or by its raw export, which is read whole."""
    if way == "nbd":
        with disk.over_nbd() as served:
            if served.size != disk.size:
                actual = f"{served.size} bytes"
                raise Violation("the size over NBD", expected=(f"{disk.size} bytes",), actual=actual)
            yield served.stream
    else:
        content = disk.read()
        yield lambda offset, length: (content[offset : offset + length],)


def whole(disk: Disk, way: Way) -> Image:
    """Read a disk from its first to its last byte."""
    image = Image(disk.size)
    if way == "vhd":
        read_sparse(disk, lambda piece: image.put(piece.block, piece.data))
    else:
        with reading(disk, way) as read:
            image.fill(range(block_count(disk.size)), read)
    return image


class Backup:
    """An incremental backup of one disk with tracking on: `image` is what a restore would give, `latest` whose it is.

    `full` is how whole snapshots are read, `changed` how their changed blocks are; where too many are marked for that,
    and whole snapshots cost only what is in them, they are taken of the whole.
    """

    def __init__(self, disk: Disk, *, full: Way, changed: Way) -> None:
        self._disk = disk
        self._full = full
        self._changed = changed
        self.latest = disk.snapshot()
        self.image = whole(self.latest, full)
        self.baseline = self.image.copy()
        self.snapshots = [self.latest]
        self.bitmap = Bitmap(b"")

    def increment(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Take a snapshot, list what changed since the latest one, and put just these blocks of it onto the image.

        `meanwhile` happens between: what is done to the disk then, or to other snapshots, must make no difference.
        """
        now = self._disk.snapshot()
        meanwhile()
        self.bitmap = assert_listed(self.latest, now, ())
        self.image.size = now.size
        if len(self.bitmap) * BLOCK <= MOST_BYTES:
            with reading(now, self._changed) as read:
                self.image.fill(sorted(self.bitmap.blocks), read)
        elif self._full == "vhd":
            self.image.take(self.bitmap, whole(now, "vhd"))
        else:
            raise Blocked(f"{len(self.bitmap)} blocks are marked as changed: too many to read")
        self.latest = now
        self.snapshots.append(now)
