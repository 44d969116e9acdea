"""`xencbt report`: run.json and the reports of a run made again from its events."""

import argparse
import sys
from pathlib import Path

from xencbt.harness.commands import Commands
from xencbt.harness.errors import UsageError
from xencbt.harness.verdicts import Exit
from xencbt.reports.rebuilding import rebuild
from xencbt.reports.saved import read_run
from xencbt.reports.words import last_line, verdict_sentence


def add(commands: Commands) -> None:
    """Add `report`."""
    parser = commands.add_parser("report", help="make run.json and every report again from the events of a run")
    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder that the run wrote")
    parser.add_argument("--anew", action="store_true", help="also where run.json says something else than the events")
    parser.add_argument("--since", metavar="OLD", type=Path, help="say in report.html what is new since that run")
    parser.set_defaults(call=_report)


def _report(chosen: argparse.Namespace, _: list[str]) -> int:
    lost: list[str] = []
    try:
        since = None if chosen.since is None else (str(chosen.since), read_run(chosen.since).run)
        run = rebuild(chosen.folder, lost.append, anew=chosen.anew, since=since)
    except UsageError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.USAGE
    except OSError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.ERROR
    for trouble in lost:
        print(f"xencbt: {trouble}", file=sys.stderr)
    print(f"verdict  {verdict_sentence(run)}\nreports  {chosen.folder}/\n{last_line(run)}")
    return Exit.ERROR if lost else Exit.OK
