"""VMs, their block devices, and what connects the host with its storage."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from tests.odd_host.disks import Disks
from tests.odd_host.records import NULL, Records, Refusal

VM_FIELDS: dict[str, Any] = {
    "resident_on": NULL,
    "domid": "-1",
    "VIFs": [],
    "suspend_VDI": NULL,
    "snapshots": [],
    "allowed_operations": ["start", "destroy"],
}


class Machines:
    """The calls of class VM, by name."""

    def __init__(self, records: Records, disks: Disks) -> None:
        self.records = records
        self._disks = disks

    def create(self, wanted: dict[str, Any]) -> str:
        return self.records.add("VM", **{**wanted, **VM_FIELDS, "power_state": "Halted", "VBDs": []})

    def start(self, ref: str, paused: bool, _force: bool) -> str:
        return self._to(ref, "Halted", "Paused" if paused else "Running")

    def pause(self, ref: str) -> str:
        return self._to(ref, "Running", "Paused")

    def unpause(self, ref: str) -> str:
        return self._to(ref, "Paused", "Running")

    def suspend(self, ref: str) -> str:
        return self._to(ref, "Running", "Suspended")

    def resume(self, ref: str, paused: bool, _force: bool) -> str:
        return self._to(ref, "Suspended", "Paused" if paused else "Running")

    def hard_shutdown(self, ref: str) -> str:
        return self._to(ref, self.records.row("VM", ref)["power_state"], "Halted")

    def destroy(self, ref: str) -> str:
        if self.records.row("VM", ref)["power_state"] != "Halted":
            raise Refusal("VM_BAD_POWER_STATE", ref, "halted", self.records.row("VM", ref)["power_state"].lower())
        for vbd in self.records.refs("VBD", VM=ref):
            self.records.remove("VBD", vbd)
        self.records.remove("VM", ref)
        return ""

    def snapshot(self, ref: str, _name: str, *_more: object) -> str:
        """Take a snapshot of every disk first, each held by a device of the VM's snapshot."""
        taken: list[str] = []

        def kept(disk: str) -> str:
            taken.append(self._disks.snapshot(disk, {}))
            return taken[-1]

        made = self._duplicate(ref, kept, is_a_snapshot=True, snapshot_of=ref)
        self.records.set("VM", made, snapshot_metadata=" ".join(taken))
        return made

    def checkpoint(self, ref: str, name: str) -> str:
        """Take a snapshot whose memory nobody ever asks for."""
        return self.snapshot(ref, name)

    def clone(self, ref: str, _name: str) -> str:
        return self._duplicate(ref, lambda disk: self._disks.clone(disk, {}))

    def copy(self, ref: str, _name: str, sr: str) -> str:
        return self._duplicate(ref, lambda disk: self._disks.copy(disk, sr))

    def revert(self, snapshot: str) -> str:
        """Put the content of each disk back where it is: no disk goes, and none comes."""
        row = self.records.row("VM", snapshot)
        vm = row["snapshot_of"]
        emptied = {*self.records.refs("VDI", type="cbt_metadata")} & {*row["snapshot_metadata"].split()}
        for disk in emptied:
            raise Refusal("VDI_INCOMPATIBLE_TYPE", disk, "cbt_metadata")
        self._to(vm, self.records.row("VM", vm)["power_state"], "Halted")
        for vbd in row["VBDs"]:
            disk = self.records.row("VBD", vbd)["VDI"]
            origin = self.records.row("VDI", disk)["snapshot_of"]
            self._disks.put_back(origin, disk)
        return ""

    def _duplicate(self, ref: str, make: Callable[[str], str], **fields: Any) -> str:
        row = self.records.row("VM", ref)
        was = {"power_state": "Halted", "VBDs": [], "domid": "-1", "snapshots": []}
        made = self.records.add("VM", **{**row, **was, "uuid": str(uuid4()), "other_config": {}, **fields})
        for vbd in row["VBDs"]:
            device = self.records.row("VBD", vbd)
            held = {"VM": made, "VDI": make(device["VDI"]), "uuid": str(uuid4()), "currently_attached": False}
            new = self.records.add("VBD", **{**device, **held})
            self.records.set("VM", made, VBDs=[*self.records.row("VM", made)["VBDs"], new])
        return made

    def _to(self, ref: str, before: str, after: str) -> str:
        now = self.records.row("VM", ref)["power_state"]
        if now != before:
            raise Refusal("VM_BAD_POWER_STATE", ref, before.lower(), now.lower())
        self.records.set("VM", ref, power_state=after, domid="7" if after in {"Running", "Paused"} else "-1")
        for vbd in self.records.refs("VBD", VM=ref):
            self.records.set("VBD", vbd, currently_attached=after in {"Running", "Paused"})
        return ""


class BlockDevices:
    """The calls of class VBD, by name."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def create(self, wanted: dict[str, Any]) -> str:
        if self.records.row("VDI", wanted["VDI"])["type"] == "cbt_metadata":
            raise Refusal("VDI_INCOMPATIBLE_TYPE", wanted["VDI"], "cbt_metadata")
        ref = self.records.add("VBD", **{**wanted, "currently_attached": False, "device": "odd1"})
        vm = self.records.row("VM", wanted["VM"])
        self.records.set("VM", wanted["VM"], VBDs=[*vm["VBDs"], ref])
        return ref

    def plug(self, ref: str) -> str:
        self.records.set("VBD", ref, currently_attached=True)
        return ""

    def unplug(self, ref: str) -> str:
        self.records.set("VBD", ref, currently_attached=False)
        return ""

    def destroy(self, ref: str) -> str:
        row = self.records.row("VBD", ref)
        vm = self.records.row("VM", row["VM"])
        self.records.set("VM", row["VM"], VBDs=[vbd for vbd in vm["VBDs"] if vbd != ref])
        self.records.remove("VBD", ref)
        return ""


class Connections:
    """The calls of class PBD, by name."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def plug(self, ref: str) -> str:
        self.records.set("PBD", ref, currently_attached=True)
        return ""

    def unplug(self, ref: str) -> str:
        self.records.set("PBD", ref, currently_attached=False)
        return ""


class Storages:
    """The calls of class SR, by name."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def scan(self, ref: str) -> str:
        self.records.row("SR", ref)
        for vdi in self.records.refs("VDI", SR=ref):
            noted = {**self.records.row("VDI", vdi)["sm_config"], "odd-scan": str(self.records.random.random())}
            self.records.set("VDI", vdi, sm_config=noted)
        return ""

    def get_VDIs(self, ref: str) -> list[str]:  # noqa: N802  the call's own name
        self.records.row("SR", ref)
        return self.records.refs("VDI", SR=ref)

    def get_PBDs(self, ref: str) -> list[str]:  # noqa: N802  the call's own name
        self.records.row("SR", ref)
        return self.records.refs("PBD", SR=ref)


class Tasks:
    """The calls of class task, by name."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def create(self, label: str, _description: str) -> str:
        return self.records.add("task", name_label=label, status="pending", error_info=[], result="", progress=0.5)

    def destroy(self, ref: str) -> str:
        self.records.remove("task", ref)
        return ""
