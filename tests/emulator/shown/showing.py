"""How a defect is shown: what is done in a laboratory, what a good host lets one see, and what one with the defect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from xencbt.fixtures.emulator.blocks import BLOCK
from xencbt.fixtures.emulator.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.emulator.laboratory import Laboratory
    from xencbt.fixtures.emulator.storage import StorageRepository
    from xencbt.fixtures.emulator.values import Ref

Scene: TypeAlias = "Callable[[Laboratory], Any]"


@dataclass(frozen=True, slots=True)
class Shown:
    """`scene` gives what can be seen, which is `right` on a good host and `wrong` on one with the defect."""

    scene: Scene
    right: Any
    wrong: Any
    options: Mapping[str, Any] = field(default_factory=dict)


def outcome(lab: Laboratory, name: str, *params: Any) -> str:
    """Call; "ok", or the code of the refusal."""
    try:
        lab.call(name, *params)
    except Refusal as refusal:
        return refusal.code
    return "ok"


def used_disk(lab: Laboratory, kind: str = "lvm", **fields: Any) -> Ref:
    """Make a tracked disk that a running VM has attached for writing."""
    vdi = lab.tracked_disk(kind, **fields)
    lab.plug_into_vm(vdi)
    lab.call("VM.start", lab.vm, False, False)
    return vdi


def blocks(lab: Laboratory, source: Ref, target: Ref) -> set[int] | str:
    """List what changed; the code where that is refused."""
    try:
        return lab.changed(source, target)
    except Refusal as refusal:
        return refusal.code


def two_steps(lab: Laboratory, kind: str = "lvm") -> tuple[Ref, Ref, Ref, Ref]:
    """Make a tracked disk, three snapshots: blocks 1 and 2 are written before the second, 2 and 3 before the last."""
    vdi = lab.tracked_disk(kind)
    base = lab.snapshot(vdi)
    lab.write(vdi, 1, 2)
    middle = lab.snapshot(vdi)
    lab.write(vdi, 2, 3)
    return vdi, base, middle, lab.snapshot(vdi)


def enabled(lab: Laboratory, vdi: Ref) -> bool:
    """Read the status."""
    status: bool = lab.call("VDI.get_cbt_enabled", vdi)
    return status


def content(lab: Laboratory, vdi: Ref, block: int) -> int:
    """Read the first byte of a block."""
    record = lab.record(vdi)
    store: StorageRepository = lab.host.storage[record["SR"]]
    return store.read(record["uuid"], block * BLOCK, 1)[0]


def unclean_stop(lab: Laboratory) -> Ref:
    """Make a tracked disk that a running VM wrote to when its host stopped uncleanly."""
    vdi = used_disk(lab)
    lab.write(vdi, 0)
    lab.crash()
    return vdi
