"""Many runs in the order of time: the verdicts of each requirement, how often they flip, and what runs took; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from xencbt.harness.attempts import AT_FAULT
from xencbt.harness.verdicts import Verdict
from xencbt.reports.run_json import RequirementRow, Run
from xencbt.reports.words import target_name


@dataclass(frozen=True, slots=True)
class Mark:
    """What one run says of a requirement; `flips` where it disagrees with itself, or with the same judged before."""

    verdict: str
    reason: str
    flips: bool


@dataclass(frozen=True, slots=True)
class Strip:
    """One requirement across the runs: a mark for each, None where a run did not select it."""

    id: str
    level: str
    statement: str
    marks: tuple[Mark | None, ...]

    @property
    def judged(self) -> int:
        """How many runs decided it: passed, failed, or tried to."""
        return sum(mark is not None and _is_decided(mark.verdict) for mark in self.marks)

    @property
    def flips(self) -> int:
        """How many of them flip."""
        return sum(mark is not None and mark.flips for mark in self.marks)

    @property
    def flake_rate(self) -> float:
        """The share of the runs that judged it which flip, from 0 to 1."""
        return self.flips / self.judged if self.judged else 0.0

    @property
    def steady(self) -> bool:
        """Whether every run that selected it says that it holds."""
        return all(mark is None or (mark.verdict == Verdict.PASS.value and not mark.flips) for mark in self.marks)


@dataclass(frozen=True, slots=True)
class Trend:
    """The runs, oldest first, with the names under which they were given, and a strip for each requirement."""

    names: tuple[str, ...]
    runs: tuple[Run, ...]
    strips: tuple[Strip, ...]

    @property
    def flake_rate(self) -> float:
        """The share of all decisions in all runs that flip, from 0 to 1."""
        judged = sum(strip.judged for strip in self.strips)
        return sum(strip.flips for strip in self.strips) / judged if judged else 0.0


def trend(named: Iterable[tuple[str, Run]]) -> Trend:
    """Put runs in the order in which they started."""
    ordered = sorted(named, key=lambda one: one[1]["started"])
    runs = tuple(run for _, run in ordered)
    rows = [{row["id"]: row for row in run["requirements"]} for run in runs]
    latest: dict[str, RequirementRow] = {}
    for of_run in rows:
        latest |= of_run
    strips = tuple(_strip(row, [of_run.get(row["id"]) for of_run in rows], runs) for row in _in_order(rows, latest))
    return Trend(tuple(name for name, _ in ordered), runs, strips)


def _in_order(
    rows: Sequence[Mapping[str, RequirementRow]], latest: Mapping[str, RequirementRow]
) -> list[RequirementRow]:
    """Return the requirements as the newest run orders them, and after those the ones that only older runs know."""
    names = dict.fromkeys(name for of_run in reversed(rows) for name in of_run)
    return [latest[name] for name in names]


def _strip(row: RequirementRow, own: Sequence[RequirementRow | None], runs: Sequence[Run]) -> Strip:
    flips = [False, *(_flip(before, after) for before, after in pairwise(zip(own, runs, strict=True)))]
    marks = tuple(
        None if one is None else Mark(one["verdict"], one["reason"], flip or bool(one.get("flaky")))
        for one, flip in zip(own, flips, strict=True)
    )
    return Strip(row["id"], row["level"], row["statement"], marks)


def _flip(before: tuple[RequirementRow | None, Run], after: tuple[RequirementRow | None, Run]) -> bool:
    """Tell whether two runs of the same build by the same suite disagree on whether the requirement holds."""
    (was, old), (now, new) = before, after
    if was is None or now is None or _subject(old) != _subject(new):
        return False
    decided = _is_decided(was["verdict"]) and _is_decided(now["verdict"])
    return decided and (was["verdict"] == Verdict.PASS.value) is not (now["verdict"] == Verdict.PASS.value)


def _subject(run: Run) -> tuple[str, ...]:
    suite = run["suite"]
    return (target_name(run["target"]), run["profile"], suite["catalogue_hash"], suite.get("files_hash", ""))


def _is_decided(verdict: str) -> bool:
    return verdict == Verdict.PASS.value or Verdict(verdict) in AT_FAULT
