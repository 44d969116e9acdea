"""The summary of a lab: one row a target, and where targets differ."""

from collections.abc import Iterable, Mapping, Sequence

from xencbt.harness.catalogue import CATALOGUE
from xencbt.harness.verdicts import ORDER, Exit, Verdict
from xencbt.reports.lab_json import LabRequirementRow, LabSummary, LabTargetRow
from xencbt.reports.layout import Paint, hanging, widths
from xencbt.reports.run_json import Run
from xencbt.reports.words import duration, target_name, verdict_sentence

WORST_FIRST = (Exit.ERROR, Exit.FAILED, Exit.UNDECIDED, Exit.OK)
_PLAIN = Paint()
_COLOUR = {Exit.OK: "pass", Exit.FAILED: "fail", Exit.UNDECIDED: "blocked"}


def combined_exit(exits: Iterable[int | None], *, interrupted: bool) -> Exit:
    """Return the exit code of a lab: the worst of its runs'. A run that was refused or never began is an error."""
    if interrupted:
        return Exit.INTERRUPTED
    known = {Exit(one) if one in WORST_FIRST else Exit.ERROR for one in exits}
    return next((code for code in WORST_FIRST if code in known), Exit.ERROR)


def target_row(
    name: str, *, url: str, srs: Sequence[str], workers: int, run: Run | None = None, path: str | None = None
) -> LabTargetRow:
    """Return the row of a target as its `run` tells it; without one, as that of a target that is not judged yet."""
    return LabTargetRow(
        name=name,
        url=url,
        srs=list(srs),
        workers=workers,
        exit=run["exit"] if run else None,
        complete=run["complete"] if run else False,
        verdict=verdict_sentence(run) if run else "No verdict: it was not judged.",
        reason="",
        product=target_name(run["target"]) if run else "",
        counts=dict(run["counts"]) if run else {},
        duration_s=run["duration_s"] if run else None,
        run=path,
    )


def across(runs: Mapping[str, Run]) -> list[LabRequirementRow]:
    """Return every requirement that a run selected with its verdicts by target, in the catalogue's order."""
    rows: dict[str, dict[str, str]] = {}
    for name, run in runs.items():
        for row in run["requirements"]:
            rows.setdefault(row["id"], {})[name] = row["verdict"]
    return [LabRequirementRow(id=row.id, verdicts=rows[row.id]) for row in CATALOGUE if row.id in rows]


def lab_summary(lab: LabSummary, folder: str, paint: Paint = _PLAIN) -> str:
    """Return what stands on the console when a lab is over: where targets differ, a row a target, and the exit code."""
    blocks = [_differences(lab, paint), _table(lab, paint), _sentences(lab, paint)]
    took = "" if lab["duration_s"] is None else f" · {duration(lab['duration_s'])}"
    plural = "target" if len(lab["targets"]) == 1 else "targets"
    by_exit = ", ".join(f"{_exit_word(code)} {names}" for code, names in _exits(lab).items())
    ending = [f"reports  {folder}/", f"{len(lab['targets'])} {plural}: {by_exit}{took} · exit {lab['exit']}"]
    return "\n\n".join(filter(None, [*blocks, "\n".join(ending)]))


def _exits(lab: LabSummary) -> dict[int | None, int]:
    found: dict[int | None, int] = {}
    for target in lab["targets"]:
        found[target["exit"]] = found.get(target["exit"], 0) + 1
    return found


def _exit_word(code: int | None) -> str:
    return "not begun" if code is None else f"exit {code}:"


def _differences(lab: LabSummary, paint: Paint) -> str:
    """Return the requirements on which the targets' runs do not agree; the same for all is said by each run."""
    names = [target["name"] for target in lab["targets"] if target["run"]]
    differing = [row for row in lab["requirements"] if len({row["verdicts"].get(name, "-") for name in names}) > 1]
    if not differing:
        return ""
    cells = [("differs", *names)] + [
        (row["id"], *(row["verdicts"].get(name, "-") for name in names)) for row in differing
    ]
    return _lines(cells, paint)


def _table(lab: LabSummary, paint: Paint) -> str:
    words = [
        verdict.value
        for verdict in (Verdict.PASS, *(verdict for verdict in ORDER if verdict is not Verdict.PASS))
        if any(verdict.value in target["counts"] for target in lab["targets"])
    ]
    cells = [("target", "exit", *words, "time", "folder"), *(_row(target, words) for target in lab["targets"])]
    return _lines(cells, paint)


def _row(target: LabTargetRow, words: Sequence[str]) -> tuple[str, ...]:
    return (
        target["name"],
        "-" if target["exit"] is None else str(target["exit"]),
        *(str(target["counts"].get(word, 0)) if target["counts"] else "-" for word in words),
        "-" if target["duration_s"] is None else duration(target["duration_s"]),
        target["run"].rpartition("/")[0] + "/" if target["run"] else "-",
    )


def _sentences(lab: LabSummary, paint: Paint) -> str:
    pad = max(len(target["name"]) for target in lab["targets"])
    lines = []
    for target in lab["targets"]:
        said = target["verdict"] if target["run"] else f"No verdict: {target['reason'] or 'it was not judged'}"
        if target["run"] and target["reason"]:
            said += f" ({target['reason']})"
        colour = _COLOUR.get(Exit(target["exit"]), "error") if target["exit"] in set(Exit) else "error"
        lines.append(paint(colour, hanging(target["name"], said, pad=pad)))
    return "\n".join(lines)


def _lines(cells: Sequence[Sequence[str]], paint: Paint) -> str:
    size = widths(cells)
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, size, strict=True)).rstrip() for row in cells]
    return "\n".join([paint.bold(lines[0]), *lines[1:]])
