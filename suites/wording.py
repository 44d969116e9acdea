"""Steps in words, as violations show them to people."""

from xencbt.harness.model import (
    Attach,
    Clone,
    Copy,
    HostDisabled,
    ListChanged,
    Plug,
    Scan,
    Snapshot,
    Step,
    UncleanStop,
    Unplug,
    Write,
)
from xencbt.harness.model.allowing import OPERATIONS


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
        case Scan(storage):
            return f"a scan of the SR {storage}"
        case Unplug(storage) | Plug(storage):
            return f"the PBDs of the SR {storage} were {'unplugged' if isinstance(step, Unplug) else 'plugged again'}"
        case _:
            return f"{OPERATIONS.get(type(step), 'create')} of {step.disk}"
