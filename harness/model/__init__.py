"""The reference model: the documented state machine of changed block tracking, pure, written from the documentation.

Given what was done it says which outcomes of the next call are allowed, what `cbt_enabled` must read everywhere, which
backup set everything belongs to, and what a bitmap must and may mark.
"""

from xencbt.harness.expectations import VdiType
from xencbt.harness.model.disk import CBT_OPERATIONS, Attachment, Disk, Membership, OnBoot, SetId, Storage
from xencbt.harness.model.model import Model
from xencbt.harness.model.state import BackupSet, Bounds, OutsideModel, State
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

__all__ = [
    "CBT_OPERATIONS",
    "Attach",
    "Attachment",
    "BackupSet",
    "Bounds",
    "Clone",
    "Copy",
    "Create",
    "DataDestroy",
    "Destroy",
    "Disable",
    "Disk",
    "Enable",
    "HostDisabled",
    "ListChanged",
    "Membership",
    "Model",
    "OnBoot",
    "OutsideModel",
    "Plug",
    "Resize",
    "Revert",
    "Scan",
    "SetId",
    "SetOnBoot",
    "Snapshot",
    "State",
    "Step",
    "Storage",
    "UncleanStop",
    "Unplug",
    "VdiType",
    "Write",
]
