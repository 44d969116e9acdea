"""Checks that are missing, answer with another code, or come in another order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.emulator.shown.showing import Shown, outcome, used_disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.emulator.laboratory import Laboratory


def on_snapshot(call: str, *, tracked: bool = True) -> Callable[[Laboratory], str]:
    def scene(lab: Laboratory) -> str:
        vdi = lab.tracked_disk() if tracked else lab.disk()
        return outcome(lab, call, lab.snapshot(vdi))

    return scene


def on_disk(call: str, kind: str = "lvm", **fields: Any) -> Callable[[Laboratory], str]:
    def scene(lab: Laboratory) -> str:
        return outcome(lab, call, lab.disk(kind, **fields))

    return scene


def on_tracked_disk(call: str) -> Callable[[Laboratory], str]:
    def scene(lab: Laboratory) -> str:
        return outcome(lab, call, lab.tracked_disk())

    return scene


def on_reset_disk(lab: Laboratory) -> str:
    vdi = lab.disk()
    lab.call("VDI.set_on_boot", vdi, "reset")
    return outcome(lab, "VDI.enable_cbt", vdi)


def named_type(lab: Laboratory) -> str:
    return lab.refusal("VDI.enable_cbt", lab.disk(type="suspend"))[2]


def unlicensed(lab: Laboratory) -> str:
    lab.verb("licence", cbt=False)
    return outcome(lab, "VDI.enable_cbt", lab.disk())


def unplugged(call: str) -> Callable[[Laboratory], str]:
    def scene(lab: Laboratory) -> str:
        vdi = lab.disk() if call == "VDI.enable_cbt" else lab.tracked_disk()
        for pbd in lab.host.db.get("SR", lab.sr())["PBDs"]:
            lab.call("PBD.unplug", pbd)
        return outcome(lab, call, vdi)

    return scene


def reset_while_tracked(lab: Laboratory) -> str:
    return outcome(lab, "VDI.set_on_boot", lab.tracked_disk(), "reset")


def moved_while_tracked(lab: Laboratory) -> str:
    return outcome(lab, "VDI.pool_migrate", used_disk(lab), lab.sr("second"), {})


def listed_up_to_a_used_disk(lab: Laboratory) -> str:
    vdi = used_disk(lab)
    return outcome(lab, "VDI.list_changed_blocks", lab.snapshot(vdi), vdi)


def listed_up_to_a_checkpoint(lab: Laboratory) -> str:
    vdi = used_disk(lab)
    base = lab.snapshot(vdi)
    lab.call("VM.checkpoint", lab.vm, "checkpoint")
    (held,) = (each for each in lab.record(vdi)["snapshots"] if each != base)
    return outcome(lab, "VDI.list_changed_blocks", base, held)


def switched_in_use(call: str) -> Callable[[Laboratory], str]:
    def scene(lab: Laboratory) -> str:
        vdi = used_disk(lab)
        if call == "VDI.enable_cbt":
            lab.call("VDI.disable_cbt", vdi)
        return outcome(lab, call, vdi)

    return scene


def snapshot_of_a_wrong_type(lab: Laboratory) -> str:
    return outcome(lab, "VDI.enable_cbt", lab.snapshot(lab.disk(type="suspend")))


WRONG_TYPE = "VDI_INCOMPATIBLE_TYPE"
FORBIDDEN = "OPERATION_NOT_ALLOWED"

SHOWN = {
    "enable-takes-snapshots": Shown(on_snapshot("VDI.enable_cbt"), FORBIDDEN, "ok"),
    "disable-takes-snapshots": Shown(on_snapshot("VDI.disable_cbt"), FORBIDDEN, "ok"),
    "enable-takes-every-type": Shown(on_disk("VDI.enable_cbt", type="crashdump"), WRONG_TYPE, "ok"),
    "suspend-images-can-be-tracked": Shown(on_disk("VDI.enable_cbt", type="suspend"), WRONG_TYPE, "ok"),
    "disable-takes-every-type": Shown(on_disk("VDI.disable_cbt", type="crashdump"), WRONG_TYPE, "ok"),
    "wrong-type-is-called-user": Shown(named_type, "Suspend", "User"),
    "enable-takes-reset-disks": Shown(on_reset_disk, "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION", "ok"),
    "reset-disks-are-of-wrong-type": Shown(on_reset_disk, "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION", WRONG_TYPE),
    "enable-takes-every-driver": Shown(on_disk("VDI.enable_cbt", "no-cbt"), "SR_OPERATION_NOT_SUPPORTED", "ok"),
    "enable-takes-raw-disks": Shown(
        on_disk("VDI.enable_cbt", sm_config={"type": "raw"}), "SR_BACKEND_FAILURE_66", "ok"
    ),
    "enable-needs-no-licence": Shown(unlicensed, "LICENCE_RESTRICTION", "ok"),
    "enable-needs-no-pbd": Shown(unplugged("VDI.enable_cbt"), "SR_HAS_NO_PBDS", "ok"),
    "disable-needs-no-pbd": Shown(unplugged("VDI.disable_cbt"), "SR_HAS_NO_PBDS", "ok"),
    "tracked-disks-can-be-reset": Shown(reset_while_tracked, "VDI_CBT_ENABLED", "ok"),
    "tracked-disks-can-be-moved": Shown(moved_while_tracked, "VDI_CBT_ENABLED", "ok"),
    "attached-disks-can-be-listed": Shown(listed_up_to_a_used_disk, "VDI_IN_USE", "ok"),
    "checkpoints-cannot-be-listed": Shown(listed_up_to_a_checkpoint, "ok", "VDI_IN_USE"),
    "enable-needs-a-halted-vm": Shown(switched_in_use("VDI.enable_cbt"), "ok", "VDI_IN_USE"),
    "disable-needs-a-halted-vm": Shown(switched_in_use("VDI.disable_cbt"), "ok", "VDI_IN_USE"),
    "data-destroy-takes-disks": Shown(on_tracked_disk("VDI.data_destroy"), FORBIDDEN, "ok"),
    "data-destroy-takes-untracked-snapshots": Shown(
        on_snapshot("VDI.data_destroy", tracked=False), "VDI_NO_CBT_METADATA", "ok"
    ),
    "types-are-checked-before-snapshots": Shown(snapshot_of_a_wrong_type, FORBIDDEN, WRONG_TYPE),
}
