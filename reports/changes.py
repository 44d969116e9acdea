"""What became of one requirement between two runs; pure."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xencbt.harness.attempts import AT_FAULT
from xencbt.harness.fingerprint import fingerprint
from xencbt.harness.verdicts import Verdict
from xencbt.reports.run_json import FindingRow, RequirementRow

BROKEN = frozenset({Verdict.FAIL, Verdict.STALE})
"""The target was seen to do what it must not."""

UNDECIDED = AT_FAULT - BROKEN
"""Nothing was seen, because something went wrong."""


class Change(enum.Enum):
    """What became of a requirement, worst first."""

    REGRESSED = "regressed"
    NEWLY_UNDECIDED = "newly undecided"
    CHANGED_FAILURE = "changed failure"
    NEWLY_UNSUPPORTED = "newly unsupported"
    NEWLY_NOT_RUN = "newly not run"
    SAME_FAILURE = "same failure"
    FIXED = "fixed"
    NEWLY_JUDGED = "newly judged"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class RowChange:
    """One requirement in two runs. `new` is its row as it is now, `was` as it was; `fingerprints` are those of now."""

    change: Change
    was: RequirementRow
    new: RequirementRow
    fingerprints: tuple[str, ...] = ()
    rerun: str = ""

    @property
    def id(self) -> str:
        """The id that the requirement has now."""
        return self.new["id"]

    @property
    def deciding(self) -> bool:
        """Whether its level counts for the exit code."""
        return self.new["deciding"]


Tests = Mapping[str, FindingRow]
"""The tests of a run by their ids."""


def row_change(was: RequirementRow, before: Tests, now: RequirementRow, after: Tests) -> RowChange:
    """Say what became of a requirement that was the row `was` with the tests `before`, and is `now` with `after`."""
    then, today = fingerprints(was, before, now["id"]), fingerprints(now, after, now["id"])
    same_failure = set(today) <= set(then)
    change = change_between(Verdict(was["verdict"]), Verdict(now["verdict"]), same_failure=same_failure)
    return RowChange(change, was, now, today, _rerun(now, after))


def change_between(was: Verdict, now: Verdict, *, same_failure: bool) -> Change:
    """Say what it means that a requirement's verdict `was` that and is this `now`.

    `same_failure` tells whether everything that goes wrong now went wrong in the same way before; it counts where both
    verdicts are the same.
    """
    if now in BROKEN:
        if was not in BROKEN:
            return Change.REGRESSED
        return Change.SAME_FAILURE if now is was and same_failure else Change.CHANGED_FAILURE
    if now in UNDECIDED:
        if was not in AT_FAULT:
            return Change.NEWLY_UNDECIDED
        return Change.SAME_FAILURE if now is was and same_failure else Change.CHANGED_FAILURE
    if now is was:
        return Change.SAME
    if now is Verdict.UNSUPPORTED:
        return Change.NEWLY_UNSUPPORTED
    if now is Verdict.NOT_RUN:
        return Change.NEWLY_NOT_RUN
    return _for_the_better(was, now)


def _for_the_better(was: Verdict, now: Verdict) -> Change:
    """Say what a `known` or `pass` is after another verdict; a failure that only became a known one is not fixed."""
    if now is Verdict.KNOWN:
        if was is Verdict.PASS:
            return Change.REGRESSED
        return Change.CHANGED_FAILURE if was in BROKEN else Change.NEWLY_JUDGED
    return Change.FIXED if was in AT_FAULT or was is Verdict.KNOWN else Change.NEWLY_JUDGED


def fingerprints(row: RequirementRow, tests: Tests, name: str) -> tuple[str, ...]:
    """Return the fingerprints of what goes wrong at a requirement, by the id `name`, sorted; none where all is well."""
    return tuple(sorted({_fingerprint(test, name) for test in _at_fault(row, tests)}))


def _fingerprint(test: FindingRow, name: str) -> str:
    return fingerprint(name, test["verdict"], test["reason"], test["evidence"]["actual"])


def _at_fault(row: RequirementRow, tests: Tests) -> Iterable[FindingRow]:
    words = {verdict.value for verdict in AT_FAULT}
    for name in row["tests"]:
        test = tests[name]
        elsewhere = bool(test.get("violated")) and row["id"] not in test.get("violated", ())
        if test["verdict"] in words and not elsewhere:
            yield test


def _rerun(row: RequirementRow, tests: Tests) -> str:
    return next((test["evidence"]["rerun"] for test in _at_fault(row, tests) if test["evidence"]["rerun"]), "")
