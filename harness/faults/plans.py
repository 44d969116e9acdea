"""What is to go wrong, and at which call: a plan is a list of planned faults, validated when it is made."""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Self, cast

from xencbt.harness.errors import UsageError
from xencbt.harness.faults.calls import ASYNC_PREFIXES, Call
from xencbt.harness.faults.deliveries import Delay, Duplicate, LateDuplicate, Reordered
from xencbt.harness.faults.kinds import KINDS, Fault, FaultError, Layer, Phase, build, kind_of, parameters_of
from xencbt.harness.faults.lab import LabCommand
from xencbt.harness.faults.methods import means_a_call

_PATTERN = re.compile(r"\*|[\w*?]+\.[\w*?]+", re.ASCII)
_BEYOND_CALLS = frozenset({Layer.STORAGE, Layer.LAB})
"""Layers whose faults say themselves where they strike: an operation of the storage, or the whole lab."""

_KEYS = ("fault", "method", "arguments", "nth", "times", "phase", "parameters")


class PlanError(UsageError):
    """A plan cannot mean anything. `field` names the place (`faults[0].nth`), `problem` says what is wrong there."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault and the calls it hits: of those that match the `nth` (from 1), and `times` in a row.

    `method` is a plain method name or a shell-style pattern (`VDI.*`); the `Async.X.y` and `X_y` forms of a method
    match as well. `arguments` are shell-style patterns for the first parameters after the session, in order; a call
    with fewer does not match. `phase` is one of the fault's own; None means its usual one. A fault of the storage says
    itself which operation it hits: it needs no `method`, and `nth` and `times` count how often the storage comes to
    that point. Raises PlanError naming the field.

    >>> Planned(AnswerLost(), "VDI.enable_cbt")
    """

    fault: Fault
    method: str = ""
    nth: int = 1
    times: int = 1
    arguments: tuple[str, ...] = ()
    phase: Phase | None = None

    def __post_init__(self) -> None:
        try:
            kind = kind_of(self.fault)
        except FaultError as error:
            raise PlanError(error.field, error.problem) from error
        if not self.method and kind.layer in _BEYOND_CALLS:
            object.__setattr__(self, "method", "*")  # frozen for everybody else
        _check_pattern(self.method)
        _check_count("nth", self.nth)
        _check_count("times", self.times)
        if self.phase is not None and self.phase not in kind.phases:
            known = " or ".join(phase.value for phase in kind.phases)
            raise PlanError("phase", f"{kind.name} strikes {known}, not {self.phase.value}")

    @property
    def when(self) -> Phase:
        """The phase in which it strikes."""
        return self.phase or self.fault.phase

    @property
    def deliveries(self) -> int:
        """How often the call that it hits reaches the host."""
        if isinstance(self.fault, Duplicate | LateDuplicate):
            return 2
        passed_on = self.when is not Phase.BEFORE or isinstance(self.fault, Delay | Reordered | LabCommand)
        return int(passed_on)

    def matches(self, call: Call) -> bool:
        """Tell whether the fault's patterns mean this call, in whatever form it was spelled."""
        return (
            fnmatchcase(call.method, self.method)
            and len(call.arguments) >= len(self.arguments)
            and all(map(fnmatchcase, call.arguments, self.arguments))
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data that `Plan.from_mapping` reads back."""
        return {
            "fault": self.fault.name,
            "parameters": parameters_of(self.fault),
            "method": self.method,
            "arguments": list(self.arguments),
            "nth": self.nth,
            "times": self.times,
            "phase": self.when.value,
        }

    def __str__(self) -> str:
        which = f"call {self.nth}" if self.times == 1 else f"calls {self.nth} to {self.nth + self.times - 1}"
        about = f"({', '.join(self.arguments)})" if self.arguments else ""
        if self.fault.layer is Layer.STORAGE:
            where = " ".join(map(str, parameters_of(self.fault).values()))
            return f"{self.fault.name} ({where}) at {which.replace('call', 'time')}"
        return f"{self.fault.name} at {which} of {self.method}{about}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A list of planned faults. A call takes at most one: the first of the list that is due.

    >>> Plan.of(Planned(AnswerLost(), "VDI.enable_cbt"), Planned(Duplicate(), "VDI.*", nth=3))
    """

    faults: tuple[Planned, ...] = ()

    @classmethod
    def of(cls, *faults: Planned) -> Self:
        """Make a plan of `faults`, in this order."""
        return cls(faults)

    @classmethod
    def from_mapping(cls, data: Mapping[str, object]) -> Self:
        """Read a plan from plain data, for example from parsed TOML.

        `{"faults": [{"fault": NAME, "method": PATTERN, "arguments": [PATTERN…], "nth": 1, "times": 1, "phase": WORD,
        "parameters": {…}}]}`; only `fault` and `method` are needed. Raises PlanError naming the field; an empty list is
        refused, it would disturb nothing.
        """
        for key in data:
            if key != "faults":
                raise PlanError(key, "unknown field; a plan has only `faults`")
        entries = data.get("faults")
        if not isinstance(entries, Sequence) or isinstance(entries, str | bytes):
            raise PlanError("faults", "must be a list of faults")
        if not entries:
            raise PlanError("faults", "is empty; a plan that disturbs nothing proves nothing")
        return cls(tuple(_read(entry, f"faults[{index}]") for index, entry in enumerate(entries)))

    def require_methods(self, methods: Collection[str] = ()) -> None:
        """Raise PlanError where a fault's pattern means none of `methods` (plain names): it could never fire.

        Without any, the calls of the API reference are looked at.
        """
        for index, planned in enumerate(self.faults):
            if not means_a_call(planned.method, methods):
                where = "of the target" if methods else "of the API"
                raise PlanError(f"faults[{index}].method", f"no call {where} is meant by {planned.method!r}")

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Read a plan from TOML text; raises PlanError, for what is no TOML too."""
        try:
            return cls.from_mapping(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise PlanError("plan", f"is no TOML: {error}") from error

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data that `from_mapping` reads back."""
        return {"faults": [each.as_json() for each in self.faults]}

    def __iter__(self) -> Iterator[Planned]:
        return iter(self.faults)

    def __len__(self) -> int:
        return len(self.faults)


def _read(entry: object, place: str) -> Planned:
    if not isinstance(entry, Mapping):
        raise PlanError(place, f"must be a table, not {type(entry).__name__}")
    for key in entry:
        if key not in _KEYS:
            raise PlanError(f"{place}.{key}", f"unknown field; known are {', '.join(_KEYS)}")
    if "fault" not in entry:
        raise PlanError(f"{place}.fault", "is missing")
    kind = KINDS.get(entry["fault"]) if isinstance(entry["fault"], str) else None
    if kind is None:
        raise PlanError(f"{place}.fault", f"no such fault: {entry['fault']!r}; known are {', '.join(KINDS)}")
    if "method" not in entry and kind.layer not in _BEYOND_CALLS:
        raise PlanError(f"{place}.method", "is missing")
    parameters = entry.get("parameters", {})
    if not isinstance(parameters, Mapping):
        raise PlanError(f"{place}.parameters", f"must be a table, not {type(parameters).__name__}")
    try:
        fault = build(kind.fault, parameters)
    except FaultError as error:
        raise PlanError(f"{place}.parameters.{error.field}", error.problem) from error
    try:
        # the fields' types are checked by Planned itself, so that the Python form gets the same errors
        return Planned(
            fault,
            cast("str", entry.get("method", "")),
            cast("int", entry.get("nth", 1)),
            cast("int", entry.get("times", 1)),
            _patterns(entry.get("arguments", ())),
            _phase(entry.get("phase")),
        )
    except PlanError as error:
        raise PlanError(f"{place}.{error.field}", error.problem) from error


def _patterns(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(each, str) for each in value):
        raise PlanError("arguments", f"must be a list of patterns, not {value!r}")
    return tuple(value)


def _phase(value: object) -> Phase | None:
    if value is None:
        return None
    try:
        return Phase(value)
    except ValueError:
        raise PlanError("phase", f"is one of {', '.join(each.value for each in Phase)}, not {value!r}") from None


def _check_pattern(method: object) -> None:
    if not isinstance(method, str) or not _PATTERN.fullmatch(method.replace("Async.", "")):
        raise PlanError("method", f"must be a method name like VDI.enable_cbt or a pattern like VDI.*, not {method!r}")
    if method.startswith(ASYNC_PREFIXES):
        raise PlanError("method", f"write {method.partition('.')[2]}: it matches the asynchronous form as well")


def _check_count(field: str, value: object) -> None:
    if type(value) is not int or value < 1:
        raise PlanError(field, f"must be a whole number from 1, not {value!r}")
