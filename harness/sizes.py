"""How large disks may be: what the user allows, what an SR has room for, and how far a test would go; pure."""

from dataclasses import dataclass

from xencbt.harness.verdicts import Blocked, NotRun

MIB = 2**20
GIB = 2**30
TIB = 2**40

SPARE = 64 * MIB
"""Bytes that stay free on an SR besides what a disk needs: for the storage's own metadata, and the logs of tracking."""

GRAIN = 4 * MIB
"""A size that had to be cut is a multiple of this, the coarsest of the known drivers: none rounds it up beyond."""

SMALLEST = 4 * GRAIN
"""Bytes of the smallest disk on which a test that would go further still has something to show."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes that one disk may have, and all disks of the run that exist at a time."""

    size: int = GIB
    total: int = 10 * GIB


EMULATED_LIMITS = Limits(size=4 * TIB, total=64 * TIB)
"""On an emulated host a disk's size costs nothing."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Bytes of the largest disk that a test may make; `not_run` says what sizes it leaves out and why, or is empty."""

    size: int
    not_run: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a test goes: bytes of its largest disk, and how many disks of that size it has at a time.

    Snapshots and clones count. Where so much is not allowed, or not there, the test goes as far as it may.
    """

    size: int
    disks: int

    def within(self, limits: Limits, free: int) -> Reached:
        """Return how far the test may go on an SR with so many bytes `free`; never less than SMALLEST."""
        allowed = {
            f"--max-size {in_words(limits.size)}": limits.size,
            f"--max-total {in_words(limits.total)}": limits.total // self.disks,
            f"{in_words(free)} free on the SR": (free - SPARE) // self.disks,
        }
        why, most = min(allowed.items(), key=lambda each: each[1])
        if most >= self.size:
            return Reached(self.size)
        size = max(most // GRAIN * GRAIN, SMALLEST)
        return Reached(size, f"disks above {in_words(size)} ({why})")


def within(limits: Limits, size: int, there: int) -> None:
    """Go on only where a disk of `size` bytes may exist besides the `there` bytes of the run, else raise NotRun.

    Snapshots and clones count in full: that is what they may come to need.
    """
    if size > limits.size:
        raise NotRun(f"a disk of {size} bytes is larger than --max-size {limits.size}")
    if there + size > limits.total:
        raise NotRun(f"with {size} bytes more than the {there} that exist, --max-total {limits.total} is exceeded")


def fits(size: int, free: int) -> None:
    """Go on only where an SR with so many bytes `free` keeps SPARE after a disk of `size`; else raise Blocked.

    An SR is never filled.
    """
    if size + SPARE > free:
        raise Blocked(f"the SR has {free} bytes free: too few for {size} and the {SPARE} that stay free")


def in_words(size: int) -> str:
    """Return bytes as a person says them, in the largest unit that loses nothing worth saying.

    >>> in_words(2**30), in_words(2040 * 2**30), in_words(5 * 2**29), in_words(4096)
    ('1 GiB', '2040 GiB', '2.5 GiB', '4096 bytes')
    """
    for unit, name in ((GIB, "GiB"), (MIB, "MiB")):
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{size} bytes"
