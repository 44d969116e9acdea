"""From the events of a run to run.json: the verdict of each requirement and of the whole; pure."""

from collections.abc import Iterable, Sequence

from xencbt.harness.attempts import Tried
from xencbt.harness.catalogue import Catalogue, Level, Requirement, catalogue
from xencbt.harness.events import UnreadableEvents
from xencbt.harness.findings import Finding
from xencbt.harness.verdicts import Exit, Verdict, counts, exit_code, worst
from xencbt.reports.rows import known_issues_row, said, suite_row, target_row, test_row
from xencbt.reports.run_json import SCHEMA, JournalRow, RequirementRow, Run
from xencbt.reports.told import Event, Told, gather

STOPPING = frozenset({Verdict.BLOCKED, Verdict.NOT_EXERCISED})
"""Verdicts at which a run with -x stops, undecided."""


def build(events: Iterable[Event], requirements: Catalogue | None = None) -> Run:
    """Return run.json for `events`, judged by the catalogue `requirements` (default: this version's).

    Events that stop early give a run that is not complete and never exits like a pass. Raises UnreadableEvents for
    events that are no run's, are damaged, or name a requirement that the catalogue does not hold.
    """
    told = gather(events)
    try:
        return _run(told, requirements or catalogue())
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableEvents(f"the events are damaged: {type(error).__name__}: {error}") from error


def _run(told: Told, known: Catalogue) -> Run:
    started = told.started
    tests = _tests(told)
    rows = [_requirement(known, row, tests, told) for row in _judged(told, tests, known)]
    return Run(
        schema=SCHEMA,
        complete=told.complete,
        interrupted=told.interrupted,
        exit=int(_exit(told, rows, [test.worst for test in tests])),
        started=started["time"],
        duration_s=None if told.finished is None else float(told.finished["duration_s"]),
        seed=int(started["seed"]),
        speed=started["speed"],
        profile=_profile(told),
        strict=bool(started["strict"]),
        command=started["command"],
        rerun_of=started.get("rerun_of"),
        suite=suite_row(started["suite"]),
        selection={
            "suites": list(started["selection"]["suites"]),
            "requirements": list(started["selection"]["requirements"]),
            "filtered": bool(started["selection"]["filtered"]),
        },
        target=None if told.target is None else target_row(told.target),
        chapters=_chapters(told),
        counts=counts(Verdict(row["verdict"]) for row in rows),
        requirements=rows,
        tests=[test_row(test) for test in tests],
        problems=[{"verdict": Verdict.ERROR.value, "reason": reason} for reason in told.problems],
        journal=_journal(told),
        known_issues=None if told.known_issues is None else known_issues_row(told.known_issues),
    )


def _tests(told: Told) -> list[Tried]:
    """Every test by its id, those that never came to an end included: sorted, so that workers change nothing."""
    stopped = "the run was interrupted" if told.interrupted else "the run ended"
    unstarted = {
        name: Tried((Finding(name, decides, Verdict.NOT_RUN, f"{stopped} before the test began"),))
        for name, decides in told.planned.items()
    }
    unfinished = {
        name: Finding(name, decides, Verdict.ERROR, f"did not finish: {stopped} while the test ran")
        for name, decides in told.begun.items()
    }
    ended = {name: (*found, *filter(None, [unfinished.pop(name, None)])) for name, found in told.found.items()}
    begun = {name: (finding,) for name, finding in unfinished.items()}
    tried = {name: Tried(attempts) for name, attempts in (begun | ended).items()}
    return [test for _, test in sorted((unstarted | tried).items())]


def _judged(told: Told, tests: Sequence[Tried], known: Catalogue) -> list[Requirement]:
    """Return the requirements that were selected (where that was never told: that a test speaks of), in their order.

    A test may speak of a requirement that was not selected: without its other tests that decides nothing.
    """
    spoken_of = set[str]().union(*(test.requirement for test in tests))
    names = set(told.selected["requirements"]) if told.selected else spoken_of
    foreign = sorted(name for name in names if name not in known)
    if foreign:
        raise UnreadableEvents(
            f"the catalogue of this version does not hold {', '.join(foreign)}: "
            f"read the run with xencbt {told.started['suite']['version']}, which wrote it"
        )
    return [row for row in known if row.id in names]


