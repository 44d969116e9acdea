"""`qemu-img`, an independent judge of images; required where the environment says so, else skipped in plain sight."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

QEMU_IMG = shutil.which("qemu-img")
REQUIRED = os.environ.get("XENCBT_JUDGES") == "required"
judged_by_qemu = pytest.mark.skipif(
    QEMU_IMG is None and not REQUIRED, reason="qemu-img is not installed (Debian: qemu-utils)"
)
DEADLINE_S = 60


def qemu_img(*words: str | Path, status: int = 0) -> str:
    """Run qemu-img and give what it printed; it must exit with `status`."""
    ran = subprocess.run(
        [QEMU_IMG or "qemu-img", *map(str, words)], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
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
