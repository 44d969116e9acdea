"""Histories recorded from the real storage manager come out the same here."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from xencbt.fixtures.emulator import storage_operations as ops
from xencbt.fixtures.emulator.blocks import BLOCK
from xencbt.fixtures.emulator.drivers import LVM
from xencbt.fixtures.emulator.image import Spool
from xencbt.fixtures.emulator.storage import StorageRepository
from xencbt.fixtures.emulator.storage_errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDED = Path(__file__).parent.parent / "data" / "histories.jsonl"
HISTORIES = [json.loads(line) for line in RECORDED.read_text().splitlines()]


def outcome(store: StorageRepository, step: dict[str, Any]) -> dict[str, Any]:
    try:
        result = OPERATIONS[step["op"]](store, step)
    except StorageError as error:
        return {"ok": False, "error": error.code, "message": error.message}
    return {"ok": True} | ({"bitmap": result} if step["op"] == "list" else {})


def write(store: StorageRepository, step: dict[str, Any]) -> None:
    ranges = [(block * BLOCK, BLOCK) for block in step["blocks"]] if "blocks" in step else []
    for offset, length in ranges or [(step["offset"], step["length"])]:
        store.fill(step["vdi"], offset, length, 7)


def changed_blocks(store: StorageRepository, step: dict[str, Any]) -> str:
    blocks, size = ops.changed_blocks(store, step["from"], step["to"])
    return base64.b64encode(blocks.bitmap(size)).decode()


OPERATIONS: dict[str, Callable[[StorageRepository, dict[str, Any]], object]] = {
    "create": lambda store, step: store.run("create", ops.create(store, step["vdi"], step["size"])),
    "enable": lambda store, step: store.run("enable_cbt", ops.enable_cbt(store, step["vdi"])),
    "disable": lambda store, step: store.run("disable_cbt", ops.disable_cbt(store, step["vdi"])),
    "snapshot": lambda store, step: store.run("snapshot", ops.snapshot(store, step["vdi"], step["as"])),
    "clone": lambda store, step: store.run("clone", ops.clone(store, step["vdi"], step["as"])),
    "resize": lambda store, step: store.run("resize", ops.resize(store, step["vdi"], step["size"])),
    "data_destroy": lambda store, step: store.run("data_destroy", ops.data_destroy(store, step["vdi"])),
    "destroy": lambda store, step: store.run("destroy", ops.destroy(store, step["vdi"])),
    "write": write,
    "list": changed_blocks,
}


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: f"seed{history['seed']}")
def test_a_recorded_history_comes_out_the_same(history: dict[str, Any]) -> None:
    store = StorageRepository(LVM, Spool(), 4 * 1024**4)
    for step in history["steps"]:
        expected = {key: step[key] for key in ("ok", "bitmap", "error", "message") if key in step}
        assert outcome(store, step) == expected, step


def test_the_recording_is_complete() -> None:
    assert len(HISTORIES) >= 40
    assert sum(step["op"] == "list" and step["ok"] for history in HISTORIES for step in history["steps"]) >= 300
