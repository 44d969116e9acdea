"""The command `xencbt`: a thin front of the pytest plugin, the emulator and the catalogue."""

import argparse
import json
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from types import FrameType

import pytest

import xencbt.suites
from xencbt.harness.asked import names_in
from xencbt.harness.catalogue import CATALOGUE
from xencbt.harness.cleaning import clean
from xencbt.harness.errors import HarnessError, UsageError
from xencbt.harness.faults import KINDS
from xencbt.harness.lab_run import run_lab
from xencbt.harness.options import OPTIONS
from xencbt.harness.run import Front
from xencbt.harness.telling import told_to_whoever_reads
from xencbt.harness.trust import Trust
from xencbt.harness.verdicts import Exit
from xencbt.proxies.standalone import serve
from xencbt.reports.plan import full
from xencbt.suites.index import deciding_tests

IGNORE_REWRITING = "-Wignore::pytest.PytestAssertRewriteWarning"
"""This command has imported already what pytest would like to rewrite; suites do without."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own) and return its exit code."""
    with told_to_whoever_reads():
        return _main(list(sys.argv[1:] if argv is None else argv))


def _main(words: list[str]) -> int:
    if words[:1] == ["emulator"]:
        from xencbt.fixtures.emulator.program import main as emulator_main  # noqa: PLC0415  no other command needs it

        try:
            return emulator_main(words[1:])
        except SystemExit as stop:
            return Exit.OK if not stop.code else Exit.USAGE
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
    command: Callable[[argparse.Namespace, list[str]], int] = chosen.call
    try:
        return command(chosen, for_pytest)
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
    run = commands.add_parser("run", help="judge a target", epilog="Arguments after -- are handed to pytest.")
    _add_options(run)
    run.add_argument(
        "-n",
        dest="workers",
        metavar="N",
        help="judge with N workers, each with an emulated host, or a --sr, of its own; with --lab: N targets at once",
    )
    run.add_argument("--lab", action="store_true", help="judge the [targets.NAME] of the configuration side by side")
    run.add_argument("--targets", metavar="NAME,…", help="with --lab: only these targets")
    run.set_defaults(call=_run)
    cleaning = commands.add_parser("clean", help="remove from targets what dead runs left there")
    cleaning.add_argument("--dry-run", action="store_true", help="only show what would be removed and restored")
    cleaning.add_argument("--journal-dir", metavar="D", help="a journal, or a folder of journals; default: all")
    for flag, metavar in (("--target", "URL"), ("--user", "U"), ("--ca", "F"), ("--fingerprint", "HEX")):
        cleaning.add_argument(flag, metavar=metavar, help="instead of what the journal says")
    cleaning.add_argument("--insecure", action="store_true", help="accept any certificate, whatever the journal says")
    cleaning.add_argument("--password-file", metavar="F", help="file that holds the password (else XENCBT_PASSWORD)")
    cleaning.set_defaults(call=_clean)
    vocabulary = commands.add_parser("faults", help="list the kinds of fault and their parameters")
    vocabulary.add_argument("--json", action="store_true", help="as JSON")
    vocabulary.set_defaults(call=_faults)
    proxy = commands.add_parser("proxy", help="stand in front of a host, by hand, and carry out a plan of faults")
    proxy.add_argument("--upstream", metavar="URL", required=True, help="the host")
    proxy.add_argument("--plan", metavar="FILE", help="the faults (TOML); none: everything is passed on as it is")
    proxy.add_argument("--listen", metavar="ADDRESS:PORT", default="127.0.0.1:0", help="where; loopback only")
    proxy.add_argument("--tls", action="store_true", help="say where to connect with TLS, and what to trust there")
    for flag, metavar in (("--ca", "F"), ("--fingerprint", "HEX")):
        proxy.add_argument(flag, metavar=metavar, help="how the host is trusted, as in `run`")
    proxy.add_argument("--insecure", action="store_true", help="accept any certificate of the host")
    proxy.set_defaults(call=_proxy)
    plan = commands.add_parser("plan", help="say what `run` would do, by reads only", epilog=run.epilog)
    _add_options(plan)
    plan.add_argument("--json", action="store_true", help="as JSON")
    plan.set_defaults(call=_plan)
    listing = commands.add_parser("requirements", help="list the catalogue and which test decides what")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(call=_requirements)
    commands.add_parser("emulator", help="run an emulated host until stopped", add_help=False)
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    for option in OPTIONS:
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
    front = Front(command=shlex.join(["xencbt", *sys.argv[1:]]))
    workers = [] if chosen.workers is None else ["-n", chosen.workers]
    code = _pytest(front, [*_plugin_arguments(chosen), *workers], for_pytest)
    if front.usage is not None:
        print(f"xencbt: {front.usage}", file=sys.stderr)
        return Exit.USAGE
    if front.exit is not None:
        return front.exit
    # pytest stopped before the run could be decided: its own words are on the terminal
    return Exit.USAGE if code == pytest.ExitCode.USAGE_ERROR else Exit.ERROR


