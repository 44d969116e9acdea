"""The vocabulary of faults: one frozen dataclass per kind, registered by decorator.

Documentation, loading of plans and the contract tests all come from `KINDS`, so that they cannot drift apart.
"""

import enum
import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, get_type_hints

from xencbt.harness.errors import UsageError


class FaultError(UsageError):
    """A fault was given parameters that it does not take. `field` names the parameter."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class Phase(enum.Enum):
    """When a fault strikes: before the host sees the call, after it acted, or during its answer."""

    BEFORE = "before"
    AFTER = "after"
    DURING = "during"


class Fault:
    """Base of all kinds. The fields of a kind are its parameters: plain numbers, texts and truth values."""

    __slots__ = ()
    name: ClassVar[str]
    phase: ClassVar[Phase]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a kind, for documentation. `default` is None where it `required` a value."""

    name: str
    type: str
    required: bool
    default: object = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One word of the vocabulary: its name, when it strikes, what it does in one sentence, its parameters."""

    name: str
    phase: Phase
    summary: str
    fault: type[Fault]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters in the order of the kind's fields."""
        return tuple(_parameter(field, hint.__name__) for field, hint in _typed_fields(self.fault))

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data, as documentation needs it."""
        return {
            "name": self.name,
            "phase": self.phase.value,
            "summary": self.summary,
            "parameters": [
                {"name": each.name, "type": each.type, "required": each.required, "default": each.default}
                for each in self.parameters
            ],
        }


_registered: dict[str, Kind] = {}
KINDS: Mapping[str, Kind] = MappingProxyType(_registered)
"""Every kind of fault by its name, in the order of registration."""

F = TypeVar("F", bound=Fault)


def fault(name: str, *, phase: Phase) -> Callable[[type[F]], type[F]]:
    """Register a frozen dataclass as the kind `name`; its docstring's first line documents it.

    Raises ValueError for a name in use and for a class without a docstring of its own: both are mistakes of ours.
    """

    def register(cls: type[F]) -> type[F]:
        summary = (inspect.cleandoc(cls.__doc__ or "").splitlines() or [""])[0]
        if name in _registered:
            raise ValueError(f"two kinds of fault are called {name!r}")
        if not summary or summary.startswith(f"{cls.__name__}("):
            raise ValueError(f"{cls.__name__}: a kind of fault needs a docstring that says what it does")
        cls.name, cls.phase = name, phase
        _registered[name] = Kind(name, phase, summary, cls)
        return cls

    return register


def kind_of(fault: Fault) -> Kind:
    """Return the registered kind of `fault`; raises FaultError for a class nobody registered."""
    kind = _registered.get(getattr(fault, "name", ""))
    if kind is None or kind.fault is not type(fault):
        raise FaultError("fault", f"{fault!r} is of no registered kind; known are {', '.join(_registered)}")
    return kind


def parameters_of(fault: Fault) -> dict[str, Any]:
    """Return the parameters of `fault` as plain JSON data."""
    return {field.name: getattr(fault, field.name) for field, _ in _typed_fields(type(fault))}


def build(cls: type[F], parameters: Mapping[str, object]) -> F:
    """Make a fault of class `cls` from plain data.

    Raises FaultError naming the parameter that is unknown, missing, of the wrong type, or refused by the kind itself
    (a kind refuses a value by raising FaultError in `__post_init__`).
    """
    known = dict(_with_names(cls))
    for name, value in parameters.items():
        if name not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no parameters"
            raise FaultError(name, f"unknown parameter; {cls.name} {takes}")
        wanted = known[name]
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise FaultError(name, f"must be {wanted.__name__}, not {type(value).__name__} ({value!r})")
    for field, hint in _typed_fields(cls):
        if field.name not in parameters and _parameter(field, hint.__name__).required:
            raise FaultError(field.name, f"is missing; {cls.name} needs it")
    return cls(**parameters)


def _typed_fields(cls: type[Fault]) -> tuple[tuple[Field[Any], type], ...]:
    hints = get_type_hints(cls)
    return tuple((field, hints[field.name]) for field in fields(cls))  # type: ignore[arg-type]  # kinds are dataclasses


def _with_names(cls: type[Fault]) -> tuple[tuple[str, type], ...]:
    return tuple((field.name, hint) for field, hint in _typed_fields(cls))


def _parameter(field: Field[Any], type_name: str) -> Parameter:
    required = field.default is MISSING and field.default_factory is MISSING
    return Parameter(field.name, type_name, required, None if required else field.default)
