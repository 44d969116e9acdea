"""Sizes and places where arithmetic goes wrong: just below and just above each power of two."""

from xencbt.harness.bitmap import BLOCK, block_count
from xencbt.harness.sizes import GIB

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


def power_of_two(most: int) -> int:
    """Return the largest power of two that is not above `most`, and not above 128 GiB.

    >>> power_of_two(2040 * 2**30) // 2**30, power_of_two(3000)
    (128, 2048)
    """
    return 1 << min(most, 128 * GIB).bit_length() - 1


def crossings(most: int) -> tuple[int, ...]:
    """Return the powers of two that a disk which grows up to `most` bytes crosses, those above first if it gets there.

    >>> [power // 2**30 for power in crossings(2040 * 2**30)]
    [4, 128, 1024]
    >>> [power // 2**20 for power in crossings(2**30)]
    [256, 512]
    """
    known = tuple(power for power in (4 * GIB, 128 * GIB, 1024 * GIB) if power < most)
    return known or tuple(power_of_two(most) >> by for by in (2, 1))