def _lab(chosen: argparse.Namespace, for_pytest: list[str]) -> int:
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
    code = _pytest(front, _plugin_arguments(chosen), for_pytest)
    if front.usage is not None or code == pytest.ExitCode.USAGE_ERROR:
        print(f"xencbt: {front.usage or 'pytest does not accept these arguments'}", file=sys.stderr)
        return Exit.USAGE
    if front.plan is None:
        print(f"xencbt: {front.trouble or 'no test was selected'}", file=sys.stderr)
        return Exit.ERROR if front.trouble or code != pytest.ExitCode.NO_TESTS_COLLECTED else Exit.UNDECIDED
    print(json.dumps(front.plan, indent=2, ensure_ascii=False) if chosen.json else full(front.plan))
    return Exit.OK if front.plan["run"] else Exit.UNDECIDED


def _pytest(front: Front, arguments: list[str], for_pytest: list[str]) -> int | pytest.ExitCode:
    words = ["-c", os.devnull, "--rootdir", xencbt.suites.__path__[0], "-p", "no:cacheprovider"]
    words += ["-qq", "--no-header", "--no-summary", "--tb=no", "--strict-markers", *arguments]
    if not any(_names_a_place(word) for word in for_pytest):
        # a conftest.py where the command happens to be started has no say in how the suites judge
        words += ["--noconftest", "--pyargs", xencbt.suites.__name__]
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return pytest.main([*words, *for_pytest, IGNORE_REWRITING], plugins=[front])
    except SystemExit:  # from a conftest.py or a plugin: whatever it says, nothing was judged
        print("xencbt: something ended the run before it began", file=sys.stderr)
        return pytest.ExitCode.INTERNAL_ERROR


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


def _names_a_place(word: str) -> bool:
    """Tell whether a pytest argument names tests: a path, a node id, or a package after --pyargs."""
    if word.startswith("-"):
        return word == "--pyargs"
    try:
        return Path(word.partition("::")[0]).exists()
    except OSError:  # longer than any name of a file: an expression
        return False


def _interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  the signature of a signal handler
    """Make SIGTERM end a run as Ctrl-C does: what was created is removed, and run.json says it is not complete."""
    raise KeyboardInterrupt


def _clean(chosen: argparse.Namespace, _: list[str]) -> int:
    try:
        return clean(
            journal_dir=chosen.journal_dir,
            dry_run=chosen.dry_run,
            target=chosen.target,
            user=chosen.user,
            password_file=chosen.password_file,
            trust=Trust(Path(chosen.ca) if chosen.ca else None, chosen.fingerprint, chosen.insecure),
            environment=os.environ,
        )
    except UsageError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.USAGE


def _faults(chosen: argparse.Namespace, _: list[str]) -> int:
    kinds = [kind.as_json() for kind in KINDS.values()]
    if chosen.json:
        print(json.dumps(kinds, indent=2))
        return Exit.OK
    for kind in kinds:
        print(f"{kind['name']:<20} {kind['layer']:<10} {' or '.join(kind['phases'])}\n    {kind['summary']}")
        for each in kind["parameters"]:
            default = "required" if each["required"] else f"default {each['default']}"
            print(f"      {each['name']}: {each['type']}, {default}")
    print(f"{len(kinds)} kinds of fault")
    return Exit.OK


def _proxy(chosen: argparse.Namespace, _: list[str]) -> int:
    trust = Trust(Path(chosen.ca) if chosen.ca else None, chosen.fingerprint, chosen.insecure)
    plan = Path(chosen.plan) if chosen.plan else None
    try:
        serve(chosen.upstream, plan, chosen.listen, trust, tls=chosen.tls, out=sys.stdout)
    except UsageError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.USAGE
    except HarnessError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.ERROR
    return Exit.OK


def _requirements(chosen: argparse.Namespace, _: list[str]) -> int:
    tests = deciding_tests()
    rows = [asdict(requirement) | {"tests": list(tests.get(requirement.id, ()))} for requirement in CATALOGUE]
    if chosen.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return Exit.OK
    for row in rows:
        covered = f"{len(row['tests'])} tests" if row["tests"] else "no test yet"
        print(f"{row['id']:<12} {row['level']}  {covered:<12} {row['statement']}")
    print(f"{len(rows)} requirements, {sum(bool(row['tests']) for row in rows)} with tests")
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main())
