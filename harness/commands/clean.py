"""`xencbt clean`: remove from targets what dead runs left there."""

import argparse
import os
import sys
from pathlib import Path

from xencbt.harness.cleaning import clean
from xencbt.harness.commands import Commands
from xencbt.harness.errors import UsageError
from xencbt.harness.trust import Trust
from xencbt.harness.verdicts import Exit


def add(commands: Commands) -> None:
    """Add `clean`."""
    cleaning = commands.add_parser("clean", help="remove from targets what dead runs left there")
    cleaning.add_argument("--dry-run", action="store_true", help="only show what would be removed and restored")
    cleaning.add_argument("--journal-dir", metavar="D", help="a journal, or a folder of journals; default: all")
    for flag, metavar in (("--target", "URL"), ("--user", "U"), ("--ca", "F"), ("--fingerprint", "HEX")):
        cleaning.add_argument(flag, metavar=metavar, help="instead of what the journal says")
    cleaning.add_argument("--insecure", action="store_true", help="accept any certificate, whatever the journal says")
    cleaning.add_argument("--password-file", metavar="F", help="file that holds the password (else XENCBT_PASSWORD)")
    cleaning.set_defaults(call=_clean)


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
