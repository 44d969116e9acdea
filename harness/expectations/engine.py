"""Allowed outcomes as data, and the one engine that compares an outcome with them."""

from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from xencbt.harness.expectations.parameters import ANYTHING, Mentioning, Parameters
from xencbt.harness.outcome import Failed, Ok, Outcome
from xencbt.harness.profiles import DEVIATIONS
from xencbt.harness.verdicts import Accepted

if TYPE_CHECKING:
    from xencbt.harness.profiles import Profile


@dataclass(frozen=True, slots=True)
class Succeeds:
    """The call answers success."""

    deviation: None = field(default=None, init=False)

    def allows(self, outcome: Outcome) -> bool:
        """Tell whether `outcome` is a success."""
        return isinstance(outcome, Ok)

    @property
    def accepted(self) -> Accepted:
        """What of it is kept with a failure."""
        return Accepted(None)

    def __str__(self) -> str:
        return "success"


@dataclass(frozen=True, slots=True)
class Refused:
    """The call is refused with exactly this code and with parameters like these.

    `deviation` is the id of the deviation that makes this acceptable; None where the documentation itself does.
    """

    code: str
    params: Parameters = ANYTHING
    deviation: str | None = None

    def __post_init__(self) -> None:
        if self.deviation is not None and self.deviation not in DEVIATIONS:
            raise ValueError(f"{self.deviation} is no known deviation")

    def allows(self, outcome: Outcome) -> bool:
        """Tell whether `outcome` is this refusal."""
        return isinstance(outcome, Failed) and outcome.code == self.code and self.params.matches(outcome.params)

    @property
    def accepted(self) -> Accepted:
        """What of it is kept with a failure."""
        return Accepted(self.code, self.params.texts if isinstance(self.params, Mentioning) else ())

    def __str__(self) -> str:
        by = f" (deviation {self.deviation})" if self.deviation else ""
        return f"{self.code}{self.params}{by}"


Alternative = Succeeds | Refused


def _rank(alternative: Alternative) -> tuple[bool, bool]:
    return alternative.deviation is not None, isinstance(alternative, Refused)


@dataclass(frozen=True, slots=True)
class Expectation:
    """The allowed outcomes of one call, ranked: success, documented refusals, then those that need a deviation.

    A lost answer (`Indeterminate`) satisfies none: it is not known what happened.
    """

    alternatives: tuple[Alternative, ...]

    def __post_init__(self) -> None:
        if not self.alternatives:
            raise ValueError("an expectation needs at least one alternative")
        ranked = sorted(dict.fromkeys(self.alternatives), key=_rank)
        object.__setattr__(self, "alternatives", tuple(ranked))

    def __or__(self, other: "Expectation") -> "Expectation":
        """Allow what either allows."""
        return Expectation((*self.alternatives, *other.alternatives))

    @property
    def succeeds(self) -> bool:
        """Whether success is among the alternatives."""
        return any(isinstance(one, Succeeds) for one in self.alternatives)

    @property
    def codes(self) -> frozenset[str]:
        """The error codes among the alternatives."""
        return frozenset(one.code for one in self.alternatives if isinstance(one, Refused))

    def accepted(self, profile: "Profile") -> tuple[Accepted, ...]:
        """Return the answers that may come under `profile`, in the order of their rank."""
        kept = (one for one in self.alternatives if one.deviation is None or profile.accepts(one.deviation))
        return tuple(dict.fromkeys(one.accepted for one in kept))

    def words(self, profile: "Profile | None" = None) -> tuple[str, ...]:
        """Return the alternatives in words; with `profile`, without those whose deviation it does not accept."""
        return tuple(
            str(one)
            for one in self.alternatives
            if profile is None or one.deviation is None or profile.accepts(one.deviation)
        )

    def __str__(self) -> str:
        return " or ".join(self.words())


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether an outcome is allowed, and by which deviation (None: by the documentation itself).

    `reason` says why it is not allowed, and is empty where it is.
    """

    allowed: bool
    deviation: str | None = None
    reason: str = ""


def expect(*alternatives: Alternative) -> Expectation:
    """Make the expectation of these alternatives."""
    return Expectation(alternatives)


def either(*expectations: Expectation) -> Expectation:
    """Allow what any of `expectations` (at least one) allows."""
    return reduce(or_, expectations)


def judge(outcome: Outcome, expectation: Expectation, profile: "Profile") -> Judgement:
    """Compare one outcome with what is allowed under `profile`; the highest ranked alternative that matches decides."""
    matching = [one for one in expectation.alternatives if one.allows(outcome)]
    for alternative in matching:
        if alternative.deviation is None or profile.accepts(alternative.deviation):
            return Judgement(allowed=True, deviation=alternative.deviation)
    if matching:
        wanted = matching[0].deviation
        return Judgement(
            allowed=False, reason=f"needs deviation {wanted}, which profile {profile.name} does not accept"
        )
    if isinstance(outcome, Failed) and outcome.code in expectation.codes:
        return Judgement(allowed=False, reason=f"{outcome.code} is right, but not with these parameters")
    if isinstance(outcome, Ok | Failed):
        return Judgement(allowed=False, reason=f"{outcome} is none of the allowed outcomes")
    return Judgement(allowed=False, reason=f"{outcome}: a lost answer decides nothing")
