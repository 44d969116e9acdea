"""The model's values: a disk or snapshot, the storage it lies on, and the backup set it belongs to."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from xencbt.harness.expectations import VdiType

CBT_OPERATIONS = frozenset({"enable_cbt", "disable_cbt", "data_destroy", "list_changed_blocks"})
"""Operations that need the driver's CBT feature (R: SR_OPERATION_NOT_SUPPORTED without)."""


class OnBoot(enum.StrEnum):
    """`on_boot` of the XenAPI: what happens to the disk's content when its VM boots."""

    PERSIST = "persist"
    RESET = "reset"


class Attachment(enum.StrEnum):
    """How VMs hold a disk now."""

    NONE = "none"
    """No VM holds it actively; VBDs of halted VMs may refer to it."""
    READ_ONLY = "ro"
    READ_WRITE = "rw"
    SUSPENDED = "suspended"
    """A suspended VM holds it: not halted, and whether that is an attachment is not documented."""
    SNAPSHOT_VM = "snapshot_vm"
    """Only a VM snapshot or checkpoint holds it actively."""

    @property
    def blocks(self) -> bool | None:
        """Whether it is attached in a way that makes it VDI_IN_USE for calls that read (None: not documented)."""
        return None if self is Attachment.SUSPENDED else self in {Attachment.READ_ONLY, Attachment.READ_WRITE}

    @property
    def held(self) -> bool | None:
        """Whether it counts as attached at all (None: not documented)."""
        return None if self is Attachment.SUSPENDED else self is not Attachment.NONE

    @property
    def running(self) -> bool:
        """Whether a VM that is not halted uses it."""
        return self in {Attachment.READ_ONLY, Attachment.READ_WRITE, Attachment.SUSPENDED}


@dataclass(frozen=True, slots=True)
class Storage:
    """What is known of one SR; None where it is not known, which allows both consequences.

    `lacks` names the VDI operations (`enable_cbt`, …) its driver cannot do; `attached` whether a PBD is plugged and the
    storage layer serves it; `log_space` whether a log finds room; `ref` its reference where error parameters name it.
    """

    attached: bool | None = True
    writable: bool | None = True
    log_space: bool | None = True
    lacks: frozenset[str] = frozenset()
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class SetId:
    """A backup set: the disk it was started on, and the how-manieth of that disk it is (from 1)."""

    disk: str
    number: int


@dataclass(frozen=True, slots=True)
class Membership:
    """A place in a backup set: `position` counts the snapshots before it; a live disk stands after all of them."""

    set: SetId
    position: int


def _nothing() -> Mapping[int, int]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Disk:
    """A VDI as the documentation speaks of it: a disk, a snapshot, or a snapshot's metadata alone.

    `size` is the virtual_size the host reports. `member` is its place in a backup set, None while it has no CBT; for a
    live disk the position is that of its latest snapshot's successor. `content` maps written blocks to what was written
    (equal numbers: equal content; absent: zeroes), and for a snapshot `written` are the blocks written to itself.
    `sound` is false between an unclean stop and the next attach, while its log cannot be trusted.
    """

    name: str
    size: int
    storage: str = "main"
    type: VdiType = VdiType.USER
    on_boot: OnBoot | None = OnBoot.PERSIST
    snapshot_of: str | None = None
    attachment: Attachment = Attachment.NONE
    raw: bool = False
    sharable: bool = False
    ref: str | None = None
    member: Membership | None = None
    sound: bool = True
    content: Mapping[int, int] = field(default_factory=_nothing, repr=False)
    written: frozenset[int] = field(default=frozenset(), repr=False)

    @property
    def enabled(self) -> bool:
        """What `cbt_enabled` reads."""
        return self.member is not None

    @property
    def is_a_snapshot(self) -> bool:
        """Whether it is a snapshot."""
        return self.snapshot_of is not None
