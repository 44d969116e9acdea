"""Situations brought about on a target: the disk under test, others beside it, and the model that followed it all."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xencbt.fixtures.unchanged import assert_unchanged
from xencbt.harness.bitmap import BLOCK, Bitmap, describe
from xencbt.harness.model import (
    CBT_OPERATIONS,
    Attach,
    Attachment,
    Clone,
    Create,
    Enable,
    Model,
    OnBoot,
    SetOnBoot,
    Snapshot,
    Step,
    Storage,
    VdiType,
    Write,
)
from xencbt.harness.verdicts import Violation
from xencbt.suites.listing import block_map
from xencbt.suites.situations import FURNISHED, POWER_STATES, Beside, Offer, Situation, situations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xencbt.fixtures.disks import Disk
    from xencbt.fixtures.lab import Lab
    from xencbt.fixtures.vms import Vm
    from xencbt.harness.expectations import Expectation
    from xencbt.harness.repositories import Repository

__all__ = [
    "DISK",
    "FURNISHED",
    "POWER_STATES",
    "Beside",
    "Offer",
    "Part",
    "Scene",
    "Situation",
    "build",
    "situations",
    "storage_of",
]

DISK = "disk"
"""The model's name for the disk under test."""

_OWN_BLOCK = 41

_ATTACHMENTS: dict[str, Attachment] = {
    "Halted": Attachment.NONE,
    "Running": Attachment.READ_WRITE,
    "Paused": Attachment.READ_WRITE,
    "Suspended": Attachment.SUSPENDED,
}


@dataclass(frozen=True, slots=True)
class Part:
    """A disk of a scene; where it is tracked, changes from `baseline` to it (or to its snapshot `until`) are listed."""

    name: str
    disk: Disk
    baseline: Disk | None = None
    until: Disk | None = None


@dataclass(slots=True)
class Scene:
    """A situation that has been built: the disk under test, the others beside it, and the model that followed it all.

    `subject` is the disk under test as a part: with a baseline where it was enabled and is no snapshot.
    """

    lab: Lab
    situation: Situation
    subject: Part
    model: Model
    others: list[Part] = field(default_factory=list)
    vm: Vm | None = None

    @property
    def disk(self) -> Disk:
        """The disk under test."""
        return self.subject.disk

    def allowed(self, step: Step) -> Expectation:
        """Return the outcomes the model allows for `step` now, for example `Enable(DISK)`."""
        return self.model.allowed(step)

    def marks(self, part: Part) -> Bitmap | None:
        """List what changed in `part` since its baseline; None where it is not tracked, or in use and so unlistable."""
        if part.baseline is None:
            return None
        if part.until is None and any(holder.holds for holder in part.disk.holders()):
            return None
        return part.baseline.changed_blocks_to(part.until or part.disk)

    @contextmanager
    def others_untouched(self) -> Iterator[None]:
        """Expect that inside no other disk's record, status or bitmap changes; raises Violation with what did."""
        with self.lab.precondition("bitmaps of the other disks"):
            before = [(part, part.disk.record(), self.marks(part)) for part in self.others]
        yield
        for part, record, marks in before:
            assert_unchanged(record, part.disk.record(), f"a call about another disk ({part.name} beside it)")
            status = part.disk.cbt_enabled
            if status is not record["cbt_enabled"]:
                raise Violation(f"the status of {part.name} changed", actual=f"now {status}")
            self.assert_same_marks(part, marks)

    def assert_same_marks(self, part: Part, before: Bitmap | None) -> None:
        """Expect that changes of `part` list all that they did; a disk in use is compared with the model instead.

        Takes that snapshot, so compare records first. Raises Violation.
        """
        if part.baseline is None:
            return
        if before is None:
            with self.lab.precondition(f"a snapshot of {part.name}"):
                later = part.disk.snapshot()
            now = part.baseline.changed_blocks_to(later)
            name = f"{part.name} later"
            self.model.happened(Snapshot(part.name, name))
            bounds = self.model.bounds(f"{part.name} baseline", name)
            lost = bounds.missed(now)
            if lost:
                raise Violation(
                    f"{part.name} lost recorded changes",
                    actual=f"{describe(lost)} not marked any more",
                    block_map=block_map(now, bounds.must, part.baseline, later),
                )
            return
        again = self.marks(part)
        if again is None or not again.keeps(before):
            raise Violation(
                f"the bitmap of {part.name} changed",
                expected=(str(before),),
                actual=str(again),
                block_map=None
                if again is None
                else block_map(again, before.blocks, part.baseline, part.until or part.disk),
            )


