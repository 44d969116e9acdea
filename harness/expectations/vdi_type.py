"""The types of VDI, by the API's enum name and by the name that hosts show to people."""

import enum


class VdiType(enum.StrEnum):
    """`vdi_type` of the XenAPI."""

    SYSTEM = "system"
    USER = "user"
    EPHEMERAL = "ephemeral"
    SUSPEND = "suspend"
    CRASHDUMP = "crashdump"
    HA_STATEFILE = "ha_statefile"
    METADATA = "metadata"
    REDO_LOG = "redo_log"
    RRD = "rrd"
    PVS_CACHE = "pvs_cache"
    CBT_METADATA = "cbt_metadata"

    @property
    def display_name(self) -> str:
        """The name real hosts put into error parameters."""
        return _DISPLAY_NAMES[self]

    @property
    def eligible(self) -> bool:
        """Whether CBT can be enabled on a VDI of this type (ENABLE-10)."""
        return self in {VdiType.SYSTEM, VdiType.USER}


_DISPLAY_NAMES = {
    VdiType.SYSTEM: "System",
    VdiType.USER: "User",
    VdiType.EPHEMERAL: "Ephemeral",
    VdiType.SUSPEND: "Suspend",
    VdiType.CRASHDUMP: "Crashdump",
    VdiType.HA_STATEFILE: "HA statefile",
    VdiType.METADATA: "Metadata",
    VdiType.REDO_LOG: "Redo log",
    VdiType.RRD: "rrd",
    VdiType.PVS_CACHE: "PVS cache",
    VdiType.CBT_METADATA: "CBT metadata",
}
