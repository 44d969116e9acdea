"""`xencbt run` and `xencbt plan`: the pytest plugin's front with an exit code of its own."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Collection

import pytest

from xencbt.harness.asked import names_in
from xencbt.harness.commands import Commands
from xencbt.harness.errors import UsageError
from xencbt.harness.in_pytest import judged_by_pytest
from xencbt.harness.lab_run import run_lab
from xencbt.harness.options import OPTIONS
from xencbt.harness.run import Front
from xencbt.harness.verdicts import Exit
from xencbt.reports.plan import full

BY_CORES = ("auto", "logical")
"""Numbers of workers that pytest-xdist counts by itself."""

EPILOG = "Arguments after -- are handed to pytest."


def add(commands: Commands) -> None:
    """Add `run` and `plan`, which take the same options."""
    run = commands.add_parser("run", help="judge a target", epilog=EPILOG)
    add_options(run)
    run.add_argument(
        "-n",
        dest="workers",
        metavar="N",
        help="judge with N workers, each with an emulated host, or a --sr, of its own; with --lab: N targets at once",
    )
    run.add_argument("--lab", action="store_true", help="judge the [targets.NAME] of the configuration side by side")
    run.add_argument("--targets", metavar="NAME,…", help="with --lab: only these targets")
    run.set_defaults(call=_run)
    plan = commands.add_parser("plan", help="say what `run` would do, by reads only", epilog=EPILOG)
    add_options(plan)
    plan.add_argument("--json", action="store_true", help="as JSON")
    plan.set_defaults(call=_plan)


def add_options(parser: argparse.ArgumentParser, names: Collection[str] | None = None) -> None:
    """Add the options of a run, or those of them that have these names."""
    for option in OPTIONS:
        if names is not None and option.name not in names:
            continue
        if option.kind == "switch":
            parser.add_argument(option.flag, action="store_true", help=option.help)
        else:
            parser.add_argument(
                option.flag,
                action="append" if option.kind == "list" else "store",
                metavar=option.metavar or None,
                choices=option.choices or None,
                help=option.help,
            )


def _run(chosen: argparse.Namespace, for_pytest: list[str]) -> int:
    if chosen.lab or chosen.targets:
        return _lab(chosen, for_pytest)
    if chosen.workers is not None and not (chosen.workers.isdecimal() or chosen.workers in BY_CORES):
        print(f"xencbt: -n takes a number of workers, or auto, not {chosen.workers!r}", file=sys.stderr)
        return Exit.USAGE
    front = Front(command=shlex.join(["xencbt", *sys.argv[1:]]))
    workers = [] if chosen.workers is None else ["-n", chosen.workers]
    code = judged_by_pytest(front, [*_plugin_arguments(chosen), *workers], for_pytest)
    if front.usage is not None:
        print(f"xencbt: {front.usage}", file=sys.stderr)
        return Exit.USAGE
    if front.exit is not None:
        return front.exit
    # pytest stopped before the run could be decided: its own words are on the terminal
    return Exit.USAGE if code == pytest.ExitCode.USAGE_ERROR else Exit.ERROR


def _lab(chosen: argparse.Namespace, for_pytest: list[str]) -> int:
    alone = next((name for name in ("rerun", "since") if getattr(chosen, name)), None)
    if alone is not None:
        print(f"xencbt: --{alone} is about one target, and has no place beside --lab", file=sys.stderr)
        return Exit.USAGE
    if not chosen.lab:
        print("xencbt: --targets needs --lab: the names are those of the lab's targets", file=sys.stderr)
        return Exit.USAGE
    try:
        return run_lab(
            {option.key: getattr(chosen, option.key) for option in OPTIONS},
            only=names_in([chosen.targets] if chosen.targets else []),
            at_once=_positive(chosen.workers),
            command=shlex.join(["xencbt", *sys.argv[1:]]),
            for_pytest=for_pytest,
            environment=os.environ,
        )
    except UsageError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.USAGE


def _positive(number: str | None) -> int | None:
    if number is not None and not (number.isdecimal() and int(number) > 0):
        raise UsageError(f"-n takes how many targets are judged at once, from 1, not {number!r}")
    return None if number is None else int(number)


def _plan(chosen: argparse.Namespace, for_pytest: list[str]) -> int:
    front = Front(command=shlex.join(["xencbt", *sys.argv[1:]]), planning=True)
    code = judged_by_pytest(front, _plugin_arguments(chosen), for_pytest)
    if front.usage is not None or code == pytest.ExitCode.USAGE_ERROR:
        print(f"xencbt: {front.usage or 'pytest does not accept these arguments'}", file=sys.stderr)
        return Exit.USAGE
    if front.plan is None:
        print(f"xencbt: {front.trouble or 'no test was selected'}", file=sys.stderr)
        return Exit.ERROR if front.trouble or code != pytest.ExitCode.NO_TESTS_COLLECTED else Exit.UNDECIDED
    print(json.dumps(front.plan, indent=2, ensure_ascii=False) if chosen.json else full(front.plan))
    return Exit.OK if front.plan["run"] else Exit.UNDECIDED


def _plugin_arguments(chosen: argparse.Namespace) -> list[str]:
    words: list[str] = []
    for option in OPTIONS:
        value = getattr(chosen, option.key)
        if option.kind == "switch":
            words += [option.pytest_flag] if value else []
        elif option.kind == "list":
            words += [f"{option.pytest_flag}={each}" for each in value or ()]
        elif value is not None:
            words.append(f"{option.pytest_flag}={value}")
    return words
