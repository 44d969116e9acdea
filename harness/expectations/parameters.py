"""What an error's parameters must be: matchers as data, each of which says itself in words."""

from dataclasses import dataclass
from typing import Protocol

from xencbt.harness.expectations.vdi_type import VdiType


class Matcher(Protocol):
    """Decides one parameter."""

    def matches(self, parameter: str) -> bool:
        """Tell whether `parameter` is what is expected here."""


@dataclass(frozen=True, slots=True)
class Is:
    """Exactly this text: a reference, a uuid, a class name."""

    text: str

    def matches(self, parameter: str) -> bool:
        """Compare exactly."""
        return parameter == self.text

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Any:
    """Any text; `what` says what should stand here."""

    what: str = "anything"

    def matches(self, parameter: str) -> bool:  # noqa: ARG002  accepting whatever comes is the point
        """Accept it."""
        return True

    def __str__(self) -> str:
        return f"<{self.what}>"


@dataclass(frozen=True, slots=True)
class NamesType:
    """The VDI's type, by display name or enum name, whatever the case (ENABLE-10)."""

    type: VdiType

    def matches(self, parameter: str) -> bool:
        """Compare without regard to case."""
        return parameter.casefold() in {self.type.value.casefold(), self.type.display_name.casefold()}

    def __str__(self) -> str:
        return f"“{self.type.display_name}” or “{self.type.value}”"


class Parameters(Protocol):
    """Decides all parameters of an error at once."""

    def matches(self, parameters: tuple[str, ...]) -> bool:
        """Tell whether these are the parameters expected."""


@dataclass(frozen=True, slots=True)
class Anything:
    """The documentation says nothing about the parameters."""

    def matches(self, parameters: tuple[str, ...]) -> bool:  # noqa: ARG002  accepting whatever comes is the point
        """Accept them."""
        return True

    def __str__(self) -> str:
        return ""


ANYTHING = Anything()


@dataclass(frozen=True, slots=True)
class Starting:
    """The first parameters, position by position; more may follow."""

    matchers: tuple[Matcher, ...]

    def matches(self, parameters: tuple[str, ...]) -> bool:
        """Compare position by position; too few are wrong."""
        return len(parameters) >= len(self.matchers) and all(
            matcher.matches(parameter) for matcher, parameter in zip(self.matchers, parameters, strict=False)
        )

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.matchers))}]"


@dataclass(frozen=True, slots=True)
class Mentioning:
    """Some parameter contains one of `texts`, whatever the case: storage errors wrap their message in others' words."""

    texts: tuple[str, ...]

    def matches(self, parameters: tuple[str, ...]) -> bool:
        """Search every parameter."""
        folded = [parameter.casefold() for parameter in parameters]
        return any(text.casefold() in parameter for text in self.texts for parameter in folded)

    def __str__(self) -> str:
        return f" mentioning {' or '.join(f'“{text}”' for text in self.texts)}"


def starting(*parameters: Matcher | str) -> Starting:
    """Make `Starting` of matchers and of texts that must stand there exactly."""
    return Starting(tuple(Is(one) if isinstance(one, str) else one for one in parameters))


def mentioning(*texts: str) -> Mentioning:
    """Make `Mentioning` one of `texts`."""
    return Mentioning(texts)


def reference(ref: str | None) -> Matcher:
    """Match this reference, or any where it is not known."""
    return Any("reference") if ref is None else Is(ref)
