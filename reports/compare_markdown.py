"""A comparison in Markdown, for a CI step, a merge request or an issue."""

from collections.abc import Iterable, Iterator

from xencbt.reports.changes import Change, RowChange
from xencbt.reports.compare_text import counts, moved, sentence
from xencbt.reports.comparison import Comparison
from xencbt.reports.markdown import literal
from xencbt.reports.run_json import Run
from xencbt.reports.words import duration, target_name

REASON_SHOWN = 300
"""Characters of a reason that stand in the table."""


def markdown(comparison: Comparison, old: str, new: str) -> bytes:
    """Return the file; `old` and `new` are the names under which the runs were given."""
    return ("\n".join(_lines(comparison, old, new)) + "\n").encode("utf-8", "backslashreplace")


def _lines(comparison: Comparison, old: str, new: str) -> Iterator[str]:
    yield f"## {literal(sentence(comparison))}"
    yield ""
    if not comparison.obstacles:
        yield literal(counts(comparison))
        yield ""
    yield f"- old: {_run(old, comparison.old)}"
    yield f"- new: {_run(new, comparison.new)}"
    yield from (f"- {literal(note)}" for note in comparison.notes)
    changes = [change for change in comparison.changes if change.change is not Change.SAME]
    if changes:
        yield ""
        yield "| change | requirement | verdict | why |"
        yield "| --- | --- | --- | --- |"
        yield from (_row(change) for change in changes)
    yield from _more(comparison)


def _row(change: RowChange) -> str:
    reason = change.new["reason"] or change.was["reason"]
    shown = reason if len(reason) <= REASON_SHOWN else f"{reason[:REASON_SHOWN]}…"
    cells = (change.change.value, change.id, moved(change), shown)
    return f"| {' | '.join(literal(cell) for cell in cells)} |"


def _more(comparison: Comparison) -> Iterator[str]:
    lists: dict[str, Iterable[str]] = {
        "Capabilities lost": [f"{one['name']}: {one['detail']}" for one in comparison.lost],
        "Capabilities gained": [f"{one['name']}: {one['detail']}" for one in comparison.gained],
        "Requirements added": [f"{row['id']}: {row['statement']}" for row in comparison.added],
        "Requirements removed": [f"{row['id']}: {row['statement']}" for row in comparison.removed],
        "Requirements renamed": [f"{was} is {now} now" for was, now in comparison.renamed],
        "Only in the old run": comparison.only_old,
        "Only in the new run": comparison.only_new,
        "Slower": [f"{one.id}: {duration(one.was_s)} → {duration(one.now_s)}" for one in comparison.slower],
    }
    for title, items in lists.items():
        if items:
            yield ""
            yield f"**{title}**"
            yield ""
            yield from (f"- {literal(item)}" for item in items)


def _run(name: str, run: Run) -> str:
    return literal(f"{name}: {target_name(run['target'])}, {run['started']}, seed {run['seed']}, exit {run['exit']}")