def build(lab: Lab, situation: Situation) -> Scene:
    """Bring the target into `situation`; raises Blocked where it cannot be, ValueError for a contradiction."""
    if situation.contradiction:
        raise ValueError(situation.contradiction)
    model = Model(ordered=lab.profile.ordered)
    model.storage(storage_of(lab.sr(situation.sr)), situation.sr)
    if situation.sr in FURNISHED:
        return _found(lab, situation, model)
    with lab.precondition(str(situation)):
        return _Builder(lab, situation, model).scene()


def storage_of(repository: Repository) -> Storage:
    """Return what the model should know of an SR: what its driver says, and what its kind promises."""
    return Storage(
        attached=repository.kind != "no-pbd",
        writable=repository.kind != "read-only",
        log_space=repository.kind != "full",
        lacks=frozenset() if "VDI_CONFIG_CBT" in repository.features else CBT_OPERATIONS,
        ref=repository.ref,
    )


def _found(lab: Lab, situation: Situation, model: Model) -> Scene:
    disk = lab.seeded_disk(situation.sr)
    record = disk.record()
    kind, on_boot = VdiType(record["type"]), OnBoot(record["on_boot"])
    model.happened(Create(DISK, disk.size, situation.sr, kind, on_boot, ref=disk.ref))
    if record["cbt_enabled"]:
        model.happened(Enable(DISK))
    return Scene(lab, situation, Part(DISK, disk), model)


class _Builder:
    """Builds the scene of one situation; the VM starts last, so that everything is prepared on disks at rest."""

    def __init__(self, lab: Lab, situation: Situation, model: Model) -> None:
        self._lab = lab
        self._situation = situation
        self._model = model
        self._tracks = "VDI_CONFIG_CBT" in lab.sr(situation.sr).features

    def scene(self) -> Scene:
        situation = self._situation
        held = "source" if situation.snapshot else DISK
        early = OnBoot.PERSIST if situation.snapshot else situation.on_boot
        source = self._created(held, situation.type, early)
        tracked = self._track(held, source, _OWN_BLOCK) if situation.enabled else Part(held, source)
        others = [self._beside(beside, tracked) for beside in sorted(situation.beside, key=lambda one: one.value)]
        subject = tracked
        if situation.snapshot:
            others.append(tracked)
            subject = self._snapshot_under_test(source)
        scene = Scene(self._lab, situation, subject, self._model, others)
        if situation.vm is not None:
            sharing = [part for part in others if part.name == Beside.SAME_VM.name]
            scene.vm = self._lab.create_vm(source, *(part.disk for part in sharing), power_state=situation.vm)
            for part in (tracked, *sharing):
                self._model.happened(Attach(part.name, _ATTACHMENTS[situation.vm]))
        return scene

    def _created(self, name: str, kind: VdiType, on_boot: OnBoot) -> Disk:
        sr = self._situation.sr
        disk = self._lab.create_disk(sr=sr, type=kind.value, on_boot=on_boot.value)
        self._model.happened(Create(name, disk.size, sr, kind, on_boot, ref=disk.ref))
        return disk

    def _snapshot_under_test(self, source: Disk) -> Part:
        disk = self._snapshot("source", source, DISK)
        if self._situation.on_boot is OnBoot.RESET:
            disk.set_on_boot("reset")
            self._model.happened(SetOnBoot(DISK, OnBoot.RESET))
        return Part(DISK, disk)

    def _snapshot(self, name: str, disk: Disk, snapshot: str) -> Disk:
        taken = disk.snapshot()
        self._model.happened(Snapshot(name, snapshot, ref=taken.ref))
        return taken

    def _track(self, name: str, disk: Disk, block: int) -> Part:
        """Enable CBT, take a baseline, and write `block`, so that there is something to lose."""
        disk.enable_cbt()
        self._model.happened(Enable(name))
        baseline = self._snapshot(name, disk, f"{name} baseline")
        self._write(name, disk, block)
        return Part(name, disk, baseline)

    def _write(self, name: str, disk: Disk, block: int) -> None:
        if self._lab.offers("raw-import"):
            disk.write(block=block)
            self._model.happened(Write(name, block * BLOCK, BLOCK))

    def _beside(self, beside: Beside, source: Part) -> Part:
        name, block = beside.name, beside.value
        if beside is Beside.SNAPSHOT:
            first = self._snapshot(source.name, source.disk, f"{name} before")
            if not self._situation.enabled:
                return Part(name, first)
            self._write(source.name, source.disk, block)
            second = self._snapshot(source.name, source.disk, name)
            return Part(name, second, first, second)
        if beside is Beside.CLONE:
            disk = source.disk.clone()
            self._model.happened(Clone(source.name, name, ref=disk.ref))
            may_track = self._situation.eligible
        else:
            disk = self._created(name, VdiType.USER, OnBoot.PERSIST)
            may_track = True
        return self._track(name, disk, block) if self._tracks and may_track else Part(name, disk)
