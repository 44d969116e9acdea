"""Events of made-up runs, for the tests of this room."""

from typing import Any

from xencbt.harness.events import SCHEMA
from xencbt.harness.findings import Evidence, Finding
from xencbt.harness.verdicts import Verdict, chapter_of

Event = dict[str, Any]

CAPABILITIES = (
    {"name": "cbt-calls", "present": True, "detail": "VDI.enable_cbt is known"},
    {"name": "control", "present": True, "detail": "answers on loopback"},
    {"name": "xe", "present": False, "detail": "no xe access yet"},
)


SCORE: Event = {
    "killed": 3,
    "of": 4,
    "survivors": ["drops-bits"],
    "date": "2026-02-28",
    "version": "0.1.0",
    "catalogue_hash": "abc123",
    "suite_hash": "def456",
}
PROVEN: Event = {"version": "0.1.0", "catalogue_hash": "abc123", "suite_hash": "def456", "kill_score": SCORE}


def run_started(**changes: object) -> Event:
    return {
        "event": "run_started",
        "schema": SCHEMA,
        "time": "2026-03-01T10:00:00+00:00",
        "seed": 42,
        "speed": "quick",
        "profile": "auto",
        "strict": False,
        "suite": {"version": "0.1.0", "catalogue_hash": "abc123"},
        "command": "xencbt run",
        "selection": {"suites": [], "requirements": [], "filtered": False},
    } | changes


def target(**changes: object) -> Event:
    return {
        "event": "target",
        "kind": "emulator",
        "product": "xencbt emulator",
        "version": "0.1.0",
        "build": "",
        "api_version": "2.21",
        "url": "http://127.0.0.1:8080/",
        "tls": "none (http)",
        "profile": "xapi",
        "defects": [],
        "capabilities": [dict(capability) for capability in CAPABILITIES],
    } | changes


def selected(*requirements: str, **changes: object) -> Event:
    chapters = list(dict.fromkeys(map(chapter_of, requirements)))
    return {
        "event": "selected",
        "requirements": list(requirements),
        "chapters": chapters,
        "tests": len(requirements),
    } | changes


def id_of_test(requirement: str, number: int) -> str:
    return f"suites.test_made_up::test_{requirement.lower().replace('-', '_')}_{number}"


def finding(requirement: str, verdict: Verdict = Verdict.PASS, number: int = 1, **changes: Any) -> Finding:
    reason = "" if verdict is Verdict.PASS else f"{requirement} came out {verdict.value}"
    fields: dict[str, Any] = {"reason": reason, "examples": 5, "calls": 30, "duration_s": 0.25} | changes
    name = fields.pop("id", id_of_test(requirement, number))
    return Finding(name, (requirement,), verdict, **fields)


def ran(*findings: Finding) -> list[Event]:
    """Return both events of each test."""
    return [
        event
        for one in findings
        for event in (
            {"event": "test_started", "id": one.id, "requirement": list(one.requirement)},
            {"event": "test_finished", **one.as_json()},
        )
    ]


def run_finished(**changes: object) -> Event:
    return {
        "event": "run_finished",
        "complete": True,
        "interrupted": False,
        "duration_s": 12.3,
        "time": "2026-03-01T10:00:12+00:00",
    } | changes


def journal(**changes: object) -> Event:
    return {"event": "journal", "created": 3, "removed": 3, "left": [], "troubles": []} | changes


def whole_run(*findings: Finding, strict: bool = False) -> list[Event]:
    """Return the events of a run that selected what `findings` decide and came to its end."""
    ids = dict.fromkeys(name for one in findings for name in one.requirement)
    return [run_started(strict=strict), target(), selected(*ids), *ran(*findings), journal(), run_finished()]


FAILURE = finding(
    "ENABLE-13",
    Verdict.FAIL,
    reason="enabling twice lost recorded changes",
    examples=17,
    calls=204,
    evidence=Evidence(
        expected=("a bitmap that includes block 7", "SR_BACKEND_FAILURE_460 after a write to the host's log failed"),
        actual="a bitmap without block 7",
        steps=("disk = VDI.create(user, 4 MiB)", "VDI.enable_cbt(disk)", "VDI.list_changed_blocks(base, later)"),
        exchange={
            "number": 9,
            "method": "VDI.list_changed_blocks",
            "step": "VDI.list_changed_blocks(base, later)",
            "outcome": "ok",
            "started": 1.0,
            "duration_s": 0.012,
            "request": "<methodCall>…</methodCall>",
            "response": "<methodResponse>AA==</methodResponse>",
        },
        rerun="xencbt run --requirement ENABLE-13 --seed 42",
        traceback="Traceback (most recent call last):\n  …\nViolation: …",
        bitmap={
            "from": "OpaqueRef:500e…",
            "to": "OpaqueRef:3388…",
            "block_size": 65536,
            "blocks": 64,
            "expected": [[0, 1], [7, 7]],
            "reported": [[0, 1], [9, 9]],
            "missing": [[7, 7]],
            "extra": [[9, 9]],
            "cut": False,
        },
    ),
)
