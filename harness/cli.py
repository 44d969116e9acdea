"""The command `xencbt`: finds out which command is meant, and returns its exit code."""

import argparse
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version

from xencbt.harness.commands import (
    Call,
    allure,
    certificate,
    clean,
    compare,
    emulator,
    faults,
    issues,
    judging,
    prove,
    replay,
    report,
    requirements,
    trend,
)
from xencbt.harness.telling import told_to_whoever_reads
from xencbt.harness.verdicts import Exit

COMMANDS = (
    judging,
    replay,
    issues,
    prove,
    compare,
    trend,
    certificate,
    report,
    allure,
    clean,
    faults,
    requirements,
    emulator,
)
"""In the order in which the help lists them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own) and return its exit code."""
    with told_to_whoever_reads():
        return _main(list(sys.argv[1:] if argv is None else argv))


def _main(words: list[str]) -> int:
    if words[:1] == [emulator.NAME]:
        return emulator.carry_out(words[1:])
    arguments, for_pytest = _split(words)
    parser = _parser()
    try:
        chosen = parser.parse_args(arguments)
    except SystemExit as stop:
        return Exit.OK if not stop.code else Exit.USAGE
    if for_pytest and chosen.command != "run":
        parser.print_usage(sys.stderr)
        print("xencbt: only `run` takes arguments after --", file=sys.stderr)
        return Exit.USAGE
    call: Call = chosen.call
    try:
        return call(chosen, for_pytest)
    except Exception:  # noqa: BLE001  whatever broke, Python's own exit code 1 would read as a failed requirement
        traceback.print_exc()
        return Exit.ERROR


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xencbt", description="Judges changed block tracking on a XenServer host, or on an emulated one."
    )
    parser.add_argument("--version", action="version", version=f"xencbt {version('xencbt')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
