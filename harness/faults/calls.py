"""Which method a request calls, and in whose session: all that matching needs to know of a request body."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

REFERENCE = "OpaqueRef:"
NULL = "OpaqueRef:NULL"
REFERENCES_OF = {"VDI.list_changed_blocks": 2, "VDI.copy": 4, "VDI.pool_migrate": 2, "event.from": 0, "event.inject": 0}
"""How many parameters are references, where it is not one: the object that the call is about."""
REFERRING = frozenset({"SR", "VDI", "VM", "VBD", "host", "affinity", "suspend_VDI", "network"})
"""Fields of a record given to a call that are references."""

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
    `references` are the objects that the call names, null and sessions excepted.
    """

    method: str
    spelled: str
    session: str | None = None
    references: frozenset[str] = frozenset()


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
    method = canonical(spelled)
    values = root.findall("params/param/value")
    session = _text(values[0]) if values else None
    return Call(method, spelled, session, _references(method, values[1:]) - {session})


def _references(method: str, values: Sequence[Element]) -> frozenset[str]:
    """Return the references among the parameters after the session.

    Any text that looks like one is taken for one. A host may write references in its own way: there, what stands where
    the API has a reference tells it.
    """
    cls, _, call = method.partition(".")
    if cls in {"session", "system"}:
        return frozenset()
    texts = {element.text or "" for value in values for element in value.iter() if element.text and not len(element)}
    found = {text for text in texts if text.startswith(REFERENCE)}
    if not call.startswith(("create", "get_all", "get_by_")):
        found |= {text for value in values[: REFERENCES_OF.get(method, 1)] if (text := _text(value))}
    for member in (member for value in values for member in value.iter("member")):
        text = _text(member.find("value")) if member.findtext("name") in REFERRING else None
        found |= {text} if text else set()
    return frozenset(found - {NULL, ""})


def _text(value: Element | None) -> str | None:
    """Return the text of an XML-RPC value: untyped or `<string>`; None for every other type."""
    if value is None:
        return None
    if len(value) == 0:
        return value.text or ""
    return (value[0].text or "") if value[0].tag == "string" else None
