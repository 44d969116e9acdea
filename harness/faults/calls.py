"""Which method a request calls, in whose session, about what: all that matching needs to know of a request body.

Both dialects of the API are read: XML-RPC and JSON-RPC.
"""

import enum
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

REFERENCE = "OpaqueRef:"
NULL = "OpaqueRef:NULL"
REFERENCES_OF = {"VDI.list_changed_blocks": 2, "VDI.copy": 4, "VDI.pool_migrate": 2, "event.from": 0, "event.inject": 0}
"""How many parameters are references, where it is not one: the object that the call is about."""
REFERRING = frozenset({"SR", "VDI", "VM", "VBD", "host", "affinity", "suspend_VDI", "network"})
"""Fields of a record given to a call that are references."""

DEEPEST = 16
"""No call nests its parameters deeper; what does is not looked into."""

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


class Dialect(enum.Enum):
    """How a call is written on the wire."""

    XML = "xml-rpc"
    JSON = "json-rpc"


@dataclass(frozen=True, slots=True)
class Call:
    """One call as matching sees it.

    `method` is the plain name (`VDI.enable_cbt`), `spelled` the form the client used (`Async.VDI.enable_cbt`,
    `VDI_enable_cbt`), `session` the first parameter where it is a text: the session reference in all calls but logins.
    `references` are the objects that the call names, null and sessions excepted. `arguments` are the parameters after
    the session as texts, those that are no single value empty. `number` is what a JSON-RPC answer has to repeat.
    """

    method: str
    spelled: str
    session: str | None = None
    references: frozenset[str] = frozenset()
    arguments: tuple[str, ...] = ()
    dialect: Dialect = Dialect.XML
    number: object = None

    @property
    def asynchronous(self) -> bool:
        """Whether the client asked for a task."""
        return self.spelled.startswith(ASYNC_PREFIXES)

    @property
    def operation(self) -> str:
        """The method without its class, as errors name it."""
        return self.method.partition(".")[2]

    @property
    def named(self) -> str:
        """The object that the call is about: its first argument where that is a reference, else empty."""
        return self.arguments[0] if self.arguments and self.arguments[0] in self.references else ""


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
    """Read the call out of a request body; None for anything else. Never raises, expands no entities."""
    return _read_json(body) if body.lstrip()[:1] == b"{" else _read_xml(body)


def _read_xml(body: bytes) -> Call | None:
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):  # the last two: unusable encodings
        return None
    spelled = (root.findtext("methodName") or "").strip()
    if root.tag != "methodCall" or not spelled:
        return None
    return _call(spelled, [_plain(value) for value in root.findall("params/param/value")], Dialect.XML, None)


def _read_json(body: bytes) -> Call | None:
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return None
    spelled, params = (read.get("method"), read.get("params", [])) if isinstance(read, dict) else (None, None)
    if not isinstance(spelled, str) or not isinstance(params, list):
        return None
    return _call(spelled, [_shallow(each) for each in params], Dialect.JSON, read.get("id"))


def _call(spelled: str, params: Sequence[object], dialect: Dialect, number: object) -> Call:
    method = canonical(spelled)
    session = params[0] if params and isinstance(params[0], str) else None
    arguments = tuple(_text(value) for value in params[1:])
    return Call(method, spelled, session, _references(method, params[1:]) - {session}, arguments, dialect, number)


def _references(method: str, arguments: Sequence[object]) -> frozenset[str]:
    """Return the references among the parameters after the session.

    Any text that looks like one is taken for one. A host may write references in its own way: there, what stands where
    the API has a reference tells it.
    """
    cls, _, call = method.partition(".")
    if cls in {"session", "system"}:
        return frozenset()
    found = {text for text in _texts(arguments) if text.startswith(REFERENCE)}
    if not call.startswith(("create", "get_all", "get_by_")):
        found |= {value for value in arguments[: REFERENCES_OF.get(method, 1)] if isinstance(value, str)}
    for record in _records(arguments):
        found |= {value for name, value in record.items() if name in REFERRING and isinstance(value, str)}
    return frozenset(found - {NULL, ""})


def _texts(value: object) -> Iterator[str]:
    """Yield every text in plain data, names of members included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _texts(name)
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _records(value: object) -> Iterator[dict[str, object]]:
    """Yield every record in plain data."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _records(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _records(each)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else ""


def _plain(value: Element | None, depth: int = DEEPEST) -> object:
    """Return an XML-RPC value as plain data: what is no text, number, truth value, record or list is None."""
    if value is None or depth == 0:
        return None
    if len(value) == 0:
        return value.text or ""
    typed = value[0]
    if typed.tag == "struct":
        members = typed.iterfind("member")
        return {member.findtext("name") or "": _plain(member.find("value"), depth - 1) for member in members}
    if typed.tag == "array":
        return [_plain(each, depth - 1) for each in typed.iterfind("data/value")]
    try:
        return _SCALARS[typed.tag](typed.text or "") if typed.tag in _SCALARS else None
    except ValueError:
        return None


def _shallow(value: object, depth: int = DEEPEST) -> object:
    """Return JSON data without what lies deeper than any call of the API has it."""
    if isinstance(value, dict):
        return {name: _shallow(each, depth - 1) for name, each in value.items()} if depth else None
    if isinstance(value, list):
        return [_shallow(each, depth - 1) for each in value] if depth else None
    return value


_SCALARS: Mapping[str, Callable[[str], object]] = MappingProxyType(
    {"string": str, "int": int, "i4": int, "i8": int, "double": float, "boolean": lambda text: text.strip() == "1"}
)
