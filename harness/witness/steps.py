"""One step of a witness: a verb with its arguments, what its answer names, what was seen; read from untrusted data."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Any

from xencbt.harness.errors import UsageError
from xencbt.harness.expectations import VdiType
from xencbt.harness.faults import Layer, Plan, PlanError, Planned
from xencbt.harness.witness.naming import Normal, is_of_class
from xencbt.harness.witness.vocabulary import CLASSES, CONDITIONS, VERBS, XE_COMMANDS, Verb, class_of, readable

MOST_STEPS = 500
MOST_RANGES = 512
MOST_FAULTS = 20
LARGEST_SIZE = 1 << 42
LARGEST_WRITE = 64 << 20
MOST_DATA = 4000
"""How many values (numbers, texts, lists, tables) one recorded answer may have."""

DISTURBED = "disturbed"
"""The line of calls that go through the interceptor."""

_ALIAS = re.compile(rf"(?:{'|'.join(CLASSES)})-[1-9]\d{{0,3}}|nobody|null|host|sr:[a-z][a-z-]{{0,30}}", re.ASCII)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,60}", re.ASCII)
_OPTIONAL = "?"
_OWN = frozenset({"do", "makes", "names", "saw", "line", "deadline_s", "background"})

Range = tuple[int, int, int, bool]
"""Offset and length in bytes, the number of the content, and whether each block has the same."""


class BadWitness(UsageError):
    """The data is no witness in the closed vocabulary; the text says where."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `given` are the arguments; `makes` is the alias of what it made, `names` of what else its answer names.

    `saw` is what came of it, as `Naming.outcome` says it; None where that was never told. `line` is the session: empty
    for the run's own, `disturbed` for one through the interceptor, else the name of a user. `deadline_s` bounds a call
    that a fault keeps waiting. `background`: the call is made in the background, and its task followed to the end.
    """

    do: str
    given: Mapping[str, Any] = field(default_factory=dict)
    makes: str = ""
    names: Mapping[str, tuple[str | int, ...]] = field(default_factory=lambda: MappingProxyType({}))
    saw: Mapping[str, Normal] | None = None
    line: str = ""
    deadline_s: float | None = None
    background: bool = False

    @property
    def verb(self) -> Verb:
        """The word of the vocabulary."""
        return VERBS[self.do]

    @property
    def uses(self) -> frozenset[str]:
        """The aliases among the arguments, but those that stand for what every host has."""
        found = {value for value in self.given.values() if isinstance(value, str) and _is_own(value)}
        return frozenset(found)

    @property
    def defines(self) -> frozenset[str]:
        """The aliases that are known from here on."""
        return frozenset({*self.names, *([self.makes] if self.makes else [])})

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data, which `read_step` reads back."""
        told: dict[str, Any] = {"do": self.do}
        told |= {name: _plain(value) for name, value in self.given.items()}
        if self.makes:
            told["makes"] = self.makes
        if self.names:
            told["names"] = {alias: list(path) for alias, path in self.names.items()}
        if self.line:
            told["line"] = self.line
        if self.deadline_s is not None:
            told["deadline_s"] = self.deadline_s
        if self.background:
            told["background"] = True
        if self.saw is not None:
            told["saw"] = dict(self.saw)
        return told


def read_steps(data: object) -> tuple[Step, ...]:
    """Read steps from plain data that nobody vouches for; raises BadWitness, naming the step.

    Every alias must be made or named before it is used.
    """
    if not isinstance(data, Sequence) or isinstance(data, str | bytes):
        raise BadWitness("steps: must be a list of tables")
    if not 1 <= len(data) <= MOST_STEPS:
        raise BadWitness(f"steps: 1 to {MOST_STEPS} of them, not {len(data)}")
    steps: list[Step] = []
    known: set[str] = set()
    for number, one in enumerate(data, start=1):
        try:
            step = _read_step(one)
            _check_names(step, known)
        except BadWitness as bad:
            raise BadWitness(f"step {number}: {bad}") from None
        known |= step.defines
        steps.append(step)
    return tuple(steps)


