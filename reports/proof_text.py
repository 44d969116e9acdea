"""A proof in text: its lines while it goes on, what stands on the console at its end, and its Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from xencbt.harness.catalogue import CATALOGUE
from xencbt.harness.proof import Clean, Fate, Hunted
from xencbt.reports.layout import hanging
from xencbt.reports.plain import one_line
from xencbt.reports.words import duration

Told: TypeAlias = Mapping[str, Any]
"""What prove.json says."""


def beginning(number: int, of: int, seed: int, workers: int) -> str:
    """Return what is said before the first run: how much is to be done, from which seed."""
    some = f"{number} of {of} defects" if number < of else f"all {of} defects"
    return f"seed     {seed}\nproving  on {some}, {workers} run{'s' if workers > 1 else ''} at a time"


def line(decided: Hunted | Clean) -> str:
    """Return the line of what was just decided."""
    if isinstance(decided, Clean):
        run = decided.run
        word = "passes" if decided.passes else f"does not pass: {run.trouble or ', '.join(run.failed) or 'undecided'}"
        return f"clean host, profile {decided.profile}: {word} ({run.calls} calls, {duration(run.seconds)})"
    tried = decided.kill or decided.attempts[-1]
    by = f" by {', '.join(decided.kill.failed)}" if decided.kill is not None else ""
    trouble = next((f": {one_line(each.trouble)}" for each in decided.attempts if each.trouble), "")
    declared = "" if decided.fate is Fate.BY_DESIGN else f" (declared: {decided.declared})"
    word = decided.fate.value
    return f"{decided.defect.name}: {word}{by}{declared}{trouble} ({tried.calls} calls, {duration(tried.seconds)})"


def summary(told: Told, folder: str) -> str:
    """Return what stands on the console when all is proven: what is wrong first, the score last."""
    score, rows = told["score"], told["defects"]
    should = [row for row in rows if row["level"] != "must"]
    noticed = sum(row["fate"] != Fate.SURVIVED.value for row in should)
    wrong = [row for row in rows if row["name"] in score["survivors"] or row["trouble"]]
    said = [hanging(row["name"], _fault(row), indent=2) for row in wrong]
    said += [f"  clean host, profile {one['profile']}: does not pass" for one in told["clean"] if not one["passes"]]
    lines = ["", *(["not proven", *said] if said else [])]
    lines.append(hanging("idle", _idle(told)))
    lines.append(hanging("search", f"killed by no example, only by search: {_names(told['only_by_search'])}"))
    lines.append(f"reports  {folder}/")
    lines.append(
        f"{score['killed']} of {score['of']} defects of level must killed by design"
        + (f", {noticed} of {len(should)} of level should noticed" if should else "")
        + (f" · {told['median_calls']} calls in the median" if told["median_calls"] is not None else "")
        + f" · {duration(told['duration_s'])} · exit {told['exit']}"
    )
    return "\n".join(lines)


def _fault(row: Told) -> str:
    if row["trouble"]:
        return f"{row['fate']}: {row['trouble']}"
    by = f" (by {', '.join(row['failed'])})" if row["failed"] else ""
    return f"{row['fate']}{by}; it is declared to break {row['breaks'][0]}: {row['what']}"


def _idle(told: Told) -> str:
    what = "in all runs" if told["full"] else "up to the first kill of each defect"
    return f"requirements that failed for no defect, {what}: {_names(told['idle'])}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def markdown(told: Told) -> str:
    """Return the whole proof as Markdown: score, clean runs, matrix, survivors, what kills nothing."""
    score = told["score"]
    head = [
        "# Proof of the suites",
        "",
        _score_line(told),
        "",
        f"* survivors: {_names(score['survivors'])}",
        *(
            f"* clean host, profile `{one['profile']}`: {'passes' if one['passes'] else 'does not pass'}"
            f" ({one['passed']} requirements, {one['calls']} calls)"
            for one in told["clean"]
        ),
        f"* {_idle(told)}",
        f"* killed by no example, only by search: {_names(told['only_by_search'])}",
        "",
    ]
    return "\n".join([*head, matrix(told["defects"]), ""])


def _score_line(told: Told) -> str:
    score, when = told["score"], told["started"][:10]
    measured = f"xencbt {told['suite']['version']}, seed {told['seed']}, {when}"
    killed = f"**{score['killed']} of {score['of']}** defects of level must killed by design"
    return f"{measured}: {killed}, in {duration(told['duration_s'])}."


def matrix(rows: Sequence[Told]) -> str:
    """Return the kill matrix as a table: which requirements failed for each defect, the declared one in bold."""
    chapters = list(dict.fromkeys(row.chapter for row in CATALOGUE))
    lines = [f"| defect | {' | '.join(chapters)} | calls | seconds |", "|---" * (len(chapters) + 3) + "|"]
    for row in rows:
        cells = " | ".join(_cell(row, chapter) for chapter in chapters)
        calls = f"{row['calls']}{' (search)' if row['by_search'] else ''}"
        lines.append(f"| {_name(row)} | {cells} | {calls} | {row['seconds']} |")
    return "\n".join(lines)


def _name(row: Told) -> str:
    if row["fate"] == Fate.BY_DESIGN.value:
        return f"`{row['name']}`"
    return f"`{row['name']}`: **{row['fate']}**"


def _cell(row: Told, chapter: str) -> str:
    failed = [each for each in row["failed"] if each.rpartition("-")[0] == chapter]
    words = [f"**{_number(each)}**" if each == row["breaks"][0] else _number(each) for each in failed]
    if not row["failed"] and row["breaks"][0].rpartition("-")[0] == chapter:
        words = [f"({_number(row['breaks'][0])})"]
    return " ".join(words)


def _number(requirement: str) -> str:
    return requirement.rpartition("-")[2]
