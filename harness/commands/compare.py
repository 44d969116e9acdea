"""`xencbt compare`: what became of a target from one run to another."""

import argparse
import os
import sys
from pathlib import Path

from xencbt.harness.commands import Commands
from xencbt.harness.errors import UsageError
from xencbt.harness.verdicts import Exit
from xencbt.reports.compare_json import as_json
from xencbt.reports.compare_markdown import markdown
from xencbt.reports.compare_text import text
from xencbt.reports.comparison import SLOWER, compare
from xencbt.reports.layout import Paint, colour_wanted
from xencbt.reports.pages import comparison as comparison_page
from xencbt.reports.saved import read_run
from xencbt.reports.wanted import STANDARD_OUTPUT, write

EPILOG = "Exit code: 0 no regression, 1 regression, 2 not comparable (it says why), 3 what was named is no run."


def add(commands: Commands) -> None:
    """Add `compare`."""
    comparing = commands.add_parser("compare", help="say what changed between two runs", epilog=EPILOG)
    comparing.add_argument("old", metavar="OLD", help="folder of the older run, or its run.json")
    comparing.add_argument("new", metavar="NEW", help="folder of the newer run, or its run.json")
    for flag, what in (("--html", "a page"), ("--markdown", "Markdown, for a CI step"), ("--json", "JSON")):
        comparing.add_argument(flag, metavar="F", help=f"write it as {what} to this file as well; - is standard output")
    comparing.add_argument(
        "--slower",
        metavar="RATIO",
        type=_ratio,
        default=SLOWER,
        help=f"tell what takes this many times as long; default: {SLOWER:g}",
    )
    comparing.set_defaults(call=_compare)


def _ratio(said: str) -> float:
    try:
        ratio = float(said)
    except ValueError:
        ratio = 0.0
    if not 1.0 < ratio <= 1e6:
        raise argparse.ArgumentTypeError(f"{said!r} is no ratio above 1")
    return ratio


def _compare(chosen: argparse.Namespace, _: list[str]) -> int:
    try:
        old, new = read_run(Path(chosen.old)), read_run(Path(chosen.new))
        comparison = compare(old.run, new.run, slower=chosen.slower)
        files = ((chosen.html, comparison_page.render), (chosen.markdown, markdown), (chosen.json, as_json))
        for name, render in files:
            if name is not None:
                write(name, render(comparison, chosen.old, chosen.new))
    except UsageError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.USAGE
    for saved, name in ((old, chosen.old), (new, chosen.new)):
        if not saved.checked:
            print(f"xencbt: {name} is taken at its word: there are no events beside it to check it by", file=sys.stderr)
    if STANDARD_OUTPUT not in {name for name, _ in files}:
        print(text(comparison, chosen.old, chosen.new, Paint(colour_wanted(sys.stdout, os.environ))))
    return comparison.exit
