"""allure-results/: one result a test, in the model of allure-python-commons, made from run.json alone.

Names and ids come from the test's id and never from how pytest was started, so that Allure's history holds together.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import attr
from allure_commons.model2 import (
    ATTACHMENT_PATTERN,
    Attachment,
    Label,
    Link,
    Parameter,
    Status,
    StatusDetails,
    TestResult,
    TestStepResult,
)
from allure_commons.types import AttachmentType, LabelType, LinkType, Severity

from xencbt.harness.verdicts import Verdict
from xencbt.reports.failures import SHOWN, failure_block
from xencbt.reports.plain import visible
from xencbt.reports.run_json import FindingRow, RequirementRow, Run
from xencbt.reports.words import attempts_words, nondeciding_note, run_trouble, target_name, verdict_sentence

STATUS = {
    Verdict.PASS.value: Status.PASSED,
    Verdict.FAIL.value: Status.FAILED,
    Verdict.STALE.value: Status.FAILED,
    Verdict.ERROR.value: Status.BROKEN,
}
"""Allure's word for a verdict; every other one is `skipped`."""

_SEVERITY = {"M": Severity.CRITICAL.value, "S": Severity.NORMAL.value, "I": Severity.MINOR.value}
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:xencbt:run:1")


def render(run: Run) -> dict[str, bytes]:
    """Return the files of allure-results/ by name; the same run gives the same files, byte for byte."""
    files: dict[str, bytes] = {}
    for test in run["tests"]:
        rows = [row for row in run["requirements"] if row["id"] in test["requirement"]]
        result, attachments = _result(test, rows, run)
        files[result.file_pattern.format(prefix=result.uuid)] = _result_json(result)
        files |= attachments
    for message in run_trouble(run)[:1]:
        result = _trouble(message, run)
        files[result.file_pattern.format(prefix=result.uuid)] = _result_json(result)
    files["environment.properties"] = "".join(_property(*pair) for pair in _environment(run)).encode("ascii")
    files["executor.json"] = _json(_executor(run))
    return files


def _result(test: FindingRow, rows: Sequence[RequirementRow], run: Run) -> tuple[TestResult, dict[str, bytes]]:
    full_name, module = _names(test["id"])
    key = _uuid(run, full_name)
    begin = _milliseconds(run["started"])
    attachments = list(_attachments(test, rows, key))
    status = STATUS.get(test["verdict"], Status.SKIPPED)
    result = TestResult(
        uuid=key,
        name=full_name.partition("#")[2],
        fullName=full_name,
        historyId=history_id(test["id"]),
        # Allure 3 tells tests apart by this alone: shared by parameters, all but one would show as retries of it
        testCaseId=_digest(full_name),
        titlePath=module.split("."),
        status=status,
        stage="finished",
        statusDetails=_details(test, rows),
        description="\n\n".join(f"{row['id']} (level {row['level']}): {row['statement']}" for row in rows),
        steps=_steps(test["evidence"]["steps"], status) if status in {Status.FAILED, Status.BROKEN} else [],
        attachments=[Attachment(name=name, source=source, type=kind) for name, source, kind, _ in attachments],
        parameters=[Parameter(name="seed", value=str(run["seed"]), excluded=True)],
        labels=list(_labels(test, rows, module)),
        links=_links(rows),
        start=begin,
        stop=begin + round(test["duration_s"] * 1000),
    )
    return result, {source: body for _, source, _, body in attachments}


def _trouble(message: str, run: Run) -> TestResult:
    """Return a broken result for the run itself: without it, a run that reached no test would look like a good one."""
    begin = _milliseconds(run["started"])
    return TestResult(
        uuid=_uuid(run, "xencbt.run"),
        name="the run itself",
        fullName="xencbt.run",
        historyId=_digest("xencbt.run"),
        testCaseId=_digest("xencbt.run"),
        status=Status.BROKEN,
        stage="finished",
        statusDetails=StatusDetails(message=visible(message, keep="\n")),
        labels=[Label(name=LabelType.PARENT_SUITE, value="xencbt")],
        start=begin,
        stop=begin,
    )


def history_id(test_id: str) -> str:
    """Return by what Allure knows a test again in another run."""
    return _digest(_names(test_id)[0])


def _names(test_id: str) -> tuple[str, str]:
    """Return full name and module of a test's id."""
    module, _, name = visible(test_id).partition("::")
    return f"{module}#{name or module}", module


