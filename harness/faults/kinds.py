"""The vocabulary of faults: one frozen dataclass per kind, registered by decorator.

Documentation, loading of plans and the contract tests all come from `KINDS`, so that they cannot drift apart.
"""

import enum
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

from xencbt.harness.errors import UsageError


class FaultError(UsageError):
    """A fault was given parameters that it does not take. `field` names the parameter."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class Phase(enum.Enum):
    """When a fault strikes: before the host sees the call, after it acted, or during its work or its answer."""

    BEFORE = "before"
    AFTER = "after"
    DURING = "during"


class Layer(enum.Enum):
    """Where a fault strikes, and so who carries it out.

    The first two are the interceptor's, storage is the emulated host's (through its control interface), and lab is
    done by a command of the user's.
    """

    TRANSPORT = "transport"
    API = "api"
    STORAGE = "storage"
    LAB = "lab"


class Fault:
    """Base of all kinds. The fields of a kind are its parameters: numbers, texts, truth values, lists of texts."""

    __slots__ = ()
    name: ClassVar[str]
    phases: ClassVar[tuple[Phase, ...]]
    layer: ClassVar[Layer]

    @property
    def phase(self) -> Phase:
        """When it strikes unless a plan says otherwise: the first of its kind's phases."""
        return self.phases[0]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a kind, for documentation. `default` is None where it `required` a value.

    `type` is `float`, `int`, `str`, `bool`, `list of str`, or the words to choose from, as in `closed|reset`.
    """

    name: str
    type: str
    required: bool
    default: object = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One word of the vocabulary: its name, where and when it strikes, what it does in one sentence, its parameters."""

    name: str
    phases: tuple[Phase, ...]
    layer: Layer
    summary: str
    fault: type[Fault]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters in the order of the kind's fields."""
        return tuple(_parameter(field, hint) for field, hint in _typed_fields(self.fault))

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data, as documentation needs it."""
        return {
            "name": self.name,
            "layer": self.layer.value,
            "phases": [phase.value for phase in self.phases],
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


def fault(name: str, *phases: Phase, layer: Layer = Layer.TRANSPORT) -> Callable[[type[F]], type[F]]:
    """Register a frozen dataclass as the kind `name`; its docstring's first line documents it.

    `phases` are those it can strike in, the usual one first. Raises ValueError for a name in use, for none of these,
    and for a class without a docstring of its own: all are mistakes of ours.
    """

    def register(cls: type[F]) -> type[F]:
        summary = (inspect.cleandoc(cls.__doc__ or "").splitlines() or [""])[0]
        if name in _registered:
            raise ValueError(f"two kinds of fault are called {name!r}")
        if not phases:
            raise ValueError(f"{cls.__name__}: a kind of fault strikes in some phase")
        if not summary or summary.startswith(f"{cls.__name__}("):
            raise ValueError(f"{cls.__name__}: a kind of fault needs a docstring that says what it does")
        cls.name, cls.phases, cls.layer = name, phases, layer
        _registered[name] = Kind(name, phases, layer, summary, cls)
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
    values = {field.name: getattr(fault, field.name) for field, _ in _typed_fields(type(fault))}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def build(cls: type[F], parameters: Mapping[str, object]) -> F:
    """Make a fault of class `cls` from plain data.

    Raises FaultError naming the parameter that is unknown, missing, of the wrong type, or refused by the kind itself
    (a kind refuses a value by raising FaultError in `__post_init__`).
    """
    known = {field.name: hint for field, hint in _typed_fields(cls)}
    for name in parameters:
        if name not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no parameters"
            raise FaultError(name, f"unknown parameter; {cls.name} {takes}")
    for field, hint in _typed_fields(cls):
        if field.name not in parameters and _parameter(field, hint).required:
            raise FaultError(field.name, f"is missing; {cls.name} needs it")
    return cls(**{name: _read(name, known[name], value) for name, value in parameters.items()})


def require_positive(**values: float) -> None:
    """Raise FaultError for the first of `values` that is not above zero: for a kind's `__post_init__`."""
    for name, value in values.items():
        if not value > 0:
            raise FaultError(name, f"must be above zero, not {value!r}")


def _read(name: str, hint: Any, value: object) -> object:
    """Return plain data as what the parameter holds; raises FaultError where it is of another type."""
    if get_origin(hint) is Literal:
        fits = value in get_args(hint)
    elif get_origin(hint) is tuple:
        if isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(each, str) for each in value):
            return tuple(value)
        fits = False
    else:
        fits = type(value) is hint or (hint is float and type(value) is int)
    if not fits:
        raise FaultError(name, f"must be {_words(hint)}, not {type(value).__name__} ({value!r})")
    return value


def _words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "|".join(get_args(hint))
    return "list of str" if get_origin(hint) is tuple else str(hint.__name__)


def _typed_fields(cls: type[Fault]) -> tuple[tuple[Field[Any], Any], ...]:
    hints = get_type_hints(cls)
    return tuple((field, hints[field.name]) for field in fields(cls))  # type: ignore[arg-type]  # kinds are dataclasses


def _parameter(field: Field[Any], hint: Any) -> Parameter:
    required = field.default is MISSING and field.default_factory is MISSING
    default = None if required else list(field.default) if isinstance(field.default, tuple) else field.default
    return Parameter(field.name, _words(hint), required, default)
