"""The fields of objects that a witness may read and compare, by class: those that say the same on every host."""

from collections.abc import Mapping
from types import MappingProxyType

READABLE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "VDI": frozenset(
            [
                "SR",
                "VBDs",
                "allowed_operations",
                "cbt_enabled",
                "current_operations",
                "is_a_snapshot",
                "managed",
                "missing",
                "name_description",
                "name_label",
                "on_boot",
                "read_only",
                "sharable",
                "sm_config",
                "snapshot_of",
                "snapshot_time",
                "snapshots",
                "storage_lock",
                "tags",
                "type",
                "uuid",
                "virtual_size",
                "parent",
                "metadata_latest",
                "allow_caching",
                "other_config",
            ]
        ),
        "VM": frozenset(
            [
                "VBDs",
                "allowed_operations",
                "current_operations",
                "is_a_snapshot",
                "is_a_template",
                "power_state",
                "snapshot_of",
                "snapshots",
                "uuid",
                "parent",
                "children",
            ]
        ),
        "VBD": frozenset(
            [
                "VDI",
                "VM",
                "currently_attached",
                "device",
                "empty",
                "mode",
                "type",
                "userdevice",
                "uuid",
                "bootable",
                "unpluggable",
            ]
        ),
        "SR": frozenset(
            ["PBDs", "VDIs", "allowed_operations", "current_operations", "content_type", "type", "uuid", "shared"]
        ),
        "PBD": frozenset(["SR", "currently_attached", "host", "uuid"]),
        "network": frozenset(["purpose", "uuid"]),
    }
)

COMPARED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "VDI": READABLE["VDI"] - {"allowed_operations", "current_operations", "sm_config", "uuid"},
        "VM": READABLE["VM"] - {"allowed_operations", "current_operations", "uuid"},
        "VBD": READABLE["VBD"] - {"uuid"},
        "SR": frozenset({"PBDs", "content_type"}),
        "PBD": READABLE["PBD"] - {"uuid"},
        "network": frozenset({"purpose"}),
    }
)
"""The fields of a whole record that are kept: not what hosts compute anew whenever something else happens."""