def _check_names(step: Step, known: set[str]) -> None:
    for alias in sorted(step.uses - known):
        raise BadWitness(f"uses {alias}, which no step before it made")
    for alias in sorted(step.defines & known):
        raise BadWitness(f"{alias} is made a second time")


def _read_step(data: object) -> Step:
    if not isinstance(data, Mapping):
        raise BadWitness("must be a table")
    verb = VERBS.get(data["do"]) if isinstance(data.get("do"), str) else None
    if verb is None:
        raise BadWitness(f"do: no word of the vocabulary: {str(data.get('do'))[:40]!r}")
    unknown = [str(key)[:40] for key in data if key not in _OWN and key not in verb.takes]
    if unknown:
        raise BadWitness(f"{verb.name} takes no {unknown[0]!r}")
    given = {}
    for name, kind in verb.takes.items():
        if name in data:
            given[name] = _argument(verb.name, name, kind.removesuffix(_OPTIONAL), data)
        elif not kind.endswith(_OPTIONAL):
            raise BadWitness(f"{verb.name} needs {name!r}")
    makes = data.get("makes", "")
    if makes != "" and not (
        verb.makes and _is_alias(makes) and _is_own(makes) and class_of(makes) == class_of(f"{verb.makes}-1")
    ):
        raise BadWitness(f"{verb.name} makes no {str(makes)[:40]!r}")
    return Step(
        verb.name,
        given,
        makes,
        _names(data.get("names", {})),
        read_saw(data.get("saw")),
        _line(data.get("line", "")),
        _deadline(data),
        _background(verb, data),
    )


def _argument(verb: str, name: str, kind: str, data: Mapping[str, Any]) -> object:
    value = data[name]
    reader = _READERS.get(kind)
    if reader is not None:
        read = reader(value)
    elif kind == "field":
        read = value if isinstance(value, str) and value in readable(_class_read(verb, data)) else None
    else:
        read = value if _is_alias(value) and is_of_class(value, kind) else None
    if read is None:
        raise BadWitness(f"{name}: {str(value)[:60]!r} is no {kind}")
    return read


def _class_read(verb: str, data: Mapping[str, Any]) -> str:
    return "VDI" if verb == "xe" else class_of(str(data.get("of", "")))


