"""Carries out the steps of a witness on a target: through the same fixtures, journal, guard and consents as a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xencbt.fixtures.control import ControlRefused
from xencbt.fixtures.images import export_sparse, import_sparse, require_vhd
from xencbt.fixtures.replacing import Sending, replacing
from xencbt.harness.bitmap import BLOCK
from xencbt.harness.calling import Calls
from xencbt.harness.capabilities import MAIN
from xencbt.harness.errors import HarnessError
from xencbt.harness.lines import Lines
from xencbt.harness.objects import Objects
from xencbt.harness.outcome import Failed, Ok, Outcome
from xencbt.harness.rawdisk import export_range, import_ranges
from xencbt.harness.verdicts import Blocked, Undecided, Violation
from xencbt.harness.witness.content import writes_of
from xencbt.harness.witness.naming import Normal
from xencbt.harness.witness.vocabulary import class_of

if TYPE_CHECKING:
    from xencbt.fixtures.lab import Lab
    from xencbt.harness.witness.steps import Step
    from xencbt.proxies.interceptor import Interceptor

Saw = Mapping[str, Normal]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of each step, in order; None for those that could not be tried, or gave no answer.

    `ended` says why it ended early, `reached` how many steps it came to.
    """

    saw: tuple[Saw | None, ...]
    ended: Undecided | HarnessError | None = None
    calls: int = 0
    reached: int = 0


def replay(lab: Lab, steps: Sequence[Step], interceptor: Callable[[], Interceptor] | None = None) -> Replayed:
    """Carry out `steps` in `lab`, which removes afterwards what they made; judges nothing.

    Raises nothing for what the host does: a step that cannot be carried out here ends it, and the result says why.
    """
    recorder = lab.bench.recorder
    before = recorder.calls
    saw: list[Saw | None] = []
    ended: Undecided | HarnessError | None = None
    with recorder.aside():
        try:
            with ExitStack() as open_now:
                replaying = _Replaying(lab, open_now, interceptor)
                saw.extend(map(replaying.step, steps))
        except (Undecided, HarnessError) as trouble:
            ended = trouble
        except Violation as violation:
            ended = Blocked(lab.mask(str(violation).replace("\n", ";")))
    reached = len(saw)
    saw += [None] * (len(steps) - reached)
    return Replayed(tuple(saw), ended, recorder.calls - before, reached)


