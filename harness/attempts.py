"""A test with every attempt that was made at it: a row that failed once is not made green by trying again; pure."""

from dataclasses import dataclass

from xencbt.harness.findings import Finding
from xencbt.harness.verdicts import ORDER, Verdict, worst

AT_FAULT = frozenset({Verdict.ERROR, Verdict.FAIL, Verdict.STALE, Verdict.BLOCKED, Verdict.NOT_EXERCISED})
"""Verdicts that are worth another attempt: something went wrong, or stayed undecided."""


@dataclass(frozen=True, slots=True)
class Tried:
    """All findings of one test in the order in which they were made; never empty."""

    attempts: tuple[Finding, ...]

    @property
    def worst(self) -> Finding:
        """The finding that stands for the test: the worst one, of equals the first."""
        return min(self.attempts, key=lambda one: ORDER.index(one.verdict))

    @property
    def requirement(self) -> tuple[str, ...]:
        """The requirements that any attempt speaks of."""
        return tuple(dict.fromkeys(name for one in self.attempts for name in one.requirement))

    @property
    def flaky(self) -> bool:
        """Whether the test passed in one attempt and was at fault in another."""
        return _is_flaky({one.verdict for one in self.attempts})

    def verdict_of(self, requirement: str) -> Verdict:
        """Return what the test says of one requirement: the worst that an attempt says of it."""
        return worst(one.verdict_of(requirement) for one in self._speaking_of(requirement))

    def reason_of(self, requirement: str) -> tuple[Finding, str]:
        """Return the attempt that decided what the test says of one requirement, and why it says so."""
        decided = self.verdict_of(requirement)
        speaking = next(one for one in self._speaking_of(requirement) if one.verdict_of(requirement) is decided)
        return speaking, speaking.reason_of(requirement)

    def is_flaky_for(self, requirement: str) -> bool:
        """Return whether the attempts say that the requirement holds, and that it may not."""
        return _is_flaky({one.verdict_of(requirement) for one in self._speaking_of(requirement)})

    def _speaking_of(self, requirement: str) -> tuple[Finding, ...]:
        return tuple(one for one in self.attempts if requirement in one.requirement)


def _is_flaky(verdicts: set[Verdict]) -> bool:
    return Verdict.PASS in verdicts and bool(verdicts & AT_FAULT)
