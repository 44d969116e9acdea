"""A comparison for people at a terminal: what broke first, the verdict last."""

from collections.abc import Iterable

from xencbt.reports.changes import Change, RowChange
from xencbt.reports.comparison import Comparison
from xencbt.reports.layout import Paint, hanging
from xencbt.reports.plain import one_line, visible
from xencbt.reports.run_json import CapabilityRow, Run
from xencbt.reports.words import duration, label, target_name

IN_FULL = (Change.REGRESSED, Change.NEWLY_UNDECIDED, Change.CHANGED_FAILURE)
IN_A_LINE = (Change.NEWLY_UNSUPPORTED, Change.NEWLY_NOT_RUN, Change.SAME_FAILURE, Change.FIXED, Change.NEWLY_JUDGED)

COLOURS = {
    Change.REGRESSED: "fail",
    Change.NEWLY_UNDECIDED: "blocked",
    Change.CHANGED_FAILURE: "fail",
    Change.NEWLY_UNSUPPORTED: "unsupported",
    Change.NEWLY_NOT_RUN: "not run",
    Change.SAME_FAILURE: "known",
    Change.FIXED: "pass",
    Change.NEWLY_JUDGED: "pass",
}
"""The verdict in whose colour a change is shown."""

_PAD = len("requirement")
_WIDE = max(len(change.value) for change in Change)
_PLAIN = Paint()


def text(comparison: Comparison, old: str, new: str, paint: Paint = _PLAIN) -> str:
    """Return the whole text; `old` and `new` are the names under which the runs were given."""
    blocks = [_block(change, paint) for change in comparison.of(*IN_FULL)]
    blocks += [
        "\n".join(_line(change, paint) for change in comparison.of(*IN_A_LINE)),
        _capabilities(comparison, paint),
        _catalogue(comparison),
        "\n".join(
            hanging("slower", f"{one.id}: {duration(one.was_s)} → {duration(one.now_s)}", pad=_WIDE)
            for one in comparison.slower
        ),
        _ending(comparison, old, new, paint),
    ]
    return "\n\n".join(filter(None, blocks))


def sentence(comparison: Comparison) -> str:
    """Return what the comparison says, in one sentence."""
    if comparison.obstacles:
        return f"Not comparable: {one_line('; '.join(comparison.obstacles))}."
    if comparison.regressions:
        return f"Regression: {_named(comparison.regressions)}."
    if comparison.undecided:
        return f"Not comparable: {_named(comparison.undecided)} could not be judged this time."
    return "No regression."


def counts(comparison: Comparison) -> str:
    """Return how many requirements changed in which way, those that did not included."""
    said = [f"{len(comparison.of(kind))} {kind.value}" for kind in Change if comparison.of(kind)]
    return f"{len(comparison.changes)} requirements compared: {', '.join(said) or 'none'} · exit {comparison.exit}"


def moved(change: RowChange) -> str:
    """Return the verdicts before and now: `pass → fail (level S)`, with the id it had where that was another."""
    was = f"{change.was['id']} " if change.was["id"] != change.id else ""
    return f"{was}{change.was['verdict']} → {label(change.new)}"


def _named(changes: Iterable[RowChange]) -> str:
    return ", ".join(change.id for change in changes)


def _block(change: RowChange, paint: Paint) -> str:
    head = paint(COLOURS[change.change], change.change.value.upper())
    lines = [f"{head}  {change.id}: {moved(change)}"]
    lines.append(_part("requirement", change.new["statement"]))
    lines.append(_part("because", change.new["reason"]))
    if change.was["reason"]:
        lines.append(_part("it was", f"{change.was['verdict']}: {change.was['reason']}"))
    if change.rerun:
        lines.append(f"  {'again':<{_PAD}}  {visible(change.rerun)}")
    return "\n".join(lines)


def _line(change: RowChange, paint: Paint) -> str:
    reason = f": {change.new['reason']}" if change.new["reason"] else ""
    line = hanging(change.change.value, f"{change.id}: {moved(change)}{reason}", pad=_WIDE)
    return line.replace(change.change.value, paint(COLOURS[change.change], change.change.value), 1)


def _capabilities(comparison: Comparison, paint: Paint) -> str:
    return "\n".join([*_told("lost", comparison.lost, paint), *_told("gained", comparison.gained, paint)])


def _told(head: str, capabilities: Iterable[CapabilityRow], paint: Paint) -> Iterable[str]:
    colour = "unsupported" if head == "lost" else "pass"
    for one in capabilities:
        line = hanging(head, f"capability {one['name']}: {one['detail']}", pad=_WIDE)
        yield line.replace(head, paint(colour, head), 1)


def _catalogue(comparison: Comparison) -> str:
    lines = [hanging("added", f"{row['id']}: {row['statement']}", pad=_WIDE) for row in comparison.added]
    lines += [hanging("removed", f"{row['id']}: {row['statement']}", pad=_WIDE) for row in comparison.removed]
    lines += [hanging("renamed", f"{was} is {now} now", pad=_WIDE) for was, now in comparison.renamed]
    for head, ids in (("only in old", comparison.only_old), ("only in new", comparison.only_new)):
        lines += [hanging(head, f"not selected in the other run: {', '.join(ids)}", pad=_WIDE)] if ids else []
    return "\n".join(lines)


def _ending(comparison: Comparison, old: str, new: str, paint: Paint) -> str:
    colour = {0: "pass", 1: "fail"}.get(comparison.exit, "blocked")
    lines = [hanging("note", note, pad=len("verdict")) for note in comparison.notes]
    lines += [_run("old", old, comparison.old), _run("new", new, comparison.new)]
    lines.append(paint(colour, hanging("verdict", sentence(comparison))))
    lines.append(f"exit {comparison.exit}" if comparison.obstacles else counts(comparison))
    return "\n".join(lines)


def _run(head: str, name: str, run: Run) -> str:
    said = f"{name}: {target_name(run['target'])}, {run['started']}, seed {run['seed']}, exit {run['exit']}"
    return hanging(head, said, pad=len("verdict"))


def _part(head: str, said: str) -> str:
    return hanging(head, said, indent=2, pad=_PAD)
