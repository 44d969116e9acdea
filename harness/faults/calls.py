"""Which method a request calls, and in whose session: all that matching needs to know of a request body."""

from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

ASYNC_PREFIXES = ("Async.", "InternalAsync.")

UNDERSCORED_CLASSES = (
    "Cluster_host",
    "DR_task",
    "Driver_variant",
    "GPU_group",
    "Host_driver",
    "PCI_device",
    "PIF_metrics",
    "PVS_cache_storage",
    "PVS_proxy",
    "PVS_server",
    "PVS_site",
    "SDN_controller",
    "USB_group",
    "VBD_metrics",
    "VGPU_type",
    "VIF_metrics",
    "VM_appliance",
    "VM_group",
    "VM_guest_metrics",
    "VM_metrics",
    "host_cpu",
    "host_crashdump",
    "host_metrics",
    "host_patch",
    "network_sriov",
    "pool_patch",
    "pool_update",
)
"""Classes of the API reference with an underscore in their name: elsewhere the first one ends the class."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call as matching sees it.

    `method` is the plain name (`VDI.enable_cbt`), `spelled` the form the client used (`Async.VDI.enable_cbt`,
    `VDI_enable_cbt`), `session` the first parameter where it is a text: the session reference in all calls but logins.
    """

    method: str
    spelled: str
    session: str | None = None


def canonical(spelled: str) -> str:
    """Return the plain name of a method: every `X.y` is also callable as `X_y`, and most as `Async.X.y`.

    >>> canonical("Async.VDI.enable_cbt"), canonical("VDI_enable_cbt")
    ('VDI.enable_cbt', 'VDI.enable_cbt')
    """
    name = spelled
    for prefix in ASYNC_PREFIXES:
        name = name.removeprefix(prefix)
    if "." in name:
        return name
    for cls in UNDERSCORED_CLASSES:
        if name.startswith(f"{cls}_"):
            return f"{cls}.{name.removeprefix(f'{cls}_')}"
    return name.replace("_", ".", 1)


def read_call(body: bytes) -> Call | None:
    """Read the call out of an XML-RPC request body; None for anything else. Never raises, expands no entities."""
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):  # the last two: unusable encodings
        return None
    spelled = (root.findtext("methodName") or "").strip()
    if root.tag != "methodCall" or not spelled:
        return None
    return Call(canonical(spelled), spelled, _text(root.find("params/param/value")))


def _text(value: Element | None) -> str | None:
    """Return the text of an XML-RPC value: untyped or `<string>`; None for every other type."""
    if value is None:
        return None
    if len(value) == 0:
        return value.text or ""
    return (value[0].text or "") if value[0].tag == "string" else None
