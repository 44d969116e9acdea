"""An unclean stop at any step of any operation leaves the operation done or not done, and nothing lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.laboratory import MIB, Laboratory, laboratory
from xencbt.fixtures.emulator.errors import VerbRefusedError
from xencbt.fixtures.emulator.storage_operations import STEPS, UPDATE_RECORD

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 65536


class Scene:
    """A halted VM's disk, tracked or not, with a set of three snapshots; blocks 1, 2, 3 written between them."""

    def __init__(self, lab: Laboratory, *, running: bool = False, tracked: bool = True) -> None:
        self.lab = lab
        self.vdi = lab.vdi
        if running:
            lab.call("VM.start", lab.vm, False, False)
        if tracked:
            lab.call("VDI.enable_cbt", self.vdi)
        self.snapshots = []
        for block in (1, 2, 3):
            lab.write(self.vdi, block)
            self.snapshots.append(lab.snapshot(self.vdi))

    def content_is_intact(self) -> bool:
        store, uuid = self.lab.store(), self.lab.record(self.vdi)["uuid"]
        return [store.read(uuid, block * BLOCK, 1) for block in range(5)] == [b"\0", b"\7", b"\7", b"\7", b"\0"]


def resize(scene: Scene) -> tuple[Any, ...]:
    return ("VDI.resize", scene.vdi, 96 * MIB)


CALLS: dict[str, Callable[[Scene], tuple[Any, ...]]] = {
    "create": lambda scene: (
        "VDI.create",
        {"SR": scene.lab.sr(), "virtual_size": MIB, "type": "user"},
    ),
    "destroy": lambda scene: ("VDI.destroy", scene.snapshots[1]),
    "snapshot": lambda scene: ("VDI.snapshot", scene.vdi),
    "clone": lambda scene: ("VDI.clone", scene.vdi),
    "copy": lambda scene: ("VDI.copy", scene.vdi, scene.lab.sr("file")),
    "resize": resize,
    "enable_cbt": lambda scene: ("VDI.enable_cbt", scene.vdi),
    "disable_cbt": lambda scene: ("VDI.disable_cbt", scene.vdi),
    "data_destroy": lambda scene: ("VDI.data_destroy", scene.snapshots[1]),
    "attach": lambda scene: ("VM.start", scene.lab.vm, False, False),
    "detach": lambda scene: ("VM.hard_shutdown", scene.lab.vm),
}
REACHED_ON_THE_WAY = {
    "destroy": {"link_parent", "link_child", "merge_bits", "delete_log", "delete_image"},
    "snapshot": {"split_image", "rename_log", "link_predecessor", "create_log", "link_snapshot"},
    "resize": {"grow_image", "grow_log"},
    "attach": {"clear_flag"},
    "enable_cbt": {"create_log"},
}
POINTS = [(op, step) for op, steps in STEPS.items() for step in (*steps, UPDATE_RECORD)]


@pytest.mark.parametrize(("operation", "step"), POINTS)
def test_a_crash_at_a_step_leaves_nothing_half_done(operation: str, step: str) -> None:
    with laboratory() as lab:
        scene = Scene(lab, running=operation == "detach", tracked=operation != "enable_cbt")
        lists_before = scene_lists(scene) if operation not in {"enable_cbt", "detach"} else {}
        reached = lab.crash_at(operation, step, *CALLS[operation](scene))
        usual = REACHED_ON_THE_WAY.get(operation, set(STEPS[operation])) | {UPDATE_RECORD}
        assert reached == (step in usual)
        assert scene.content_is_intact()
        assert_records_agree_with_storage(lab)
        if reached:
            assert_set_is_whole_or_ended(scene, lists_before)


def scene_lists(scene: Scene) -> dict[str, set[int]]:
    first, second, third = scene.snapshots
    return {"first to third": scene.lab.changed(first, third), "second to third": scene.lab.changed(second, third)}


def assert_set_is_whole_or_ended(scene: Scene, before: dict[str, set[int]]) -> None:
    lab = scene.lab
    first, second, third = scene.snapshots
    for name, source in (("first to third", first), ("second to third", second)):
        if name in before and lab.host.db.exists("VDI", source):
            assert lab.changed(source, third) == before[name]
    record = lab.record(scene.vdi)
    if record["cbt_enabled"] and lab.store().tracking.logs[record["uuid"]].consistent:
        lab.write(scene.vdi, 9)
        newest = lab.snapshot(scene.vdi)
        if "first to third" in before:
            assert lab.changed(third, newest) >= {9}


def assert_records_agree_with_storage(lab: Laboratory) -> None:
    for kind in ("lvm", "file"):
        store = lab.store(kind)
        records = [lab.record(vdi) for vdi in lab.host.db.get("SR", lab.sr(kind))["VDIs"]]
        assert {record["uuid"] for record in records} == {found.uuid for found in store.scan()}
        for record in records:
            assert record["cbt_enabled"] == (record["uuid"] in store.tracking)
            assert (record["type"] == "cbt_metadata") == (record["uuid"] not in store.disks)
            assert record["current_operations"] == {}


@pytest.mark.parametrize("step", ["split_image", "rename_log", "link_predecessor", "create_log", "link_snapshot"])
def test_a_running_disk_loses_its_set_loudly(step: str) -> None:
    with laboratory() as lab:
        scene = Scene(lab, running=True)
        assert lab.crash_at("snapshot", step, "VDI.snapshot", scene.vdi)
        lab.call("VM.start", lab.vm, False, False)
        assert lab.messages(scene.vdi) == ["VDI_CBT_METADATA_INCONSISTENT"]
        assert not lab.record(scene.vdi)["cbt_enabled"]
        assert lab.changed(scene.snapshots[0], scene.snapshots[2]) == {2, 3}


def test_repeating_an_interrupted_call_converges() -> None:
    with laboratory() as lab:
        scene = Scene(lab, tracked=False)
        assert lab.crash_at("enable_cbt", "create_log", "VDI.enable_cbt", scene.vdi)
        assert not lab.record(scene.vdi)["cbt_enabled"]
        lab.call("VDI.enable_cbt", scene.vdi)
        assert lab.record(scene.vdi)["cbt_enabled"]


def test_a_step_nobody_knows_is_refused() -> None:
    with laboratory() as lab, pytest.raises(VerbRefusedError, match="create_log") as refused:
        lab.verb("crash", at={"operation": "enable_cbt", "step": "fly"})
    assert refused.value.status == 400


def test_a_snapshot_made_before_the_stop_is_found_with_its_origin() -> None:
    with laboratory() as lab:
        scene = Scene(lab)
        assert lab.crash_at("snapshot", UPDATE_RECORD, "VDI.snapshot", scene.vdi)
        newest = [ref for ref in lab.record(scene.vdi)["snapshots"] if ref not in scene.snapshots]
        assert len(newest) == 1
        assert lab.record(newest[0])["is_a_snapshot"]
        assert lab.changed(scene.snapshots[2], newest[0]) == set()


def test_a_stop_while_a_vm_starts_leaves_no_disk_attached() -> None:
    with laboratory() as lab:
        lab.plug_into_vm(lab.disk())
        second = lab.plug_into_vm(lab.tracked_disk())
        assert lab.crash_at("attach", "clear_flag", "VM.start", lab.vm, False, False)
        devices = [lab.host.db.get("VBD", vbd) for vbd in lab.host.db.get("VM", lab.vm)["VBDs"]]
        assert [device["currently_attached"] for device in devices] == [False, False, False]
        lab.call("VM.start", lab.vm, False, False)
        assert lab.messages(lab.host.db.get("VBD", second)["VDI"]) == []
