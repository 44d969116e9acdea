"""Whether a session may make the calls that judging takes, as its role allows."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

VM_OPERATOR, VM_ADMIN = "vm-operator", "vm-admin"

LEAST_ROLES: Mapping[str, str] = {
    "VDI.create": VM_ADMIN,
    "VDI.destroy": VM_ADMIN,
    "VDI.snapshot": VM_ADMIN,
    "VDI.clone": VM_ADMIN,
    "VDI.resize": VM_ADMIN,
    "VDI.set_on_boot": VM_ADMIN,
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

    `listed` are the host's methods, where known: what it does not have needs no role.
    """
    return tuple(call for call in denied(record, LEAST_ROLES) if listed is None or call in listed)


def denied(record: Mapping[str, Any], calls: Iterable[str]) -> tuple[str, ...]:
    """Return those of `calls` that the session with that record may not make.

    A host's permissions are names of calls in lower case. A local superuser has none listed, since nothing is checked
    for it.
    """
    if record.get("is_local_superuser"):
        return ()
    permitted = {str(name).lower() for name in record.get("rbac_permissions", ())}
    return tuple(call for call in calls if call.lower() not in permitted)


def least_role(calls: Collection[str]) -> str:
    """Return the least role that may make all `calls` of LEAST_ROLES."""
    return max((LEAST_ROLES[call] for call in calls), key=_ORDER.index)


LEAST_ROLE = least_role(LEAST_ROLES)
"""The least of a host's roles that suffices to judge."""
