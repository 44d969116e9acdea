"""The bytes of the disks of a play, read once and kept, as a backup keeps them when a snapshot's data goes."""

from xencbt.harness.bitmap import Bitmap
from xencbt.harness.expectations import VdiType
from xencbt.harness.verdicts import Violation
from xencbt.suites.play import Play
from xencbt.suites.restoring import assert_safe


class Images:
    """Contents by the disks' names. A content is read from the target when first asked for, and after a change."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._read: dict[str, bytes] = {}

    def changed(self, name: str) -> None:
        """Forget what was read: it is not what the disk holds any more, or not needed."""
        self._read.pop(name, None)

    def of(self, name: str) -> bytes | None:
        """Return what the disk holds, or held when its data went; None where it cannot be read (any more)."""
        disk = self._play.model.disk(name)
        readable = disk.type is not VdiType.CBT_METADATA and disk.attachment.held is False
        if name not in self._read and readable:
            self._read[name] = self._play.disks[name].read()
        return self._read.get(name)

    def judge(self, bitmap: Bitmap, earlier: str, later: str) -> None:
        """Expect that `bitmap` marks every block in which the bytes of the two differ.

        Raises Violation (LIST-02) with the blocks that a backup would lose.
        """
        before, after = self.of(earlier), self.of(later)
        if before is None or after is None:
            return
        try:
            pair = self._play.disks[earlier], self._play.disks[later]
            assert_safe(bitmap, before, after, f"from {earlier} to {later}", between=pair)
        except Violation as violation:
            violation.requirements = ("LIST-02",)
            raise
