"""Destroying the data of snapshots: not at all, too much of it, at the wrong time, and what is left can do too much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.emulator.shown.showing import Shown, blocks, enabled, outcome, two_steps

if TYPE_CHECKING:
    from tests.emulator.laboratory import Laboratory
    from xencbt.fixtures.emulator.values import Ref


def metadata(lab: Laboratory) -> Ref:
    taken = lab.snapshot(lab.tracked_disk())
    lab.call("VDI.data_destroy", taken)
    return taken


def plugged(lab: Laboratory) -> Ref:
    taken = lab.snapshot(lab.tracked_disk())
    lab.plug_into_vm(taken, "RO")
    return taken


def has_data(lab: Laboratory) -> bool:
    return lab.record(metadata(lab))["uuid"] in lab.store().disks


def listed_without_data(lab: Laboratory) -> Any:
    _, base, _, last = two_steps(lab)
    lab.call("VDI.data_destroy", last)
    return blocks(lab, base, last)


def destroyed_twice(lab: Laboratory) -> str:
    return outcome(lab, "VDI.data_destroy", metadata(lab))


def listed_after_destroying_twice(lab: Laboratory) -> Any:
    _, base, _, last = two_steps(lab)
    lab.call("VDI.data_destroy", last)
    lab.call("VDI.data_destroy", last)
    return blocks(lab, base, last)


def type_after_a_refusal(lab: Laboratory) -> str:
    taken = plugged(lab)
    outcome(lab, "VDI.data_destroy", taken)
    return str(lab.record(taken)["type"])


def after_an_export(lab: Laboratory) -> str:
    taken = lab.snapshot(lab.tracked_disk())
    lab.read_by_control_domain(taken, 0, 1)
    return outcome(lab, "VDI.data_destroy", taken)


def device_of_metadata(lab: Laboratory) -> str:
    record = {"VM": lab.vm, "VDI": metadata(lab), "userdevice": "autodetect", "mode": "RO"}
    return outcome(lab, "VBD.create", record)


def created_metadata(lab: Laboratory) -> str:
    record = {"SR": lab.sr(), "virtual_size": 2**21, "type": "cbt_metadata"}
    return outcome(lab, "VDI.create", record)


def offered_metadata(lab: Laboratory) -> str:
    (network,) = lab.call("network.get_all")
    lab.call("network.add_purpose", network, "insecure_nbd")
    return outcome(lab, "VDI.get_nbd_info", metadata(lab))


WRONG_TYPE = "VDI_INCOMPATIBLE_TYPE"

SHOWN = {
    "data-destroy-keeps-the-data": Shown(has_data, False, True),
    "data-destroy-deletes-the-log": Shown(listed_without_data, {1, 2, 3}, "SR_BACKEND_FAILURE_460"),
    "data-destroy-reads-as-disabled": Shown(lambda lab: enabled(lab, metadata(lab)), True, False),
    "data-destroy-leaves-the-type": Shown(lambda lab: lab.record(metadata(lab))["type"], "cbt_metadata", "user"),
    "destroying-data-twice-is-an-error": Shown(destroyed_twice, "ok", WRONG_TYPE),
    "destroying-data-twice-destroys-all": Shown(listed_after_destroying_twice, {1, 2, 3}, "SR_BACKEND_FAILURE_460"),
    "data-destroy-ignores-devices": Shown(
        lambda lab: outcome(lab, "VDI.data_destroy", plugged(lab)), "VDI_IN_USE", "ok"
    ),
    "refused-data-destroy-changes-the-type": Shown(type_after_a_refusal, "user", "cbt_metadata"),
    "exports-leave-a-device": Shown(after_an_export, "ok", "VDI_IN_USE"),
    "metadata-can-be-plugged": Shown(device_of_metadata, WRONG_TYPE, "ok"),
    "metadata-is-not-recognised": Shown(
        lambda lab: outcome(lab, "VDI.clone", metadata(lab)), WRONG_TYPE, "SR_BACKEND_FAILURE_46"
    ),
    "metadata-cannot-be-destroyed": Shown(lambda lab: outcome(lab, "VDI.destroy", metadata(lab)), "ok", WRONG_TYPE),
    "metadata-can-be-created": Shown(created_metadata, WRONG_TYPE, "ok"),
    "metadata-is-offered-over-nbd": Shown(offered_metadata, WRONG_TYPE, "ok"),
}
