"""`xencbt allure`: one page by the npm program `allure`, with the history of earlier runs."""

import argparse
import os
import sys
from pathlib import Path

from xencbt.harness.commands import Commands
from xencbt.harness.errors import UsageError
from xencbt.harness.verdicts import Exit
from xencbt.reports.allure_page import PINNED, NoAllure, generate
from xencbt.reports.saved import read_run

PAGE = "allure.html"
HISTORY = "allure-history.jsonl"


def add(commands: Commands) -> None:
    """Add `allure`."""
    parser = commands.add_parser("allure", help=f"make one page with the npm program allure {PINNED}, if it is there")
    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder that the run wrote")
    parser.add_argument("--out", metavar="FILE", type=Path, help=f"the page; default: DIR/{PAGE}")
    parser.add_argument("--history", metavar="FILE", type=Path, help=f"earlier runs; default: {HISTORY} beside DIR")
    parser.set_defaults(call=_allure)


def _allure(chosen: argparse.Namespace, _: list[str]) -> int:
    folder = chosen.folder.absolute()
    page, history = chosen.out or folder / PAGE, chosen.history or folder.parent / HISTORY
    try:
        generate(read_run(chosen.folder).run, page, history, os.environ)
    except UsageError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.USAGE
    except (NoAllure, OSError) as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.ERROR
    print(f"page     {page}\nhistory  {history}")
    return Exit.OK
