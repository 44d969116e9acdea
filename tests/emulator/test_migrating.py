"""Moving VMs and their disks: a tracked disk stays where it is, and all disks move or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.laboratory import Laboratory, laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xencbt.fixtures.emulator.values import Ref

NULL = "OpaqueRef:NULL"


@pytest.fixture
def lab() -> Iterator[Laboratory]:
    with laboratory() as made:
        yield made


def destination(lab: Laboratory) -> dict[str, str]:
    network = next(lab.host.db.all("network"))
    made: dict[str, str] = lab.call("host.migrate_receive", lab.host.ref, network, {})
    return made


def sending(lab: Laboratory, vdi_map: dict[Ref, Ref]) -> tuple[Any, ...]:
    return (lab.vm, destination(lab), True, vdi_map, {}, {}, {})


def disks_of(lab: Laboratory, vm: Ref) -> list[Ref]:
    return [lab.host.db.get("VBD", vbd)["VDI"] for vbd in lab.host.db.get("VM", vm)["VBDs"]]


def content(lab: Laboratory, vdi: Ref) -> bytes:
    record = lab.record(vdi)
    read: bytes = lab.host.storage[record["SR"]].read(record["uuid"], 0, 8 * 65536)
    return read


@pytest.mark.parametrize("power", ["Halted", "Running", "Paused"])
def test_a_vm_is_sent_with_the_disks_that_are_named(lab: Laboratory, power: str) -> None:
    other = lab.disk()
    lab.plug_into_vm(other)
    lab.write(lab.vdi, 3)
    before = content(lab, lab.vdi)
    first = lab.vdi
    if power != "Halted":
        lab.call("VM.start", lab.vm, power == "Paused", False)
    assert lab.call("VM.migrate_send", *sending(lab, {first: lab.sr("file")})) == lab.vm
    moved, stayed = disks_of(lab, lab.vm)
    assert stayed == other
    assert (lab.record(moved)["SR"], lab.record(moved)["cbt_enabled"]) == (lab.sr("file"), False)
    assert content(lab, moved) == before
    assert not lab.host.db.exists("VDI", first)
    assert lab.call("VM.get_power_state", lab.vm) == power
    assert lab.store("file").is_used(lab.record(moved)["uuid"]) == (power != "Halted")


@pytest.mark.parametrize("call", ["VM.migrate_send", "VM.assert_can_migrate"])
def test_a_tracked_disk_is_not_sent_elsewhere(lab: Laboratory, call: str) -> None:
    lab.call("VDI.enable_cbt", lab.vdi)
    base = lab.snapshot(lab.vdi)
    other = lab.disk()
    lab.plug_into_vm(other)
    arguments = sending(lab, {other: lab.sr("file"), lab.vdi: lab.sr("file")})
    assert lab.refusal(call, *arguments) == ("VDI_CBT_ENABLED", lab.vdi)
    assert lab.record(other)["SR"] == lab.sr()
    lab.write(lab.vdi, 1)
    assert lab.changed(base, lab.vdi) == {1}
    lab.call("VDI.disable_cbt", lab.vdi)
    lab.call(call, *arguments)


def test_a_tracked_disk_does_not_hinder_what_leaves_it_where_it_is(lab: Laboratory) -> None:
    lab.call("VDI.enable_cbt", lab.vdi)
    other = lab.disk()
    lab.plug_into_vm(other)
    lab.call("VM.migrate_send", *sending(lab, {other: lab.sr("file"), lab.vdi: lab.sr()}))
    assert lab.record(lab.vdi)["cbt_enabled"]


def test_when_one_disk_finds_no_room_none_moves(lab: Laboratory) -> None:
    other = lab.disk(virtual_size=64 * 1024**2)
    lab.plug_into_vm(other)
    before = disks_of(lab, lab.vm)
    known = lab.host.db.count("VDI")
    lab.call("VM.start", lab.vm, False, False)
    lab.verb("sr_state", sr=lab.host.lab.srs["second"], free_bytes=65 * 1024**2)
    refused = lab.refusal("VM.migrate_send", *sending(lab, dict.fromkeys(before, lab.sr("second"))))
    assert refused[0] == "SR_BACKEND_FAILURE_44"
    assert disks_of(lab, lab.vm) == before
    assert lab.host.db.count("VDI") == known
    assert all(lab.store().is_written(lab.record(vdi)["uuid"]) for vdi in before)


@pytest.mark.parametrize("call", ["VDI.copy", "VDI.pool_migrate"])
def test_a_disk_of_which_only_the_log_is_left_goes_nowhere(lab: Laboratory, call: str) -> None:
    vdi = lab.tracked_disk()
    lab.plug_into_vm(vdi)
    del lab.store().disks[lab.record(vdi)["uuid"]]
    lab.host.db.update("VDI", vdi, cbt_enabled=False)
    more = ({},) if call == "VDI.pool_migrate" else (NULL, NULL)
    assert lab.refusal(call, vdi, lab.sr("file"), *more)[0] == "SR_BACKEND_FAILURE_46"


def test_a_place_that_cannot_be_reached_is_refused_before_anything_moves(lab: Laboratory) -> None:
    assert lab.refusal("VM.migrate_send", *sending(lab, {lab.vdi: lab.sr("no-pbd")}))[0] == "SR_HAS_NO_PBDS"
    nowhere: tuple[Any, ...] = (lab.vm, {"host": "OpaqueRef:nobody"}, True, {}, {}, {}, {})
    assert lab.refusal("VM.migrate_send", *nowhere) == ("HANDLE_INVALID", "host", "OpaqueRef:nobody")
    assert disks_of(lab, lab.vm) == [lab.vdi]


def test_disks_that_change_places_wait_for_nobody_for_ever(lab: Laboratory) -> None:
    there = lab.disk("file")
    lab.plug_into_vm(there)
    here = lab.disk()
    lab.plug_into_vm(here)
    moved = lab.together(("VDI.pool_migrate", here, lab.sr("file"), {}), ("VDI.pool_migrate", there, lab.sr("lvm"), {}))
    assert [lab.record(vdi)["SR"] for vdi in moved] == [lab.sr("file"), lab.sr("lvm")]


def test_a_disk_that_is_enabled_while_it_waits_to_move_stays(lab: Laboratory) -> None:
    vdi = lab.disk()
    lab.plug_into_vm(vdi)
    enabled, moved = lab.together(("VDI.enable_cbt", vdi), ("VDI.pool_migrate", vdi, lab.sr("file"), {}))
    assert enabled is None
    assert moved.description == ("VDI_CBT_ENABLED", vdi)


def test_a_running_vm_goes_to_a_host_of_the_pool_with_its_tracking(lab: Laboratory) -> None:
    refused = lab.refusal("VM.pool_migrate", lab.vm, lab.host.ref, {})
    assert refused == ("VM_BAD_POWER_STATE", lab.vm, "running", "halted")
    lab.call("VDI.enable_cbt", lab.vdi)
    base = lab.snapshot(lab.vdi)
    lab.call("VM.start", lab.vm, False, False)
    lab.write(lab.vdi, 1)
    lab.call("VM.pool_migrate", lab.vm, lab.host.ref, {"live": "true"})
    assert lab.call("VM.get_resident_on", lab.vm) == lab.host.ref
    lab.write(lab.vdi, 2)
    lab.call("VM.hard_shutdown", lab.vm)
    assert lab.changed(base, lab.vdi) == {1, 2}


def test_a_host_that_is_disabled_takes_no_vm(lab: Laboratory) -> None:
    lab.call("VM.start", lab.vm, False, False)
    lab.call("host.disable", lab.host.ref)
    assert lab.refusal("VM.pool_migrate", lab.vm, lab.host.ref, {}) == ("HOST_DISABLED", lab.host.ref)


# Checkpoints, and going back


def test_going_back_to_a_checkpoint_leaves_the_vm_suspended(lab: Laboratory) -> None:
    lab.write(lab.vdi, 1)
    lab.call("VM.start", lab.vm, False, False)
    held = lab.call("VM.checkpoint", lab.vm, "held")
    lab.write(lab.vdi, 2)
    lab.call("VM.revert", held)
    assert lab.call("VM.get_power_state", lab.vm) == "Suspended"
    (back,) = disks_of(lab, lab.vm)
    assert content(lab, back)[::65536] == b"\0\7" + bytes(6)
    lab.call("VM.resume", lab.vm, False, False)
    assert lab.call("VM.get_power_state", lab.vm) == "Running"


def test_going_back_to_a_snapshot_halts_a_running_vm(lab: Laboratory) -> None:
    taken = lab.call("VM.snapshot", lab.vm, "taken", [])
    lab.call("VM.start", lab.vm, False, False)
    lab.call("VM.revert", taken)
    assert lab.call("VM.get_power_state", lab.vm) == "Halted"


def test_a_disk_that_the_snapshot_has_no_more_outlives_the_way_back(lab: Laboratory) -> None:
    lab.call("VDI.enable_cbt", lab.vdi)
    lab.write(lab.vdi, 3)
    taken = lab.call("VM.snapshot", lab.vm, "taken", [])
    (vdi,) = disks_of(lab, taken)
    lab.call("VDI.destroy", vdi)
    before = content(lab, lab.vdi)
    lab.call("VM.revert", taken)
    assert lab.host.db.exists("VDI", lab.vdi), "the only data there was is destroyed"
    assert content(lab, lab.vdi) == before
    assert disks_of(lab, lab.vm) == []


def test_a_disk_that_the_snapshot_gave_up_for_its_metadata_bars_the_way_back(lab: Laboratory) -> None:
    lab.call("VDI.enable_cbt", lab.vdi)
    taken = lab.call("VM.snapshot", lab.vm, "taken", [])
    (vdi,) = disks_of(lab, taken)
    lab.call("VBD.destroy", lab.record(vdi)["VBDs"][0])
    lab.call("VDI.data_destroy", vdi)
    lab.call("VM.start", lab.vm, False, False)
    assert lab.refusal("VM.revert", taken) == ("VDI_INCOMPATIBLE_TYPE", vdi, "CBT metadata")
    assert disks_of(lab, lab.vm) == [lab.vdi]
    assert lab.call("VM.get_power_state", lab.vm) == "Running", "what is refused stops no VM"
    copy = lab.call("VM.clone", taken, "copy")
    assert lab.call("VM.get_snapshot_metadata", copy) == "", "a clone has nothing to go back to"
    lab.call("VDI.destroy", vdi)
    lab.call("VM.revert", taken)
    assert lab.host.db.exists("VDI", lab.vdi), "the only data there was is destroyed"


def test_a_disk_that_came_after_the_snapshot_outlives_the_way_back(lab: Laboratory) -> None:
    taken = lab.call("VM.snapshot", lab.vm, "taken", [])
    first, other = lab.vdi, lab.disk()
    lab.plug_into_vm(other)
    for _ in range(2):  # the second time the origin of the snapshot is gone
        lab.call("VM.revert", taken)
        assert lab.host.db.exists("VDI", other)
        assert not lab.host.db.exists("VDI", first)
        (first,) = disks_of(lab, lab.vm)


def test_nothing_goes_back_where_a_disk_has_only_metadata_left(lab: Laboratory) -> None:
    lab.call("VDI.enable_cbt", lab.vdi)
    taken = lab.call("VM.snapshot", lab.vm, "taken", [])
    (vdi,) = disks_of(lab, taken)
    vbd = lab.record(vdi)["VBDs"][0]
    assert lab.refusal("VDI.data_destroy", vdi) == ("VDI_IN_USE", vdi, "data_destroy")
    assert lab.record(vdi)["type"] == "system"
    lab.call("VBD.destroy", vbd)
    lab.call("VDI.data_destroy", vdi)
    device = {"VM": taken, "VDI": vdi, "userdevice": "0"}
    assert lab.refusal("VBD.create", device) == ("VDI_INCOMPATIBLE_TYPE", vdi, "CBT metadata")
    lab.host.db.add("VBD", **device, type="Disk")
    before = disks_of(lab, lab.vm)
    assert lab.refusal("VM.revert", taken) == ("VDI_INCOMPATIBLE_TYPE", vdi, "CBT metadata")
    assert disks_of(lab, lab.vm) == before
