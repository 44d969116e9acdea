"""`xencbt replay`: carries out the steps of a bundle on a target, and says FIXED, FAILED or ERROR."""

import argparse
import os
import sys
from pathlib import Path

from xencbt.harness.commands import Commands
from xencbt.harness.commands.judging import add_options
from xencbt.harness.errors import HarnessError, TargetUnreachable, UsageError
from xencbt.harness.judge import Judge
from xencbt.harness.options import OPTIONS
from xencbt.harness.settings import Settings, load
from xencbt.harness.standing import Stand
from xencbt.harness.verdicts import Exit, Violation
from xencbt.harness.witness.bundles import Bundle, load_bundle
from xencbt.harness.witness.concluding import Conclusion, Word, conclude
from xencbt.harness.witness.witness import step_in_words
from xencbt.reports.plain import visible

TAKEN = frozenset(
    (
        *("target", "emulator-hosts", "defect", "user", "password-file", "control-token-file", "ca", "fingerprint"),
        *(
            "insecure",
            "sr",
            "xe",
            "profile",
            "journal-dir",
            "max-size",
            "max-total",
            "allow",
            "sr-kind",
            "vm",
            "config",
        ),
    )
)
"""The options of `run` that are about the target, and what may be done there."""

EXITS = {Word.FIXED: Exit.OK, Word.FAILED: Exit.FAILED, Word.ERROR: Exit.ERROR}


def add(commands: Commands) -> None:
    """Add `replay`."""
    parser = commands.add_parser("replay", help="see whether a target still fails as a bundle shows")
    parser.add_argument("bundle", metavar="BUNDLE", help="a file of a run's bundles/")
    add_options(parser, TAKEN)
    parser.set_defaults(call=_replay)


def _replay(chosen: argparse.Namespace, _: list[str]) -> int:
    try:
        bundle = load_bundle(Path(chosen.bundle))
        settings = _settings(chosen, bundle)
        judge = Judge(settings)
        judge.open()
    except UsageError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.USAGE
    except (TargetUnreachable, HarnessError, Violation) as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.ERROR
    try:
        conclusion = _replayed(judge, bundle)
    finally:
        closed = judge.close()
    for trouble in closed["troubles"]:
        print(f"xencbt: clean-up: {trouble}", file=sys.stderr)
    if closed["left"] and conclusion.word is Word.FIXED:
        return Exit.ERROR
    return EXITS[conclusion.word]


def _settings(chosen: argparse.Namespace, bundle: Bundle) -> Settings:
    given = {option.key: getattr(chosen, option.key, None) for option in OPTIONS}
    given["seed"] = bundle.seed
    settings = load(given, environment=os.environ, folder=Path.cwd())
    if given["profile"] is None and settings.profile == "auto" and settings.emulated_here:
        return load({**given, "profile": bundle.target.profile}, environment=os.environ, folder=Path.cwd())
    return settings


def _replayed(judge: Judge, bundle: Bundle) -> Conclusion:
    now = judge.subject
    print(f"bundle   {visible(', '.join(bundle.requirement))}: {visible(bundle.reason)}")
    print(f"found    {visible(str(bundle.target))}")
    print(f"target   {visible(str(now))}")
    witness = bundle.witness
    replayed = Stand(judge.bench, lambda: judge.interceptor).replay(witness.steps, bundle.test)
    conclusion = conclude(
        witness, replayed.saw, "" if replayed.ended is None else judge.secrets.mask(str(replayed.ended))
    )
    drifted = {drift.number: drift for drift in conclusion.drifts}
    for number, step in enumerate(witness.steps, start=1):
        drift = drifted.get(number)
        print(f"{number:>4}  {visible(step_in_words(step))}")
        plain = "as before" if number <= replayed.reached else "not reached"
        told = plain if drift is None else f"drift: was {visible(drift.was)}, now {visible(drift.now)}"
        print(f"      {told}")
    print(f"{conclusion.word.value}: {visible(conclusion.reason)}")
    return conclusion
