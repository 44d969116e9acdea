"""The two tables of the console: what the target can do, and what each requirement came to."""

from collections.abc import Mapping, Sequence

from xencbt.harness.trust import NOT_VERIFIED
from xencbt.harness.verdicts import ORDER, Verdict
from xencbt.reports.layout import Paint, hanging, widths
from xencbt.reports.plain import one_line
from xencbt.reports.run_json import RequirementRow, Run, TargetRow
from xencbt.reports.words import SIZES_NOT_RUN, duration, label, target_name

_PLAIN = Paint()


def capability_table(target: TargetRow, needs: Mapping[str, Sequence[str]] | None = None, paint: Paint = _PLAIN) -> str:
    """Return what was found of the target before anything is written: what will run, what not and why.

    `needs` names, by capability, the requirements that cannot be judged without it.
    """
    needs = needs or {}
    head = [target_head(target, paint), ""]
    rows = target["capabilities"]
    pad = max((len(row["name"]) for row in rows), default=0)
    present = [hanging(row["name"], row["detail"], indent=2, pad=pad) for row in rows if row["present"]]
    absent = [
        hanging(row["name"], _absence(row["detail"], needs.get(row["name"], ())), indent=2, pad=pad)
        for row in rows
        if not row["present"]
    ]
    body = [paint.bold("can, and will be judged"), *(present or ["  nothing"])]
    if absent:
        body += [paint.bold("cannot, and will not be judged"), *absent]
    return "\n".join([*head, *body])


def target_head(target: TargetRow, paint: Paint = _PLAIN) -> str:
    """Return what is judged: its name, where it is, how it is trusted, and by which profile."""
    lines = [
        hanging("target", target_name(target), pad=7),
        hanging("at", target["url"], pad=7),
        _security(target["tls"], paint),
        hanging("profile", target["profile"]),
    ]
    return "\n".join(lines)


def _security(tls: str, paint: Paint) -> str:
    if tls != NOT_VERIFIED:
        return hanging("TLS", tls, pad=7)
    loud = "NOT VERIFIED (--insecure): whoever sits in between can read the password"
    return paint(Verdict.FAIL.value, hanging("TLS", loud, pad=7))


def requirement_table(run: Run, paint: Paint = _PLAIN) -> str:
    """Return one line a requirement (verdict, tests, examples, time), then the reasons of all that did not pass."""
    rows = run["requirements"]
    if not rows:
        return "no requirement was judged"
    tests = {test["id"]: test for test in run["tests"]}
    head = ("requirement", "verdict", "tests", "examples", "time")
    cells = [
        (
            row["id"],
            label(row),
            str(len(row["tests"])),
            str(sum(tests[name]["examples"] for name in row["tests"])),
            duration(sum(tests[name]["duration_s"] for name in row["tests"])),
        )
        for row in rows
    ]
    size = widths([head, *cells])
    lines = [paint.bold(_line(head, size))]
    for row, cell in zip(rows, cells, strict=True):
        lines.append(_line(cell, size).replace(cell[1], paint(row["verdict"], cell[1]), 1))
    reasons = reason_list(rows, paint)
    return "\n".join([*lines, "", reasons] if reasons else lines)


def reason_list(rows: Sequence[RequirementRow], paint: Paint = _PLAIN) -> str:
    """Return why each requirement that did not pass did not, worst first, and what sizes were left out.

    The same reason is said once.
    """
    grouped: dict[tuple[int, str, str], list[str]] = {}
    for row in rows:
        cut = row.get("sizes_not_run")
        if cut:
            grouped.setdefault((ORDER.index(Verdict.NOT_RUN), SIZES_NOT_RUN, one_line(cut)), []).append(row["id"])
    for row in rows:
        if row["verdict"] != Verdict.PASS.value:
            key = (ORDER.index(Verdict(row["verdict"])), label(row), one_line(row["reason"]))
            grouped.setdefault(key, []).append(row["id"])
    pad = max((len(name) for _, name, _ in grouped), default=0)
    lines = []
    for (rank, name, reason), ids in sorted(grouped.items()):
        text = hanging(name, f"{', '.join(ids)}: {reason}", pad=pad)
        lines.append(text.replace(name, paint(ORDER[rank].value, name), 1))
    return "\n".join(lines)


def _absence(detail: str, unjudged: Sequence[str]) -> str:
    return f"{detail} (not judged: {', '.join(unjudged)})" if unjudged else detail


def _line(cells: Sequence[str], size: Sequence[int]) -> str:
    requirement, verdict, *numbers = (
        f"{cell:>{width}}" if column >= 2 else f"{cell:<{width}}"
        for column, (cell, width) in enumerate(zip(cells, size, strict=True))
    )
    return "  ".join((requirement, verdict, *numbers))
