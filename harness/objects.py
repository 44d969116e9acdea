"""The objects of one replay: what the aliases of its steps stand for on the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xencbt.fixtures.vms import Vm
from xencbt.harness.errors import HarnessError
from xencbt.harness.outcome import Ok
from xencbt.harness.verdicts import Blocked
from xencbt.harness.witness.naming import Naming, found_at
from xencbt.harness.witness.vocabulary import NULL, class_of

if TYPE_CHECKING:
    from xencbt.fixtures.disks import Disk
    from xencbt.fixtures.lab import Lab
    from xencbt.harness.witness.steps import Step

NOBODY = "OpaqueRef:00000000-0000-4000-8000-00000000dead"
NOBODY_UUID = "00000000-0000-4000-8000-00000000dead"
"""What no host has: made up for "nobody"."""


class Objects:
    """Disks, VMs and whatever else has an alias; nothing becomes a disk of the replay that its run did not make."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._disks: dict[str, Disk] = {}
        self._vms: dict[str, Vm] = {}
        self.naming = Naming()
        for kind, repository in lab.bench.repositories.items():
            if self.naming.alias(repository.ref) is None:
                self.naming.call(f"sr:{kind}", repository.ref, repository.uuid)
        self.naming.call("host", lab.bench.product.host_ref)

    def knows(self, step: Step) -> bool:
        """Tell whether every object that a step uses was made."""
        return all(self.naming.ref(alias) is not None for alias in step.uses)

    def ref(self, alias: str) -> str:
        """Return the reference of what an alias stands for; raises HarnessError where it was never made."""
        if alias == "null":
            return NULL
        if alias == "nobody":
            return NOBODY
        if alias.startswith("sr:"):
            return self._lab.sr(alias.removeprefix("sr:")).ref
        ref = self.naming.ref(alias)
        if ref is None:
            raise HarnessError(f"{alias} was never made")
        return ref

    def disk(self, alias: str) -> Disk | None:
        """Return the disk, None where the alias stands for none."""
        return self._disks.get(alias)

    def usable(self, alias: str) -> Disk:
        """Return the disk; raises Blocked where the alias stands for none."""
        disk = self._disks.get(alias)
        if disk is None:
            raise Blocked(f"{alias} is no disk that could be used")
        return disk

    def uuid(self, alias: str) -> str:
        """Return the uuid of a disk; one that no host has where the alias stands for none."""
        disk = self.disk(alias)
        return NOBODY_UUID if disk is None else disk.uuid

    def vm(self, alias: str) -> Vm:
        """Return the VM; raises HarnessError where it was never made."""
        vm = self._vms.get(alias)
        if vm is None:
            raise HarnessError(f"{alias} is no VM that was made")
        return vm

    def vm_at(self, ref: str) -> Vm | None:
        """Return the VM with that reference, if it is one of the replay."""
        return next((each for each in self._vms.values() if each.ref == ref), None)

    def keep(self, alias: str, made: Disk | Vm) -> None:
        """Take what the lab has made for a step; a step that makes nothing has no alias for it."""
        if not alias:
            return
        if isinstance(made, Vm):
            self._vms[alias] = made
        else:
            self._disks[alias] = made

    def learn(self, step: Step, value: object) -> None:
        """Name what a step made, and what else its answer tells of; raises Blocked for a disk of somebody else."""
        if step.makes:
            self._made(step, value)
        for alias, path in step.names.items():
            found = found_at(value, path)
            if isinstance(found, str) and found != NULL:
                self.name(alias, found)

    def _made(self, step: Step, value: object) -> None:
        if step.do == "lend":  # not ours: nothing but its tracking may be switched
            disk = self._disks[step.makes]
            self.naming.call(step.makes, disk.ref, disk.uuid)
        elif isinstance(value, str) and value and step.do != "attach":
            self.name(step.makes, value)
        elif isinstance(value, str) and value:
            self.naming.call(step.makes, value)

    def name(self, alias: str, ref: str) -> None:
        """Let an alias stand for the object at a reference; raises Blocked for a disk that the run did not make."""
        cls = class_of(alias)
        if cls == "VDI":
            if not self._lab.journal.made(ref):
                raise Blocked(f"{alias} would be a disk that the run did not make")
            disk = self._lab.disk_at(ref)
            self._disks[alias] = disk
            self.naming.call(alias, ref, disk.uuid)
        elif cls == "VM":
            if alias not in self._vms:
                uuid = str(self._lab.session.value("VM.get_uuid", ref))
                self._vms[alias] = Vm(self._lab, ref, uuid)
            self.naming.call(alias, ref, self._vms[alias].uuid)
        else:
            self.naming.call(alias, ref)

    def unnamed_snapshot(self, disk: Disk) -> str | None:
        """Return the snapshot that a call made whose answer was lost: one that nobody knows yet."""
        known = self._lab.session.call("VDI.get_snapshots", disk.ref)
        refs = known.value if isinstance(known, Ok) and isinstance(known.value, list) else []
        return next((str(ref) for ref in refs if self.naming.alias(str(ref)) is None), None)
