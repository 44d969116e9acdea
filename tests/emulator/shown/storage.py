"""Switching tracking on and off, and what copies take along of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.emulator.laboratory import MIB
from tests.emulator.shown.showing import Shown, blocks, content, enabled, outcome, used_disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.emulator.laboratory import Laboratory

UNRELATED = "SR_BACKEND_FAILURE_460"


def after_enabling(lab: Laboratory) -> bool:
    return enabled(lab, lab.tracked_disk())


def logged(lab: Laboratory) -> bool:
    return lab.record(lab.tracked_disk())["uuid"] in lab.store().tracking


def enabling_again_keeps(lab: Laboratory) -> Any:
    vdi = lab.tracked_disk()
    base = lab.snapshot(vdi)
    lab.write(vdi, 1)
    lab.call("VDI.enable_cbt", vdi)
    return blocks(lab, base, vdi)


def enabling_again(lab: Laboratory) -> str:
    return outcome(lab, "VDI.enable_cbt", lab.tracked_disk())


def enabled_twice(lab: Laboratory) -> bool:
    vdi = lab.tracked_disk()
    lab.call("VDI.enable_cbt", vdi)
    return enabled(lab, vdi)


def disabling_again(lab: Laboratory) -> str:
    return outcome(lab, "VDI.disable_cbt", lab.disk())


def after_disabling(lab: Laboratory) -> bool:
    vdi = lab.tracked_disk()
    lab.call("VDI.disable_cbt", vdi)
    return enabled(lab, vdi)


def power_state(lab: Laboratory) -> str:
    used_disk(lab)
    lab.call("VDI.enable_cbt", lab.vdi)
    state: str = lab.call("VM.get_power_state", lab.vm)
    return state


def still_plugged(lab: Laboratory) -> bool:
    vdi = used_disk(lab)
    lab.call("VDI.disable_cbt", vdi)
    (vbd,) = lab.record(vdi)["VBDs"]
    plugged: bool = lab.call("VBD.get_currently_attached", vbd)
    return plugged


def content_after_disabling(lab: Laboratory) -> int:
    vdi = lab.tracked_disk()
    lab.write(vdi, 0)
    lab.call("VDI.disable_cbt", vdi)
    return content(lab, vdi, 0)


def snapshot_after_disabling(lab: Laboratory) -> bool:
    vdi = lab.tracked_disk()
    taken = lab.snapshot(vdi)
    lab.call("VDI.disable_cbt", vdi)
    return enabled(lab, taken)


def other_disk_of_the_vm(lab: Laboratory) -> bool:
    vdi = lab.disk()
    lab.plug_into_vm(vdi)
    lab.call("VDI.enable_cbt", vdi)
    return enabled(lab, lab.vdi)


def other_disk_of_the_sr(lab: Laboratory) -> bool:
    other = lab.tracked_disk()
    lab.call("VDI.disable_cbt", lab.tracked_disk())
    return enabled(lab, other)


def on_seeded(kind: str) -> Callable[[Laboratory], str]:
    return lambda lab: outcome(lab, "VDI.enable_cbt", lab.host.db.get("SR", lab.sr(kind))["VDIs"][0])


def why_no_space(lab: Laboratory) -> str:
    return lab.refusal("VDI.enable_cbt", lab.host.db.get("SR", lab.sr("full"))["VDIs"][0])[2]


def status_after_a_failure(lab: Laboratory) -> bool:
    vdi = lab.host.db.get("SR", lab.sr("full"))["VDIs"][0]
    outcome(lab, "VDI.enable_cbt", vdi)
    return enabled(lab, vdi)


def new_disk(lab: Laboratory) -> bool:
    return enabled(lab, lab.disk())


def snapshot_of(*, tracked: bool) -> Callable[[Laboratory], bool]:
    return lambda lab: enabled(lab, lab.snapshot(lab.tracked_disk() if tracked else lab.disk()))


def content_of_a_snapshot(lab: Laboratory) -> int:
    vdi = lab.disk()
    taken = lab.snapshot(vdi)
    lab.write(vdi, 0)
    return content(lab, taken, 0)


def snapshot_without_space(lab: Laboratory) -> str:
    vdi = lab.tracked_disk()
    with lab.lasting("no-space-for-log"):
        return outcome(lab, "VDI.snapshot", vdi)


def clone_of_a_tracked_disk(lab: Laboratory) -> bool:
    return enabled(lab, lab.call("VDI.clone", lab.tracked_disk()))


def copy_of_a_tracked_disk(lab: Laboratory) -> bool:
    return enabled(lab, lab.call("VDI.copy", lab.tracked_disk(), lab.sr("second")))


def set_after_a_clone(lab: Laboratory) -> Any:
    vdi = lab.tracked_disk()
    base = lab.snapshot(vdi)
    lab.call("VDI.clone", vdi)
    return blocks(lab, base, vdi)


def status_after_failed_growth(lab: Laboratory) -> bool:
    vdi = lab.tracked_disk()
    with lab.lasting("no-space-for-log"):
        lab.call("VDI.resize", vdi, 8 * MIB)
    return enabled(lab, vdi)


NO_SPACE = "Unable to activate changed block tracking."

SHOWN = {
    "enabling-does-nothing": Shown(after_enabling, True, False),
    "enabling-makes-no-log": Shown(logged, True, False),
    "enabling-twice-restarts-the-set": Shown(enabling_again_keeps, {1}, UNRELATED),
    "enabling-twice-is-an-error": Shown(enabling_again, "ok", "VDI_CBT_ENABLED"),
    "enabling-twice-disables": Shown(enabled_twice, True, False),
    "disabling-twice-is-an-error": Shown(disabling_again, "ok", "VDI_NO_CBT_METADATA"),
    "disabling-does-nothing": Shown(after_disabling, False, True),
    "enabling-leaves-the-vm-paused": Shown(power_state, "Running", "Paused"),
    "disabling-unplugs-the-disk": Shown(still_plugged, True, False),
    "disabling-clears-the-first-block": Shown(content_after_disabling, 7, 0),
    "disabling-switches-off-the-snapshots": Shown(snapshot_after_disabling, True, False),
    "enabling-takes-the-vms-other-disks-along": Shown(other_disk_of_the_vm, False, True),
    "disabling-takes-the-srs-other-disks-along": Shown(other_disk_of_the_sr, True, False),
    "enabling-needs-no-writable-sr": Shown(on_seeded("read-only"), "SR_BACKEND_FAILURE_457", "ok"),
    "enabling-needs-no-space": Shown(on_seeded("full"), "SR_BACKEND_FAILURE_457", "ok"),
    "enabling-hides-the-cause": Shown(why_no_space, f"{NO_SPACE} [opterr=There is insufficient space]", NO_SPACE),
    "failed-enabling-reads-as-enabled": Shown(status_after_a_failure, False, True),
    "failures-of-the-storage-are-kept-quiet": Shown(on_seeded("full"), "SR_BACKEND_FAILURE_457", "ok"),
    "failures-of-the-storage-are-internal-errors": Shown(on_seeded("full"), "SR_BACKEND_FAILURE_457", "INTERNAL_ERROR"),
    "new-disks-read-as-enabled": Shown(new_disk, False, True),
    "snapshots-read-as-disabled": Shown(snapshot_of(tracked=True), True, False),
    "snapshots-read-as-enabled": Shown(snapshot_of(tracked=False), False, True),
    "snapshots-share-later-writes": Shown(content_of_a_snapshot, 0, 7),
    "snapshots-fail-with-their-log": Shown(snapshot_without_space, "ok", "SR_BACKEND_FAILURE_44"),
    "clones-are-tracked": Shown(clone_of_a_tracked_disk, False, True),
    "copies-read-as-enabled": Shown(copy_of_a_tracked_disk, False, True),
    "cloning-ends-the-set": Shown(set_after_a_clone, set(), UNRELATED),
    "logs-that-cannot-follow-stay-short": Shown(status_after_failed_growth, False, True),
}
