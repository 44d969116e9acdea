"""Calls in the background have the outcome that the call itself would have had."""

from collections.abc import Sequence
from typing import Any

import pytest

from xencbt.fixtures.bench import Bench
from xencbt.harness.background import call_in_background, outcome_of_task
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome

TASK = "OpaqueRef:task"


def batch(*records: dict[str, Any], operation: str = "mod") -> Ok:
    events = [{"operation": operation, "ref": TASK, "snapshot": record} for record in records]
    return Ok({"token": "t", "events": events, "valid_ref_counts": {}})


class Scripted:
    """A session whose host answers by a script, call after call."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.calls: list[tuple[object, ...]] = []

    def call(self, method: str, *params: object, deadline_s: float | None = None) -> Outcome:
        assert deadline_s is None or method == "event.from"
        self.calls.append((method, *params))
        return self.outcomes.pop(0)

    @property
    def names(self) -> Sequence[object]:
        return [call[0] for call in self.calls]


def test_the_result_is_read_and_the_task_destroyed() -> None:
    pending, done = {"status": "pending"}, {"status": "success", "result": "<value>OpaqueRef:made</value>"}
    host = Scripted(Ok(TASK), batch(pending), batch(), batch(done), Ok(""))
    assert call_in_background(host, "VDI.snapshot", "OpaqueRef:disk", {}) == Ok("OpaqueRef:made")
    assert host.calls[0] == ("Async.VDI.snapshot", "OpaqueRef:disk", {})
    assert [call[1:3] for call in host.calls[1:4]] == [([f"task/{TASK}"], token) for token in ("", "t", "t")]
    assert host.calls[4] == ("task.destroy", TASK)


def test_a_task_that_is_known_already_is_followed_alike() -> None:
    host = Scripted(batch({"status": "success", "result": "<value>OpaqueRef:made</value>"}), Ok(""))
    assert outcome_of_task(host, TASK) == Ok("OpaqueRef:made")
    assert host.names == ["event.from", "task.destroy"]


@pytest.mark.parametrize(
    ("result", "value"),
    [
        ("", ""),
        ("<value></value>", ""),
        ("<value>7</value>", "7"),
        ("<value><boolean>1</boolean></value>", True),
        ("<value><array><data><value>a &amp; b</value></data></array></value>", ["a & b"]),
    ],
)
def test_results_are_values_of_xml_rpc(result: str, value: object) -> None:
    host = Scripted(Ok(TASK), batch({"status": "success", "result": result}), Ok(""))
    assert call_in_background(host, "VDI.x") == Ok(value)


@pytest.mark.parametrize("status", ["failure", "cancelled"])
def test_what_the_task_says_went_wrong_is_the_refusal(status: str) -> None:
    host = Scripted(Ok(TASK), batch({"status": status, "error_info": ["CODE", "a", "b"]}), Ok(""))
    assert call_in_background(host, "VDI.x") == Failed("CODE", ("a", "b"))
    assert host.names[-1] == "task.destroy"


@pytest.mark.parametrize("begun", [Failed("HANDLE_INVALID", ("VDI", "x")), Indeterminate("lost")])
def test_without_a_task_the_answer_itself_is_the_outcome(begun: Outcome) -> None:
    host = Scripted(begun)
    assert call_in_background(host, "VDI.x") == begun
    assert host.names == ["Async.VDI.x"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Indeterminate("lost"), "was not seen"),
        (Failed("SESSION_INVALID", ("x",)), "SESSION_INVALID"),
        (Ok("nonsense"), "no events"),
        (batch({}, operation="del"), "destroyed"),
    ],
)
def test_when_the_end_is_not_seen_nobody_knows(answer: Outcome, why: str) -> None:
    host = Scripted(Ok(TASK), answer)
    outcome = call_in_background(host, "VDI.x")
    assert isinstance(outcome, Indeterminate)
    assert why in outcome.why
    assert "task.destroy" not in host.names


@pytest.mark.parametrize(
    "record", [{"status": "success", "result": "<value><struct>"}, {"status": "failure", "error_info": []}]
)
def test_a_task_that_cannot_be_read_says_nothing(record: dict[str, Any]) -> None:
    assert isinstance(call_in_background(Scripted(Ok(TASK), batch(record), Ok("")), "VDI.x"), Indeterminate)


def test_waiting_has_an_end() -> None:
    host = Scripted(Ok(TASK), *[batch({"status": "cancelling"})] * 100_000)
    outcome = call_in_background(host, "VDI.x", deadline_s=0.01)
    assert isinstance(outcome, Indeterminate)
    assert "still cancelling" in outcome.why


def test_on_a_host_it_is_as_the_call_itself(bench: Bench) -> None:
    session = bench.session
    (vdi,) = session.value("VDI.get_by_name_label", "Disk of the emulated VM")
    made = call_in_background(session, "VDI.snapshot", vdi, {})
    assert isinstance(made, Ok)
    assert session.value("VDI.get_snapshot_of", made.value) == vdi
    refused = Failed("OPERATION_NOT_ALLOWED", (f"VDI is a snapshot: {made.value}",))
    assert call_in_background(session, "VDI.enable_cbt", made.value) == session.call("VDI.enable_cbt", made.value)
    assert call_in_background(session, "VDI.enable_cbt", made.value) == refused
    assert call_in_background(session, "VDI.destroy", made.value) == Ok("")
    assert session.value("task.get_all") == []
