"""One possible state of the world, immutable: disks, storage, licence, and what every backup set recorded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from xencbt.harness.bitmap import Bitmap, block_count, expected_length
from xencbt.harness.errors import HarnessError
from xencbt.harness.model.disk import Disk, Membership, SetId, Storage


class OutsideModel(HarnessError):
    """The step is one of which the documentation says nothing, or the test misuses the model: no judgement follows."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What one set recorded between two neighbouring snapshots; not `sound` when its log met an unclean stop."""

    touched: frozenset[int] = field(default=frozenset(), repr=False)
    sound: bool = True


@dataclass(frozen=True, slots=True)
class BackupSet:
    """A backup set as it is now: its snapshots in order, and whether its disk still adds to it."""

    id: SetId
    snapshots: tuple[str, ...]
    live: bool

    @property
    def baseline(self) -> str | None:
        """The first snapshot that is left; later ones list their changes against it (SET-02)."""
        return self.snapshots[0] if self.snapshots else None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a bitmap from one VDI to a later one may say.

    `must` are the blocks that differ (LIST-02), `may` those written in between (LIST-03; None where nothing bounds it),
    `size` the later disk's virtual size in bytes.
    """

    must: frozenset[int]
    may: frozenset[int] | None
    size: int

    @property
    def length(self) -> int:
        """The bitmap's length in bytes."""
        return expected_length(self.size)

    def fault(self, bitmap: Bitmap) -> str | None:
        """Say what is wrong with the bitmap's form (LIST-01, LIST-05); None if right."""
        return bitmap.fault(self.size)

    def missed(self, bitmap: Bitmap) -> frozenset[int]:
        """Return the blocks that differ and are not marked: a backup would lose them (LIST-02)."""
        return self.must - bitmap.blocks

    def superfluous(self, bitmap: Bitmap) -> frozenset[int]:
        """Return the blocks that are marked and were never written in between (LIST-03, ENABLE-19)."""
        return frozenset() if self.may is None else bitmap.blocks - self.may

    def allows(self, bitmap: Bitmap, *, precise: bool = False) -> bool:
        """Tell whether form and safety hold, and with `precise` precision too."""
        return not (self.fault(bitmap) or self.missed(bitmap) or (precise and self.superfluous(bitmap)))


@dataclass(frozen=True)
class State:
    """One possible world.

    `licensed`: whether enabling is licensed (None: unknown); `ordered`: whether the host is held to xapi's order of
    checks; `clock` numbers new content.
    """

    disks: Mapping[str, Disk] = field(default_factory=lambda: MappingProxyType({}))
    storages: Mapping[str, Storage] = field(default_factory=lambda: MappingProxyType({"main": Storage()}))
    sets: Mapping[SetId, tuple[Interval, ...]] = field(default_factory=lambda: MappingProxyType({}))
    licensed: bool | None = True
    ordered: bool = False
    clock: int = 0

    def disk(self, name: str) -> Disk:
        """Return the disk of this name; raises OutsideModel when there is none."""
        try:
            return self.disks[name]
        except KeyError:
            raise OutsideModel(f"the model knows no disk {name!r}") from None

    def storage(self, name: str) -> Storage:
        """Return the storage of this name; raises OutsideModel when the test never described it."""
        try:
            return self.storages[name]
        except KeyError:
            raise OutsideModel(f"the model knows no storage {name!r}") from None

    def storage_of(self, disk: Disk) -> Storage:
        """Return the storage the disk lies on; raises as `storage`."""
        return self.storage(disk.storage)

    def with_storage(self, name: str, *, attached: bool) -> "State":
        """Return this state with that storage attached or not; raises as `storage`."""
        changed = replace(self.storage(name), attached=attached)
        return replace(self, storages=MappingProxyType({**self.storages, name: changed}))

    def after(self, member: Membership) -> Iterator[tuple[Disk, Membership]]:
        """Yield the disks of the same set that stand after `member`, each with its place."""
        for disk in self.disks.values():
            if disk.member is not None and disk.member.set == member.set and disk.member.position > member.position:
                yield disk, disk.member

    def with_disks(self, *disks: Disk) -> "State":
        """Return this state with these disks added or replaced."""
        return replace(self, disks=MappingProxyType({**self.disks, **{disk.name: disk for disk in disks}}))

    def without_disk(self, name: str) -> "State":
        """Return this state without that disk; what its set recorded stays with the set (LIST-11)."""
        return replace(self, disks=MappingProxyType({k: disk for k, disk in self.disks.items() if k != name}))

    def with_set(self, name: SetId, intervals: tuple[Interval, ...]) -> "State":
        """Return this state with that set's record replaced."""
        return replace(self, sets=MappingProxyType({**self.sets, name: intervals}))

    def recorded(self, member: Membership, touched: frozenset[int], *, sound: bool = True) -> "State":
        """Return this state with `touched` added to the open interval of a live disk's set."""
        *closed, last = self.sets[member.set]
        return self.with_set(member.set, (*closed, Interval(last.touched | touched, last.sound and sound)))

    def backup_set(self, name: str) -> BackupSet | None:
        """Return the set the disk or snapshot belongs to, None while it has no CBT."""
        member = self.disk(name).member
        if member is None:
            return None
        members = [disk for disk in self.disks.values() if disk.member is not None and disk.member.set == member.set]
        snapshots = sorted(
            (disk for disk in members if disk.is_a_snapshot),
            key=lambda disk: disk.member.position if disk.member else 0,
        )
        return BackupSet(
            member.set,
            tuple(disk.name for disk in snapshots),
            live=any(not disk.is_a_snapshot for disk in members),
        )

    def related(self, earlier: str, later: str) -> bool | None:
        """Tell whether changes can be listed: same set, right order. None when an unclean stop lies in between."""
        first, last = self.disk(earlier).member, self.disk(later).member
        if first is None or last is None or first.set != last.set or first.position >= last.position:
            return False
        return True if all(interval.sound for interval in self._between(first, last)) else None

    def bounds(self, earlier: str, later: str) -> Bounds:
        """Return what the bitmap between two related VDIs may say; raises OutsideModel when they are not related."""
        first, last = self.disk(earlier), self.disk(later)
        if first.member is None or last.member is None or self.related(earlier, later) is False:
            raise OutsideModel(f"{earlier} and {later} are unrelated: there is no bitmap between them")
        differing = _differing(first.content, last.content, block_count(last.size))
        intervals = self._between(first.member, last.member)
        if not all(interval.sound for interval in intervals):
            return Bounds(differing, None, last.size)
        touched = frozenset[int]().union(*(interval.touched for interval in intervals))
        written = (
            disk.written
            for disk in self.disks.values()
            if disk.member is not None
            and disk.member.set == last.member.set
            and first.member.position <= disk.member.position <= last.member.position
        )
        return Bounds(differing, differing | touched.union(*written), last.size)

    def _between(self, first: Membership, last: Membership) -> tuple[Interval, ...]:
        return self.sets[first.set][first.position + 1 : last.position + 1]


def _differing(before: Mapping[int, int], after: Mapping[int, int], blocks: int) -> frozenset[int]:
    if before is after:
        return frozenset()
    return frozenset(
        block for block in before.keys() | after.keys() if block < blocks and before.get(block) != after.get(block)
    )
