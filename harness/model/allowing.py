"""Which outcomes a step may have in one state of the world."""

from xencbt.harness.expectations import SUCCESS, Expectation, VdiType, either, refusals
from xencbt.harness.model import rules
from xencbt.harness.model.disk import OnBoot
from xencbt.harness.model.state import OutsideModel, State
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

OPERATIONS: dict[type[Step], str] = {
    Enable: "enable_cbt",
    Disable: "disable_cbt",
    Snapshot: "snapshot",
    Clone: "clone",
    Copy: "copy",
    Resize: "resize",
    SetOnBoot: "set_on_boot",
    DataDestroy: "data_destroy",
    Destroy: "destroy",
    Revert: "revert",
    ListChanged: "list_changed_blocks",
}
"""The VDI operation that a step calls."""

_NEEDS_WRITABLE = frozenset({"snapshot", "clone", "copy", "resize", "data_destroy", "destroy", "revert"})


def allowed(state: State, step: Step) -> Expectation:
    """Return the outcomes the documentation allows for `step` in `state`.

    Raises OutsideModel where it says nothing (writing operations on a storage that cannot be written, …).
    """
    match step:
        case Create():
            return _create(step)
        case ListChanged(earlier, later):
            return _list(state, earlier, later)
        case Write(disk):
            return _write(state, disk)
        case Scan() | Unplug() | Plug():
            return _storage(state, step)
        case Attach() | HostDisabled() | UncleanStop():
            state.disk(step.disk)
            return SUCCESS
        case _:
            return rules.allowed(_situation(state, step))


def _situation(
    state: State, step: Enable | Disable | Snapshot | Clone | Copy | Resize | SetOnBoot | DataDestroy | Destroy | Revert
) -> rules.Situation:
    operation = OPERATIONS[type(step)]
    disk = state.disk(step.snapshot if isinstance(step, Revert) else step.disk)
    storage = state.storage_of(disk)
    if operation in _NEEDS_WRITABLE and storage.writable is not True:
        raise OutsideModel(f"the documentation does not say how {operation} fails on a storage that is not writable")
    return rules.Situation(
        operation=operation,
        disk=disk,
        storage=storage,
        licensed=state.licensed,
        size=step.size if isinstance(step, Resize) else None,
        ordered=state.ordered,
    )


def _storage(state: State, step: Scan | Unplug | Plug) -> Expectation:
    used = [disk.name for disk in state.disks.values() if disk.storage == step.storage and disk.attachment.running]
    if isinstance(step, Unplug) and used:
        raise OutsideModel(f"the documentation does not say how a storage in use ({', '.join(used)}) is not unplugged")
    if isinstance(step, Scan) and state.storage(step.storage).attached is not True:
        raise OutsideModel(f"the documentation does not say how scanning {step.storage!r}, which is unplugged, fails")
    return SUCCESS


def _create(step: Create) -> Expectation:
    if step.type is VdiType.CBT_METADATA:
        return refusals.wrong_type(step.type)
    return SUCCESS


def _list(state: State, earlier: str, later: str) -> Expectation:
    first, last = state.disk(earlier), state.disk(later)
    storage = state.storage_of(last)
    situation = rules.Situation(
        operation="list_changed_blocks",
        disk=last,
        storage=storage,
        related=state.related(earlier, later),
        same=earlier == later,
    )
    expectation = rules.allowed(situation)
    elsewhere = first.storage != last.storage
    return either(expectation, refusals.unrelated_across_srs()) if elsewhere else expectation


def _write(state: State, name: str) -> Expectation:
    disk = state.disk(name)
    if disk.type is VdiType.CBT_METADATA:
        return refusals.wrong_type(disk.type, disk.ref)
    if disk.on_boot is OnBoot.RESET and disk.attachment.running:
        raise OutsideModel(f"{name} is reset at boot: what is written to it is not kept")
    return SUCCESS
