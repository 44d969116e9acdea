"""Sizes and places where arithmetic goes wrong: just below and just above each power of two."""

from xencbt.harness.bitmap import BLOCK, block_count

GIB = 2**30
LARGEST = 2040 * GIB
"""Bytes of the largest disk that VHD based drivers hold."""


def edges(size: int) -> list[int]:
    """Return the blocks of 64 KiB before and after each power of two bytes in a disk of `size`, and the last one.

    >>> edges(4 * BLOCK)
    [0, 1, 2, 3]
    """
    powers = (1 << exponent for exponent in range(BLOCK.bit_length() - 1, size.bit_length()))
    near = {power // BLOCK + by for power in powers for by in (-1, 0)}
    last = block_count(size) - 1
    return sorted({block for block in near if block <= last} | {last})
