"""`xencbt trend`: many runs, as they followed each other."""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

from xencbt.harness.commands import Commands
from xencbt.harness.errors import UsageError
from xencbt.harness.verdicts import Exit
from xencbt.reports.layout import Paint, colour_wanted
from xencbt.reports.pages import trend as trend_page
from xencbt.reports.run_json import Run
from xencbt.reports.saved import UnreadableRun, read_run
from xencbt.reports.trend import trend
from xencbt.reports.trend_text import text
from xencbt.reports.wanted import STANDARD_OUTPUT, write


def add(commands: Commands) -> None:
    """Add `trend`."""
    parser = commands.add_parser(
        "trend", help="show many runs as they followed each other", epilog="Exit code: 0, or 3 where a DIR is no run."
    )
    parser.add_argument("folders", metavar="DIR", nargs="+", help="folders that runs wrote, in any order")
    parser.add_argument("--html", metavar="F", help="write it as a page to this file as well; - is standard output")
    parser.set_defaults(call=_trend)


def _trend(chosen: argparse.Namespace, _: list[str]) -> int:
    try:
        shown = trend(_read(chosen.folders))
        if chosen.html is not None:
            write(chosen.html, trend_page.render(shown))
    except UsageError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.USAGE
    if chosen.html != STANDARD_OUTPUT:
        print(text(shown, Paint(colour_wanted(sys.stdout, os.environ))))
    return Exit.OK


def _read(folders: list[str]) -> list[tuple[str, Run]]:
    """Read every run; raises UsageError that tells of all that cannot be read, or of one that is named twice."""
    twice = [str(path) for path, times in Counter(Path(name).resolve() for name in folders).items() if times > 1]
    if twice:
        raise UsageError(f"named twice: {', '.join(twice)}")
    runs, troubles = [], []
    for name in folders:
        try:
            runs.append((name, read_run(Path(name)).run))
        except UnreadableRun as error:
            troubles.append(str(error))
    if troubles:
        raise UsageError("\n".join(troubles))
    return runs
