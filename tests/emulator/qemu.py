"""`qemu-img`, an independent judge of images."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from tests.foreign import require

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE_S = 60


def qemu_img(*words: str | Path, status: int = 0) -> str:
    """Run qemu-img and give what it printed; it must exit with `status`. Skips the test where it is missing."""
    require("qemu-img")
    command = ["qemu-img", *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert ran.returncode == status, ran.stderr
    return ran.stdout


def info(image: Path) -> dict[str, Any]:
    """Give what qemu-img says of a VHD."""
    found: dict[str, Any] = json.loads(qemu_img("info", "-f", "vpc", "--output=json", image))
    return found


def content(image: Path, scratch: Path) -> bytes:
    """Give the raw content of a VHD, as qemu-img reads it."""
    qemu_img("convert", "-f", "vpc", "-O", "raw", image, scratch)
    return scratch.read_bytes()


def mapped(image: Path) -> list[dict[str, Any]]:
    """Give the extents of a VHD: `start`, `length`, and `data`, which is false where nothing is allocated."""
    found: list[dict[str, Any]] = json.loads(qemu_img("map", "-f", "vpc", "--output=json", image))
    return found
