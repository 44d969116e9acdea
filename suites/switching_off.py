"""The ways in which a host itself switches changed block tracking off, each brought about and undone for sure.

Each takes a tracked disk and returns the snapshots that it took on the way and that still belong to the set.
"""

from collections.abc import Callable, Mapping

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import MIB, Lab
from xencbt.fixtures.vms import Vm

GROWTH = 2 * MIB
LESS_THAN_A_LOG = MIB
"""Bytes in which no log of an LVM based driver finds room: it takes 4 MiB."""


def failed_snapshot(lab: Lab, disk: Disk) -> list[Disk]:
    """Snapshot where no new log finds room: the snapshot takes the old log, the disk is left without one."""
    with lab.conditions.free_bytes("main", 0):
        return [disk.snapshot()]


def failed_resize(lab: Lab, disk: Disk) -> list[Disk]:
    """Grow the disk where there is room for that, but none for a log of its new size."""
    with lab.conditions.free_bytes("main", GROWTH + LESS_THAN_A_LOG):
        disk.resize(disk.size + GROWTH)
    return []


def inconsistent_log_met_by_a_vm(lab: Lab, disk: Disk) -> list[Disk]:
    """Stop the host uncleanly while a guest writes; the VM that next attaches the disk meets the log."""
    vm = stop_uncleanly(lab, disk)
    vm.start()
    vm.shutdown()
    return []


def inconsistent_log_met_by_an_import(lab: Lab, disk: Disk) -> list[Disk]:
    """Stop the host uncleanly while a guest writes; an import next attaches the disk and meets the log."""
    stop_uncleanly(lab, disk)
    disk.write(block=12)
    return []


STOPPING = ("crash", "guest-write", "vm-power")
"""What it takes to stop a host uncleanly while a guest writes."""

WAYS: Mapping[Callable[[Lab, Disk], list[Disk]], tuple[str, ...]] = {
    failed_snapshot: ("sr-state",),
    failed_resize: ("sr-state",),
    inconsistent_log_met_by_a_vm: STOPPING,
    inconsistent_log_met_by_an_import: STOPPING,
}
"""Each way, with the capabilities and consents it takes."""


def stop_uncleanly(lab: Lab, disk: Disk) -> Vm:
    """Stop the host while a guest writes to `disk`, and start it again; returns the VM, which is halted now."""
    lab.require("crash", "guest-write")
    vm = lab.create_vm(disk, power_state="Running")
    disk.write(block=11)
    lab.conditions.crash()
    return vm
