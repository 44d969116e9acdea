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
    Resize,
    SetOnBoot,
    Snapshot,
    Step,
    Storage,
    UncleanStop,
    VdiType,
    Write,
)
from xencbt.harness.model import OnBoot as ModelOnBoot
from xencbt.harness.model.allowing import OPERATIONS
from xencbt.harness.outcome import Ok, Outcome
from xencbt.harness.verdicts import Violation

NULL = "OpaqueRef:NULL"
CBT_FEATURE = "VDI_CONFIG_CBT"

Deed = Enable | Disable | Snapshot | Clone | Copy | Resize | SetOnBoot | DataDestroy | Destroy | Write
"""A step that `Play.do` carries out on one disk."""

Event = Attach | HostDisabled | UncleanStop
"""A step that the test brings about by other means, and then tells by `Play.note`."""


class Play:
    """Disks by short names, on the host and in the model; every method raises Violation where the two disagree.

    `disks` are those that are still there. A step is allowed what the model says, under the run's profile; a step that
    must be refused must also leave the disk's whole record alone; and after every step `cbt_enabled` of every disk is
    read anew and compared. With `precise`, bitmaps are held to LIST-03 as well: a guidance, for tests of their own,
    since a host that reports more than was written loses nothing.
    """

    def __init__(self, lab: Lab, *, precise: bool = False) -> None:
        self.lab = lab
        self.precise = precise
        self.model = Model(ordered=lab.profile.ordered)
        self.disks: dict[str, Disk] = {}
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
        with nullcontext() if expectation.succeeds else self._unchanged(step):
            outcome = self._carry_out(step)
            self.lab.check(outcome, expectation, words(step))
        self._follow(step, outcome)
        self.check_status(words(step))
        return outcome

    def note(self, event: Event) -> None:
        """Follow what the test brought about by other means (a VM started, the host stopped); check every status."""
        self.model.happened(event)
        self.check_status(words(event))

    def listing(self, earlier: str, later: str) -> Bitmap | None:
        """List the blocks that changed from `earlier` to `later`; None where that was rightly refused.

        A bitmap must be of the documented form (LIST-01), miss no block that differs (LIST-02), and in a precise play
        mark none that was not written (LIST-03).
        """
        step = ListChanged(earlier, later)
        expectation = self.model.allowed(step)
        outcome = self.disks[earlier].attempt("list_changed_blocks", self.disks[later].ref)
        self.lab.check(outcome, expectation, words(step))
        self.model.happened(step, outcome)
        if not isinstance(outcome, Ok):
            return None
        try:
            bitmap = Bitmap.from_base64(outcome.value)
        except BadBitmap as error:
            raise Violation(
                f"{words(step)} gave no bitmap", expected=("standard base64",), actual=str(error)
            ) from error
        self._judge(bitmap, step)
        return bitmap

    def listings(self) -> dict[tuple[str, str], Bitmap]:
        """List every ordered pair of disks: the bitmaps by (earlier, later); listing must change no disk (LIST-10)."""
        found: dict[tuple[str, str], Bitmap] = {}
        with self.lab.unchanged(*self.disks.values(), after="listing changed blocks"):
            for pair in permutations(self.disks, 2):
                bitmap = self.listing(*pair)
                if bitmap is not None:
                    found[pair] = bitmap
        return found

    def check_status(self, after: str) -> None:
        """Read `cbt_enabled` of every disk and compare; where the model leaves it open, the reading decides."""
        for name, expected in self.model.expected_status().items():
            read = self.disks[name].cbt_enabled
            if expected is not None and read is not expected:
                what = f"cbt_enabled of {name} is wrong after {after}"
                raise Violation(what, expected=(_boolean(expected),), actual=_boolean(read))
            self.model.saw_enabled(name, enabled=read)

    def names_of_snapshots(self) -> Iterator[str]:
        """Yield the names of the snapshots that are there, oldest first."""
        return (name for name in self.disks if self.model.disk(name).is_a_snapshot)

    def _judge(self, bitmap: Bitmap, step: ListChanged) -> None:
        bounds = self.model.bounds(step.earlier, step.later)
        what = words(step)
        fault = bounds.fault(bitmap)
        if fault is not None:
            raise Violation(f"{what}: the bitmap's form is wrong", expected=(f"{bounds.length} bytes",), actual=fault)
        missed, superfluous = bounds.missed(bitmap), bounds.superfluous(bitmap)
        if missed:
            raise Violation(
                f"{what}: a backup would lose {describe(missed)}",
                expected=(f"at least {describe(bounds.must)} marked",),
                actual=str(bitmap),
            )
        if self.precise and superfluous:
            raise Violation(
                f"{what}: {describe(superfluous)} was never written in between",
                expected=(f"at most {describe(bounds.may or ())} marked",),
                actual=str(bitmap),
            )

    def _carry_out(self, step: Deed) -> Outcome:
        disk = self.disks[step.disk]
        match step:
            case Write(_, offset, length, content):
                data = None if content is None else known_content(content, length)
                disk.write(offset=offset, length=length, data=data)
                return Ok("")
            case Resize(_, size):
                return disk.attempt("resize", size)
            case SetOnBoot(_, mode):
                return disk.attempt("set_on_boot", mode.value)
            case Copy(_, _, storage):
                return disk.attempt("copy", self.lab.sr(storage).ref, NULL, NULL)
            case _:
                return disk.attempt(OPERATIONS[type(step)])

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

    def _unchanged(self, step: Deed) -> AbstractContextManager[None]:
        return self.lab.unchanged(self.disks[step.disk], after=f"a refused call: {words(step)}")

    def _working(self, sr: str) -> Storage:
        repository = self.lab.sr(sr)
        lacks = frozenset[str]() if CBT_FEATURE in repository.features else CBT_OPERATIONS
        return Storage(lacks=lacks, ref=repository.ref)


def known_content(number: int, length: int) -> bytes:
    """Return what a write of known content (a negative number) puts down: the same bytes in each block."""
    return (Content(-number).draw(BLOCK) * (length // BLOCK + 1))[:length]


def words(step: Step) -> str:
    """Say a step as a person would, with the disks' short names: `snapshot of disk as baseline`."""
    match step:
        case ListChanged(earlier, later):
            return f"list_changed_blocks from {earlier} to {later}"
        case Snapshot(disk, name) | Clone(disk, name) | Copy(disk, name):
            return f"{OPERATIONS[type(step)]} of {disk} as {name}"
        case Write(disk, offset, length):
            return f"a write of {length} bytes at {offset} to {disk}"
        case Attach(disk, attachment):
            return f"the attachment of {disk} became {attachment.value}"
        case HostDisabled(disk):
            return f"the host switched the tracking of {disk} off"
        case UncleanStop(disk):
            return f"the host stopped uncleanly while it used {disk}"
        case _:
            return f"{OPERATIONS.get(type(step), 'create')} of {step.disk}"


def _boolean(value: bool) -> str:  # noqa: FBT001  the value to show is the one argument
    return str(value).lower()
