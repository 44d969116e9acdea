"""Whether a session may make the calls that judging takes, as its role allows."""

from collections.abc import Collection, Mapping
from typing import Any

VM_OPERATOR, VM_ADMIN = "vm-operator", "vm-admin"

LEAST_ROLES: Mapping[str, str] = {
    "VDI.create": VM_ADMIN,
    "VDI.destroy": VM_ADMIN,
    "VDI.snapshot": VM_ADMIN,
    "VDI.clone": VM_ADMIN,
    "VDI.resize": VM_ADMIN,
    "VDI.enable_cbt": VM_ADMIN,
    "VDI.disable_cbt": VM_ADMIN,
    "VDI.data_destroy": VM_ADMIN,
    "VDI.list_changed_blocks": VM_OPERATOR,
    "VM.create": VM_ADMIN,
    "VM.destroy": VM_ADMIN,
    "VBD.create": VM_ADMIN,
    "VBD.destroy": VM_ADMIN,
}
"""The calls without which next to nothing can be judged, and the least role for each, by the API reference."""

_ORDER = (VM_OPERATOR, VM_ADMIN)


def lacking(record: Mapping[str, Any], listed: Collection[str] | None = None) -> tuple[str, ...]:
    """Return the calls of LEAST_ROLES that a session may not make; `record` is its own.

    A host's permissions are names of calls in lower case. A local superuser has none listed, since nothing is checked
    for it. `listed` are the host's methods, where known: what it does not have needs no role.
    """
    if record.get("is_local_superuser"):
        return ()
    permitted = {str(name).lower() for name in record.get("rbac_permissions", ())}
    return tuple(call for call in LEAST_ROLES if call.lower() not in permitted and (listed is None or call in listed))


def least_role(calls: Collection[str]) -> str:
    """Return the least role that may make all `calls` of LEAST_ROLES."""
    return max((LEAST_ROLES[call] for call in calls), key=_ORDER.index)
