"""The steps of a replay that are one call: with what a run does before and after it, over the line of the step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xencbt.fixtures.disks import CREATING
from xencbt.harness.outcome import Indeterminate, Ok
from xencbt.harness.witness.vocabulary import VERBS, Anything, Given

if TYPE_CHECKING:
    from xencbt.fixtures.disks import Disk
    from xencbt.fixtures.lab import Lab
    from xencbt.harness.lines import Lines
    from xencbt.harness.objects import Objects
    from xencbt.harness.outcome import Outcome
    from xencbt.harness.witness.steps import Step

GROWING = frozenset({"resize", "resize-online"})
DISK_CALLS = GROWING | {"enable", "disable", "on-boot", "data-destroy", "destroy", "list", "nbd-info"}
TAKES_POWER = frozenset(
    {"start", "pause", "unpause", "suspend", "resume", "shut-down-by-guest", "reboot", "checkpoint-vm"}
)


class Calls:
    """Makes the call of a step: consented to, fenced, and journalled where it makes or removes something."""

    def __init__(self, lab: Lab, objects: Objects, lines: Lines) -> None:
        self._lab = lab
        self._objects = objects
        self._lines = lines

    def make(self, step: Step) -> Outcome:
        """Make it; raises NotRun or Blocked where it must not be made here."""
        verb = VERBS[step.do]
        disk = self._objects.disk(str(step.given.get("disk", step.given.get("earlier", ""))))
        params = [self._param(part, step) for part in verb.shape]
        if step.do in TAKES_POWER:
            self._lab.consent("vm-power")
        if step.do == "move-vm":
            self._lab.consent("migrate")
        if disk is not None and step.do in GROWING:
            self._lab.fenced(step.given["size"], disk.sr)
        creates = bool(verb.makes) and verb.method.removeprefix("VDI.") in CREATING
        if disk is not None and (step.do in DISK_CALLS or creates):
            return self._on_disk(step, disk, verb.method.removeprefix("VDI."), params[1:])
        outcome = self._lines.send(step, verb.method, *params)
        if step.do in {"destroy-vm", "detach"} and isinstance(outcome, Ok):
            self._lab.journal.removed_ref(str(params[0]))
        return outcome

    def _on_disk(self, step: Step, disk: Disk, operation: str, params: list[object]) -> Outcome:
        if operation == "pool_migrate":
            self._lab.consent("migrate")
        if operation in CREATING:
            return self._creating(step, disk, operation, params)
        disk.about_to(operation)
        outcome = self._lines.send(step, f"VDI.{operation}", disk.ref, *params)
        if operation == "destroy" and isinstance(outcome, Ok):
            self._lab.journal.removed_ref(disk.ref)
        return outcome

    def _creating(self, step: Step, disk: Disk, operation: str, params: list[object]) -> Outcome:
        session, objects = self._lab.session, self._objects
        token = disk.intend(operation)
        outcome = self._lines.send(step, f"VDI.{operation}", disk.ref, *params)
        disk.made_of(token, outcome, session)
        lost = isinstance(outcome, Indeterminate) and operation == "snapshot"
        found = objects.unnamed_snapshot(disk) if lost else None
        if found is not None and step.makes and disk.made_of(token, Ok(found), session) is not None:
            objects.name(step.makes, found)
        return outcome

    def _param(self, part: object, step: Step) -> object:
        if isinstance(part, Anything):
            return "xencbt VM"
        if not isinstance(part, Given):
            return part
        value = step.given[part.name]
        kind = VERBS[step.do].takes[part.name]
        return self._objects.ref(value) if kind in {"VDI", "VM", "VBD", "SR", "PBD", "host"} else value
