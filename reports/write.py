"""Writes the reports of a run beside its events; run.json first, and whatever happens to the others."""

import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from xencbt.harness.catalogue import Catalogue
from xencbt.harness.events import read_events
from xencbt.harness.witness.bundles import FOLDER
from xencbt.reports import allure, html, junit, known_issues, markdown
from xencbt.reports.bundles import bundles
from xencbt.reports.document import build
from xencbt.reports.run_json import Run
from xencbt.reports.since import compared_with

RUN_FILE = "run.json"
HTML_FILE = "report.html"
JUNIT_FILE = "junit.xml"
SUMMARY_FILE = "summary.md"
ALLURE_FOLDER = "allure-results"
KNOWN_FILE = "allure-known.json"


def write_all(
    events: Path,
    folder: Path,
    requirements: Catalogue | None = None,
    *,
    complain: Callable[[str], None] | None = None,
    since: tuple[str, Run] | None = None,
) -> Run:
    """Make run.json from the file `events` and every report from it, in `folder`; return what run.json says.

    `requirements` is the catalogue that judged (default: this version's). With `since`, an older run and its name, the
    page says of each requirement what became of it.

    Reports that are there already are replaced, so that a run can be reported again from its events. A report that
    cannot be written is told to `complain` (default: standard error) and costs neither run.json nor another report.
    Raises UnreadableEvents for events that are none, OSError where run.json itself cannot be written.
    """
    told = list(read_events(events))
    run = build(told, requirements)
    replace_file(folder / RUN_FILE, _json(run))
    _write_bundles(bundles(told), folder / FOLDER)
    reporters: dict[str, Callable[[Run, Path], None]] = {
        JUNIT_FILE: _write_junit,
        SUMMARY_FILE: _write_summary,
        HTML_FILE: lambda run, path: replace_file(path, html.render(run, compared_with(run, since))),
        ALLURE_FOLDER: _write_allure,
    }
    if run.get("known_issues"):
        reporters[KNOWN_FILE] = _write_known
    for name, reporter in reporters.items():
        try:
            reporter(run, folder / name)
        except Exception as error:  # noqa: BLE001  whatever is wrong in a reporter, the run must not be lost with it
            (complain or _to_stderr)(f"{name} could not be written: {type(error).__name__}: {error}")
    return run


def _write_bundles(files: Mapping[str, bytes], folder: Path) -> None:
    if files:
        folder.mkdir(exist_ok=True)
    for name, content in files.items():
        replace_file(folder / name, content)


def _write_junit(run: Run, path: Path) -> None:
    replace_file(path, junit.render(run))


def _write_summary(run: Run, path: Path) -> None:
    replace_file(path, markdown.render(run))


def _write_known(run: Run, path: Path) -> None:
    replace_file(path, known_issues.render(run))


def _write_allure(run: Run, folder: Path) -> None:
    files = allure.render(run)
    making = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    for name, content in files.items():
        (making / name).write_bytes(content)
    if folder.exists():
        shutil.rmtree(folder)
    making.rename(folder)


def _json(run: Run) -> bytes:
    # A lone surrogate, which JSON can carry and UTF-8 cannot, goes out as the escape it came in as.
    return (json.dumps(run, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "backslashreplace")


def replace_file(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Write `path` so that it is at any time the old file or the whole new one, with the permissions of `mode`."""
    making = path.with_name(f"{path.name}.tmp")
    with making.open("wb") as file:
        if mode is not None:
            os.fchmod(file.fileno(), stat.S_IMODE(mode))
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    making.replace(path)


def _to_stderr(message: str) -> None:
    print(f"xencbt: {message}", file=sys.stderr)
