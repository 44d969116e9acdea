"""The bitmap of changed blocks as the API gives it: base64, one bit per 64 KiB block, most significant bit first.

Block b is bit 7 - (b mod 8) of byte b // 8, so writes to blocks 0 and 1 read 0xC0 (LIST-01).
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

BLOCK = 65536
"""Bytes per block: the tracking unit (ENABLE-04)."""

VHD_ROUNDING = 2 * 1024 * 1024
"""VHD based drivers round sizes up to this many bytes; a bitmap may cover the rounded size."""

_BITS = tuple(tuple(bit for bit in range(8) if byte & (0x80 >> bit)) for byte in range(256))
_NOT_ZERO = re.compile(rb"[^\0]")


class BadBitmap(ValueError):
    """What the host sent is no bitmap of the form the documentation gives; the message says why."""


def block_count(size: int) -> int:
    """Return how many blocks a disk of `size` bytes has, the last one perhaps partial."""
    return -(-size // BLOCK)


def expected_length(size: int) -> int:
    """Return the bitmap's length in bytes for a disk of `size` bytes: ceil(ceil(size / 65536) / 8)."""
    return -(-block_count(size) // 8)


def touched(offset: int, length: int) -> range:
    """Return the blocks that a write of `length` bytes at byte `offset` touches; none for an empty write.

    Raises ValueError for a negative offset or length.
    """
    if offset < 0 or length < 0:
        raise ValueError(f"no such write: offset {offset}, length {length}")
    return range(offset // BLOCK, block_count(offset + length)) if length else range(0)


@dataclass(frozen=True)
class Bitmap:
    """A bitmap of changed blocks; `data` is what the base64 text holds."""

    data: bytes

    @classmethod
    def from_base64(cls, text: object) -> Self:
        """Decode standard base64: padded, no line breaks, unused bits zero, else BadBitmap.

        >>> sorted(Bitmap.from_base64("wAAA").blocks)
        [0, 1]
        """
        if not isinstance(text, str):
            raise BadBitmap(f"not a string but {type(text).__name__}")
        try:
            data = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
        except (UnicodeEncodeError, binascii.Error) as error:
            raise BadBitmap(f"not standard base64: {error}") from error
        if base64.b64encode(data).decode() != text:
            raise BadBitmap("not standard base64: it does not encode back to the same text")
        return cls(data)

    @classmethod
    def of(cls, blocks: Iterable[int], size: int) -> Self:
        """Make the bitmap of `blocks` for a disk of `size` bytes; raises BadBitmap for a block beyond its end."""
        data = bytearray(expected_length(size))
        for block in blocks:
            if not 0 <= block < block_count(size):
                raise BadBitmap(f"block {block} is beyond a disk of {size} bytes")
            data[block // 8] |= 0x80 >> (block % 8)
        return cls(bytes(data))

    def to_base64(self) -> str:
        """Encode as the API does: standard base64, padded, no line breaks."""
        return base64.b64encode(self.data).decode()

    @property
    def length(self) -> int:
        """Length in bytes."""
        return len(self.data)

    @cached_property
    def blocks(self) -> frozenset[int]:
        """The marked blocks. Costs time by the bytes that are not zero, not by the disk's size."""
        return frozenset(self._marked())

    def _marked(self) -> Iterator[int]:
        for match in _NOT_ZERO.finditer(self.data):
            first = 8 * match.start()
            for bit in _BITS[match.group()[0]]:
                yield first + bit

    def __contains__(self, block: int) -> bool:
        return 0 <= block < 8 * self.length and bool(self.data[block // 8] & (0x80 >> (block % 8)))

    def __len__(self) -> int:
        """Return how many blocks are marked."""
        return int.from_bytes(self.data, "big").bit_count()

    def keeps(self, before: "Bitmap") -> bool:
        """Tell whether it has the length of `before` and marks all that it marks: more than that loses nothing."""
        lost = int.from_bytes(before.data, "big") & ~int.from_bytes(self.data, "big")
        return self.length == before.length and not lost

    def __or__(self, other: "Bitmap") -> "Bitmap":
        """Mark what either marks; the shorter one is zero-extended, as for a disk that grew (LIST-05)."""
        length = max(self.length, other.length)
        mine, theirs = (int.from_bytes(one.data.ljust(length, b"\0"), "big") for one in (self, other))
        return Bitmap((mine | theirs).to_bytes(length, "big"))

    def __str__(self) -> str:
        return f"{describe(self.blocks)} of {8 * self.length} bits"

    def fault(self, size: int) -> str | None:
        """Say what is wrong with this as the bitmap of a disk that the host reports as `size` bytes; None if right.

        The length is the one for `size`, or for `size` rounded up as VHD drivers do; bits beyond the disk's end are 0.
        """
        rounded = -(-size // VHD_ROUNDING) * VHD_ROUNDING
        if self.length not in {expected_length(size), expected_length(rounded)}:
            return f"{self.length} bytes long, expected {expected_length(size)} for {size} bytes of disk"
        if self.blocks and max(self.blocks) >= block_count(size):
            beyond = frozenset(block for block in self.blocks if block >= block_count(size))
            return f"marks {describe(beyond)} beyond the disk's {block_count(size)} blocks"
        return None

    def covers(self, size: int) -> bool:
        """Tell whether this is a well-formed bitmap of a disk that the host reports as `size` bytes."""
        return self.fault(size) is None


def runs(blocks: Iterable[int]) -> list[list[int]]:
    """Return blocks as runs, ascending.

    >>> runs({7, 0, 1})
    [[0, 1], [7, 7]]
    """
    found: list[list[int]] = []
    for block in sorted(blocks):
        if found and block == found[-1][1] + 1:
            found[-1][1] = block
        else:
            found.append([block, block])
    return found


def describe(blocks: Iterable[int], limit: int = 12) -> str:
    """Return blocks in words, runs joined and long lists cut: `blocks 0-1, 7`.

    >>> describe({7, 0, 1})
    'blocks 0-1, 7'
    """
    found = runs(blocks)
    if not found:
        return "no block"
    words = [str(first) if first == last else f"{first}-{last}" for first, last in found[:limit]]
    more = f" and {len(found) - limit} more runs" if len(found) > limit else ""
    one = len(found) == 1 and found[0][0] == found[0][1]
    return f"block{'' if one else 's'} {', '.join(words)}{more}"
