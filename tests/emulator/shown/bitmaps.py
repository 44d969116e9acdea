"""Bitmaps in another order, of another length or unit, shifted, or in another encoding."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from tests.emulator.laboratory import MIB
from tests.emulator.shown.showing import Shown
from xencbt.fixtures.emulator.blocks import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.emulator.laboratory import Laboratory


def text(*written: int, kind: str = "lvm", size: int = 2 * MIB) -> Callable[[Laboratory], str]:
    """Give the text of a listing after these blocks were written."""

    def scene(lab: Laboratory) -> str:
        vdi = lab.tracked_disk(kind, virtual_size=size)
        base = lab.snapshot(vdi)
        lab.write(vdi, *written)
        listed: str = lab.call("VDI.list_changed_blocks", base, vdi)
        return listed

    return scene


def bitmap(*written: int, kind: str = "lvm", size: int = 2 * MIB) -> Callable[[Laboratory], str]:
    """Give the same as hexadecimal digits."""
    return lambda lab: base64.b64decode(text(*written, kind=kind, size=size)(lab)).hex()


def odd(lab: Laboratory) -> str:
    """Give the bitmap of a disk of ten blocks of which the first and the last were written."""
    return bitmap(0, 9, kind="unrounded", size=10 * BLOCK)(lab)


SHOWN = {
    "bits-come-lowest-first": Shown(bitmap(0, 1), "c0000000", "03000000"),
    "bits-are-inverted": Shown(bitmap(0, 1), "c0000000", "3fffffff"),
    "bits-are-one-block-late": Shown(bitmap(0, 1), "c0000000", "60000000"),
    "first-block-is-never-marked": Shown(bitmap(0, 1), "c0000000", "40000000"),
    "last-block-is-never-marked": Shown(bitmap(30, 31), "00000003", "00000002"),
    "bits-stand-for-128-kib": Shown(bitmap(0, 1), "c0000000", "8000"),
    "partial-bytes-are-left-out": Shown(odd, "8040", "80"),
    "bitmaps-are-padded-to-sectors": Shown(bitmap(0), "80000000", "80" + 511 * "00"),
    "spare-bits-are-set": Shown(odd, "8040", "807f"),
    "base64-comes-in-lines": Shown(text(0), "gAAAAA==", "gAAAAA==\n"),
    "bitmaps-come-as-hexadecimal": Shown(text(0), "gAAAAA==", "80000000"),
}
