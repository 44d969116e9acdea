"""What stands on the console when a run is over: failures, table, reasons, verdict, counts."""

from pathlib import Path

from xencbt.reports.failures import failure_blocks
from xencbt.reports.layout import Paint, hanging
from xencbt.reports.plain import one_line
from xencbt.reports.run_json import Run
from xencbt.reports.tables import requirement_table
from xencbt.reports.words import last_line, verdict_sentence

LEFT_SHOWN = 10
_WORST_BY_EXIT = {0: "pass", 1: "fail", 2: "blocked"}
_PLAIN = Paint()


def summary(run: Run, folder: Path | None = None, paint: Paint = _PLAIN, *, since: str = "") -> str:
    """Return the whole text for the end of a run; `folder` is where its files are.

    `since` is what came of it since an older run, empty where it was not compared.

    The verdict stands last, where a reader of a terminal looks first, and after it only the counts.
    """
    verdict = hanging("verdict", verdict_sentence(run))
    ending = [paint(_WORST_BY_EXIT.get(run["exit"], "error"), verdict)]
    ending += [hanging("problem", problem["reason"]) for problem in run["problems"][1:]]  # the verdict says the first
    ending += _proof(run)
    ending += [hanging("since", since, pad=len("verdict"))] if since else []
    ending += _flaky(run)
    ending += _noted(run)
    ending += _known_issues(run)
    ending += _left_behind(run)
    ending.append(f"seed     {run['seed']} (the same choices again: --seed {run['seed']})")
    if folder is not None:
        ending.append(f"reports  {folder}/")
    ending.append(last_line(run))
    return "\n\n".join(
        filter(None, (failure_blocks(run, paint, folder), requirement_table(run, paint), "\n".join(ending)))
    )


def _proof(run: Run) -> list[str]:
    """Say how good the suites are at noticing: what was measured, when, and whether of these very tests."""
    score = run["suite"].get("kill_score")
    if score is None:
        return []
    missed = f", not {', '.join(score['survivors'])}" if score["survivors"] else ""
    same = score["suite_hash"] == run["suite"].get("suite_hash")
    tests = "these tests" if same else "an earlier state of these tests"
    said = f"{tests} noticed {score['killed']} of {score['of']} planted defects{missed} ({score['date']})"
    return [hanging("proof", said, pad=len("verdict"))]


def _flaky(run: Run) -> list[str]:
    names = ", ".join(row["id"] for row in run["requirements"] if row.get("flaky"))
    said = f"{names}: passed in one attempt and not in another; the worst attempt decides"
    return [hanging("flaky", said, pad=len("verdict"))] if names else []


def _noted(run: Run) -> list[str]:
    """Say what came of faults that is worth knowing and breaks nothing; why some did not fire is said elsewhere."""
    receipts = [receipt for test in run["tests"] for receipt in test["receipts"]]
    notes = list(dict.fromkeys(str(each["note"]) for each in receipts if each.get("note") and each["fired"]))
    return [_listed("noted", "with faults, and breaking nothing", [one_line(note) for note in notes])] if notes else []


def _known_issues(run: Run) -> list[str]:
    known = run.get("known_issues")
    if not known:
        return []
    expired = len(known.get("expired", ()))
    said = f"{len(known['judged']) - expired} of the ledger replayed, {len(known['ignored'])} ignored"
    said += f", {expired} expired and not tried" if expired else ""
    ignored = [f"{each['id']}: {each['reason']}" for each in known["ignored"]]
    return [_listed("known", said, ignored) if ignored else hanging("known", said, pad=len("verdict"))]


def _left_behind(run: Run) -> list[str]:
    if not run["journal"]:
        return []
    left = [one_line(str(one)) for one in run["journal"]["left"]]
    troubles = [one_line(one) for one in run["journal"]["troubles"]]
    said = []
    if left:
        said.append(_listed("left", f"{len(left)} created on the target and not removed", left))
    said += [hanging("clean", command, pad=len("verdict")) for command in run["journal"].get("clean", [])]
    if troubles:
        said.append(_listed("cleanup", f"{len(troubles)} failures, which change no verdict", troubles))
    return said


def _listed(head: str, what: str, lines: list[str]) -> str:
    more = f"; and {len(lines) - LEFT_SHOWN} more" if len(lines) > LEFT_SHOWN else ""
    return hanging(head, f"{what}: {'; '.join(lines[:LEFT_SHOWN])}{more}", pad=len("verdict"))
