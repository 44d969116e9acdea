"""SRs and disks whose storage is there: forgotten, looked for, taken in again; and calls this host has nothing for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.laboratory import MIB, Laboratory, laboratory
from xencbt.fixtures.emulator.values import EPOCH, NULL

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lab() -> Iterator[Laboratory]:
    with laboratory() as it:
        yield it


def probed(lab: Laboratory, type_: str = "lvm") -> set[str]:
    listing = lab.call("SR.probe", lab.host.ref, {}, type_, {})
    assert re.fullmatch(r'<\?xml version="1.0" \?><SRlist>(<SR><UUID>[0-9a-f-]+</UUID></SR>)*</SRlist>', listing)
    return set(re.findall("<UUID>(.*?)</UUID>", listing))


def introduced(lab: Laboratory, uuid: str, type_: str = "lvm") -> Any:
    return lab.call("SR.introduce", uuid, "again", "what it is", type_, "user", True, {"a": "b"})


def plugged(lab: Laboratory, sr: Any) -> Any:
    pbd = lab.call("PBD.create", {"host": lab.host.ref, "SR": sr, "device_config": {}})
    lab.call("PBD.plug", pbd)
    return pbd


def forget(lab: Laboratory, sr: Any) -> None:
    for pbd in lab.host.db.get("SR", sr)["PBDs"]:
        lab.call("PBD.unplug", pbd)
    lab.call("SR.forget", sr)


def test_a_forgotten_sr_comes_back_with_its_disks_and_their_tracking(lab: Laboratory) -> None:
    vdi = lab.tracked_disk("second")
    first = lab.snapshot(vdi)
    lab.write(vdi, 3)
    second = lab.snapshot(vdi)
    uuids = [lab.record(ref)["uuid"] for ref in (first, second)]
    sr_uuid = lab.host.lab.srs["second"]
    forget(lab, lab.sr("second"))
    assert lab.refusal("VDI.get_record", vdi)[0] == "HANDLE_INVALID"
    assert lab.refusal("SR.get_by_uuid", sr_uuid)[0] == "UUID_INVALID"
    assert sr_uuid in probed(lab)

    sr = introduced(lab, sr_uuid)
    record = lab.call("SR.get_record", sr)
    assert (record["uuid"], record["name_label"], record["shared"], record["sm_config"]) == (
        sr_uuid,
        "again",
        True,
        {"a": "b"},
    )
    assert (record["VDIs"], record["PBDs"], record["type"]) == ([], [], "lvm")
    plugged(lab, sr)
    again = [lab.call("VDI.get_by_uuid", uuid) for uuid in uuids]
    assert lab.changed(*again) == {3}
    assert lab.record(again[0])["SR"] == sr


def test_a_destroyed_sr_does_not_come_back(lab: Laboratory) -> None:
    sr, uuid = lab.sr("second"), lab.host.lab.srs["second"]
    assert lab.refusal("SR.destroy", sr) == ("SR_HAS_PBD", sr)
    for pbd in lab.host.db.get("SR", sr)["PBDs"]:
        lab.call("PBD.unplug", pbd)
    lab.call("SR.destroy", sr)
    assert uuid not in probed(lab)
    lost = introduced(lab, uuid)
    with pytest.raises(Exception, match="SR_NOT_ATTACHED"):
        plugged(lab, lost)
    assert lab.call("SR.get_VDIs", lost) == []


def test_storage_of_another_driver_is_not_taken_for_it(lab: Laboratory) -> None:
    uuid = lab.host.lab.srs["second"]
    forget(lab, lab.sr("second"))
    with pytest.raises(Exception, match="SR_NOT_ATTACHED"):
        plugged(lab, introduced(lab, uuid, "file"))
    assert uuid in probed(lab)


def test_an_sr_is_introduced_once_and_by_a_known_driver(lab: Laboratory) -> None:
    uuid = lab.host.lab.srs["second"]
    rest: tuple[Any, ...] = ("n", "d", "lvm", "user", False, {})
    assert lab.refusal("SR.introduce", uuid, *rest) == ("UNIQUENESS_CONSTRAINT_VIOLATION", "SR", "uuid", uuid)
    assert lab.refusal("SR.introduce", "", *rest) == ("INVALID_VALUE", "uuid", "")
    assert lab.refusal("SR.introduce", "x", "n", "d", "zfs", "user", False, {}) == ("SR_UNKNOWN_DRIVER", "zfs")


def test_storage_can_be_made_before_its_sr(lab: Laboratory) -> None:
    before = probed(lab, "file")
    uuid = lab.call("SR.make", lab.host.ref, {}, str(64 * MIB), "n", "d", "file", "user", {})
    assert probed(lab, "file") - before == {uuid}
    (found,) = (r for r in lab.call("SR.probe_ext", lab.host.ref, {"k": "v"}, "file", {}) if r["sr"]["uuid"] == uuid)
    assert (found["configuration"], found["complete"], found["sr"]["total_space"]) == ({"k": "v"}, True, 64 * MIB)
    sr = introduced(lab, uuid, "file")
    plugged(lab, sr)
    assert lab.call("VDI.create", {"SR": sr, "virtual_size": 4 * MIB, "type": "user"})
    assert lab.call("SR.get_physical_size", sr) == 64 * MIB
    for call in ("SR.probe", "SR.probe_ext"):
        assert lab.refusal(call, lab.host.ref, {}, "zfs", {}) == ("SR_UNKNOWN_DRIVER", "zfs")
    assert lab.refusal("SR.make", lab.host.ref, {}, "0", "n", "d", "zfs", "user", {}) == ("SR_UNKNOWN_DRIVER", "zfs")


def introduce_disk(uuid: str, location: str, sr: Any) -> tuple[Any, ...]:
    size, pool = "1", NULL
    return (
        *("VDI.introduce", uuid, "back", "again", sr, "user", True, True, {"o": "c"}, location, {"x": "s"}, {"s": "m"}),
        *(True, size, size, pool, False, EPOCH, NULL),
    )


def test_a_forgotten_disk_comes_back_by_its_location(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    uuid, location = lab.record(vdi)["uuid"], lab.record(vdi)["location"]
    assert lab.refusal(*introduce_disk(uuid, location, lab.sr())) == ("LOCATION_NOT_UNIQUE", lab.sr(), location)
    lab.call("VDI.forget", vdi)
    for other, where in ((uuid, "nowhere"), ("another", location)):
        assert lab.refusal(*introduce_disk(other, where, lab.sr()))[0] == "SR_BACKEND_FAILURE_46"
    again = lab.call(*introduce_disk(uuid, location, lab.sr()))
    record = lab.record(again)
    assert (record["uuid"], record["virtual_size"], record["cbt_enabled"]) == (uuid, 4 * MIB, True)
    assert (record["name_label"], record["sharable"], record["read_only"]) == ("back", True, True)
    assert (record["other_config"], record["xenstore_data"], record["sm_config"]) == (
        {"o": "c"},
        {"x": "s"},
        {"s": "m"},
    )
    assert "destroy" in record["allowed_operations"]


def test_a_disk_whose_data_was_destroyed_stays_metadata_only(lab: Laboratory) -> None:
    snapshot = lab.snapshot(lab.tracked_disk())
    lab.call("VDI.data_destroy", snapshot)
    uuid = lab.record(snapshot)["uuid"]
    lab.call("VDI.forget", snapshot)
    again = lab.call(*introduce_disk(uuid, uuid, lab.sr()))
    assert lab.record(again)["type"] == "cbt_metadata"


def test_introducing_a_disk_needs_a_driver_that_can_and_a_plugged_sr(lab: Laboratory) -> None:
    iso, bare = lab.sr("iso"), lab.sr("no-pbd")
    assert lab.refusal(*introduce_disk("u", "l", iso)) == ("SR_OPERATION_NOT_SUPPORTED", iso)
    assert lab.refusal(*introduce_disk("u", "l", bare)) == ("SR_HAS_NO_PBDS", bare)
    lab.log_in("vm-operator")
    assert lab.refusal(*introduce_disk("u", "l", iso))[0] == "RBAC_PERMISSION_DENIED"


def test_an_srs_figures_are_data_sources(lab: Laboratory) -> None:
    sr = lab.sr()
    sources = {source["name_label"]: source for source in lab.call("SR.get_data_sources", sr)}
    for name, field in (("size", "physical_size"), ("physical_utilisation", "physical_utilisation")):
        expected = float(lab.call(f"SR.get_{field}", sr))
        assert lab.call("SR.query_data_source", sr, name) == sources[name]["value"] == expected
        lab.call("SR.record_data_source", sr, name)
        lab.call("SR.forget_data_source_archives", sr, name)
    for call in ("query_data_source", "record_data_source", "forget_data_source_archives"):
        assert lab.refusal(f"SR.{call}", sr, "weight") == ("INVALID_VALUE", "data_source", "weight")


def test_the_size_on_record_holds_until_the_storage_is_asked(lab: Laboratory) -> None:
    sr = lab.sr()
    real = lab.call("SR.get_physical_size", sr)
    lab.call("SR.set_physical_size", sr, "7")
    assert lab.call("SR.get_physical_size", sr) == 7
    lab.call("SR.update", sr)
    assert lab.call("SR.get_physical_size", sr) == real


def test_what_this_host_has_nothing_for_is_refused_with_a_code(lab: Laboratory) -> None:
    sr, vdi, network = lab.sr(), lab.vdi, next(lab.host.db.all("network"))
    metadata = lab.disk(type="metadata")
    unsupported = ("SR_OPERATION_NOT_SUPPORTED", sr)
    for call in (
        "assert_can_host_ha_statefile",
        "assert_supports_database_replication",
        "enable_database_replication",
    ):
        assert lab.refusal(f"SR.{call}", sr) == unsupported
        assert lab.refusal(f"SR.{call}", lab.sr("no-pbd")) == ("SR_HAS_NO_PBDS", lab.sr("no-pbd"))
    lab.call("SR.disable_database_replication", sr)
    for cls, ref in (("SR", sr), ("network", network)):
        refused = lab.refusal(f"{cls}.create_new_blob", ref, "n", "text/plain", False)
        assert refused == ("NOT_IMPLEMENTED", f"{cls}.create_new_blob")
    assert lab.refusal("session.create_from_db_file", "/etc/passwd")[0] == "COULD_NOT_IMPORT_DATABASE"
    assert lab.refusal("VDI.open_database", metadata)[0] == "COULD_NOT_IMPORT_DATABASE"
    assert lab.call("VDI.read_database_pool_uuid", metadata) == ""
    for call in ("open_database", "read_database_pool_uuid"):
        assert lab.refusal(f"VDI.{call}", vdi) == ("VDI_INCOMPATIBLE_TYPE", vdi, "System")


def test_a_local_login_is_a_session(lab: Laboratory) -> None:
    accepted = lab.dispatcher.check("session.slave_local_login_with_password", ["root", "secret"])
    session: Any = accepted.method.handler(lab.host, None, *accepted.arguments)
    lab.session = session
    assert lab.vdi in lab.call("VDI.get_all")
    lab.call("session.local_logout")
    assert lab.refusal("VDI.get_all") == ("SESSION_INVALID", session)


ADMINISTRATIVE: dict[str, tuple[Any, ...]] = {
    "SR.introduce": ("u", "n", "d", "lvm", "user", False, {}),
    "SR.make": ("h", {}, "0", "n", "d", "lvm", "user", {}),
    "SR.probe": ("h", {}, "lvm", {}),
    "SR.probe_ext": ("h", {}, "lvm", {}),
    "SR.set_physical_size": ("s", "1"),
    "SR.record_data_source": ("s", "size"),
    "SR.forget_data_source_archives": ("s", "size"),
    "SR.enable_database_replication": ("s",),
    "SR.create_new_blob": ("s", "n", "m", False),
    "session.create_from_db_file": ("f",),
    "VDI.open_database": ("v",),
}


def test_only_the_administrator_may_change_srs(lab: Laboratory) -> None:
    for user in ("read-only", "vm-operator", "vm-admin"):
        lab.log_in(user)
        for call, params in ADMINISTRATIVE.items():
            assert lab.refusal(call, *params)[:2] == ("RBAC_PERMISSION_DENIED", call.lower())
