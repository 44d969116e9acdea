"""`xencbt requirements`: the catalogue, and which test decides what."""

import argparse
import json
from dataclasses import asdict

from xencbt.harness.catalogue import CATALOGUE
from xencbt.harness.commands import Commands
from xencbt.harness.verdicts import Exit
from xencbt.suites.index import deciding_tests


def add(commands: Commands) -> None:
    """Add `requirements`."""
    listing = commands.add_parser("requirements", help="list the catalogue and which test decides what")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(call=_requirements)


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
