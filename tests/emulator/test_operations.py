"""Calls through the dispatch table: refusals, turns, and what records show meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.laboratory import MIB, Laboratory, laboratory
from xencbt.fixtures.emulator.errors import Refusal
from xencbt.fixtures.emulator.options import Profile

if TYPE_CHECKING:
    from collections.abc import Iterator

GIB = 1024 * MIB


@pytest.fixture
def lab() -> Iterator[Laboratory]:
    with laboratory() as made:
        yield made


def storage_failure(number: int, message: str) -> tuple[str, ...]:
    return (f"SR_BACKEND_FAILURE_{number}", "", message, "")


def seeded(lab: Laboratory, kind: str) -> Any:
    return lab.host.db.get("SR", lab.sr(kind))["VDIs"][0]


# What refuses to be tracked


ACTIVATE = "Unable to activate changed block tracking."


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        (
            "read-only",
            storage_failure(457, f"{ACTIVATE} [opterr=Read-only file system]"),
        ),
        (
            "full",
            storage_failure(457, f"{ACTIVATE} [opterr=There is insufficient space]"),
        ),
        ("no-pbd", ("SR_HAS_NO_PBDS",)),
        ("iso", ("SR_OPERATION_NOT_SUPPORTED",)),
    ],
)
def test_srs_that_cannot_track_say_why_and_change_nothing(lab: Laboratory, kind: str, refusal: tuple[str, ...]) -> None:
    vdi = seeded(lab, kind)
    before = lab.record(vdi), lab.host.db.get("SR", lab.sr(kind))
    refused = lab.refusal("VDI.enable_cbt", vdi)
    assert refused == (refusal if len(refusal) > 1 else (*refusal, lab.sr(kind)))
    assert before == (lab.record(vdi), lab.host.db.get("SR", lab.sr(kind)))


def test_raw_disks_are_not_tracked(lab: Laboratory) -> None:
    vdi = lab.disk(sm_config={"type": "raw"})
    refused = storage_failure(66, "Invalid VDI type [opterr=Raw VDI or snapshot not permitted]")
    assert lab.refusal("VDI.enable_cbt", vdi) == refused


def test_the_licence_is_asked_for_last_and_only_to_enable() -> None:
    with laboratory(cbt_licensed=False) as lab:
        vdi = lab.disk()
        assert lab.refusal("VDI.enable_cbt", vdi) == ("LICENCE_RESTRICTION", "CBT")
        lab.call("VDI.disable_cbt", vdi)
        assert lab.refusal("VDI.enable_cbt", lab.disk(type="suspend"))[0] == "VDI_INCOMPATIBLE_TYPE"
        assert lab.verb("licence", cbt=True) == {"cbt": True}
        lab.call("VDI.enable_cbt", vdi)
        lab.verb("licence", cbt=False)
        base = lab.snapshot(vdi)
        assert lab.changed(base, vdi) == set()
        lab.call("VDI.disable_cbt", vdi)


def test_tracking_takes_space_for_its_log(lab: Laboratory) -> None:
    vdi = lab.disk()
    before = lab.host.db.get("SR", lab.sr())["physical_utilisation"]
    lab.call("VDI.enable_cbt", vdi)
    assert lab.host.db.get("SR", lab.sr())["physical_utilisation"] == before + 4 * MIB


def test_on_boot_and_tracking_exclude_each_other(lab: Laboratory) -> None:
    vdi = lab.disk()
    lab.call("VDI.set_on_boot", vdi, "reset")
    assert lab.refusal("VDI.enable_cbt", vdi) == ("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION",)
    lab.call("VDI.set_on_boot", vdi, "persist")
    lab.call("VDI.enable_cbt", vdi)
    assert lab.refusal("VDI.set_on_boot", vdi, "reset") == ("VDI_CBT_ENABLED", vdi)


def test_the_power_state_comes_before_everything_for_on_boot(lab: Laboratory) -> None:
    lab.call("VDI.enable_cbt", lab.vdi)
    lab.call("VM.start", lab.vm, False, False)
    assert lab.refusal("VDI.set_on_boot", lab.vdi, "reset") == ("VM_BAD_POWER_STATE", lab.vm, "halted", "running")


def test_snapshots_of_untracked_disks_have_nothing_to_keep(lab: Laboratory) -> None:
    vdi = lab.disk()
    assert lab.refusal("VDI.data_destroy", vdi) == ("OPERATION_NOT_ALLOWED", f"VDI is not a snapshot: {vdi}")
    taken = lab.snapshot(vdi)
    assert lab.refusal("VDI.data_destroy", taken) == ("VDI_NO_CBT_METADATA", taken)
    assert lab.refusal("VDI.enable_cbt", taken) == ("OPERATION_NOT_ALLOWED", f"VDI is a snapshot: {taken}")


def test_metadata_disks_are_made_by_destroying_data_only(lab: Laboratory) -> None:
    wanted = {"SR": lab.sr(), "virtual_size": MIB, "type": "cbt_metadata"}
    assert lab.refusal("VDI.create", wanted) == ("VDI_INCOMPATIBLE_TYPE", "", "CBT metadata")
    taken = lab.snapshot(lab.tracked_disk())
    lab.call("VDI.data_destroy", taken)
    wrong = ("VDI_INCOMPATIBLE_TYPE", taken, "CBT metadata")
    device = {"VM": lab.vm, "VDI": taken, "userdevice": "autodetect"}
    assert lab.refusal("VBD.create", device) == wrong
    assert lab.refusal("VDI.get_nbd_info", taken) == wrong
    assert lab.refusal("VDI.checksum", taken) == wrong
    for operation in ("clone", "snapshot"):
        assert lab.refusal(f"VDI.{operation}", taken) == wrong


@pytest.mark.parametrize(
    ("size", "refusal"),
    [
        (2040 * GIB + 1, storage_failure(79, "VDI Invalid size [opterr=VDI size must be between 1 MB and 2088960 MB]")),
        (-1, storage_failure(79, "VDI Invalid size [opterr=VDI size must be between 1 MB and 2088960 MB]")),
    ],
)
def test_sizes_have_limits(lab: Laboratory, size: int, refusal: tuple[str, ...]) -> None:
    assert lab.refusal("VDI.create", {"SR": lab.sr(), "virtual_size": size, "type": "user"}) == refusal


def test_disks_only_grow(lab: Laboratory) -> None:
    vdi = lab.disk(virtual_size=3 * MIB)
    assert lab.record(vdi)["virtual_size"] == 4 * MIB
    refused = storage_failure(79, "VDI Invalid size [opterr=shrinking not allowed]")
    assert lab.refusal("VDI.resize", vdi, 2 * MIB) == refused
    lab.call("VDI.resize", vdi, 4 * MIB)


def test_a_full_sr_has_no_room_for_disks(lab: Laboratory) -> None:
    wanted = {"SR": lab.sr("full"), "virtual_size": 4 * MIB, "type": "user"}
    assert lab.refusal("VDI.create", wanted) == storage_failure(44, "There is insufficient space")


def test_chains_end_at_thirty_images(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    taken = [lab.snapshot(vdi) for _ in range(29)]
    assert lab.refusal("VDI.snapshot", vdi) == storage_failure(109, "The snapshot chain is too long")
    lab.call("VDI.data_destroy", taken[0])
    lab.snapshot(vdi)


def test_statistics_are_the_hosts_own(lab: Laboratory) -> None:
    vdi = lab.disk(type="rrd")
    assert lab.refusal("VDI.destroy", vdi) == ("VDI_HAS_RRDS", vdi)
    assert lab.refusal("VDI.forget", vdi) == ("VDI_HAS_RRDS", vdi)


def test_a_disk_without_storage_is_missing(lab: Laboratory) -> None:
    vdi = lab.disk()
    del lab.store().disks[lab.record(vdi)["uuid"]]
    assert lab.refusal("VDI.enable_cbt", vdi) == ("VDI_MISSING", lab.sr(), vdi)


def test_a_lost_sr_is_not_attached(lab: Laboratory) -> None:
    vdi = lab.disk()
    lab.verb("sr_state", sr=lab.host.lab.srs["lvm"], lost=True)
    assert lab.refusal("VDI.enable_cbt", vdi) == ("SR_NOT_ATTACHED", lab.sr())
    lab.verb("sr_state", sr=lab.host.lab.srs["lvm"], lost=False)
    lab.call("VDI.enable_cbt", vdi)


def test_moving_needs_a_vm_and_no_tracking(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    assert lab.refusal("VDI.pool_migrate", vdi, lab.sr("file"), {}) == ("VDI_NEEDS_VM_FOR_MIGRATE", vdi)
    vbd = lab.plug_into_vm(vdi)
    lab.call("VM.start", lab.vm, False, False)
    assert lab.refusal("VDI.pool_migrate", vdi, lab.sr("file"), {}) == ("VDI_CBT_ENABLED", vdi)
    lab.call("VDI.disable_cbt", vdi)
    moved = lab.call("VDI.pool_migrate", vdi, lab.sr("file"), {})
    assert lab.host.db.get("VBD", vbd)["VDI"] == moved
    assert lab.host.db.get("VBD", vbd)["currently_attached"]
    assert not lab.host.db.exists("VDI", vdi)


# Profiles and old hosts


def test_the_documented_profile_tells_more_apart() -> None:
    with laboratory(profile=Profile.DOCUMENTED) as lab:
        assert lab.refusal("VDI.enable_cbt", "OpaqueRef:gone")[0] == "VDI_MISSING"
        assert lab.refusal("VDI.enable_cbt", seeded(lab, "no-pbd")) == ("SR_HAS_NO_PBDS", lab.sr("no-pbd"))
        vdi = lab.disk()
        assert {"enable_cbt", "disable_cbt", "set_on_boot"} <= set(lab.record(vdi)["allowed_operations"])
        lab.call("PBD.unplug", lab.host.db.get("SR", lab.sr())["PBDs"][0])
        assert lab.refusal("VDI.enable_cbt", vdi) == ("SR_NOT_ATTACHED", lab.sr())


def test_real_hosts_list_tracking_on_the_sr_only(lab: Laboratory) -> None:
    assert "enable_cbt" not in lab.record(lab.disk())["allowed_operations"]
    assert "vdi_enable_cbt" in lab.host.db.get("SR", lab.sr())["allowed_operations"]
    assert "vdi_enable_cbt" not in lab.host.db.get("SR", lab.sr("no-cbt"))["allowed_operations"]
    assert lab.refusal("VDI.enable_cbt", "OpaqueRef:gone") == ("HANDLE_INVALID", "VDI", "OpaqueRef:gone")


def test_an_old_host_knows_nothing_of_tracking() -> None:
    with laboratory(old_host=True) as lab:
        vdi = lab.disk()
        assert lab.refusal("VDI.enable_cbt", vdi) == ("MESSAGE_METHOD_UNKNOWN", "VDI.enable_cbt")
        assert "cbt_enabled" not in lab.call("VDI.get_record", vdi)
        sms = lab.call("SM.get_all_records").values()
        assert not [sm for sm in sms if "VDI_CBT_ENABLED" in sm["features"] or "VDI_CONFIG_CBT" in sm["features"]]
        assert not [op for op in lab.call("SR.get_allowed_operations", lab.sr()) if "cbt" in op]


# Turns


def test_callers_take_turns_and_records_show_whose_it_is(lab: Laboratory) -> None:
    vdi, other = lab.disk(), lab.disk()
    shown: list[tuple[dict[str, str], dict[str, str]]] = []

    def look() -> None:
        if lab.host.db.exists("VDI", vdi):
            sr = lab.host.db.get("SR", lab.sr())["current_operations"]
            shown.append((dict(sr), dict(lab.record(vdi)["current_operations"])))

    lab.host.db.on_change.append(look)
    calls = [("VDI.enable_cbt", vdi), ("VDI.snapshot", vdi), ("VDI.enable_cbt", other), ("VDI.disable_cbt", vdi)] * 5
    results = lab.together(*calls)
    lab.host.db.on_change.remove(look)
    assert [result for result in results if isinstance(result, Exception)] == []
    assert max(len(sr) for sr, _ in shown) == 1
    assert {"vdi_enable_cbt", "vdi_snapshot", "vdi_disable_cbt"} <= {op for sr, _ in shown for op in sr.values()}
    assert {"enable_cbt", "snapshot", "disable_cbt"} <= {op for _, own in shown for op in own.values()}
    assert lab.record(vdi)["current_operations"] == {}
    assert not lab.record(vdi)["cbt_enabled"]


def test_who_waits_for_a_disk_that_goes_is_told(lab: Laboratory) -> None:
    vdi = lab.disk()
    first, second = lab.together(("VDI.destroy", vdi), ("VDI.enable_cbt", vdi))
    assert first is None
    assert isinstance(second, Refusal)
    assert second.description == ("HANDLE_INVALID", "VDI", vdi)


def test_different_srs_do_not_wait_for_each_other(lab: Laboratory) -> None:
    lab.host.db.update("SR", lab.sr(), current_operations={"OpaqueRef:other": "scan"})
    vdi = lab.tracked_disk("second")
    assert lab.record(vdi)["cbt_enabled"]


def test_data_destroy_waits_for_devices_to_go(lab: Laboratory) -> None:
    lab.verb("options", data_destroy_wait_s=30)
    taken = lab.snapshot(lab.tracked_disk())
    vbd = lab.plug_into_vm(taken)
    types: list[str] = []
    lab.host.db.on_change.append(lambda: types.append(lab.record(taken)["type"]))
    assert lab.together(("VDI.data_destroy", taken), ("VBD.destroy", vbd)) == [None, None]
    assert lab.record(taken)["type"] == "cbt_metadata"
    assert types[-1] == "cbt_metadata"


def test_data_destroy_gives_up_while_a_device_refers_to_the_disk(lab: Laboratory) -> None:
    taken = lab.snapshot(lab.tracked_disk())
    lab.plug_into_vm(taken)
    before = lab.record(taken)
    assert lab.refusal("VDI.data_destroy", taken) == ("VDI_IN_USE", taken, "data_destroy")
    assert lab.record(taken) == before


def test_roles(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    base = lab.snapshot(vdi)
    lab.log_in("vm-operator")
    assert lab.changed(base, vdi) == set()
    assert lab.refusal("VDI.enable_cbt", vdi)[0] == "RBAC_PERMISSION_DENIED"
    lab.log_in("vm-admin")
    lab.call("VDI.disable_cbt", vdi)
    lab.log_in("read-only")
    assert lab.refusal("VDI.list_changed_blocks", base, vdi)[0] == "RBAC_PERMISSION_DENIED"


@pytest.mark.parametrize("first", ["VDI.resize", "VDI.update", "VDI.snapshot"])
def test_a_copy_into_a_disk_waits_for_what_is_under_way_there(lab: Laboratory, first: str) -> None:
    source, into = lab.disk(), lab.disk("file", virtual_size=8 * MIB)
    arguments = (8 * MIB,) if first == "VDI.resize" else ()
    copying = ("VDI.copy", source, "OpaqueRef:NULL", "OpaqueRef:NULL", into)
    copied, other = lab.together(copying, (first, into, *arguments))
    assert not isinstance(other, Refusal)
    assert copied == into


def test_a_copy_since_a_base_without_data_is_refused(lab: Laboratory) -> None:
    lab.call("VDI.enable_cbt", lab.vdi)
    base = lab.snapshot(lab.vdi)
    lab.call("VDI.data_destroy", base)
    source = lab.snapshot(lab.vdi)
    into = lab.disk(virtual_size=lab.record(source)["virtual_size"])
    refused = lab.refusal("VDI.copy", source, "OpaqueRef:NULL", base, into)
    assert refused == ("VDI_INCOMPATIBLE_TYPE", base, "CBT metadata")
    assert lab.record(into)["VBDs"] == []
