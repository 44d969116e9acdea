"""Gathers what happened to one test, phase by phase, into its verdict; pure."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from xencbt.harness.classify import Classified, Phase, classify, rank
from xencbt.harness.verdicts import Verdict

FEWEST_EXAMPLES = 5
"""A property that fewer examples reached decides nothing."""


@dataclass(slots=True)
class Gathering:
    """The phases of one test; a `property_based` one must have reached its point with enough examples.

    `known` says of a failure which known issue it is, None of any other.
    """

    requirements: tuple[str, ...]
    property_based: bool = False
    clock: Callable[[], float] = time.monotonic
    known: Callable[[Classified], str | None] = lambda _: None
    _began: float = field(init=False)
    _decided: Classified | None = field(default=None, init=False)
    _trouble: str = field(default="", init=False)
    _raised: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def raised(self, phase: Phase, error: BaseException) -> Classified:
        """Take what a phase raised; trouble while tearing down never hides a verdict that was reached."""
        classified = classify(error, phase)
        issue = self.known(classified) if classified.verdict is Verdict.FAIL else None
        if issue is not None:
            classified = replace(classified, verdict=Verdict.KNOWN, reason=issue)
        if phase is Phase.TEARDOWN:
            self._trouble = f"clean-up failed: {classified.reason}"
            classified = replace(classified, verdict=Verdict.ERROR, reason=self._trouble)
        else:
            # subtests raise several times in one body: the worst stays
            known = [self._decided] if self._raised and self._decided is not None else []
            self._decided = min([*known, classified], key=rank)
            self._raised = True
        return classified

    def returned(
        self, *, calls: int, examples: int, unfired: int, spent: bool = False, known: str = ""
    ) -> Classified | None:
        """Take that the test's body returned; None where the pass is earned, else why it is none.

        `calls` that the body made to the target, `examples` that reached the point, and `unfired` planned faults are
        those of the test; `spent` says that the run's budget is, `known` which known issues its examples met.
        """
        if self._raised:  # in a subtest, which told pytest itself
            return None
        reason = ""
        if calls == 0:
            reason = "the test made no call to the target"
        elif unfired:
            reason = f"{unfired} planned fault(s) did not fire"
        elif self.property_based and examples < FEWEST_EXAMPLES:
            when = " before the budget was spent" if spent else ""
            reason = f"only {examples} example(s) reached the point{when}, {FEWEST_EXAMPLES} are needed"
        if reason:
            self._decided = Classified(Verdict.NOT_EXERCISED, reason)
            return self._decided
        if known:
            self._decided = Classified(Verdict.KNOWN, known)
            return self._decided
        self._decided = Classified(Verdict.PASS, "")
        return None

    def verdict(self) -> Classified:
        """Return what the phases add up to; a test whose body did not end decided nothing."""
        decided = self._decided or Classified(Verdict.ERROR, "the test's body did not run to its end")
        if not self._trouble:
            return decided
        if decided.verdict is Verdict.PASS:
            return Classified(Verdict.ERROR, self._trouble)
        return replace(decided, reason=f"{decided.reason}; {self._trouble}")

    @property
    def duration_s(self) -> float:
        """Seconds since the test began."""
        return self.clock() - self._began
