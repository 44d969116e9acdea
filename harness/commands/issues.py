"""`xencbt issues`: looks after the ledger of known issues."""

import argparse
import datetime as dt
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xencbt.harness.commands import Commands
from xencbt.harness.errors import UsageError
from xencbt.harness.findings import ISSUE
from xencbt.harness.ledger import (
    SOON,
    BadLedger,
    Issue,
    Predicate,
    bounded,
    ledger_text,
    load_ledger,
    parsed,
    telling,
)
from xencbt.harness.ledger_file import NEW, added, updated
from xencbt.harness.verdicts import Exit, Verdict
from xencbt.harness.witness.bundles import load_bundle
from xencbt.reports.plain import visible
from xencbt.reports.saved import read_run
from xencbt.reports.write import replace_file


def add(commands: Commands) -> None:
    """Add `issues`."""
    parser = commands.add_parser("issues", help="look after a ledger of known issues")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    checking = actions.add_parser("check", help="read a ledger, and say what is expired or soon will be")
    checking.add_argument("file", metavar="FILE", type=Path)
    checking.set_defaults(call=_guarded(_check))
    adding = actions.add_parser("add", help="add the failure that a bundle shows")
    adding.add_argument("file", metavar="FILE", type=Path, help="the ledger; it is made if it is not there")
    adding.add_argument("bundle", metavar="BUNDLE", type=Path)
    for name, metavar, what in (
        ("id", "ID", "its name: a plain word"),
        ("owner", "WHO", "who looks after it"),
        ("link", "URL", "where it is tracked"),
        ("expires", "DATE", "the last day on which it is accepted, as in 2027-01-31"),
    ):
        adding.add_argument(f"--{name}", metavar=metavar, required=True, help=what)
    adding.add_argument("--brand", help="targets of this brand; default: the bundle's; '': any")
    adding.add_argument(
        "--version", help="targets of these versions, as in '>=8.2, <8.4'; default: the bundle's; '': any"
    )
    adding.add_argument("--sr", help="SRs of this driver; default: the bundle's; '': any")
    adding.set_defaults(call=_guarded(_add))
    refreshing = actions.add_parser("refresh", help="take out what a run found fixed, and note what it saw again")
    refreshing.add_argument("file", metavar="FILE", type=Path)
    refreshing.add_argument("folder", metavar="DIR", type=Path, help="the folder of a complete run with this ledger")
    refreshing.set_defaults(call=_guarded(_refresh))


def _guarded(action: Any) -> Any:
    def call(chosen: argparse.Namespace, _: list[str]) -> int:
        try:
            return int(action(chosen))
        except (UsageError, OSError) as error:
            print(f"xencbt: {error}", file=sys.stderr)
            return Exit.USAGE

    return call


def _check(chosen: argparse.Namespace) -> int:
    today = _today()
    issues = load_ledger(chosen.file)
    for issue in issues:
        steps = f"{len(issue.witness.steps)} steps"
        told = f"{issue.id:<16} {issue.requirement:<12} until {issue.expires}  {steps:<9} {visible(issue.owner)}"
        if issue.expired(today):
            told += "  EXPIRED"
        elif issue.expired(today + SOON):
            told += "  expires soon"
        print(told)
    expired = sum(issue.expired(today) for issue in issues)
    print(f"{len(issues)} known issue{'s' if len(issues) != 1 else ''}, {expired} expired")
    return Exit.FAILED if expired else Exit.OK


def _add(chosen: argparse.Namespace) -> int:
    bundle = load_bundle(chosen.bundle)
    target = bundle.target
    predicate = Predicate(
        brand=target.product if chosen.brand is None else chosen.brand,
        version=f"=={target.version}" if chosen.version is None else chosen.version,
        sr=target.sr if chosen.sr is None else chosen.sr,
    )
    issue = Issue(
        id=chosen.id,
        requirement=bundle.requirement[0],
        fingerprint=bundle.fingerprint,
        link=chosen.link,
        owner=chosen.owner,
        expires=_date(chosen.expires, _today()),
        witness=bundle.witness,
        target=predicate,
        reason=" ".join(bundle.reason.split()),
    )
    text = ledger_text(chosen.file) if chosen.file.exists() else NEW
    with telling(chosen.file):
        if any(other.id == issue.id for other in parsed(text)):
            raise BadLedger(f"issue {issue.id} is there already")
        _write(chosen.file, added(text, issue))
    print(f"{chosen.file}: {issue.id} added, a known failure of {issue.requirement} until {issue.expires}")
    return Exit.OK


def _refresh(chosen: argparse.Namespace) -> int:
    text = ledger_text(chosen.file)
    with telling(chosen.file):
        issues = parsed(text)
    run = read_run(chosen.folder).run
    if (
        not run["complete"]
        or run["selection"]["filtered"]
        or run["selection"]["suites"]
        or run["selection"]["requirements"]
    ):
        raise UsageError(
            f"{chosen.folder} holds a partial run (filtered or incomplete): a ledger is refreshed by a whole one"
        )
    if run["target"] is None or not run.get("known_issues"):
        raise UsageError(f"{chosen.folder} holds a run without a ledger: give it --known-issues")
    verdicts = {
        test["id"].removeprefix(ISSUE): test["verdict"] for test in run["tests"] if test["id"].startswith(ISSUE)
    }
    gone = {issue.id for issue in issues if verdicts.get(issue.id) == Verdict.STALE.value}
    seen = _seen(run["started"], run["target"], verdicts, issues)
    with telling(chosen.file):
        _write(chosen.file, updated(text, gone=gone, seen=seen))
    for issue in issues:
        print(f"{issue.id:<16} {_became(issue, verdicts.get(issue.id), gone)}")
    return Exit.OK


def _write(path: Path, text: str) -> None:
    """Write a ledger where it really is, for whom it was; raises BadLedger where nobody could read it any more."""
    place = path.resolve()
    mode = place.stat().st_mode if place.exists() else None
    replace_file(place, bounded(text.encode()), mode=mode)


def _seen(
    started: str, target: Mapping[str, Any], verdicts: Mapping[str, str], issues: tuple[Issue, ...]
) -> dict[str, str]:
    where = " ".join(f"{started[:10]} on {target['product']} {target['version']}".split())
    known = {issue.id for issue in issues if verdicts.get(issue.id) == Verdict.KNOWN.value}
    return dict.fromkeys(known, where)


def _became(issue: Issue, verdict: str | None, gone: set[str]) -> str:
    if issue.id in gone:
        return "fixed: taken out"
    if verdict is None:
        return "not about the run's target: left as it was"
    return "seen again" if verdict == Verdict.KNOWN.value else f"{verdict}: left as it was"


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def _date(text: str, today: dt.date) -> dt.date:
    try:
        date = dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--expires {text!r}: a date like 2027-01-31") from None
    if date < today:
        raise UsageError(f"--expires {text!r} is past: the entry would fail from the first day on")
    return date
