"""Two runs side by side: what broke, what was mended, and whether they can be compared at all; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from xencbt.harness.verdicts import Verdict
from xencbt.reports.changes import Change, RowChange, row_change
from xencbt.reports.differences import gained_and_lost, notes, obstacles
from xencbt.reports.run_json import CapabilityRow, RequirementRow, Run

SLOWER = 2.0
"""How many times as long a requirement takes before that is worth telling."""

LEAST_SLOWER_S = 1.0
"""Seconds it must take longer as well: what is over in no time doubles by chance."""

NO_REGRESSION, REGRESSION, NOT_COMPARABLE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Slower:
    """A requirement whose tests take longer than they did, in seconds."""

    id: str
    was_s: float
    now_s: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of a target from one run to another.

    `obstacles` say why the runs cannot be compared; then nothing else but `notes` is known. `changes` hold every
    requirement that both runs judged, worst change first. `renamed` pairs old and new id; `added` and `removed` are
    requirements that the other run's catalogue does not have, `only_old` and `only_new` those that it did not select.
    """

    old: Run
    new: Run
    obstacles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    changes: tuple[RowChange, ...] = ()
    gained: tuple[CapabilityRow, ...] = ()
    lost: tuple[CapabilityRow, ...] = ()
    added: tuple[RequirementRow, ...] = ()
    removed: tuple[RequirementRow, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    only_old: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()
    slower: tuple[Slower, ...] = field(default=())

    def of(self, *kinds: Change) -> tuple[RowChange, ...]:
        """Return the requirements of which one of these became."""
        return tuple(change for change in self.changes if change.change in kinds)

    @property
    def regressions(self) -> tuple[RowChange, ...]:
        """Deciding requirements that held and do not hold any more, or that the target lost the ability to show."""
        return tuple(change for change in self.changes if change.deciding and _is_regression(change))

    @property
    def undecided(self) -> tuple[RowChange, ...]:
        """Deciding requirements that held, and of which this time nothing was seen because something went wrong."""
        return tuple(change for change in self.of(Change.NEWLY_UNDECIDED) if change.deciding)

    @property
    def exit(self) -> int:
        """1 for a regression, else 2 where that there is none cannot be said, else 0."""
        if self.obstacles:
            return NOT_COMPARABLE
        if self.regressions:
            return REGRESSION
        return NOT_COMPARABLE if self.undecided else NO_REGRESSION


def _is_regression(change: RowChange) -> bool:
    held = Verdict(change.was["verdict"]) is Verdict.PASS
    return change.change is Change.REGRESSED or (change.change is Change.NEWLY_UNSUPPORTED and held)


def compare(old: Run, new: Run, *, slower: float = SLOWER) -> Comparison:
    """Compare the run `new` with the older run `old` of the same target.

    `slower` is how many times as long the tests of a requirement must take to be told as slower.
    """
    pairs = _pairs(old, new)
    why_not = tuple(obstacles(old, new, common=len(pairs)))
    if why_not:
        return Comparison(old, new, why_not, tuple(notes(old, new)))
    before, after = ({test["id"]: test for test in run["tests"]} for run in (old, new))
    changes = [row_change(was, before, now, after) for was, now in pairs]
    changes.sort(key=lambda change: list(Change).index(change.change))
    gained, lost = gained_and_lost(old, new)
    old_ids, new_ids = {was["id"] for was, _ in pairs}, {now["id"] for _, now in pairs}
    gone = [row for row in old["requirements"] if row["id"] not in old_ids]
    come = [row for row in new["requirements"] if row["id"] not in new_ids]
    removed, only_old = _apart(gone, old, new)
    added, only_new = _apart(come, new, old)
    return Comparison(
        old,
        new,
        notes=tuple(notes(old, new)),
        changes=tuple(changes),
        gained=gained,
        lost=lost,
        added=added,
        removed=removed,
        renamed=tuple((was["id"], now["id"]) for was, now in pairs if was["id"] != now["id"]),
        only_old=only_old,
        only_new=only_new,
        slower=tuple(_slower(pairs, old, new, slower)),
    )


def _pairs(old: Run, new: Run) -> list[tuple[RequirementRow, RequirementRow]]:
    """Pair the rows of one requirement: by id, or, where another id says the same, by its statement."""
    before = {row["id"]: row for row in old["requirements"]}
    now = {row["id"] for row in new["requirements"]}
    renamed = {row["statement"]: row for row in old["requirements"] if row["id"] not in now}
    pairs = []
    for row in new["requirements"]:
        was = before.get(row["id"]) or renamed.pop(row["statement"], None)
        if was is not None:
            pairs.append((was, row))
    return pairs


def _apart(rows: Iterable[RequirementRow], own: Run, other: Run) -> tuple[tuple[RequirementRow, ...], tuple[str, ...]]:
    """Tell the rows that the other catalogue has not from those that the other run did not select.

    Only a run that left nothing out shows its whole catalogue; of another catalogue in part nothing is known.
    """
    rows = tuple(rows)
    same_catalogue = own["suite"]["catalogue_hash"] == other["suite"]["catalogue_hash"]
    if same_catalogue or other["selection"]["filtered"]:
        return (), tuple(row["id"] for row in rows)
    return rows, ()


def _slower(
    pairs: Iterable[tuple[RequirementRow, RequirementRow]], old: Run, new: Run, ratio: float
) -> Iterable[Slower]:
    if old["speed"] != new["speed"]:
        return
    before, after = _seconds(old), _seconds(new)
    for was, now in pairs:
        then_s, now_s = sum(map(before.__getitem__, was["tests"])), sum(map(after.__getitem__, now["tests"]))
        judged = was["verdict"] == now["verdict"] == Verdict.PASS.value
        if judged and now_s >= ratio * then_s and now_s - then_s >= LEAST_SLOWER_S:
            yield Slower(now["id"], then_s, now_s)


def _seconds(run: Run) -> Mapping[str, float]:
    return {test["id"]: test["duration_s"] for test in run["tests"]}
