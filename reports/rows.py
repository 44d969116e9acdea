"""Rows of run.json out of events and findings: each field named, of its type, and nothing else let through."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit, urlunsplit

from xencbt.harness.attempts import Tried
from xencbt.harness.findings import Finding
from xencbt.harness.verdicts import Verdict
from xencbt.harness.witness.bundles import FOLDER, file_name
from xencbt.reports.run_json import (
    AttemptRow,
    FindingRow,
    KillScoreRow,
    KnownIssuesRow,
    ReplayRow,
    SuiteRow,
    TargetRow,
)
from xencbt.reports.told import Event

if TYPE_CHECKING:
    from xencbt.reports.run_json import BitmapRow, IssueRow


def suite_row(told: Event) -> SuiteRow:
    """Return which suite judged, as the run began with it."""
    return SuiteRow(
        version=told["version"],
        catalogue_hash=told["catalogue_hash"],
        files_hash=str(told.get("files_hash", "")),
        modified=told.get("modified"),
        changed=[str(change) for change in told.get("changed", ())],
        suite_hash=str(told.get("suite_hash", "")),
        kill_score=None if told.get("kill_score") is None else _kill_score(told["kill_score"]),
    )


def _kill_score(told: Event) -> KillScoreRow:
    return KillScoreRow(
        killed=int(told["killed"]),
        of=int(told["of"]),
        survivors=[str(name) for name in told["survivors"]],
        date=str(told["date"]),
        version=str(told["version"]),
        catalogue_hash=str(told["catalogue_hash"]),
        suite_hash=str(told["suite_hash"]),
    )


def target_row(event: Event) -> TargetRow:
    """Return what was judged; of its URL no more than anybody may know."""
    return TargetRow(
        kind=event["kind"],
        product=event["product"],
        version=event["version"],
        build=event["build"],
        api_version=event["api_version"],
        url=_public(event["url"]),
        tls=str(event["tls"]),
        profile=event["profile"],
        driver=str(event.get("driver", "")),
        defects=list(event["defects"]),
        capabilities=[
            {"name": one["name"], "present": bool(one["present"]), "detail": one["detail"]}
            for one in event["capabilities"]
        ],
    )


def _public(url: str) -> str:
    """Return `url` without user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def known_issues_row(event: Event) -> KnownIssuesRow:
    """Return which entries of the ledger were judged, and which not."""
    return KnownIssuesRow(
        judged=[str(each) for each in event["judged"]],
        expired=[str(each) for each in event.get("expired", ())],
        ignored=[{"id": str(each["id"]), "reason": str(each["reason"])} for each in event["ignored"]],
    )


def test_row(test: Tried) -> FindingRow:
    """Return what became of a test: its worst attempt, and all of them where there were several."""
    finding = test.worst
    evidence = finding.evidence
    return FindingRow(
        id=finding.id,
        requirement=list(finding.requirement),
        verdict=finding.verdict.value,
        reason=said(finding),
        deviations=list(finding.deviations),
        violated=list(finding.violated),
        examples=finding.examples,
        calls=finding.calls,
        duration_s=finding.duration_s,
        receipts=list(finding.receipts),
        evidence={
            "expected": list(evidence.expected),
            "actual": evidence.actual,
            "steps": list(evidence.steps),
            "exchange": evidence.exchange,
            "rerun": evidence.rerun,
            "traceback": evidence.traceback,
            "axis": evidence.axis,
            "bitmap": cast("BitmapRow | None", evidence.bitmap),
            "replay": None if evidence.replay is None else _replay(finding.id, evidence.replay),
            "unreplayable": evidence.unreplayable,
        },
        created=finding.created,
        issue=cast("IssueRow | None", finding.issue),
        largest_disk=finding.largest_disk,
        needs=list(finding.needs),
        sizes_not_run=finding.sizes_not_run,
        attempts=[_attempt(one) for one in test.attempts] if len(test.attempts) > 1 else [],
        flaky=test.flaky,
    )


def _attempt(finding: Finding) -> AttemptRow:
    return AttemptRow(
        verdict=finding.verdict.value,
        reason=said(finding),
        examples=finding.examples,
        calls=finding.calls,
        duration_s=finding.duration_s,
    )


def _replay(test: str, bundle: Mapping[str, Any]) -> ReplayRow:
    return ReplayRow(
        bundle=f"{FOLDER}/{file_name(test)}",
        steps=[str(each) for each in bundle["words"]],
        python=str(bundle["python"]),
        xe=str(bundle["xe"]),
    )


def said(finding: Finding) -> str:
    """Return why a test has its verdict, in one line."""
    if finding.verdict is Verdict.PASS:
        return finding.reason
    return finding.reason or finding.evidence.actual.partition("\n")[0] or "the test gave no reason"
