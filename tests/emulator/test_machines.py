"""VMs, their devices, SRs and PBDs: power states, exclusive use, and what survives."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.laboratory import MIB, Laboratory, laboratory
from xencbt.fixtures.emulator.blocks import BLOCK
from xencbt.fixtures.emulator.errors import VerbRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lab() -> Iterator[Laboratory]:
    with laboratory() as made:
        yield made


def power(lab: Laboratory) -> str:
    return str(lab.call("VM.get_power_state", lab.vm))


def test_a_vm_goes_through_its_power_states(lab: Laboratory) -> None:
    steps: list[tuple[str, tuple[Any, ...], str]] = [
        ("start", (False, False), "Running"),
        ("pause", (), "Paused"),
        ("unpause", (), "Running"),
        ("suspend", (), "Suspended"),
        ("resume", (False, False), "Running"),
        ("hard_reboot", (), "Running"),
        ("clean_shutdown", (), "Halted"),
        ("start", (True, False), "Paused"),
        ("hard_shutdown", (), "Halted"),
    ]
    for call, arguments, state in steps:
        lab.call(f"VM.{call}", lab.vm, *arguments)
        assert power(lab) == state
    assert not lab.store().is_used(lab.record(lab.vdi)["uuid"])


@pytest.mark.parametrize("call", ["pause", "unpause", "suspend", "clean_shutdown", "hard_shutdown", "hard_reboot"])
def test_a_halted_vm_refuses_what_needs_a_running_one(lab: Laboratory, call: str) -> None:
    refused = lab.refusal(f"VM.{call}", lab.vm)
    assert (refused[0], refused[1], refused[3]) == ("VM_BAD_POWER_STATE", lab.vm, "halted")


def test_suspending_can_take_a_disk(lab: Laboratory) -> None:
    lab.call("VM.start", lab.vm, False, False)
    lab.call("VM.set_suspend_SR", lab.vm, lab.sr("file"))
    lab.call("VM.suspend", lab.vm)
    image = lab.host.db.get("VM", lab.vm)["suspend_VDI"]
    assert lab.record(image)["type"] == "suspend"
    lab.call("VM.resume", lab.vm, False, False)
    assert not lab.host.db.exists("VDI", image)


def test_two_vms_do_not_write_to_one_disk(lab: Laboratory) -> None:
    other = lab.call("VM.create", {"name_label": "other"})
    lab.call("VBD.create", {"VM": other, "VDI": lab.vdi, "userdevice": "0", "mode": "RW"})
    lab.call("VM.start", lab.vm, False, False)
    assert lab.refusal("VM.start", other, False, False) == ("VDI_IN_USE", lab.vdi, "attach")
    assert lab.call("VM.get_power_state", other) == "Halted"


def test_a_vm_that_cannot_have_all_its_disks_gets_none(lab: Laboratory) -> None:
    no_pbd = lab.host.db.get("SR", lab.sr("no-pbd"))["VDIs"][0]
    lab.plug_into_vm(no_pbd)
    assert lab.refusal("VM.start", lab.vm, False, False) == ("SR_HAS_NO_PBDS", lab.sr("no-pbd"))
    assert not lab.store().is_used(lab.record(lab.vdi)["uuid"])
    assert power(lab) == "Halted"


def test_devices_are_plugged_and_unplugged(lab: Laboratory) -> None:
    vbd = lab.plug_into_vm(lab.disk())
    assert lab.refusal("VBD.plug", vbd) == ("VM_BAD_POWER_STATE", lab.vm, "running", "halted")
    lab.call("VM.start", lab.vm, False, False)
    assert lab.refusal("VBD.plug", vbd) == ("DEVICE_ALREADY_ATTACHED", vbd)
    assert lab.refusal("VBD.destroy", vbd)[0] == "OPERATION_NOT_ALLOWED"
    lab.call("VBD.unplug", vbd)
    assert lab.refusal("VBD.unplug", vbd) == ("DEVICE_ALREADY_DETACHED", vbd)
    lab.call("VBD.plug", vbd)
    lab.call("VBD.unplug_force", vbd)
    lab.call("VBD.destroy", vbd)
    assert lab.refusal("VBD.plug", vbd) == ("HANDLE_INVALID", "VBD", vbd)


def test_places_for_devices_are_taken_once(lab: Laboratory) -> None:
    vdi = lab.disk()
    device = {"VM": lab.vm, "VDI": vdi, "userdevice": "0"}
    assert lab.refusal("VBD.create", device) == ("DEVICE_ALREADY_EXISTS", "0")
    assert lab.refusal("VBD.create", device | {"userdevice": "elsewhere"}) == ("INVALID_DEVICE", "elsewhere")
    assert "0" not in lab.call("VM.get_allowed_VBD_devices", lab.vm)
    assert lab.refusal("VBD.eject", lab.plug_into_vm(vdi))[0] == "VBD_NOT_REMOVABLE_MEDIA"


def test_discs_go_in_and_out(lab: Laboratory) -> None:
    disc = lab.host.db.get("SR", lab.sr("iso"))["VDIs"][0]
    drive = {"VM": lab.vm, "userdevice": "3", "type": "CD", "mode": "RO", "empty": True}
    vbd = lab.call("VBD.create", drive)
    assert lab.refusal("VBD.eject", vbd) == ("VBD_IS_EMPTY", vbd)
    lab.call("VM.start", lab.vm, False, False)
    lab.call("VBD.insert", vbd, disc)
    assert lab.refusal("VBD.insert", vbd, disc) == ("VBD_NOT_EMPTY", vbd)
    assert lab.store("iso").is_used(lab.record(disc)["uuid"])
    lab.call("VBD.eject", vbd)
    assert not lab.store("iso").is_used(lab.record(disc)["uuid"])


def test_unplugging_an_sr_keeps_what_is_on_it(lab: Laboratory) -> None:
    vdi = lab.tracked_disk("second")
    base = lab.snapshot(vdi)
    lab.write(vdi, 3)
    pbd = lab.host.db.get("SR", lab.sr("second"))["PBDs"][0]
    lab.call("PBD.unplug", pbd)
    assert lab.refusal("VDI.enable_cbt", vdi) == ("SR_HAS_NO_PBDS", lab.sr("second"))
    lab.call("PBD.plug", pbd)
    assert lab.record(vdi)["cbt_enabled"]
    assert lab.changed(base, vdi) == {3}


def test_an_sr_in_use_stays_plugged(lab: Laboratory) -> None:
    lab.call("VM.start", lab.vm, False, False)
    pbd = lab.host.db.get("SR", lab.sr())["PBDs"][0]
    assert lab.refusal("PBD.unplug", pbd) == ("VDI_IN_USE", lab.vdi, "unplug")
    assert lab.call("PBD.get_currently_attached", pbd)
    assert lab.refusal("SR.forget", lab.sr()) == ("SR_HAS_PBD", lab.sr())


def test_a_forgotten_disk_is_found_again(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    taken = lab.snapshot(vdi)
    uuid = lab.record(taken)["uuid"]
    lab.call("VDI.forget", taken)
    lab.call("SR.scan", lab.sr())
    found = lab.record(lab.call("VDI.get_by_uuid", uuid))
    assert (found["is_a_snapshot"], found["snapshot_of"], found["cbt_enabled"]) == (True, vdi, True)


def test_an_sr_can_be_made_and_forgotten(lab: Laboratory) -> None:
    arguments: tuple[Any, ...] = (lab.host.ref, {}, 0, "new", "", "lvm", "user", False, {})
    sr = lab.call("SR.create", *arguments)
    made = lab.call("VDI.create", {"SR": sr, "virtual_size": MIB, "type": "user"})
    lab.call("PBD.unplug", lab.host.db.get("SR", sr)["PBDs"][0])
    lab.call("SR.destroy", sr)
    assert lab.refusal("VDI.get_uuid", made)[0] == "HANDLE_INVALID"
    unknown: tuple[Any, ...] = (lab.host.ref, {}, 0, "new", "", "tape", "user", False, {})
    assert lab.refusal("SR.create", *unknown) == ("SR_UNKNOWN_DRIVER", "tape")


def test_a_vm_snapshot_has_all_disks_or_none(lab: Laboratory) -> None:
    lab.plug_into_vm(lab.disk())
    taken = lab.call("VM.snapshot", lab.vm, "both", [])
    devices = [lab.host.db.get("VBD", vbd) for vbd in lab.host.db.get("VM", taken)["VBDs"]]
    assert [lab.record(device["VDI"])["is_a_snapshot"] for device in devices] == [True, True]
    lab.plug_into_vm(lab.disk(sharable=True))
    disks = lab.host.db.count("VDI")
    assert lab.refusal("VM.snapshot", lab.vm, "none", [])[0] == "VDI_IS_SHARABLE"
    assert lab.host.db.count("VDI") == disks


def test_a_checkpoint_holds_disks_that_can_still_be_listed(lab: Laboratory) -> None:
    lab.call("VDI.enable_cbt", lab.vdi)
    base = lab.snapshot(lab.vdi)
    lab.call("VM.start", lab.vm, False, False)
    assert lab.refusal("VDI.list_changed_blocks", base, lab.vdi) == ("VDI_IN_USE", lab.vdi, "list_changed_blocks")
    held = lab.call("VM.checkpoint", lab.vm, "held")
    vdi = lab.host.db.get("VBD", lab.host.db.get("VM", held)["VBDs"][0])["VDI"]
    assert lab.changed(base, vdi) == set()
    assert lab.refusal("VDI.destroy", vdi) == ("VDI_IN_USE", vdi, "destroy")
    assert lab.read_by_control_domain(vdi, 0, 4) == bytes(4)


def test_destroying_a_vm_leaves_its_disks(lab: Laboratory) -> None:
    vdi = lab.vdi
    lab.call("VM.destroy", lab.vm)
    assert lab.record(vdi)["VBDs"] == []


def test_guests_write_only_to_what_they_run_with(lab: Laboratory) -> None:
    vdi = lab.host.lab.vdi
    data = base64.b64encode(b"hello").decode()
    writes = [{"offset": 65534, "data": data}, {"offset": 0, "length": 2, "fill": 9}]
    with pytest.raises(VerbRefusedError) as refused:
        lab.verb("guest_write", vdi=vdi, writes=writes)
    assert refused.value.status == 409
    lab.call("VM.start", lab.vm, False, False)
    assert lab.verb("guest_write", vdi=vdi, writes=writes) == {"written": 7}
    assert lab.store().read(vdi, 65534, 5) == b"hello"
    bads: tuple[Any, ...] = (
        [{"offset": -1, "length": 1, "fill": 0}],
        [{"offset": 0, "length": 1, "fill": 256}],
        [{}],
        "no",
    )
    for bad in bads:
        with pytest.raises(VerbRefusedError) as refused:
            lab.verb("guest_write", vdi=vdi, writes=bad)
        assert refused.value.status == 400


def test_the_sr_state_can_be_looked_at_and_changed(lab: Laboratory) -> None:
    uuid = lab.host.lab.srs["lvm"]
    now = lab.verb("sr_state", sr=uuid)
    assert (now["writable"], now["lost"]) == (True, False)
    assert lab.verb("sr_state", sr=uuid, free_bytes=5, writable=False)["free_bytes"] == 5
    assert lab.verb("sr_state", sr=uuid, free_bytes=None, writable=True) == now
    with pytest.raises(VerbRefusedError):
        lab.verb("sr_state", sr="nobody")


def test_calls_are_counted_by_session(lab: Laboratory) -> None:
    for _ in range(3):
        lab.call("VDI.enable_cbt", lab.vdi)
    uuid = lab.call("session.get_uuid", lab.session)
    assert lab.verb("call_counts")["counts"]["VDI.enable_cbt"] == {uuid: 3}


def test_what_runs_ends_with_an_unclean_stop(lab: Laboratory) -> None:
    lab.call("VM.start", lab.vm, False, False)
    lab.verb("crash")
    with pytest.raises(VerbRefusedError) as refused:
        lab.verb("crash")
    assert refused.value.status == 409
    lab.start()
    assert power(lab) == "Halted"
    assert [lab.host.db.get("VBD", vbd)["currently_attached"] for vbd in lab.record(lab.vdi)["VBDs"]] == [False]


# Disks that are reset at boot


class Resetting:
    """A disk of the VM that is reset at boot, with 1 in its first block."""

    def __init__(self, lab: Laboratory) -> None:
        self.lab = lab
        self.vdi = lab.disk()
        lab.plug_into_vm(self.vdi)
        self.write(0, 1)
        lab.call("VDI.set_on_boot", self.vdi, "reset")

    def write(self, block: int, byte: int) -> None:
        self.lab.store().fill(self.lab.record(self.vdi)["uuid"], block * BLOCK, BLOCK, byte)

    def reads(self, count: int = 3) -> list[int]:
        uuid = self.lab.record(self.vdi)["uuid"]
        return [self.lab.store().read(uuid, block * BLOCK, 1)[0] for block in range(count)]

    def boot(self) -> None:
        self.lab.call("VM.start", self.lab.vm, False, False)


def test_a_disk_that_is_reset_at_boot_forgets_what_was_written_since_the_boot_before(lab: Laboratory) -> None:
    disk = Resetting(lab)
    for round_ in range(40):
        disk.boot()
        assert disk.reads() == [1, 0, 0]
        disk.write(round_ % 3, 9)
        lab.call("VM.clean_shutdown", lab.vm)
        assert disk.reads()[round_ % 3] == 9
    disk.boot()
    disk.write(1, 9)
    lab.call("VM.hard_reboot", lab.vm)
    assert disk.reads() == [1, 0, 0]


def test_sleep_and_pause_reset_nothing(lab: Laboratory) -> None:
    disk = Resetting(lab)
    disk.boot()
    disk.write(1, 9)
    lab.call("VM.suspend", lab.vm)
    lab.call("VM.resume", lab.vm, False, False)
    assert disk.reads() == [1, 9, 0]


def test_a_disk_is_reset_after_an_unclean_stop_too(lab: Laboratory) -> None:
    disk = Resetting(lab)
    disk.boot()
    disk.write(1, 9)
    lab.crash()
    disk.boot()
    assert disk.reads() == [1, 0, 0]


def test_a_disk_that_persists_again_keeps_what_it_holds(lab: Laboratory) -> None:
    disk = Resetting(lab)
    disk.boot()
    disk.write(1, 9)
    lab.call("VM.clean_shutdown", lab.vm)
    lab.call("VDI.set_on_boot", disk.vdi, "persist")
    disk.boot()
    assert disk.reads() == [1, 9, 0]
    lab.call("VM.clean_shutdown", lab.vm)
    lab.call("VDI.set_on_boot", disk.vdi, "reset")
    disk.boot()
    assert disk.reads() == [1, 9, 0]


def test_clones_and_growth_leave_a_reset_disk_its_beginning(lab: Laboratory) -> None:
    disk = Resetting(lab)
    disk.boot()
    disk.write(1, 9)
    clone = lab.call("VDI.clone", disk.vdi, {})
    lab.call("VM.clean_shutdown", lab.vm)
    lab.call("VDI.resize", disk.vdi, 8 * MIB)
    disk.boot()
    assert disk.reads(100) == [1] + [0] * 99
    assert lab.record(disk.vdi)["virtual_size"] == 8 * MIB
    assert lab.store().read(lab.record(clone)["uuid"], BLOCK, 1) == b"\x09"
