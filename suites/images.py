"""What the disks of a play hold, read once and kept, as a backup keeps it when a snapshot's data goes."""

from hashlib import blake2b
from itertools import zip_longest

from xencbt.harness.bitmap import BLOCK, Bitmap
from xencbt.harness.expectations import VdiType
from xencbt.harness.verdicts import Violation
from xencbt.suites.play import Play
from xencbt.suites.restoring import assert_marked

Prints = tuple[bytes, ...]
"""A content block by block, each as its fingerprint: whole contents of all disks would be hundreds of megabytes."""


def prints_of(content: bytes) -> Prints:
    """Return the fingerprints of a content; one that ends within a block goes on as zeros."""
    blocks = (content[at : at + BLOCK].ljust(BLOCK, b"\0") for at in range(0, len(content), BLOCK))
    return tuple(_print(block) for block in blocks)


def _print(block: bytes) -> bytes:
    return blake2b(block, digest_size=16).digest()


ZEROS = _print(bytes(BLOCK))


class Images:
    """Contents by the disks' names. A content is read from the target when first asked for, and after a change."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._read: dict[str, Prints] = {}

    def changed(self, name: str) -> None:
        """Forget what was read: it is not what the disk holds any more, or not needed."""
        self._read.pop(name, None)

    def of(self, name: str) -> Prints | None:
        """Return what the disk holds, or held when its data went; None where it cannot be read (any more)."""
        disk = self._play.model.disk(name)
        readable = disk.type is not VdiType.CBT_METADATA and disk.attachment.held is False
        if name not in self._read and readable:
            self._read[name] = prints_of(self._play.disks[name].read())
        return self._read.get(name)

    def judge(self, bitmap: Bitmap, earlier: str, later: str) -> None:
        """Expect that `bitmap` marks every block in which the bytes of the two differ.

        Raises Violation (LIST-02) with the blocks that a backup would lose.
        """
        before, after = self.of(earlier), self.of(later)
        if before is None or after is None:
            return
        pairs = enumerate(zip_longest(before, after, fillvalue=ZEROS))
        differing = frozenset(block for block, (old, new) in pairs if old != new)
        try:
            disks = self._play.disks[earlier], self._play.disks[later]
            what = f"from {earlier} to {later}"
            assert_marked(bitmap, differing, what, size=disks[1].size, between=disks)
        except Violation as violation:
            violation.requirements = ("LIST-02",)
            raise