def _number(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= LARGEST_SIZE else None


def _one_of(*words: str) -> Callable[[object], str | None]:
    return lambda value: value if isinstance(value, str) and value in words else None


def _object(value: object) -> str | None:
    return value if _is_alias(value) and value != "host" else None  # type: ignore[return-value]  # a text by then


def _ranges(value: object) -> tuple[Range, ...] | None:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not 1 <= len(value) <= MOST_RANGES:
        return None
    read = []
    for one in value:
        if not isinstance(one, Sequence) or isinstance(one, str | bytes) or len(one) not in {3, 4}:
            return None
        numbers = [_number(each) for each in one[:3]]
        repeated = one[3] if len(one) == 4 else False
        if None in numbers or not isinstance(repeated, bool) or not numbers[1]:
            return None
        read.append((numbers[0] or 0, numbers[1], numbers[2] or 0, repeated))
    return tuple(read) if sum(length for _, length, _, _ in read) <= LARGEST_WRITE else None


def _faults(value: object) -> tuple[Planned, ...] | None:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not 1 <= len(value) <= MOST_FAULTS:
        return None
    return tuple(_fault(one) for one in value)


def _fault(data: object) -> Planned:
    if not isinstance(data, Mapping) or not set(data) <= {"fault", "at", "nth", "times", "phase", "parameters"}:
        raise BadWitness("faults: a fault has fault, at, nth, times, phase and parameters")
    at = data.get("at", "")
    verb = VERBS.get(at) if isinstance(at, str) else None
    if at and at != "any" and (verb is None or not verb.method):
        raise BadWitness(f"faults: {str(at)[:40]!r} is no call of the vocabulary")
    entry = {key: value for key, value in data.items() if key != "at"}
    entry |= {"method": verb.method} if verb is not None else {"method": "*"} if at == "any" else {}
    try:
        (planned,) = Plan.from_mapping({"faults": [entry]})
    except PlanError as error:
        raise BadWitness(str(error)[:200]) from None
    if planned.fault.layer is Layer.LAB:
        raise BadWitness("faults: those of the lab run commands of their user's, and stand in no witness")
    return planned


def fault_as_json(planned: Planned) -> dict[str, Any] | None:
    """Return a planned fault as a step has it, its call as a verb; None where there is no word for that call."""
    told = planned.as_json()
    del told["arguments"]
    method = told.pop("method")
    verb = next((verb.name for verb in VERBS.values() if verb.method and verb.method == method), None)
    if planned.arguments or planned.fault.layer is Layer.LAB or (verb is None and method != "*"):
        return None
    return {**told, "at": verb or "any"}


_READERS: Mapping[str, Callable[[object], object]] = {
    "size": _number,
    "flag": lambda value: value if isinstance(value, bool) else None,
    "type": _one_of(*(each.value for each in VdiType)),
    "on_boot": _one_of("persist", "reset"),
    "mode": _one_of("RW", "RO"),
    "form": _one_of("raw", "chunked", "vhd"),
    "purpose": _one_of("nbd", "insecure_nbd"),
    "condition": _one_of(*CONDITIONS),
    "command": _one_of(*XE_COMMANDS),
    "class": _one_of("VDI"),
    "object": _object,
    "ranges": _ranges,
    "faults": _faults,
}


def _names(data: object) -> Mapping[str, tuple[str | int, ...]]:
    if not isinstance(data, Mapping) or len(data) > 50:
        raise BadWitness("names: must be a table of aliases")
    read = {}
    for alias, path in data.items():
        if not (_is_alias(alias) and _is_own(alias)) or not isinstance(path, Sequence) or isinstance(path, str):
            raise BadWitness(f"names: {str(alias)[:40]!r} is no alias with a place in the answer")
        if len(path) > 4 or not all(_is_part(part) for part in path):
            raise BadWitness(f"names: {alias}: a place is up to 4 positions and fields")
        read[alias] = tuple(path)
    return MappingProxyType(read)


def _is_part(part: object) -> bool:
    return (type(part) is int and 0 <= part < 1000) or (isinstance(part, str) and _WORD.fullmatch(part) is not None)


def read_saw(data: object) -> Mapping[str, Normal] | None:
    """Read what came of a step; raises BadWitness for what is no such thing, or too large."""
    if data is None:
        return None
    if (
        not isinstance(data, Mapping)
        or len(data.keys() & {"ok", "failed", "lost"}) != 1
        or not data.keys() <= {"ok", "failed", "lost", "params"}
    ):
        raise BadWitness("saw: is ok, failed (with params) or lost")
    _bounded(data)
    return MappingProxyType(dict(data))


def _bounded(data: object) -> None:
    left = [data]
    seen = 0
    while left:
        one = left.pop()
        seen += 1
        if seen > MOST_DATA or (isinstance(one, str) and len(one) > 2000):
            raise BadWitness("saw: is too large")
        if isinstance(one, Mapping):
            left += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            left += one
        elif not isinstance(one, str | int | float | bool | None) or (isinstance(one, float) and not isfinite(one)):
            raise BadWitness(f"saw: {str(one)[:40]} is no plain value")


def _line(value: object) -> str:
    if not isinstance(value, str) or (value and not _WORD.fullmatch(value)):
        raise BadWitness("line: is a word")
    return value


def _deadline(data: Mapping[str, object]) -> float | None:
    value = data.get("deadline_s")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 120):
        raise BadWitness("deadline_s: is a number of seconds up to 120")
    return None if value is None else float(value)


def _background(verb: Verb, data: Mapping[str, object]) -> bool:
    if "background" not in data:
        return False
    if data["background"] is not True:
        raise BadWitness("background: is true or absent")
    if not verb.may_be_in_background:
        raise BadWitness(f"background: {verb.name} is no call about a disk")
    return True


def _is_alias(value: object) -> bool:
    return isinstance(value, str) and _ALIAS.fullmatch(value) is not None


def _is_own(alias: str) -> bool:
    return _is_alias(alias) and alias.rpartition("-")[0] in CLASSES


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return fault_as_json(value) if isinstance(value, Planned) else value
