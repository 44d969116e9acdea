"""One judged test from its first phase to its finding: what pytest saw, and what the lab counted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from xencbt.fixtures.lab import Lab
from xencbt.harness import searching
from xencbt.harness.classify import Classified, Phase, classify
from xencbt.harness.exchange import Exchange
from xencbt.harness.faults import Receipt
from xencbt.harness.faults.watch import now
from xencbt.harness.findings import Evidence, Finding
from xencbt.harness.gathering import Gathering
from xencbt.harness.judge import Judge
from xencbt.harness.ledger import Issue
from xencbt.harness.needs import Needs
from xencbt.harness.seeds import derive
from xencbt.harness.verdicts import Axis, Verdict
from xencbt.harness.witness.checking import Alternative, alternative_of
from xencbt.harness.witness.deriving import Inexpressible

KEPT_TRACEBACK = 8000
"""Characters of a traceback that evidence keeps, from its end."""

KEPT_RECEIPTS = 20
"""Receipts that a finding keeps: the latest that did not fire, or the latest of all when all fired.

Then also earlier ones with a note that says something else than the others, as many again at most."""

KEEPING = frozenset({Verdict.FAIL, Verdict.ERROR})
"""Verdicts of a test whose objects stay on the target where --keep-on-failure says so."""

SKIPPED_FOR_PYTEST = frozenset({Verdict.UNSUPPORTED, Verdict.NOT_RUN, Verdict.KNOWN})
"""Verdicts for which pytest's word is `skipped`; every other one but `pass` fails the test for pytest as well."""


def steps_of(kept: Sequence[Exchange]) -> list[Exchange]:
    """Return the exchanges that lead to a failure: those that do something, and the last, which showed it.

    Left out are reads that were answered and the tasks of transfers; what is told must be short enough to repeat.
    """
    return [exchange for exchange in kept if exchange is kept[-1] or not _is_read(exchange)]


def _is_read(exchange: Exchange) -> bool:
    cls, _, call = exchange.method.partition(".")
    return (cls == "task" or call.startswith("get_")) and exchange.outcome.startswith("ok")


def _named(issue: Issue, came: str) -> str:
    return f"known issue {issue.id} ({issue.owner}, {issue.link}): {came}"


