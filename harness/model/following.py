"""What follows from a step that succeeded: the possible next states of the world, most often one."""

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from xencbt.harness.bitmap import BLOCK, touched
from xencbt.harness.expectations import VdiType
from xencbt.harness.model.disk import Attachment, Disk, Membership, OnBoot, SetId
from xencbt.harness.model.state import Interval, OutsideModel, State
from xencbt.harness.model.steps import (
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
    Plug,
    Resize,
    Revert,
    Scan,
    SetOnBoot,
    Snapshot,
    Step,
    UncleanStop,
    Unplug,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def successors(state: State, step: Step) -> tuple[State, ...]:  # noqa: C901  one line per kind of step
    """Return the states that may hold after `step` succeeded in `state`; raises OutsideModel for misuse."""
    match step:
        case Create():
            return (_create(state, step),)
        case Enable(disk):
            return (_enable(state, state.disk(disk)),)
        case Disable(disk) | HostDisabled(disk):
            return (_disabled(state, disk),)
        case Snapshot(disk, name, ref):
            return _snapshot(state, state.disk(disk), _fresh(state, name), ref)
        case Clone() | Copy():
            return (_clone(state, step),)
        case Resize(disk, size):
            return _resize(state, state.disk(disk), size)
        case SetOnBoot(disk, mode):
            return (state.with_disks(replace(state.disk(disk), on_boot=mode)),)
        case DataDestroy(disk):
            return (state.with_disks(replace(state.disk(disk), type=VdiType.CBT_METADATA)),)
        case Destroy(disk):
            return (_destroy(state, state.disk(disk)),)
        case Revert():
            return _revert(state, step)
        case ListChanged() | Scan():
            return (state,)
        case Unplug(storage):
            return (state.with_storage(storage, attached=False),)
        case Plug(storage):
            return (state.with_storage(storage, attached=True),)
        case Write():
            return (_write(state, step),)
        case Attach(disk, attachment):
            return _attach(state, state.disk(disk), attachment)
        case UncleanStop(disk):
            return _unclean_stop(state, state.disk(disk))


def _fresh(state: State, name: str) -> str:
    if name in state.disks:
        raise OutsideModel(f"the name {name!r} is taken")
    return name


def _create(state: State, step: Create) -> State:
    disk = Disk(
        name=_fresh(state, step.disk),
        size=step.size,
        storage=step.storage,
        type=step.type,
        on_boot=step.on_boot,
        raw=step.raw,
        sharable=step.sharable,
        ref=step.ref,
    )
    state.storage_of(disk)
    return state.with_disks(disk)


def _enable(state: State, disk: Disk) -> State:
    """Begin a set (SET-01, SET-05); on an enabled disk nothing changes (ENABLE-13)."""
    if disk.enabled:
        return state
    number = 1 + sum(1 for known in state.sets if known.disk == disk.name)
    started = SetId(disk.name, number)
    enabled = replace(disk, member=Membership(started, 0), sound=True)
    return state.with_set(started, (Interval(),)).with_disks(enabled)


def _disabled(state: State, name: str) -> State:
    """Take the disk out of its set for ever (SET-03, SET-04); the set's snapshots stay in it (SET-07, DISABLE-07)."""
    return state.with_disks(replace(state.disk(name), member=None, sound=True))


def _snapshot(state: State, disk: Disk, name: str, ref: str | None) -> tuple[State, ...]:
    snapshot = replace(disk, name=name, snapshot_of=disk.name, attachment=Attachment.NONE, ref=ref, sound=True)
    member = disk.member
    if member is None:
        return (state.with_disks(snapshot),)
    if disk.is_a_snapshot:
        return _snapshot_of_snapshot(state, disk, member, snapshot)
    live = replace(disk, member=Membership(member.set, member.position + 1))
    joined = state.with_set(member.set, (*state.sets[member.set], Interval(sound=disk.sound))).with_disks(
        snapshot, live
    )
    outcomes = [joined]
    if not disk.sound:
        untracked = state.with_disks(replace(snapshot, member=None))
        trusted = joined.with_disks(replace(live, sound=True))
        outcomes += [trusted, _disabled(joined, disk.name), _disabled(untracked, disk.name)]
    elif state.storage_of(disk).log_space is not True:
        outcomes.append(_disabled(joined, disk.name))
    return tuple(outcomes)


def _snapshot_of_snapshot(state: State, disk: Disk, member: Membership, snapshot: Disk) -> tuple[State, ...]:
    """Join the set beside the snapshot it was taken of, whose state it holds (LIFE-01).

    On which side of it is not documented: hosts that roll the log as for any disk put it before. Nothing was written
    between the two, and both list their changes to all that follows.
    """
    intervals = state.sets[member.set]
    place = member.position + 1
    apart = state.with_set(member.set, (*intervals[:place], Interval(), *intervals[place:])).with_disks(
        *(replace(one, member=Membership(member.set, where.position + 1)) for one, where in state.after(member))
    )
    behind = Membership(member.set, place)
    before = apart.with_disks(snapshot, replace(disk, member=behind))
    outcomes = [before, apart.with_disks(replace(snapshot, member=behind))]
    if state.storage_of(disk).log_space is not True:
        outcomes.append(_disabled(before, disk.name))
    return tuple(outcomes)


def _clone(state: State, step: Clone | Copy) -> State:
    """Add a disk that starts with CBT disabled; the source is untouched (LIFE-02)."""
    source = state.disk(step.disk)
    storage = step.storage if isinstance(step, Copy) else source.storage
    clone = Disk(
        name=_fresh(state, step.name),
        size=source.size,
        storage=storage,
        type=source.type,
        on_boot=OnBoot.PERSIST if source.on_boot is OnBoot.PERSIST else None,
        raw=source.raw,
        ref=step.ref,
        content=source.content,
    )
    state.storage_of(clone)
    return state.with_disks(clone)


def _resize(state: State, disk: Disk, size: int) -> tuple[State, ...]:
    """Grow the disk: it keeps its set, unless the log cannot follow (LIFE-04)."""
    if size < disk.size:
        raise OutsideModel(f"{disk.name} cannot have shrunk from {disk.size} to {size} bytes")
    grown = state.with_disks(replace(disk, size=size))
    sure = not disk.enabled or (disk.sound and state.storage_of(disk).log_space is True)
    return (grown,) if sure else (grown, _disabled(grown, disk.name))


def _destroy(state: State, disk: Disk) -> State:
    """Remove the disk; what its set recorded up to it counts for the next snapshot (LIST-11, DESTROY-06)."""
    gone = state.without_disk(disk.name)
    if disk.member is None or not disk.written:
        return gone
    intervals = list(state.sets[disk.member.set])
    following = disk.member.position + 1
    merged = intervals[following]
    intervals[following] = replace(merged, touched=merged.touched | disk.written)
    return gone.with_set(disk.member.set, tuple(intervals))


def _revert(state: State, step: Revert) -> tuple[State, ...]:
    """Take a disk back to its snapshot; whatever is listed afterwards misses nothing that differs (LIFE-07).

    Where another disk takes its place, that one is like a clone of the snapshot: untracked, with a history of its own.
    Where the host puts the content back, a log that knows what was overwritten may go on; then it need not be precise.
    """
    disk, snapshot = state.disk(step.disk), state.disk(step.snapshot)
    if not snapshot.is_a_snapshot:
        raise OutsideModel(f"{snapshot.name} is no snapshot")
    if step.name != disk.name:
        fresh = Disk(
            name=_fresh(state, step.name),
            size=snapshot.size,
            storage=snapshot.storage,
            type=snapshot.type,
            on_boot=snapshot.on_boot,
            sharable=snapshot.sharable,
            ref=step.ref,
            content=snapshot.content,
        )
        return (_destroy(state, disk).with_disks(fresh),)
    back = replace(disk, size=snapshot.size, content=snapshot.content, attachment=Attachment.NONE)
    untracked = state.with_disks(replace(back, member=None, sound=True))
    if disk.member is None:
        return (untracked,)
    kept = state.with_disks(back).recorded(disk.member, frozenset(), sound=False)
    return untracked, kept


def _write(state: State, step: Write) -> State:
    disk = state.disk(step.disk)
    if step.offset + step.length > disk.size:
        raise OutsideModel(f"a write beyond the end of {disk.name} ({disk.size} bytes)")
    blocks = frozenset(touched(step.offset, step.length))
    clock = state.clock + 1
    content: Mapping[int, int] = {**disk.content, **dict.fromkeys(blocks, _content(step, disk, clock))}
    if disk.is_a_snapshot:
        changed = replace(disk, content=MappingProxyType(content), written=disk.written | blocks)
        return replace(state, clock=clock).with_disks(changed)
    if not disk.sound and not disk.attachment.running:
        # An import attaches the disk for writing, and that is when the host finds the inconsistent log (LIFE-06).
        state = _disabled(state, disk.name)
        disk = state.disk(disk.name)
    state = replace(state, clock=clock).with_disks(replace(disk, content=MappingProxyType(content)))
    return state if disk.member is None else state.recorded(disk.member, blocks)


def _content(step: Write, disk: Disk, fresh: int) -> int:
    if step.content is None:
        return fresh
    whole = step.offset % BLOCK == 0 and (step.length % BLOCK == 0 or step.offset + step.length == disk.size)
    if not whole or step.content >= 0:
        raise OutsideModel("a write of known content covers whole blocks, and its number is negative")
    return step.content


def _attach(state: State, disk: Disk, attachment: Attachment) -> tuple[State, ...]:
    """After an unclean stop the next attach switches CBT off (LIFE-06); a read-only one need not have looked."""
    attached = state.with_disks(replace(disk, attachment=attachment))
    if disk.sound or disk.member is None or not attachment.running:
        return (attached,)
    disabled = _disabled(attached, disk.name)
    return (disabled,) if attachment is Attachment.READ_WRITE else (disabled, attached)


def _unclean_stop(state: State, disk: Disk) -> tuple[State, ...]:
    """Distrust the log from here on; the host may say so at once, or at the next attach (LIFE-06)."""
    stopped = replace(disk, attachment=Attachment.NONE)
    if disk.member is None:
        return (state.with_disks(stopped),)
    doubtful = state.with_disks(replace(stopped, sound=False)).recorded(disk.member, frozenset(), sound=False)
    return doubtful, _disabled(doubtful, disk.name)