def _details(test: FindingRow, rows: Sequence[RequirementRow]) -> StatusDetails | None:
    if test["verdict"] == Verdict.PASS.value:
        by = f"by deviation {', '.join(test['deviations'])}" if test["deviations"] else ""
        cut = f"not run: {test['sizes_not_run']}" if test.get("sizes_not_run") else ""
        return StatusDetails(message=visible(", ".join(filter(None, ("pass", by, cut))))) if by or cut else None
    note = nondeciding_note(test, rows)
    message = f"{test['verdict']}{f' ({note})' if note else ''}: {test['reason']}"
    message += f" (attempts: {attempts_words(test)})" if attempts_words(test) else ""
    return StatusDetails(
        message=visible(message, keep="\n"),
        trace=visible(test["evidence"]["traceback"], keep="\n"),
        known=test["verdict"] == Verdict.KNOWN.value or None,
        flaky=test.get("flaky") or None,
    )


def _steps(calls: Sequence[str], status: str) -> list[TestStepResult]:
    """Return the calls of the minimal failing example: the last of them is where it failed."""
    last = len(calls) - 1
    return [
        TestStepResult(name=visible(call), status=status if number == last else Status.PASSED, stage="finished")
        for number, call in enumerate(calls)
    ]


def _attachments(test: FindingRow, rows: Sequence[RequirementRow], key: str) -> Iterator[tuple[str, str, str, bytes]]:
    """Yield name, file name, type and content of what a test that did not pass has to show."""
    evidence = test["evidence"]
    seen = evidence["expected"] or evidence["actual"] or evidence["steps"] or evidence["exchange"] or test["receipts"]
    if test["verdict"] == Verdict.PASS.value or not (seen or test["verdict"] in SHOWN):
        return
    text, data = AttachmentType.TEXT, AttachmentType.JSON
    files = (
        ("evidence", text, failure_block(test, rows).encode("utf-8", "backslashreplace")),
        ("exchange", data, _json(evidence["exchange"]) if evidence["exchange"] else b""),
        ("receipts", data, _json(test["receipts"]) if test["receipts"] else b""),
    )
    for name, kind, body in files:
        if body:
            prefix = uuid.uuid5(uuid.UUID(key), name)
            yield name, ATTACHMENT_PATTERN.format(prefix=prefix, ext=kind.extension), kind.mime_type, body


def _labels(test: FindingRow, rows: Sequence[RequirementRow], module: str) -> Iterator[Label]:
    for title in dict.fromkeys(f"{row['chapter']}: {row['chapter_title']}" for row in rows):
        yield Label(name=LabelType.EPIC, value=title)
    for name in test["requirement"]:
        yield Label(name=LabelType.FEATURE, value=name)
    yield Label(name=LabelType.PARENT_SUITE, value="xencbt")
    yield Label(name=LabelType.SUITE, value=module)
    levels = [row["level"] for row in rows]
    if levels:
        yield Label(name=LabelType.SEVERITY, value=_SEVERITY[min(levels, key="MSI".index)])
    yield Label(name=LabelType.TAG, value=test["verdict"])
    yield Label(name=LabelType.FRAMEWORK, value="pytest")
    yield Label(name=LabelType.LANGUAGE, value="python")


def _links(rows: Sequence[RequirementRow]) -> list[Link]:
    sources = {
        row["source"]["url"]: f"{row['source']['page']}, “{row['source']['section']}”"
        for row in rows
        if row["source"]["url"]
    }
    return [Link(type=LinkType.LINK, url=url, name=name) for url, name in sources.items()]


def _environment(run: Run) -> Iterator[tuple[str, str]]:
    target = run["target"]
    yield "Target", target_name(target)
    if target is not None:
        yield "URL", target["url"]
        yield "Certificate", target["tls"]
        yield "API", target["api_version"]
    yield "Profile", run["profile"]
    yield "Seed", str(run["seed"])
    yield "Speed", run["speed"]
    yield "Suite", run["suite"]["version"]
    yield "Catalogue", run["suite"]["catalogue_hash"]
    yield "Verdict", verdict_sentence(run)
    yield "Exit", str(run["exit"])


def _property(name: str, value: str) -> str:
    """Return a line of a Java properties file, in ASCII: what else is in `value` is escaped."""
    escaped = "".join(_property_character(char) for char in value)
    return f"{name}={escaped}\n"


def _property_character(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if " " <= char <= "~":
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _executor(run: Run) -> Mapping[str, Any]:
    return {
        "name": f"xencbt {run['suite']['version']}",
        "type": "xencbt",
        "buildName": visible(f"{target_name(run['target'])}, seed {run['seed']}, {run['started']}"),
        "reportName": f"xencbt: {target_name(run['target'])}",
    }


def _milliseconds(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def _uuid(run: Run, name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{run['started']}\0{run['seed']}\0{name}"))


def _digest(name: str) -> str:
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def _result_json(result: TestResult) -> bytes:
    return _json(attr.asdict(result, filter=lambda _, value: bool(value) or value is False or value == 0))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")
