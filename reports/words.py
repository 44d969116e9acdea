"""The sentences of every report: the same verdict reads the same everywhere."""

from collections.abc import Iterable

from xencbt.harness.findings import CAPABILITY
from xencbt.harness.verdicts import ORDER, Exit, Verdict
from xencbt.reports.plain import one_line
from xencbt.reports.run_json import FindingRow, RequirementRow, Run, TargetRow

ALWAYS_COUNTED = (Verdict.PASS, Verdict.KNOWN, Verdict.UNSUPPORTED, Verdict.NOT_RUN)
"""What a reader must not overlook in a good run: shown even when none."""


SIZES_NOT_RUN = "sizes not run"
"""Of what passed with smaller disks than its tests would have made, had they been allowed."""


def kind_of(target: TargetRow) -> str:
    """Return `host`, or `emulated host`, so that no emulator run can pass for a host's."""
    return "emulated host" if target["kind"] == "emulator" else "host"


def target_name(target: TargetRow | None) -> str:
    """Return the target as a reader names it: kind, product, version, build, and the defects it was switched to."""
    if target is None:
        return "target (never reached)"
    build = f"build {target['build']}" if target["build"] else ""
    defects = f"with defects {', '.join(target['defects'])}" if target["defects"] else ""
    words = (kind_of(target), target["product"], target["version"], build, defects)
    return one_line(" ".join(word for word in words if word))


def label(row: RequirementRow) -> str:
    """Return a requirement's verdict in words: its deviation or sizes left out, flakiness, and whether it decides."""
    verdict = row["verdict"]
    if verdict == Verdict.PASS.value:
        by = f"by deviation {row['deviation']}" if row["deviation"] else ""
        return ", ".join(filter(None, (verdict, by, SIZES_NOT_RUN if row.get("sizes_not_run") else "")))
    flaky = ", flaky" if row.get("flaky") else ""
    if verdict != Verdict.PASS.value and not row["deciding"]:
        return f"{verdict}{flaky} (level {row['level']})"
    return f"{verdict}{flaky}"


def decides_nothing(rows: Iterable[RequirementRow]) -> bool:
    """Return whether none of `rows` counts for the exit code."""
    return not any(row["deciding"] for row in rows)


def duration(seconds: float) -> str:
    """Return a duration for people: `0.4 s`, `31 s`, `2 min 05 s`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def verdict_sentence(run: Run) -> str:
    """Return what the run says of the target, in one sentence."""
    failing = _deciding(run, Verdict.FAIL, Verdict.STALE)
    name = target_name(run["target"])
    match Exit(run["exit"]):
        case Exit.OK:
            part = " (a selection of its requirements)" if run["selection"]["filtered"] else ""
            known = _deciding(run, Verdict.KNOWN)
            conforms = "Conforms, but for known issues" if known else "Conforms"
            but = f", except {', '.join(known)}" if known else ""
            return f"{conforms}: the {name} does what the documentation requires in {_and(run['chapters'])}{part}{but}."
        case Exit.FAILED:
            return f"Does not conform: the {name} {_broken(run)}."
        case Exit.UNDECIDED:
            return f"Undecided: {_undecided(run)}. Nothing is said of the {name}."
        case Exit.INTERRUPTED:
            return f"No verdict: the run was interrupted{_so_far(failing)}."
        case _:
            return f"No verdict: {_why_broken(run)}{_so_far(failing)}."


def last_line(run: Run) -> str:
    """Return the counts, the time and the exit code; `known`, `unsupported` and `not run` are never left out."""
    rows = run["requirements"]
    order = (Verdict.PASS, *(verdict for verdict in ORDER if verdict is not Verdict.PASS))
    shown = [verdict for verdict in order if verdict.value in run["counts"] or verdict in ALWAYS_COUNTED]
    passed = [row for row in rows if row["verdict"] == Verdict.PASS.value]
    notes = {
        "by deviation": sum(row["deviation"] is not None for row in passed),
        f"with {SIZES_NOT_RUN}": sum(bool(row.get("sizes_not_run")) for row in passed),
    }
    said = ", ".join(f"{number} {what}" for what, number in notes.items() if number)
    parts = []
    for verdict in shown:
        note = f" ({said})" if verdict is Verdict.PASS and said else ""
        parts.append(f"{run['counts'].get(verdict.value, 0)} {verdict.value}{note}")
    flaky = sum(bool(row.get("flaky")) for row in rows)
    flaky_ones = f" · {flaky} flaky" if flaky else ""
    took = "" if run["duration_s"] is None else f" · {duration(run['duration_s'])}"
    plural = "requirement" if len(rows) == 1 else "requirements"
    return f"{len(rows)} {plural}: {', '.join(parts)}{flaky_ones}{took} · exit {run['exit']}"


def run_trouble(run: Run) -> list[str]:
    """Return what is wrong with the run itself, outside any test: its problems, or that it did not come to its end."""
    if run["problems"]:
        return [problem["reason"] for problem in run["problems"]]
    return [] if run["complete"] else [verdict_sentence(run)]


def attempts_words(test: FindingRow) -> str:
    """Return the verdicts of a test's attempts in order, empty where there was but one: `fail, pass: flaky`."""
    verdicts = ", ".join(attempt["verdict"] for attempt in test.get("attempts", ()))
    return f"{verdicts}: flaky, the worst attempt decides" if test.get("flaky") else verdicts


def nondeciding_note(test: FindingRow, rows: Iterable[RequirementRow]) -> str:
    """Return why a test's verdict does not decide the run, empty where it does."""
    own = [row for row in rows if row["id"] in test["requirement"]]
    if not own or not decides_nothing(own):
        return ""
    return f"level {', '.join(sorted({row['level'] for row in own}))}, does not decide"


def _deciding(run: Run, *verdicts: Verdict) -> list[str]:
    words = {verdict.value for verdict in verdicts}
    return [row["id"] for row in run["requirements"] if row["deciding"] and row["verdict"] in words]


def _broken(run: Run) -> str:
    failing, stale = _deciding(run, Verdict.FAIL), _deciding(run, Verdict.STALE)
    said = []
    if failing:
        plural = "requirement" if len(failing) == 1 else "requirements"
        said.append(f"breaks {len(failing)} {plural}: {', '.join(failing)}")
    if stale:
        said.append(f"no longer shows what the ledger of known issues says of {', '.join(stale)}")
    absent = [row["id"].removeprefix(CAPABILITY) for row in run["tests"] if row["id"].startswith(CAPABILITY)]
    if absent:
        said.append(f"lacks what was required of it: {', '.join(absent)}")
    return "; it ".join(said)


def _undecided(run: Run) -> str:
    open_ones = _deciding(run, Verdict.BLOCKED, Verdict.NOT_EXERCISED)
    if open_ones:
        return f"{', '.join(open_ones)} could not be decided"
    if not run["chapters"]:
        return "no test was selected"
    passed = {row["chapter"] for row in run["requirements"] if row["level"] == "M" and row["verdict"] == "pass"}
    lacking = [name for name in run["chapters"] if name not in passed]
    return f"nothing that must hold was seen to hold in {_and(lacking)}"


def _why_broken(run: Run) -> str:
    if run["problems"]:
        return one_line(run["problems"][0]["reason"]).rstrip(".")
    broken = [test["id"] for test in run["tests"] if test["verdict"] == Verdict.ERROR.value]
    if broken and run["duration_s"] is not None:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        return f"the harness or the lab broke in {broken[0]}{more}"
    return "the run ended before it was complete"


def _so_far(failing: list[str]) -> str:
    return f"; failed so far: {', '.join(failing)}" if failing else ""


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