def _requirement(known: Catalogue, row: Requirement, tests: Sequence[Tried], told: Told) -> RequirementRow:
    own = [test for test in tests if row.id in test.requirement]
    verdict = worst(test.verdict_of(row.id) for test in own)
    deviations = sorted({deviation for test in own for one in test.attempts for deviation in one.deviations})
    return RequirementRow(
        id=row.id,
        level=str(row.level),
        deciding=row.level == Level.MUST or (row.level == Level.SHOULD and bool(told.started["strict"])),
        chapter=row.chapter,
        chapter_title=known.chapter(row.chapter).title,
        statement=row.statement,
        source={"page": row.page.title, "section": row.section, "url": row.url},
        verdict=verdict.value,
        reason=_reason(verdict, row.id, own, told),
        deviation=", ".join(deviations) or None,
        sizes_not_run=_sizes_not_run(own),
        counts=counts(test.verdict_of(row.id) for test in own),
        tests=[test.worst.id for test in own],
        flaky=any(test.is_flaky_for(row.id) for test in own),
    )


def _sizes_not_run(own: Sequence[Tried]) -> str | None:
    told = {one.sizes_not_run for test in own for one in test.attempts if one.sizes_not_run}
    return "; ".join(sorted(told)) or None


def _reason(verdict: Verdict, requirement: str, own: Sequence[Tried], told: Told) -> str:
    if verdict is Verdict.PASS:
        return ""
    if not own:
        return _why_no_test(told)
    deciding = next(test for test in own if test.verdict_of(requirement) is verdict)
    speaking, reason = deciding.reason_of(requirement)
    return reason or said(speaking)


def _why_no_test(told: Told) -> str:
    if told.complete and not told.problems:
        return "no test of this run decides it"
    return f"{'the run was interrupted' if told.interrupted else 'the run ended'} before a test of it began"


def _exit(told: Told, rows: Sequence[RequirementRow], findings: Sequence[Finding]) -> Exit:
    if told.interrupted:
        return Exit.INTERRUPTED
    broken = any(finding.verdict is Verdict.ERROR for finding in findings)
    if told.finished is None or told.problems or broken:
        return Exit.ERROR
    decided = exit_code(
        {row["id"]: Verdict(row["verdict"]) for row in rows},
        {row["id"]: row["level"] for row in rows},
        _chapters(told),
        strict=bool(told.started["strict"]),
    )
    if decided is not Exit.ERROR and any(_is_lacking(finding) for finding in findings):
        return Exit.FAILED
    # A run may stop at its first failure and has decided by it; one that stopped for no such reason broke.
    stopped = any(finding.verdict in STOPPING for finding in findings)
    return decided if told.complete or decided is Exit.FAILED or (decided is Exit.UNDECIDED and stopped) else Exit.ERROR


def _is_lacking(finding: Finding) -> bool:
    """Tell whether this is no test's finding but a required capability that the target lacks."""
    return not finding.requirement and finding.verdict is Verdict.FAIL


def _chapters(told: Told) -> list[str]:
    return list(told.selected["chapters"]) if told.selected else []


def _profile(told: Told) -> str:
    asked = str(told.started["profile"])
    return str(told.target["profile"]) if asked == "auto" and told.target else asked


def _journal(told: Told) -> JournalRow | None:
    if not told.journals and not told.complete:
        return None
    return JournalRow(
        created=sum(int(entry["created"]) for entry in told.journals),
        removed=sum(int(entry["removed"]) for entry in told.journals),
        left=[left for entry in told.journals for left in entry["left"]],
        troubles=[str(trouble) for entry in told.journals for trouble in entry["troubles"]],
        clean=[str(entry["clean"]) for entry in told.journals if entry.get("clean")],
    )
