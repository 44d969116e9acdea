"""What is not done to a host without being asked for, each with what it does and what role it takes; plain data."""

from collections.abc import Mapping
from types import MappingProxyType

from xencbt.harness.roles import LEAST_ROLE

CONSENTS: Mapping[str, str] = MappingProxyType(
    {
        "sr-unplug": "unplugs the PBDs of an SR of the run for a few calls and plugs them again: disks on it are away",
        "vm-power": "starts, pauses, suspends and stops VMs that the run made itself",
        "toolstack-restart": "restarts the host's toolstack: sessions of all users end, running VMs go on",
        "network-purpose": "adds a purpose to a network and takes it away again",
        "migrate": "moves disks that the run made to another SR",
        "faults": "loses or repeats calls about disks that the run made, in a proxy on this machine",
        "special-vdi-types": "creates disks of types that the host keeps for itself (ha_statefile, metadata, redo_log)",
    }
)
"""By name, what a consent lets the run do beyond making disks and VMs of its own."""

CALLS_OF_A_CONSENT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sr-unplug": ("PBD.unplug", "PBD.plug"),
        "vm-power": ("VM.start", "VM.pause", "VM.unpause", "VM.suspend", "VM.resume", "VM.hard_shutdown"),
        "toolstack-restart": ("host.restart_agent",),
        "network-purpose": ("network.add_purpose", "network.remove_purpose"),
        "migrate": ("VDI.pool_migrate",),
    }
)
"""What a consent makes the run call besides."""

PLAIN_TYPES = frozenset({"user", "system", "ephemeral", "suspend", "crashdump", "pvs_cache"})
"""VDI types that may be created anywhere; the rest takes the consent `special-vdi-types`."""

NEVER_CREATED: Mapping[str, str] = MappingProxyType({"rrd": "it cannot be destroyed, and the host adopts it"})
"""VDI types that no consent allows, and why."""

_HIGHER = {
    "sr-unplug": "pool-operator",
    "toolstack-restart": "pool-operator",
    "network-purpose": "pool-admin",
    "migrate": "vm-power-admin",
}


def role_of(consent: str) -> str:
    """Return the least of a host's roles for what `consent` allows, by the API reference."""
    return _HIGHER.get(consent, LEAST_ROLE)
