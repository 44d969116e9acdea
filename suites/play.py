"""A play: every step is done on the host and followed in the model at once, and what the host answers is judged.

>>> play = Play(lab)
>>> play.create("disk")
>>> play.do(Enable("disk"))
>>> play.do(Snapshot("disk", "baseline"))
>>> play.do(Write("disk", offset=7 * BLOCK, length=1))
>>> play.listing("baseline", "disk")
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import permutations

from xencbt.fixtures.content import Content
from xencbt.fixtures.disks import Disk, OnBoot
from xencbt.fixtures.lab import DISK_SIZE, Lab
from xencbt.harness.bitmap import BLOCK, BadBitmap, Bitmap, describe
from xencbt.harness.blockmap import BlockMap
from xencbt.harness.capabilities import MAIN
from xencbt.harness.model import (
    CBT_OPERATIONS,
    Attach,
    Clone,
    Copy,
    Create,
    DataDestroy,
    Destroy,
    Disable,
    Enable,
    HostDisabled,
    ListChanged,
    Model,
    OutsideModel,
    Plug,
    Resize,
    Revert,
    Scan,
    SetOnBoot,
    Snapshot,
    Step,
    Storage,
    UncleanStop,
    Unplug,
    VdiType,
    Write,
)
from xencbt.harness.model import Disk as ModelDisk
from xencbt.harness.model import OnBoot as ModelOnBoot
from xencbt.harness.model.allowing import OPERATIONS
from xencbt.harness.outcome import Ok, Outcome
from xencbt.harness.verdicts import Violation
from xencbt.suites import blame
from xencbt.suites.blame import breaking
from xencbt.suites.listing import block_map
from xencbt.suites.wording import words

NULL = "OpaqueRef:NULL"
CBT_FEATURE = "VDI_CONFIG_CBT"

Deed = Enable | Disable | Snapshot | Clone | Copy | Resize | SetOnBoot | DataDestroy | Destroy | Write
"""A step that `Play.do` carries out on one disk."""

Event = Attach | HostDisabled | UncleanStop | Scan | Unplug | Plug | Snapshot | Write
"""A step that the test brings about by other means, and then tells by `Play.note`."""


class Play:
    """Disks by short names, on the host and in the model; every method raises Violation where the two disagree.

    `disks` are those that are still there. A step is allowed what the model says, under the run's profile; a step that
    must be refused must also leave the disk's whole record alone; and after every step `cbt_enabled` of every disk is
    read anew and compared. With `precise`, bitmaps are held to LIST-03 as well: a guidance, for tests of their own,
    since a host that reports more than was written loses nothing. A violation says which row of the catalogue it
    breaks, where that can be told from what was done.
    """

    def __init__(self, lab: Lab, *, precise: bool = False) -> None:
        self.lab = lab
        self.precise = precise
        self.model = Model(ordered=lab.profile.ordered)
        self.disks: dict[str, Disk] = {}
        self._past = blame.Past()
        self._described: set[str] = set()

    def create(
        self,
        name: str,
        *,
        sr: str = MAIN,
        type: str = "user",  # noqa: A002  the XenAPI's word
        on_boot: OnBoot = "persist",
        size: int = DISK_SIZE,
        sm_config: Mapping[str, str] | None = None,
    ) -> Disk:
        """Create a disk (as `Lab.create_disk` does, with its exceptions) and call it `name`."""
        disk = self.lab.create_disk(sr=sr, type=type, on_boot=on_boot, size=size, sm_config=sm_config)
        self.adopt(name, disk, type=type, on_boot=on_boot, raw=(sm_config or {}).get("type") == "raw")
        self.check_status(f"{name} was created")
        return disk

    def adopt(
        self,
        name: str,
        disk: Disk,
        *,
        type: str = "user",  # noqa: A002  the XenAPI's word
        on_boot: OnBoot = "persist",
        raw: bool = False,
        storage: Storage | None = None,
    ) -> None:
        """Call an existing disk `name`: one without CBT that was never a snapshot.

        `storage` describes its SR; without it the SR is one in working order, with the features its driver names.
        """
        if storage is not None or disk.sr_kind not in self._described:
            self.describe(disk.sr_kind, storage or self._working(disk.sr_kind))
        self.model.happened(
            Create(
                name,
                disk.size,
                storage=disk.sr_kind,
                type=VdiType(type),
                on_boot=ModelOnBoot(on_boot),
                raw=raw,
                ref=disk.ref,
            )
        )
        self.disks[name] = disk

    def describe(self, sr: str, storage: Storage) -> None:
        """Say (anew) in which condition the SR of that kind is."""
        self.model.storage(storage, sr)
        self._described.add(sr)

    def do(self, step: Deed) -> Outcome:
        """Do `step` on the host, judge the answer, follow it in the model, and check every status.

        Writes that no call can make raise what `Disk.write` raises; a lost answer raises HarnessError.
        """
        expectation = self.model.allowed(step)
        with (
            breaking(blame.of_outcome(step, self._known(step.disk), succeeds=expectation.succeeds)),
            nullcontext() if expectation.succeeds else self._unchanged(step),
        ):
            outcome = self._carry_out(step)
            self.lab.check(outcome, expectation, words(step))
        self.follow((step, outcome))
        return outcome

    def follow(self, *done: tuple[Deed, Outcome]) -> None:
        """Follow steps that were carried out by other means and judged, oldest first; check every status afterwards.

        The outcome is what the host answered, be it that the client never saw it: of what makes a VDI, its reference.
        """
        for step, outcome in done:
            self._follow(step, outcome)
            self._past.noted(step)
        last, outcome = done[-1]
        self.check_status(words(last), last)
        if isinstance(outcome, Ok) and isinstance(last, Snapshot):
            self._settle(last)

    def parameters(self, step: Deed | ListChanged) -> tuple[object, ...]:
        """Return what the call of a step takes besides the disk; a write is no call."""
        match step:
            case Resize(_, size):
                return (size,)
            case SetOnBoot(_, mode):
                return (mode.value,)
            case Copy(_, _, storage):
                return (self.lab.sr(storage).ref, NULL, NULL)
            case Snapshot() | Clone():
                return ({},)
            case ListChanged(_, later):
                return (self.disks[later].ref,)
            case _:
                return ()

    def supposed(self, step: Deed, outcome: Outcome) -> None:
        """Follow a call that met a fault: it happened, or (where nobody knows) both that and that it did not.

        The states that are possible are told apart by what is read next.
        """
        self.model.happened(step, outcome)
        self.struck(step)

    def struck(self, step: Deed) -> None:
        """Keep in mind that a call met a fault: changes lost from now on are laid to that."""
        self._past.noted(step)
        self._past.disturbed()

    def note(self, event: Event, made: Disk | None = None) -> None:
        """Follow what the test brought about by other means (a VM started, the host stopped); check every status.

        `made` is the disk that a snapshot of a whole VM made of the event's disk.
        """
        if isinstance(event, Snapshot):
            assert made is not None
            self.disks[event.name] = made
            event = replace(event, ref=made.ref)
        self.model.happened(event)
        self._noted(event)

    def reverted(self, parts: Mapping[Revert, Disk]) -> None:
        """Follow the revert of a VM, each disk's part of it with the disk that the VM has now; check every status."""
        for part, now in parts.items():
            self.model.happened(replace(part, ref=now.ref))
            if part.name != part.disk:
                del self.disks[part.disk]
            self.disks[part.name] = now
            self._past.noted(part)
        self.check_status("VM.revert", next(iter(parts)))

    def listing(self, earlier: str, later: str) -> Bitmap | None:
        """List the blocks that changed from `earlier` to `later`; None where that was rightly refused.

        A bitmap must be of the documented form (LIST-01), miss no block that differs (LIST-02), and in a precise play
        mark none that was not written (LIST-03).
        """
        step = ListChanged(earlier, later)
        expectation = self.model.allowed(step)
        outcome = self.disks[earlier].attempt("list_changed_blocks", self.disks[later].ref)
        with breaking(self._row_of_listing(step, succeeds=expectation.succeeds)):
            self.lab.check(outcome, expectation, words(step))
        self.model.happened(step, outcome)
        return self.judge_bitmap(step, outcome.value) if isinstance(outcome, Ok) else None

    def judge_bitmap(self, step: ListChanged, answer: object) -> Bitmap:
        """Judge the answer to a listing that rightly succeeded, by whatever way it came."""
        try:
            bitmap = Bitmap.from_base64(answer)
        except BadBitmap as error:
            raise Violation(
                f"{words(step)} gave no bitmap",
                expected=("standard base64",),
                actual=str(error),
                requirements=("LIST-01",),
            ) from error
        self._judge(bitmap, step)
        self._past.right(step.earlier, step.later)
        return bitmap

    def listings(self) -> dict[tuple[str, str], Bitmap]:
        """List every ordered pair of disks: the bitmaps by (earlier, later); listing must change no disk (LIST-10)."""
        found: dict[tuple[str, str], Bitmap] = {}
        with breaking("LIST-10"), self.lab.unchanged(*self.disks.values(), after="listing changed blocks"):
            for pair in permutations(self.disks, 2):
                bitmap = self.listing(*pair)
                if bitmap is not None:
                    found[pair] = bitmap
        return found

    @property
    def done(self) -> tuple[Step, ...]:
        """The steps so far, oldest first; those that were refused as well."""
        return tuple(self._past.done)

    def check_status(self, after: str, step: Step | None = None) -> None:
        """Read `cbt_enabled` of every disk and compare; where the model leaves it open, the reading decides.

        `after` says what was done last, `step` is the same where it was one step.
        """
        for name, expected in self.model.expected_status().items():
            read = self.disks[name].cbt_enabled
            if expected is not None and read is not expected:
                raise Violation(
                    f"cbt_enabled of {name} is wrong after {after}",
                    expected=(_boolean(expected),),
                    actual=_boolean(read),
                    requirements=() if step is None else (blame.of_status(step, self.model.disk(name)),),
                )
            self.model.saw_enabled(name, enabled=read)

    def names_of_snapshots(self) -> Iterator[str]:
        """Yield the names of the snapshots that are there, oldest first."""
        return (name for name in self.disks if self.model.disk(name).is_a_snapshot)

    def _lost_by(self, earlier: str, later: str, usual: str) -> str:
        known = [disk for name in (earlier, later) if (disk := self._known(name)) is not None]
        sources = [disk.snapshot_of for disk in known if disk.snapshot_of is not None]
        return self._past.lost_by(earlier, later, sources, usual)

    def _noted(self, step: Step) -> None:
        self._past.noted(step)
        self.check_status(words(step), step)

    def _row_of_listing(self, step: ListChanged, *, succeeds: bool) -> str | None:
        """Return the row broken by a listing that is refused where it must succeed, or the other way round."""
        first, last = self._known(step.earlier), self._known(step.later)
        if first is None or last is None:
            return None
        if succeeds:
            return self._lost_by(step.earlier, step.later, "LIST-08")
        return "LIST-07" if last.attachment.blocks else blame.of_invented_relation(first, last)

    def _known(self, name: str) -> ModelDisk | None:
        """Return what the model knows of a disk; None while that is open."""
        try:
            return self.model.disk(name)
        except OutsideModel:
            return None

    def _settle(self, step: Snapshot) -> None:
        """Find out on which side of a snapshot its own snapshot stands, which the documentation leaves open."""
        if len(self.model.states) > 1 and self.model.enabled(step.name):
            self.listing(step.name, step.disk)
            self.listing(step.disk, step.name)

    def _judge(self, bitmap: Bitmap, step: ListChanged) -> None:
        bounds = self.model.bounds(step.earlier, step.later)
        what = words(step)
        fault = bounds.fault(bitmap)
        if fault is not None:
            raise Violation(
                f"{what}: the bitmap's form is wrong",
                expected=(f"{bounds.length} bytes",),
                actual=fault,
                requirements=("LIST-05" if any(isinstance(one, Resize) for one in self._past.done) else "LIST-01",),
                block_map=self._map(bitmap, step, bounds.must),
            )
        missed, superfluous = bounds.missed(bitmap), bounds.superfluous(bitmap)
        if missed:
            raise Violation(
                f"{what}: a backup would lose {describe(missed)}",
                expected=(f"at least {describe(bounds.must)} marked",),
                actual=str(bitmap),
                requirements=(self._lost_by(step.earlier, step.later, "LIST-02"),),
                block_map=self._map(bitmap, step, bounds.must),
            )
        if self.precise and superfluous:
            raise Violation(
                f"{what}: {describe(superfluous)} was never written in between",
                expected=(f"at most {describe(bounds.may or ())} marked",),
                actual=str(bitmap),
                requirements=("LIST-03",),
                block_map=self._map(bitmap, step, bounds.must, allowed=bounds.may),
            )

    def _map(
        self, bitmap: Bitmap, step: ListChanged, expected: frozenset[int], *, allowed: frozenset[int] | None = None
    ) -> BlockMap:
        earlier, later = self.disks[step.earlier], self.disks[step.later]
        return block_map(bitmap, expected, earlier, later, allowed=allowed)

    def _carry_out(self, step: Deed) -> Outcome:
        disk = self.disks[step.disk]
        if isinstance(step, Write):
            data = None if step.content is None else known_content(step.content, step.length)
            disk.write(offset=step.offset, length=step.length, data=data)
            return Ok("")
        return disk.attempt(OPERATIONS[type(step)], *self.parameters(step))

    def _follow(self, step: Deed, outcome: Outcome) -> None:
        """Tell the model what happened, with what only the host knows: the new VDI's reference, the size it rounded."""
        if not isinstance(outcome, Ok):
            self.model.happened(step, outcome)
            return
        match step:
            case Snapshot(disk, name) | Clone(disk, name) | Copy(disk, name):
                kind = step.storage if isinstance(step, Copy) else self.disks[disk].sr_kind
                made = self.lab.disk_at(str(outcome.value), kind)
                self.model.happened(replace(step, ref=made.ref))
                self.disks[name] = made
            case Resize(disk):
                grown = self.disks[disk]
                grown.size = int(grown.record()["virtual_size"])
                self.model.happened(replace(step, size=grown.size))
            case _:
                self.model.happened(step)
                if isinstance(step, Destroy):
                    del self.disks[step.disk]
                if isinstance(step, DataDestroy):
                    self._check_type(step)

    def _check_type(self, step: DataDestroy) -> None:
        read = self.disks[step.disk].record()["type"]
        if read != VdiType.CBT_METADATA.value:
            raise Violation(
                f"the type of {step.disk} is wrong after {words(step)}",
                expected=(VdiType.CBT_METADATA.value,),
                actual=str(read),
                requirements=("DESTROY-01",),
            )

    def _unchanged(self, step: Deed) -> AbstractContextManager[None]:
        return self.lab.unchanged(self.disks[step.disk], after=f"a refused call: {words(step)}")

    def _working(self, sr: str) -> Storage:
        repository = self.lab.sr(sr)
        lacks = frozenset[str]() if CBT_FEATURE in repository.features else CBT_OPERATIONS
        return Storage(lacks=lacks, ref=repository.ref)


def known_content(number: int, length: int) -> bytes:
    """Return what a write of known content (a negative number) puts down: the same bytes in each block."""
    return (Content(-number).draw(BLOCK) * (length // BLOCK + 1))[:length]


def _boolean(value: bool) -> str:  # noqa: FBT001  the value to show is the one argument
    return str(value).lower()