class _Replaying:
    def __init__(self, lab: Lab, open_now: ExitStack, interceptor: Callable[[], Interceptor] | None) -> None:
        self._lab = lab
        self._open = open_now
        self._conditions: dict[str, ExitStack] = {}
        self._objects = Objects(lab)
        self._lines = Lines(lab, open_now, interceptor)
        self._calls = Calls(lab, self._objects, self._lines)

    def step(self, step: Step) -> Saw | None:
        """Carry out one step; None where an object it needs was never made."""
        if not self._objects.knows(step):
            return None
        deed = self._deeds.get(step.do)
        outcome = self._calls.make(step) if deed is None else deed(self, step)
        if outcome is None:
            return None
        self._objects.learn(step, outcome.value if isinstance(outcome, Ok) else None)
        return self._saw(step, outcome)

    def _saw(self, step: Step, outcome: Outcome) -> Saw:
        naming = self._objects.naming
        if not isinstance(outcome, Ok):
            return naming.outcome(outcome, step.do)
        value = outcome.value
        match step.do:
            case "heal" if isinstance(value, tuple):
                return {"ok": naming.unseen(value)}
            case "record":
                return {"ok": naming.record(class_of(step.given["of"]), value)}
            case "field":
                return {"ok": naming.field(step.given["field"], value)}
            case "all-records":
                return {"ok": naming.records(step.given["of"], value)}
            case "messages":
                return {"ok": naming.messages(value)}
            case _:
                return naming.outcome(outcome, step.do)

    # --- deeds --------------------------------------------------------------------------------------------------------

    def _create(self, step: Step) -> Outcome:
        given = step.given
        sm_config = {"type": "raw"} if given["raw"] else {}
        return self._lab.attempt_disk(type=given["type"], sr=_kind(step), size=given["size"], sm_config=sm_config)

    def _lend(self, step: Step) -> Outcome:
        disk = self._lab.seeded_disk(_kind(step))
        self._objects.keep(step.makes, disk)
        return Ok(disk.ref)

    def _create_vm(self, step: Step) -> Outcome:
        vm = self._lab.create_vm()
        self._objects.keep(step.makes, vm)
        return Ok(vm.ref)

    def _attach(self, step: Step) -> Outcome:
        disk = self._objects.usable(step.given["disk"])
        return self._objects.vm(step.given["vm"]).attempt_attach(disk, mode=step.given["mode"])

    def _derive_vm(self, step: Step) -> Outcome:
        vm = self._objects.vm(step.given["vm"])
        match step.do:
            case "snapshot-vm":
                made = vm.snapshot()
            case "checkpoint-vm":
                self._lab.consent("vm-power")
                made = vm.checkpoint()
            case "clone-vm":
                made = vm.clone()
            case "reimport-vm":
                made = vm.through_a_file(_kind(step))
            case _:
                made = vm.copy(_kind(step))
        self._objects.keep(step.makes, made)
        return Ok(made.ref)

    def _send(self, step: Step) -> Outcome:
        disk = self._objects.usable(step.given["disk"])
        operation: Sending = "migrate_send" if step.do == "send-vm" else "assert_can_migrate"
        return self._objects.vm(step.given["vm"]).attempt_to_send(operation, disk, _kind(step))

    def _revert(self, step: Step) -> Outcome:
        snapshot = self._objects.vm(step.given["snapshot"])
        source = str(self._lab.session.value("VM.get_snapshot_of", snapshot.ref))
        vm = self._objects.vm_at(source)
        if vm is None:
            raise Blocked("the VM of the snapshot is none that was made")
        with replacing(self._lab, vm.every_disk, snapshot.every_disk(), how="revert") as call:
            return call("VM.revert", snapshot.ref)

    def _write(self, step: Step) -> Outcome:
        self._lab.require("raw-import")
        return import_ranges(self._lab.session, self._objects.ref(step.given["disk"]), writes_of(step.given["ranges"]))

    def _import_image(self, step: Step) -> Outcome:
        disk, writes = self._objects.usable(step.given["disk"]), writes_of(step.given["ranges"])
        if any(offset % BLOCK or len(data) > BLOCK for offset, data in writes):
            raise Blocked("an image is made of blocks of 64 KiB")
        self._lab.require("raw-import")
        return import_sparse(disk, {offset // BLOCK: data for offset, data in writes}, step.given["form"])

    def _read_image(self, step: Step) -> Outcome:
        disk = self._objects.usable(step.given["disk"])
        require_vhd(self._lab)
        return export_sparse(disk)

    def _guest_write(self, step: Step) -> Outcome | None:
        disk = self._objects.disk(step.given["disk"])
        if disk is None:
            return None
        try:
            self._lab.guest_write(disk, writes_of(step.given["ranges"]))
        except ControlRefused:
            return Failed("GUEST_CANNOT_WRITE")
        return None

    def _read(self, step: Step) -> Outcome:
        self._lab.require("raw-export")
        return export_range(
            self._lab.session, self._objects.ref(step.given["disk"]), step.given["offset"], step.given["length"]
        )

    def _over_nbd(self, step: Step) -> Outcome:
        disk = self._objects.usable(step.given["disk"])
        try:
            with disk.over_nbd() as served:
                if step.do == "nbd-open":
                    return Ok({"size": served.size, "read_only": served.read_only})
                return Ok(served.read(step.given["offset"], step.given["length"]))
        except Violation as violation:
            return Failed("NBD", (violation.actual,))

    def _reading(self, step: Step) -> Outcome:
        of = str(step.given["of"])
        name = step.given.get("field", "record")
        return self._lines.send(step, f"{class_of(of)}.get_{name}", self._objects.ref(of))

    def _all_records(self, step: Step) -> Outcome:
        return self._lines.session(step.line).call(f"{step.given['of']}.get_all_records")

    def _messages(self, step: Step) -> Outcome:
        return self._lines.session(step.line).call("message.get_all_records")

    def _find(self, step: Step) -> Outcome:
        return self._lines.session(step.line).call("VDI.get_by_uuid", self._objects.uuid(step.given["uuid_of"]))

    def _xe(self, step: Step) -> Outcome:
        given = step.given
        uuids = [self._objects.uuid(str(given.get(name, ""))) for name in ("disk", "later")]
        words = [str(given["command"])]
        if "later" in given:
            words += [f"vdi-from-uuid={uuids[0]}", f"vdi-to-uuid={uuids[1]}"]
        else:
            words += [f"param-name={str(given['field']).replace('_', '-')}"] if "field" in given else []
            words.append(f"uuid={uuids[0]}")
        return Ok(self._lab.xe(*words))

    def _begin(self, step: Step) -> None:
        conditions, given = self._lab.conditions, step.given
        kind = _kind(step)
        stack = self._open.enter_context(ExitStack())
        self._conditions[str(given["condition"])] = stack
        match given["condition"]:
            case "free-bytes":
                stack.enter_context(conditions.free_bytes(kind, given["free"]))
            case "served-over-nbd":
                stack.enter_context(conditions.served_over_nbd(given.get("purpose")))
            case "unlicensed":
                stack.enter_context(conditions.unlicensed())
            case "short-wait":
                stack.enter_context(conditions.short_wait())
            case named:
                enter = {
                    "unplugged": conditions.unplugged,
                    "read-only": conditions.read_only,
                    "logs-failing": conditions.logs_failing,
                    "pauses-refused": conditions.pauses_refused,
                    "lost": conditions.lost,
                }[named]
                stack.enter_context(enter(kind))

    def _end(self, step: Step) -> None:
        stack = self._conditions.pop(str(step.given["condition"]), None)
        if stack is not None:
            stack.close()

    def _arm(self, step: Step) -> None:
        self._lines.arm(step.given["faults"], self._objects.disk(str(step.given.get("disk", ""))))

    def _heal(self, _: Step) -> Outcome:
        return Ok(self._lines.heal())

    def _crash(self, _: Step) -> None:
        self._lab.conditions.crash()

    def _restart(self, _: Step) -> None:
        self._lab.conditions.restart_toolstack()

    _deeds: Mapping[str, Callable[[_Replaying, Step], Outcome | None]] = {
        "create": _create,
        "lend": _lend,
        "create-vm": _create_vm,
        "attach": _attach,
        "snapshot-vm": _derive_vm,
        "checkpoint-vm": _derive_vm,
        "clone-vm": _derive_vm,
        "copy-vm": _derive_vm,
        "reimport-vm": _derive_vm,
        "send-vm": _send,
        "can-send-vm": _send,
        "revert-vm": _revert,
        "write": _write,
        "import-image": _import_image,
        "read-image": _read_image,
        "guest-write": _guest_write,
        "read": _read,
        "nbd-open": _over_nbd,
        "nbd-read": _over_nbd,
        "field": _reading,
        "record": _reading,
        "all-records": _all_records,
        "messages": _messages,
        "find": _find,
        "xe": _xe,
        "begin": _begin,
        "end": _end,
        "arm": _arm,
        "heal": _heal,
        "crash": _crash,
        "restart-toolstack": _restart,
    }


def _kind(step: Step) -> str:
    """Return the kind of the SR that a step names; the run's own where it names none."""
    return str(step.given.get("sr", MAIN)).removeprefix("sr:")
