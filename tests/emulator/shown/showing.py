"""How a defect is shown: what is done in a laboratory, what a good host lets one see, and what one with the defect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from xencbt.fixtures.emulator.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.emulator.laboratory import Laboratory
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
