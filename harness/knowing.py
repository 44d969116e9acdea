"""Known issues in a run: which entries of the ledger are about its target, and what replaying them shows; pure."""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from xencbt.harness.findings import ISSUE, Evidence, Finding
from xencbt.harness.fingerprint import fingerprint
from xencbt.harness.ledger import Issue
from xencbt.harness.verdicts import Verdict
from xencbt.harness.witness.bundles import Subject
from xencbt.harness.witness.checking import Answer
from xencbt.harness.witness.concluding import Conclusion, Word


@dataclass(slots=True)
class KnownIssues:
    """The entries that a run judges, and those it leaves out, with why. `holding` failed the same way again.

    Only those are ignored by the search: a failure that its own witness does not show is none that is known.
    """

    judged: tuple[Issue, ...] = ()
    ignored: tuple[tuple[Issue, str], ...] = ()
    today: dt.date = field(default_factory=lambda: dt.datetime.now(dt.UTC).date())
    holding: list[Issue] = field(default_factory=list)

    @classmethod
    def of(cls, issues: Sequence[Issue], target: Subject, selected: Collection[str]) -> "KnownIssues":
        """Sort the entries of a ledger by whether they are about `target` and a requirement that is `selected`."""
        judged, ignored = [], []
        for issue in issues:
            why = issue.target.mismatch(target)
            if not why and issue.requirement not in selected:
                why = f"{issue.requirement} is not selected"
            if why:
                ignored.append((issue, why))
            else:
                judged.append(issue)
        return cls(tuple(judged), tuple(ignored))

    def matching(self, requirements: Collection[str], reason: str, actual: str) -> Issue | None:
        """Return the entry of which a failed test shows the very failure, if there is one."""
        for issue in self.holding:
            told = fingerprint(issue.requirement, Verdict.FAIL.value, reason, actual)
            if issue.requirement in requirements and told == issue.fingerprint:
                return issue
        return None

    def found(self, issue: Issue, concluded: Conclusion | None, *, calls: int = 0, duration_s: float = 0.0) -> Finding:
        """Return what replaying an entry found; `concluded` is None for an expired one, which is not tried."""
        verdict, reason = self._verdict(issue, concluded)
        if verdict is Verdict.KNOWN:
            self.holding.append(issue)
        return Finding(
            id=f"{ISSUE}{issue.id}",
            requirement=(issue.requirement,),
            verdict=verdict,
            reason=reason,
            calls=calls,
            duration_s=round(duration_s, 3),
            issue=issue.as_row(),
            evidence=Evidence(
                expected=issue.witness.check.words(),
                actual="" if concluded is None else concluded.reason,
                steps=issue.witness.words(),
            ),
        )

    def _verdict(self, issue: Issue, concluded: Conclusion | None) -> tuple[Verdict, str]:
        who = f"known issue {issue.id} ({issue.owner}, {issue.link})"
        if concluded is None:
            return Verdict.FAIL, f"{who} expired on {issue.expires.isoformat()}: {issue.reason or 'it failed'}"
        if concluded.word is Word.ERROR:
            return Verdict.BLOCKED, f"{who} cannot be replayed: {concluded.reason}"
        if concluded.word is Word.FIXED:
            return Verdict.STALE, f"{who} is fixed: {concluded.reason}; take it out of the ledger"
        if concluded.answer is Answer.SAME:
            return Verdict.KNOWN, f"{who}: {issue.reason or concluded.reason}"
        return Verdict.FAIL, f"{who} is {concluded.reason}"

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data for the run's record."""
        return {
            "judged": [issue.id for issue in self.judged],
            "expired": [issue.id for issue in self.judged if issue.expired(self.today)],
            "ignored": [{"id": issue.id, "reason": why} for issue, why in self.ignored],
        }
