"""The closed vocabulary of steps: every verb, what it takes, what it makes, and the call behind it, if it is one.

Nothing outside this table can be in a witness: no name of a method, no reference, no path, no free text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from xencbt.harness.witness.fields import READABLE

NULL = "OpaqueRef:NULL"

CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "disk": "VDI",
        "snapshot": "VDI",
        "clone": "VDI",
        "copy": "VDI",
        "vm": "VM",
        "vmsnapshot": "VM",
        "vbd": "VBD",
        "pbd": "PBD",
        "network": "network",
    }
)
"""How the alias of an object begins, and its class: `snapshot-1` is a VDI."""

CONDITIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "unplugged": ("sr",),
        "unlicensed": (),
        "read-only": ("sr",),
        "logs-failing": ("sr",),
        "pauses-refused": ("sr",),
        "short-wait": (),
        "free-bytes": ("sr", "free"),
        "lost": ("sr",),
        "served-over-nbd": ("purpose",),
    }
)
"""Conditions of the host that begin and end, and what each takes."""


class Anything:
    """Stands in the shape of a call for a text that means nothing: a name to show."""


@dataclass(frozen=True, slots=True)
class Given:
    """Stands in the shape of a call for an argument of the verb."""

    name: str


@dataclass(frozen=True, slots=True)
class Verb:
    """One word. `takes` are its arguments and their kinds (a class, or a word of `KINDS`), in order.

    `shape` are the parameters of the call `method`: a Given for an argument, anything else as it stands. `makes` is
    how the alias of what it makes begins. `reads`: it changes nothing.
    """

    name: str
    takes: Mapping[str, str] = field(default_factory=dict)
    method: str = ""
    shape: tuple[object, ...] = ()
    makes: str = ""
    reads: bool = False

    @property
    def may_be_in_background(self) -> bool:
        """Whether a step may have it made in the background: any call about a disk."""
        return self.method.startswith("VDI.")

    def fits(self, params: Sequence[object]) -> bool:
        """Tell whether a call with these parameters is this verb: what the shape fixes is as it stands there."""
        pairs = zip(self.shape, params, strict=False)
        return all(isinstance(part, Given | Anything) or value is None or value == part for part, value in pairs)


def _call(name: str, method: str, *shape: object, makes: str = "", reads: bool = False, **takes: str) -> Verb:
    given = tuple(Given(each) for each in takes)
    return Verb(name, takes, method, shape or given, makes, reads)


def _deed(name: str, *, makes: str = "", reads: bool = False, **takes: str) -> Verb:
    return Verb(name, takes, makes=makes, reads=reads)


_DISK, _VM, _SR = Given("disk"), Given("vm"), Given("sr")
_ANY = Anything()
_NO = False

_ALL = (
    _deed("create", sr="SR", type="type", size="size", raw="flag", makes="disk"),
    _deed("lend", sr="SR", makes="disk"),
    _call("enable", "VDI.enable_cbt", disk="VDI"),
    _call("disable", "VDI.disable_cbt", disk="VDI"),
    _call("snapshot", "VDI.snapshot", _DISK, {}, disk="VDI", makes="snapshot"),
    _call("clone", "VDI.clone", _DISK, {}, disk="VDI", makes="clone"),
    _call("copy", "VDI.copy", _DISK, _SR, NULL, NULL, disk="VDI", sr="SR", makes="copy"),
    _call("copy-into", "VDI.copy", _DISK, NULL, NULL, Given("into"), disk="VDI", into="VDI"),
    _call("move", "VDI.pool_migrate", _DISK, _SR, {}, disk="VDI", sr="SR", makes="disk"),
    _call("resize", "VDI.resize", disk="VDI", size="size"),
    _call("resize-online", "VDI.resize_online", disk="VDI", size="size"),
    _call("on-boot", "VDI.set_on_boot", disk="VDI", mode="on_boot"),
    _call("update", "VDI.update", disk="VDI"),
    _call("data-destroy", "VDI.data_destroy", disk="VDI"),
    _call("destroy", "VDI.destroy", disk="VDI"),
    _call("list", "VDI.list_changed_blocks", Given("earlier"), Given("later"), earlier="VDI", later="VDI", reads=True),
    _call("nbd-info", "VDI.get_nbd_info", disk="VDI", reads=True),
    _deed("create-vm", makes="vm"),
    _deed("attach", vm="VM", disk="VDI", mode="mode", makes="vbd"),
    _call("plug", "VBD.plug", vbd="VBD"),
    _call("unplug", "VBD.unplug", vbd="VBD"),
    _call("detach", "VBD.destroy", vbd="VBD"),
    _call("start", "VM.start", _VM, Given("paused"), _NO, vm="VM", paused="flag"),
    _call("pause", "VM.pause", vm="VM"),
    _call("unpause", "VM.unpause", vm="VM"),
    _call("suspend", "VM.suspend", vm="VM"),
    _call("resume", "VM.resume", _VM, _NO, _NO, vm="VM"),
    _call("shut-down", "VM.hard_shutdown", vm="VM"),
    _call("shut-down-by-guest", "VM.clean_shutdown", vm="VM"),
    _call("reboot", "VM.hard_reboot", vm="VM"),
    _call("move-vm", "VM.pool_migrate", _VM, Given("to"), {"live": "true"}, vm="VM", to="host"),
    _call("destroy-vm", "VM.destroy", vm="VM"),
    _call("snapshot-vm", "VM.snapshot", _VM, _ANY, [], vm="VM", makes="vmsnapshot"),
    _call("checkpoint-vm", "VM.checkpoint", _VM, _ANY, vm="VM", makes="vmsnapshot"),
    _call("clone-vm", "VM.clone", _VM, _ANY, vm="VM", makes="vm"),
    _call("copy-vm", "VM.copy", _VM, _ANY, _SR, vm="VM", sr="SR", makes="vm"),
    _deed("reimport-vm", vm="VM", sr="SR", makes="vm"),
    _deed("send-vm", vm="VM", disk="VDI", sr="SR"),
    _deed("can-send-vm", vm="VM", disk="VDI", sr="SR"),
    _call("revert-vm", "VM.revert", snapshot="VM"),
    _call("scan", "SR.scan", sr="SR"),
    _deed("write", disk="VDI", ranges="ranges"),
    _deed("import-image", disk="VDI", form="form", ranges="ranges"),
    _deed("guest-write", disk="VDI", ranges="ranges"),
    _deed("read", disk="VDI", offset="size", length="size", reads=True),
    _deed("read-image", disk="VDI", reads=True),
    _deed("nbd-open", disk="VDI", reads=True),
    _deed("nbd-read", disk="VDI", offset="size", length="size", reads=True),
    _deed("field", of="object", field="field", reads=True),
    _deed("record", of="object", reads=True),
    _deed("all-records", of="class", reads=True),
    _deed("find", uuid_of="VDI", reads=True),
    _deed("messages", reads=True),
    _deed("xe", command="command", disk="VDI", later="VDI?", field="field?"),
    _deed("begin", condition="condition", sr="SR?", free="size?", purpose="purpose?"),
    _deed("end", condition="condition"),
    _deed("restart-toolstack"),
    _deed("crash"),
    _deed("arm", faults="faults", disk="VDI?"),
    _deed("heal"),
)

VERBS: Mapping[str, Verb] = MappingProxyType({verb.name: verb for verb in _ALL})
"""Every verb by its name."""

BY_METHOD: Mapping[str, Verb] = MappingProxyType({verb.method: verb for verb in reversed(_ALL) if verb.method})
"""The verbs that are one call, by the call; the first, where there are several for what it is called with."""


def verb_for(method: str, params: Sequence[object]) -> Verb | None:
    """Return the verb of a call with these parameters: the one whose fixed ones are given, else the first; or none."""
    fitting = (verb for verb in _ALL if verb.method == method and verb.fits(params))
    return next(fitting, BY_METHOD.get(method))


XE_COMMANDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "vdi-enable-cbt": ("uuid",),
        "vdi-disable-cbt": ("uuid",),
        "vdi-data-destroy": ("uuid",),
        "vdi-snapshot": ("uuid",),
        "vdi-param-get": ("uuid", "param-name"),
        "vdi-list-changed-blocks": ("vdi-from-uuid", "vdi-to-uuid"),
    }
)
"""The commands of xe that a witness may give, and their parameters."""

SENDING: Mapping[str, str] = MappingProxyType({"VM.migrate_send": "send-vm", "VM.assert_can_migrate": "can-send-vm"})
"""The verbs of calls that take what the receiving host gave out, which no witness may hold."""

LEFT_OUT = ("task.", "session.", "system.", "SR.get_physical_", "host.", "pool.", "PIF.", "event.")
"""How calls begin that the harness makes for itself: they are no part of what went wrong."""


def class_of(alias: str) -> str:
    """Return the class of what an alias stands for; empty for what is no alias."""
    if alias in {"nobody", "null"}:
        return "VDI"
    if alias.startswith("sr:"):
        return "SR"
    return "host" if alias == "host" else CLASSES.get(alias.rpartition("-")[0], "")


def readable(cls: str) -> frozenset[str]:
    """Return the fields of a class that a witness may read."""
    return READABLE.get(cls, frozenset())
