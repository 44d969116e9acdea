"""`xencbt run --lab`: every target of the lab judged by a run of its own, side by side, and one summary of them."""

import datetime as dt
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xencbt.harness.catalogue import CATALOGUE
from xencbt.harness.errors import XencbtError
from xencbt.harness.lab_file import Entry, child_environment, load_lab
from xencbt.harness.selection import check_names
from xencbt.harness.side_by_side import Ended, Job, Patience, SideBySide
from xencbt.harness.sinks import EVENTS_FILE
from xencbt.harness.verdicts import Exit
from xencbt.reports.folder import DEFAULT, new_folder
from xencbt.reports.lab import across, combined_exit, lab_summary, target_row
from xencbt.reports.lab_json import LAB_SCHEMA, LabSummary, LabTargetRow
from xencbt.reports.layout import Paint, colour_wanted
from xencbt.reports.plain import visible
from xencbt.reports.run_json import Run
from xencbt.reports.write import RUN_FILE, replace_file, write_all
from xencbt.suites.index import suite_names

LAB_FILE = "lab.json"
AT_ONCE = 8
"""Targets judged at once where the user does not say how many: each takes a process or more of this machine."""

XENCBT = (sys.executable, "-m", "xencbt.harness.cli", "run")


def run_lab(
    given: Mapping[str, Any],
    *,
    only: Sequence[str],
    at_once: int | None,
    command: str,
    for_pytest: Sequence[str],
    environment: Mapping[str, str],
    patience: Patience | None = None,
) -> Exit:
    """Judge the targets of the lab, print their lines and the summary, and return the exit code of all.

    Raises UsageError for a lab that cannot be judged as asked; then nothing was touched, and nothing written.
    """
    entries = load_lab(given, only=only, environment=environment, folder=Path.cwd())
    for entry in entries:
        for requirement in entry.settings.requirements:
            CATALOGUE[requirement]
        check_names(entry.settings.suites, suite_names(), "suite")
    out = given.get("out") or environment.get("XENCBT_OUT")
    folder = new_folder(Path(out) if out else DEFAULT)
    book = LabBook(entries, folder, command, min(at_once or AT_ONCE, len(entries)))
    pad = max(len(entry.name) for entry in entries)
    side_by_side = SideBySide(
        book.lab["at_once"],
        environment=child_environment(environment),
        tell=lambda name, line: print(f"{name:<{pad}} | {visible(line)}", flush=True),
        ended=book.ended,
        patience=patience,
    )
    side_by_side.run([Job(entry.name, _command(entry, folder, for_pytest)) for entry in entries])
    book.close(interrupted=side_by_side.interrupted)
    print(f"\n{lab_summary(book.lab, str(folder), Paint(colour_wanted(sys.stdout, environment)))}", flush=True)
    return Exit(book.lab["exit"] if book.lab["exit"] is not None else Exit.ERROR)


def _command(entry: Entry, folder: Path, for_pytest: Sequence[str]) -> tuple[str, ...]:
    words = [*XENCBT, *entry.words, f"--config={os.devnull}", f"--out={folder / entry.name}"]
    words += (
        [] if sys.stdout.isatty() or entry.settings.quiet else ["--quiet"]
    )  # in CI lines of many are read afterwards
    words += ["-n", str(entry.workers)] if entry.workers else []
    return (*words, "--", *for_pytest) if for_pytest else tuple(words)


class LabBook:
    """Keeps lab.json: written when the lab begins, whenever a target's run ends, and at the end."""

    def __init__(self, entries: Sequence[Entry], folder: Path, command: str, at_once: int) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._folder = folder
        self._began = time.monotonic()
        self._runs: dict[str, Run] = {}
        self.lab = LabSummary(
            schema=LAB_SCHEMA,
            complete=False,
            interrupted=False,
            exit=None,
            started=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            duration_s=None,
            command=command,
            at_once=at_once,
            targets=[self._row(entry) for entry in entries],
            requirements=[],
        )
        self._write()

    def ended(self, ended: Ended) -> None:
        """Take up the end of one target's run."""
        entry = self._entries[ended.name]
        run, trouble = self._read(ended)
        row = self._row(entry, run)
        row["exit"], row["reason"] = _came_to(ended, run, trouble)
        row["duration_s"] = None if ended.code is None else round(ended.duration_s, 3)
        if run is not None:
            self._runs[entry.name] = run
        self.lab["targets"] = [row if other["name"] == entry.name else other for other in self.lab["targets"]]
        self._write()

    def close(self, *, interrupted: bool) -> None:
        """Decide the lab."""
        self.lab["interrupted"] = interrupted
        self.lab["complete"] = all(target["complete"] for target in self.lab["targets"])
        self.lab["exit"] = combined_exit((target["exit"] for target in self.lab["targets"]), interrupted=interrupted)
        self.lab["duration_s"] = round(time.monotonic() - self._began, 3)
        self._write()

    def _row(self, entry: Entry, run: Run | None = None) -> LabTargetRow:
        settings = entry.settings
        path = f"{entry.name}/{RUN_FILE}" if run else None
        return target_row(
            entry.name, url=settings.target, srs=settings.srs, workers=entry.workers or 1, run=run, path=path
        )

    def _read(self, ended: Ended) -> tuple[Run | None, str]:
        """Return the run.json of a run that ended; one that was killed is made from its events."""
        folder = self._folder / ended.name
        path = folder / RUN_FILE
        try:
            if not path.exists() and (folder / EVENTS_FILE).exists():
                return write_all(folder / EVENTS_FILE, folder), ""
            if path.exists():
                run: Run = json.loads(path.read_text(encoding="utf-8"))
                return run, ""
        except (OSError, ValueError, XencbtError) as error:
            return None, f"its {RUN_FILE} cannot be read: {error}"
        return None, ""

    def _write(self) -> None:
        self.lab["requirements"] = across({name: self._runs[name] for name in self._entries if name in self._runs})
        text = json.dumps(self.lab, ensure_ascii=False, indent=2) + "\n"
        replace_file(self._folder / LAB_FILE, text.encode("utf-8", "backslashreplace"))


def _came_to(ended: Ended, run: Run | None, trouble: str) -> tuple[int | None, str]:
    """Return the exit code and, where it did not come by itself, the reason of a target's run."""
    if ended.code is None:
        return None, ended.trouble
    if ended.trouble and ended.code == Exit.INTERRUPTED and ended.trouble == "interrupted":
        return Exit.INTERRUPTED, ""
    if ended.trouble:
        return Exit.ERROR, ended.trouble
    if ended.code < 0:
        return Exit.ERROR, f"its process was killed by signal {-ended.code}"
    if ended.code == Exit.USAGE:
        return Exit.USAGE, ended.said.removeprefix("xencbt: ") or "it was refused"
    if run is None or run["exit"] != ended.code:
        said = f": {ended.said}" if ended.said else ""
        return Exit.ERROR, trouble or f"its process ended with {ended.code} and no {RUN_FILE} that says so{said}"
    return ended.code, ""
