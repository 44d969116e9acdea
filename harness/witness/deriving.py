"""From the trace of a test to steps of the vocabulary; says what cannot be said in it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from xencbt.harness.background import ASYNC
from xencbt.harness.bitmap import BLOCK
from xencbt.harness.outcome import Indeterminate, Ok
from xencbt.harness.witness.naming import Naming, appearances
from xencbt.harness.witness.steps import DISTURBED, MOST_STEPS, Step, fault_as_json
from xencbt.harness.witness.tasks import with_their_ends
from xencbt.harness.witness.traces import Called, Did, Event
from xencbt.harness.witness.vocabulary import (
    CLASSES,
    LEFT_OUT,
    NULL,
    SENDING,
    VERBS,
    XE_COMMANDS,
    Given,
    class_of,
    readable,
    verb_for,
)

if TYPE_CHECKING:
    from xencbt.harness.faults import Planned

TAGGING = frozenset(
    {"VDI.set_other_config", "VDI.add_to_other_config", "VDI.remove_from_other_config", "VM.set_other_config"}
)
"""How the harness marks what is its own."""


class Inexpressible(Exception):
    """The failure cannot be replayed by data: the text says why."""


@dataclass(frozen=True, slots=True)
class World:
    """What is there before a test begins: SR references and uuids by kind, who the run is, and its host."""

    srs: Mapping[str, tuple[str, str]]
    user: str
    host: str = ""


def steps_from(events: Sequence[Event], world: World) -> tuple[Step, ...]:
    """Return the steps that do what `events` did, each with what was seen; raises Inexpressible."""
    told = with_their_ends(events)
    _refuse_races(told)
    return _Deriving(told, world).steps()


def _refuse_races(events: Sequence[Event]) -> None:
    ended: dict[int, float] = {}
    for event in (one for one in events if isinstance(one, Called)):
        if any(end > event.began for line, end in ended.items() if line != event.line):
            raise Inexpressible("calls of several sessions overlapped: it is a race")
        ended[event.line] = max(event.ended, ended.get(event.line, 0.0))


class _Deriving:
    def __init__(self, events: Sequence[Event], world: World) -> None:
        self._events = events
        self._world = world
        self._naming = Naming()
        self._steps: list[Step] = []
        self._at: dict[int, int] = {}
        self._contents: dict[bytes, int] = {bytes(1): 0}
        for kind, (ref, uuid) in world.srs.items():
            if self._naming.alias(ref) is None:
                self._naming.call(f"sr:{kind}", ref, uuid)
        if world.host:
            self._naming.call("host", world.host)

    def steps(self) -> tuple[Step, ...]:
        for number, event in enumerate(self._events):
            step = self._called(number, event) if isinstance(event, Called) else self._did(number, event)
            if step is not None:
                self._at[number] = len(self._steps)
                self._steps.append(step)
            if len(self._steps) > MOST_STEPS:
                raise Inexpressible(f"it took more than {MOST_STEPS} steps")
        if not self._steps:
            raise Inexpressible("nothing was called that the vocabulary has a word for")
        return tuple(self._steps)

    # --- calls --------------------------------------------------------------------------------------------------------

    def _called(self, number: int, event: Called) -> Step | None:
        method = event.method
        cls, _, call = method.partition(".")
        verb = verb_for(method, event.params)
        if event.background and not (verb and verb.may_be_in_background):
            raise Inexpressible(f"{ASYNC}{method} has no word in the vocabulary")
        if isinstance(event.outcome, Indeterminate) and event.outcome.silent:
            raise Inexpressible(f"{event.method} was never answered: every try would take its whole deadline")
        if method == "host.restart_agent" or method in TAGGING:
            return None
        if method == "message.get_all_records":
            return self._step("messages", {}, event, saw=self._naming.messages(_value(event)))
        if method.startswith(LEFT_OUT):
            return None
        if method in {"VDI.create", "VM.create", "VBD.create"}:
            return self._created(number, cls, event)
        if method in SENDING:
            return self._sent(number, event)
        if verb is not None:
            if not verb.fits(event.params):
                raise Inexpressible(f"{method} was called in a way that has no word")
            given = self._given(number, verb.shape, verb.takes, event)
            return self._step(verb.name, given, event, makes=verb.makes)
        return self._read(number, cls, call, event)

    def _read(self, number: int, cls: str, call: str, event: Called) -> Step | None:
        if not call.startswith("get_"):
            raise Inexpressible(f"{event.method} has no word in the vocabulary")
        if method_is_all(call) or cls not in CLASSES.values():
            if event.method == "VDI.get_all_records":
                return self._step("all-records", {"of": "VDI"}, event, saw=self._naming.records("VDI", _value(event)))
            return None
        if call == "get_by_uuid":
            alias = self._naming.alias(str(event.params[0]))
            found = alias if alias is not None and class_of(alias) == "VDI" else "nobody"
            return self._step("find", {"uuid_of": found}, event) if cls == "VDI" else None
        alias = self._object(number, str(event.params[0]), cls)
        if call == "get_record":
            saw = self._naming.record(cls, _value(event)) if isinstance(event.outcome, Ok) else None
            step = self._step("record", {"of": alias}, event, saw=saw)
            self._learn_uuid(alias, event)
            return step
        name = call.removeprefix("get_")
        if name not in readable(cls):
            return None
        saw = self._naming.field(name, _value(event)) if isinstance(event.outcome, Ok) else None
        step = self._step("field", {"of": alias, "field": name}, event, saw=saw)
        if name == "uuid" and isinstance(event.outcome, Ok):
            self._naming.call(alias, str(event.params[0]), str(event.outcome.value))
            return None if alias not in {"nobody", "null"} else step
        return step

    def _learn_uuid(self, alias: str, event: Called) -> None:
        if (
            isinstance(event.outcome, Ok)
            and isinstance(event.outcome.value, Mapping)
            and alias not in {"nobody", "null"}
        ):
            self._naming.call(alias, str(event.params[0]), str(event.outcome.value.get("uuid", "")))

    def _created(self, number: int, cls: str, event: Called) -> Step:
        record = event.params[0]
        assert isinstance(record, Mapping)
        if cls == "VM":
            return self._step("create-vm", {}, event, makes="vm")
        if cls == "VBD":
            given: dict[str, Any] = {
                "vm": self._object(number, str(record["VM"]), "VM"),
                "disk": self._object(number, str(record["VDI"]), "VDI"),
                "mode": record["mode"],
            }
            return self._step("attach", given, event, makes="vbd")
        sm_config = record.get("sm_config") or {}
        if record.get("sharable") or record.get("read_only") or (sm_config and dict(sm_config) != {"type": "raw"}):
            raise Inexpressible("a disk was made in a way that has no word")
        given = {
            "sr": self._naming.alias(str(record["SR"])) or self._unknown("an SR"),
            "type": record["type"],
            "size": int(record["virtual_size"]),
            "raw": bool(sm_config),
        }
        return self._step("create", given, event, makes="disk")

    def _sent(self, number: int, event: Called) -> Step:
        match event.params:
            case (vm, _, False, {**disks}, *more) if len(disks) == 1 and not any(more):
                ((disk, sr),) = disks.items()
            case _:
                raise Inexpressible(f"{event.method} was called in a way that has no word")
        given = {"vm": self._object(number, str(vm), "VM"), "disk": self._object(number, str(disk), "VDI")}
        return self._step(SENDING[event.method], given | {"sr": self._object(number, str(sr), "SR")}, event)

    def _unknown(self, what: str) -> str:
        raise Inexpressible(f"{what} that is none of the run's was used")

    def _make(self, prefix: str, event: Event) -> str:
        if isinstance(event.outcome, Ok) and isinstance(event.outcome.value, str):
            known = self._naming.alias(event.outcome.value)
            if known is not None:  # moved in place, or answered twice
                return ""
            alias = self._naming.fresh(prefix)
            self._naming.call(alias, event.outcome.value)
            return alias
        return self._naming.fresh(prefix) if isinstance(event.outcome, Indeterminate) else ""

    def _given(self, number: int, shape: Sequence[object], takes: Mapping[str, str], event: Called) -> dict[str, Any]:
        given: dict[str, Any] = {}
        for at, part in enumerate(shape):
            value = event.params[at] if at < len(event.params) else None
            if isinstance(part, Given):
                given[part.name] = self._argument(number, takes[part.name], value, event.method)
        return given

    def _argument(self, number: int, kind: str, value: object, method: str) -> object:
        if kind in {"VDI", "VM", "VBD", "SR", "PBD", "network"}:
            return self._object(number, str(value), kind)
        if kind == "host":
            if self._naming.alias(str(value)) != "host":
                raise Inexpressible("a VM moved to another host of the pool")
            return "host"
        if kind == "size":
            return int(str(value))
        if value is None:
            raise Inexpressible(f"{method} was called with too little")
        return value

    def _object(self, number: int, ref: str, cls: str) -> str:
        """Return the alias of what a reference stands for: known, named by an earlier answer, or nobody's."""
        if ref == NULL:
            return "null"
        known = self._naming.alias(ref)
        if known is not None:
            return known
        if cls == "SR":
            self._unknown("an SR")
        prefix = next(prefix for prefix, of in CLASSES.items() if of == cls)
        for earlier in range(number):
            event = self._events[earlier]
            if earlier not in self._at or not isinstance(event, Called) or not isinstance(event.outcome, Ok):
                continue
            if event.line and event.disturbed:
                continue
            path = next(appearances(event.outcome.value, ref), None)
            if path is not None and len(path) <= 4:
                alias = self._naming.fresh(prefix)
                self._naming.call(alias, ref)
                at = self._at[earlier]
                self._steps[at] = replace(self._steps[at], names={**self._steps[at].names, alias: path})
                return alias
        return "nobody"

    # --- deeds --------------------------------------------------------------------------------------------------------

    def _did(self, number: int, event: Did) -> Step | None:
        teller = self._tellers.get(event.what)
        if teller is None:
            raise Inexpressible(f"{event.what} has no word in the vocabulary")
        return teller(self, number, event)

    def _lent(self, number: int, event: Did) -> Step:
        del number
        alias = self._naming.fresh("disk")
        self._naming.call(alias, str(event.about["vdi"]), str(event.about["uuid"]))
        return replace(self._step("lend", {"sr": event.about["sr"]}, event), makes=alias)

    def _reimported(self, number: int, event: Did) -> Step:
        vm, sr = str(event.about["vm"]), str(event.about["sr"])
        given = {"vm": self._object(number, vm, "VM"), "sr": self._object(number, sr, "SR")}
        return self._step("reimport-vm", given, event, makes="vm")

    def _transfer(self, number: int, event: Did) -> Step:
        about = event.about
        given: dict[str, Any] = {"disk": self._object(number, str(about["vdi"]), "VDI")}
        if "writes" in about:
            writes: Any = about["writes"]
            given["ranges"] = tuple(self._range(offset, data) for offset, data in writes)
            given |= {"form": about["form"]} if "form" in about else {}
        else:
            given |= {"offset": about["offset"], "length": about["length"]}
        return self._step(event.what, given, event)

    def _looked(self, number: int, event: Did) -> Step:
        return self._step(event.what, {"disk": self._object(number, str(event.about["vdi"]), "VDI")}, event)

    def _range(self, offset: int, data: bytes) -> tuple[int, int, int, bool]:
        repeated = len(data) > BLOCK and data[:-BLOCK] == data[BLOCK:]
        key = hashlib.sha256(data[:BLOCK]).digest() if any(data) else bytes(1)
        return offset, len(data), self._contents.setdefault(key, len(self._contents)), repeated

    def _xe(self, number: int, event: Did) -> Step:
        words: Any = event.about["words"]
        known = XE_COMMANDS.get(words[0])
        parameters = dict(word.partition("=")[::2] for word in words[1:])
        if known is None or set(parameters) != set(known):
            raise Inexpressible(f"xe {words[0]} has no word in the vocabulary")
        given: dict[str, Any] = {"command": words[0]}
        for name, argument in (("uuid", "disk"), ("vdi-from-uuid", "disk"), ("vdi-to-uuid", "later")):
            if name in parameters:
                given[argument] = self._naming.alias(parameters[name]) or "nobody"
        if "param-name" in parameters:
            given["field"] = parameters["param-name"].replace("-", "_")
            if given["field"] not in readable("VDI"):
                raise Inexpressible(f"xe {' '.join(words)} has no word in the vocabulary")
        del number
        return self._step("xe", given, event)

    def _condition(self, number: int, event: Did) -> Step:
        del number
        given = {"condition": event.about["condition"]}
        if event.what == "begin":
            given |= {name: value for name, value in event.about.items() if name in VERBS["begin"].takes}
        return self._step(event.what, given, event)

    def _armed(self, number: int, event: Did) -> Step:
        planned: Any = event.about["planned"]
        faults: tuple[Planned, ...] = tuple(planned)
        for each in faults:
            if fault_as_json(each) is None:
                raise Inexpressible(f"a fault that the vocabulary has no word for: {each}")
        on = event.about.get("vdi")
        disk = {} if on is None else {"disk": self._object(number, str(on), "VDI")}
        return self._step("arm", {"faults": faults, **disk}, event)

    def _healed(self, number: int, event: Did) -> Step:
        del number
        receipts: Any = event.about["receipts"]
        return self._step("heal", {}, event, saw=self._naming.unseen(receipts))

    def _plain(self, number: int, event: Did) -> Step:
        del number
        return self._step(event.what, {}, event)

    _tellers: Mapping[str, Callable[["_Deriving", int, Did], Step | None]] = {
        "lend": _lent,
        "reimport-vm": _reimported,
        "write": _transfer,
        "import-image": _transfer,
        "guest-write": _transfer,
        "read": _transfer,
        "nbd-read": _transfer,
        "nbd-open": _looked,
        "read-image": _looked,
        "xe": _xe,
        "begin": _condition,
        "end": _condition,
        "arm": _armed,
        "heal": _healed,
        "crash": _plain,
        "restart-toolstack": _plain,
    }

    def _step(self, do: str, given: Mapping[str, Any], event: Event, *, makes: str = "", saw: Any = None) -> Step:
        """Return the step; what it makes is named, with that prefix, before it is told what came of it."""
        made = self._make(makes, event) if makes else ""
        told = None
        if saw is not None:
            told = {"ok": saw}
        elif event.outcome is not None:
            told = self._naming.outcome(event.outcome, do)
        step = Step(do, given, made, saw=told)
        if isinstance(event, Called):
            line = DISTURBED if event.disturbed else event.user if event.user != self._world.user else ""
            step = replace(step, line=line, deadline_s=event.deadline_s, background=event.background)
        return step


def method_is_all(call: str) -> bool:
    """Tell whether a reading call looks at every object of its class."""
    return call in {"get_all", "get_all_records", "get_all_records_where"}


def _value(event: Called) -> object:
    return event.outcome.value if isinstance(event.outcome, Ok) else None
