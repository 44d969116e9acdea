"""What the page shows, worked out from run.json: which evidence stands where, and every number on it; pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from xencbt.harness.verdicts import ORDER, Verdict
from xencbt.reports.failures import SHOWN
from xencbt.reports.html.cases import Case, cases
from xencbt.reports.run_json import RequirementRow, Run
from xencbt.reports.words import label, target_name, verdict_sentence

NOT_JUDGED = "not judged then"
"""Of a broken requirement of which a comparison says nothing: the older run did not select it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement. `broken` are the tests whose evidence stands with it among what is broken; `tests` are all."""

    requirement: RequirementRow
    label: str
    anchor: str
    tests: tuple[Case, ...]
    broken: tuple[Case, ...]
    examples: int
    duration_s: float
    since: str
    flaky: bool
    issue: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """The requirements of one chapter of the documentation, and how often each verdict occurs among them."""

    name: str
    title: str
    rows: tuple[Row, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class View:
    """The whole page. `loose` fail and speak of no requirement; `example` is the failure to begin with."""

    run: Run
    sentence: str
    target: str
    chapters: tuple[Chapter, ...]
    broken: tuple[Row, ...]
    loose: tuple[Case, ...]
    undecided: tuple[Row, ...]
    known: tuple[Row, ...]
    examples: int
    calls: int
    example: Case | None
    deviations: tuple[str, ...]
    kill_score: Mapping[str, Any] | None
    compared: Mapping[str, Any] | None
    since_counts: Mapping[str, int]


def view(run: Run, compared: Mapping[str, Any] | None = None) -> View:
    """Return what the page of `run` shows; `compared` says of requirements by id what became of them since `with`."""
    loose_run = cast("Mapping[str, Any]", run)
    compared = compared or loose_run.get("compared")
    words = dict(compared["rows"]) if compared else {}
    by_id = cases(run)
    if compared and not compared.get("why_not"):
        words = {row["id"]: NOT_JUDGED for row in run["requirements"] if row["verdict"] in SHOWN} | words
    rows = [_row(row, by_id, words.get(row["id"], "")) for row in run["requirements"]]
    chapters = dict.fromkeys((row.requirement["chapter"], row.requirement["chapter_title"]) for row in rows)
    broken = sorted((row for row in rows if row.requirement["verdict"] in SHOWN), key=_telling_first)
    return View(
        run=run,
        sentence=verdict_sentence(run),
        target=target_name(run["target"]),
        chapters=tuple(_chapter(name, title, rows) for name, title in chapters),
        broken=tuple(broken),
        example=next((case for row in broken for case in row.broken if case.test["evidence"]["rerun"]), None),
        loose=tuple(case for case in by_id.values() if case.home == "" and case.shown),
        undecided=tuple(row for row in rows if row.requirement["verdict"] in {"blocked", "not exercised"}),
        known=tuple(row for row in rows if row.requirement["verdict"] == Verdict.KNOWN.value),
        examples=sum(test["examples"] for test in run["tests"]),
        calls=sum(test["calls"] for test in run["tests"]),
        deviations=_deviations(rows),
        kill_score=cast("Mapping[str, Any]", run["suite"]).get("kill_score"),
        compared=compared,
        since_counts=Counter(words.values()),
    )


def _row(row: RequirementRow, by_id: Mapping[str, Case], since: str) -> Row:
    own = tuple(by_id[name] for name in row["tests"])
    return Row(
        requirement=row,
        label=label(row),
        anchor=f"r-{row['id']}",
        tests=own,
        broken=tuple(case for case in own if case.shown and case.home == row["id"]),
        examples=sum(case.test["examples"] for case in own),
        duration_s=sum(case.test["duration_s"] for case in own),
        since=since,
        flaky=bool(cast("Mapping[str, Any]", row).get("flaky")),
        issue=next((case.issue for case in own if case.issue), ""),
    )


def _telling_first(row: Row) -> tuple[bool, bool, int]:
    """Order what is broken: by the target before by us, and what decides before what does not."""
    verdict = row.requirement["verdict"]
    return verdict == Verdict.ERROR.value, not row.requirement["deciding"], ORDER.index(Verdict(verdict))


def _deviations(rows: Iterable[Row]) -> tuple[str, ...]:
    named = {name for row in rows for name in (row.requirement["deviation"] or "").split(", ")}
    return tuple(sorted(named - {""}))


def _chapter(name: str, title: str, rows: Iterable[Row]) -> Chapter:
    own = tuple(row for row in rows if row.requirement["chapter"] == name)
    return Chapter(name, title, own, in_order(Counter(row.requirement["verdict"] for row in own)))


def in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Return how often each verdict occurs, worst first, those that do not left out."""
    return {verdict.value: counts[verdict.value] for verdict in ORDER if counts.get(verdict.value)}


def all_cases(shown: View) -> Sequence[Case]:
    """Return every test once, those with failures first: the order in which evidence is laid into the page."""
    own = {case.anchor: case for row in shown.broken for case in row.broken}
    own |= {case.anchor: case for case in shown.loose}
    for chapter in shown.chapters:
        for row in chapter.rows:
            own |= {case.anchor: case for case in row.tests if case.anchor not in own}
    return tuple(own.values())