class Trial:
    """A judged test while it runs."""

    def __init__(
        self, test_id: str, requirements: tuple[str, ...], judge: Judge, needs: frozenset[str] = frozenset()
    ) -> None:
        self.id = test_id
        self._needs = needs
        self._judge = judge
        self._gathering = Gathering(requirements, known=self._known)
        self._met: dict[str, tuple[Issue, str]] = {}
        self._lab: Lab | None = None
        self._traceback = ""
        self._calls_before_body = 0
        self._began = now()
        self.receipts: list[Receipt] = []

    def begin(self, test: Callable[..., Any]) -> None:
        """Give a property its seed and its search, and start counting calls."""
        self._gathering.property_based = searching.is_property(test)
        if self._gathering.property_based:
            searching.prepare(test, self._judge.settings.seed, self.id, self._judge.search, self._judge.bench.budget)
        self._judge.recorder.begin_test()

    def search(self) -> searching.Search:
        """Lend the test the run's search; what it finds then is judged as a property."""
        self._gathering.property_based = True
        settings = self._judge.settings
        machines = searching.MACHINES[settings.speed]
        seed, budget = derive(settings.seed, self.id), self._judge.bench.budget
        return searching.Search(seed, self._judge.search, machines, budget, self._tolerates)

    def body_begins(self) -> None:
        """Count the body's calls from here: what fixtures called judges nothing."""
        self._calls_before_body = self._judge.recorder.calls

    @contextmanager
    def stage(self, needed: Needs | None = None) -> Iterator[Lab]:
        """Lend the test a lab, held to what it declared as `needed`, when its turn comes, and clean up after it."""
        declared = needed.declared if needed is not None else None
        with self._judge.turn(declared), self._judge.lab(self.id, needed) as lab:
            self._lab = lab
            lab.tolerates = self._tolerates
            try:
                yield lab
            finally:
                lab.keep = lab.keep_on_failure and self._gathering.verdict().verdict in KEEPING

    def phase_ended(self, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Take what a phase did; a pass that was not earned, or a verdict pytest has no word for, changes `report`."""
        phase = Phase(call.when)
        if call.excinfo is not None:
            self._traceback = self._mask(str(report.longrepr))[-KEPT_TRACEBACK:]  # a secret cut in two is not seen
            classified: Classified | None = self._gathering.raised(phase, call.excinfo.value)
        elif phase is Phase.CALL:
            classified = self._body_returned()
        else:
            return
        if classified is None:
            return
        if classified.verdict in SKIPPED_FOR_PYTEST:
            path, line, _ = report.location
            report.outcome, report.longrepr = (
                "skipped",
                (path, line or 0, self._mask(f"{classified.verdict.value}: {classified.reason}")),
            )
        elif call.excinfo is None or report.outcome == "skipped":
            report.outcome, report.longrepr = "failed", f"{classified.verdict.value}: {classified.reason}"

    def mask_report(self, report: pytest.TestReport) -> None:
        """Take secrets out of what pytest and its other plugins show and write: tracebacks, local variables, output."""
        report.sections = [(title, self._mask(content)) for title, content in report.sections]
        shown = report.longreprtext
        if not isinstance(report.longrepr, tuple) and self._mask(shown) != shown:
            report.longrepr = self._mask(shown)

    def _body_returned(self) -> Classified | None:
        return self._gathering.returned(
            calls=self._judge.recorder.calls - self._calls_before_body,
            examples=self._lab.examples if self._lab is not None else 0,
            unfired=sum(not receipt.fired for receipt in self.receipts),
            spent=self._judge.bench.budget.spent,
            known="; ".join(_named(issue, came) for issue, came in self._met.values()),
        )

    def _known(self, failed: Classified) -> str | None:
        """Say which known issue a failure is; None where it is none."""
        requirements = failed.violated or self._gathering.requirements
        issue = self._judge.known_issues.matching(requirements, self._reason(failed), self._mask(failed.actual))
        if issue is None:
            return None
        self._met[issue.id] = issue, self._reason(failed)
        return _named(*self._met[issue.id])

    def _tolerates(self, violation: AssertionError) -> bool:
        """Tell whether the search goes on over a failed example: its failure is known."""
        return self._known(classify(violation, Phase.CALL)) is not None

    def finding(self) -> Finding:
        """Return what the test found."""
        decided = self._gathering.verdict()
        finding = self._found(decided)
        if finding.verdict is not Verdict.FAIL or not self._judge.settings.bundles:
            return finding
        try:
            bundle = self._judge.bundle(finding, self._alternatives(decided))
        except Inexpressible as why:
            told = replace(finding.evidence, unreplayable=self._mask(str(why)))
        except Exception as broken:  # noqa: BLE001  whatever is wrong in a bundle, the finding must not be lost with it
            why_not = f"making its bundle broke: {type(broken).__name__}: {broken}"
            told = replace(finding.evidence, unreplayable=self._mask(why_not))
        else:
            told = replace(finding.evidence, replay=bundle.as_json())
        return replace(finding, evidence=told)

    def _found(self, decided: Classified) -> Finding:
        lab = self._lab
        met = next((issue for issue, _ in self._met.values()), None) if decided.verdict is Verdict.KNOWN else None
        return Finding(
            issue=None if met is None else met.as_row(),
            id=self.id,
            requirement=tuple(dict.fromkeys((*self._gathering.requirements, *decided.violated))),
            verdict=decided.verdict,
            reason=self._reason(decided),
            deviations=tuple(sorted(lab.deviations)) if lab is not None else (),
            examples=lab.examples if lab is not None else 0,
            calls=self._judge.recorder.calls,
            duration_s=round(self._gathering.duration_s, 3),
            violated=decided.violated,
            receipts=tuple(receipt.as_json(self._began) for receipt in self._kept_receipts()),
            created=lab.created if lab is not None else {},
            largest_disk=lab.largest_disk if lab is not None else 0,
            needs=tuple(sorted(self._needs)),
            sizes_not_run=lab.sizes_not_run if lab is not None else "",
            evidence=Evidence() if decided.verdict is Verdict.PASS else self._evidence(decided),
        )

    @staticmethod
    def _alternatives(decided: Classified) -> tuple[Alternative, ...]:
        return tuple(map(alternative_of, decided.accepted))

    def _reason(self, decided: Classified) -> str:
        axis = self._axis(decided)
        return self._mask(f"{axis.value}: {decided.reason}" if axis else decided.reason)

    def _axis(self, decided: Classified) -> Axis | None:
        """Return what was wrong with a target that met faults; None where none was armed, or nothing was wrong."""
        failed = decided.verdict is Verdict.FAIL and self.receipts
        return (decided.axis or Axis.STATE) if failed else None

    def _kept_receipts(self) -> list[Receipt]:
        """Return those that matter: what did not fire; else what is worth knowing, and the latest."""
        unfired = [receipt for receipt in self.receipts if not receipt.fired]
        if unfired:
            return unfired[-KEPT_RECEIPTS:]
        latest = self.receipts[-KEPT_RECEIPTS:]
        told = {receipt.note: receipt for receipt in self.receipts[:-KEPT_RECEIPTS] if receipt.note}
        return [*told.values(), *latest][-2 * KEPT_RECEIPTS :]

    def _evidence(self, decided: Classified) -> Evidence:
        kept = self._judge.recorder.kept
        requirement = (decided.violated or self._gathering.requirements)[0]
        return Evidence(
            expected=tuple(self._mask(each) for each in decided.expected),
            actual=self._mask(decided.actual),
            steps=tuple(f"{exchange.step} → {exchange.outcome}" for exchange in steps_of(kept)),
            exchange=kept[-1].as_json() if kept else None,
            rerun=self._judge.rerun(requirement, self.id),
            traceback=self._traceback,
            axis=axis.value if (axis := self._axis(decided)) else "",
            bitmap=decided.block_map.as_json() if decided.block_map is not None else None,
        )

    def _mask(self, text: str) -> str:
        return self._judge.secrets.mask(text)
