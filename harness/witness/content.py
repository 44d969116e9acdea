"""The bytes that stand behind the number of a content: the same everywhere, so that what is read can be compared."""

import hashlib

from xencbt.harness.bitmap import BLOCK
from xencbt.harness.witness.steps import Range

SALT = b"xencbt witness "


def content(number: int, length: int, *, repeated: bool = False) -> bytes:
    """Return `length` bytes of content `number`; 0 is zeros. `repeated`: each block holds what the first does."""
    if number == 0:
        return bytes(length)
    wanted = min(length, BLOCK) if repeated else length
    data = hashlib.shake_128(SALT + str(number).encode()).digest(wanted)
    return (data * (length // BLOCK + 1))[:length] if repeated else data


def writes_of(ranges: tuple[Range, ...]) -> list[tuple[int, bytes]]:
    """Return what to write where."""
    return [(offset, content(number, length, repeated=repeated)) for offset, length, number, repeated in ranges]
