"""What can be done to disks or happen to them: one frozen value per step, disks by the names the test gives them."""

from dataclasses import dataclass

from xencbt.harness.expectations import VdiType
from xencbt.harness.model.disk import Attachment, OnBoot


@dataclass(frozen=True, slots=True)
class Create:
    """VDI.create: `size` as the host then reports it; `ref` where known, for error parameters."""

    disk: str
    size: int
    storage: str = "main"
    type: VdiType = VdiType.USER
    on_boot: OnBoot = OnBoot.PERSIST
    raw: bool = False
    sharable: bool = False
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Enable:
    """VDI.enable_cbt."""

    disk: str


@dataclass(frozen=True, slots=True)
class Disable:
    """VDI.disable_cbt."""

    disk: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """VDI.snapshot, or this disk's part of a VM.snapshot."""

    disk: str
    name: str
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Clone:
    """VDI.clone of a disk or a snapshot."""

    disk: str
    name: str
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """VDI.copy to a storage."""

    disk: str
    name: str
    storage: str = "main"
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Resize:
    """VDI.resize: `size` as the host then reports it."""

    disk: str
    size: int


@dataclass(frozen=True, slots=True)
class SetOnBoot:
    """VDI.set_on_boot."""

    disk: str
    mode: OnBoot


@dataclass(frozen=True, slots=True)
class DataDestroy:
    """VDI.data_destroy."""

    disk: str


@dataclass(frozen=True, slots=True)
class Destroy:
    """VDI.destroy."""

    disk: str


@dataclass(frozen=True, slots=True)
class Revert:
    """This disk's part of a VM.revert: the VM's `disk` goes back to what `snapshot` holds.

    That is a snapshot of it, or of a disk that it took the place of by an earlier revert. `name` is the disk that the
    VM has afterwards: another one, or `disk` itself where the host puts its content back.
    """

    disk: str
    snapshot: str
    name: str
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class ListChanged:
    """VDI.list_changed_blocks(earlier, later)."""

    earlier: str
    later: str


@dataclass(frozen=True, slots=True)
class Write:
    """A write of `length` bytes at byte `offset`, by a guest or by an import.

    Without `content` its bytes were never on any disk before. With it, equal numbers (negative, to be told from the
    model's own) mean equal bytes in every block; the write must then cover whole blocks.
    """

    disk: str
    offset: int
    length: int
    content: int | None = None


@dataclass(frozen=True, slots=True)
class Attach:
    """The attachment changed: a VM started, paused, suspended, stopped, or a VBD was plugged or unplugged."""

    disk: str
    attachment: Attachment


@dataclass(frozen=True, slots=True)
class Scan:
    """SR.scan: the host looks at the storage anew, which changes nothing (STATUS-04)."""

    storage: str = "main"


@dataclass(frozen=True, slots=True)
class Unplug:
    """The last plugged PBD of the storage was unplugged; it takes a storage of which no disk is in use."""

    storage: str = "main"


@dataclass(frozen=True, slots=True)
class Plug:
    """A PBD of the storage was plugged (again); what was tracked still is (STATUS-04)."""

    storage: str = "main"


@dataclass(frozen=True, slots=True)
class HostDisabled:
    """The host itself switched CBT off (failed resize, failed snapshot, inconsistent log): SET-04."""

    disk: str


@dataclass(frozen=True, slots=True)
class UncleanStop:
    """The host stopped while the disk was attached for writing: its log can no longer be trusted (LIFE-06)."""

    disk: str


Step = (
    Create
    | Enable
    | Disable
    | Snapshot
    | Clone
    | Copy
    | Resize
    | SetOnBoot
    | DataDestroy
    | Destroy
    | Revert
    | ListChanged
    | Write
    | Attach
    | Scan
    | Unplug
    | Plug
    | HostDisabled
    | UncleanStop
)
"""Anything the model can follow."""
