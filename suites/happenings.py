"""What may happen to a tracked disk between two writes, and must take nothing from its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from xencbt.harness.bitmap import BLOCK
from xencbt.harness.capabilities import MAIN
from xencbt.harness.needs import needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _pytest.mark import ParameterSet

    from xencbt.fixtures.disks import Disk
    from xencbt.fixtures.vms import Vm


class Written(NamedTuple):
    """A tracked disk with two snapshots, and a block written after each; `vm` has it, and another one like it."""

    disk: Disk
    baseline: Disk
    middle: Disk
    vm: Vm


SETTINGS = (
    ("set_name_label", "xencbt renamed"),
    ("set_on_boot", "persist"),
    ("set_allow_caching", False),
    ("set_sharable", False),
    ("set_read_only", False),
)


def _set(on: Written) -> None:
    """Set what a client may set, to what it is, or of no meaning to storage; a host may refuse any of it."""
    for operation, value in SETTINGS:
        on.disk.attempt(operation, value)


def _read_over_nbd(on: Written) -> None:
    """Read a snapshot as a backup product does."""
    with on.disk.lab.conditions.served_over_nbd(), on.middle.over_nbd() as served:
        served.read(0, BLOCK)


EVENTS: dict[str, Callable[[Written], object]] = {
    "settings": _set,
    "update": lambda on: on.disk.attempt("update"),
    "enabling": lambda on: on.disk.enable_cbt(),
    "listing": lambda on: on.baseline.changed_blocks_to(on.middle),
    "reading over NBD": _read_over_nbd,
    "destroying data": lambda on: on.middle.data_destroy(),
    "clone": lambda on: on.disk.clone(),
    "scan": lambda on: on.disk.lab.conditions.scan(MAIN),
    "toolstack restart": lambda on: on.disk.lab.conditions.restart_toolstack(),
    "another VM": lambda on: on.disk.lab.create_vm(on.disk).destroy(),
    "VM snapshot": lambda on: on.vm.snapshot(),
    "another disk": lambda on: on.vm.attach(on.disk.lab.create_disk().enable_cbt()),
}
"""What is done with a disk, its snapshots or its VM, and changes no byte of it."""

AT_REST: dict[str, Callable[[Written], object]] = {
    "copy": lambda on: on.disk.copy(),
    "run": lambda on: on.vm.to("Running").shutdown(),
}
"""What can be done only while the VM is halted."""

IN_USE: dict[str, Callable[[Written], object]] = {
    "pause": lambda on: on.vm.pause().unpause(),
    "suspend": lambda on: on.vm.suspend().resume(),
    "shutdown": lambda on: on.vm.shutdown().start(),
    "shutdown by the guest": lambda on: on.vm.shutdown_by_guest().start(),
    "reboot": lambda on: on.vm.reboot(),
    "migration": lambda on: on.vm.migrate(),
    "unplug": lambda on: on.vm.unplug(on.disk).plug(on.disk),
    "checkpoint": lambda on: on.vm.checkpoint(),
    "snapshot in pause": lambda on: (on.vm.pause(), on.disk.snapshot(), on.vm.unpause()),
    "snapshot in sleep": lambda on: (on.vm.suspend(), on.disk.snapshot(), on.vm.resume()),
}
"""What can be done only while the VM runs, and lets it run afterwards."""

TAKING = {
    "reading over NBD": needs("nbd", optional=["network-purpose"]),
    "toolstack restart": needs("toolstack-restart"),
    "run": needs("vm-power"),
    "migration": needs("migrate"),
}


def each(events: Iterable[str]) -> list[ParameterSet]:
    """Give these events as parameters of a test, with what they take."""
    return [pytest.param(event, marks=TAKING.get(event, ())) for event in events]
