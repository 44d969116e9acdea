"""Stand-alone scripts follow a task to its end, and give what the call itself would have given."""

from typing import Any

import pytest

from xencbt.harness.witness.standalone import Host
from xencbt.harness.witness.standalone_tasks import in_background

TASK = "OpaqueRef:task"


class Scripted(Host):
    """A host that answers by a script, call after call."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[object, ...]] = []

    def attempt(self, method: str, *params: object) -> dict[str, Any]:
        self.calls.append((method, *params))
        return self.answers.pop(0)


def ok(value: object) -> dict[str, Any]:
    return {"ok": value}


def batch(*statuses: str) -> dict[str, Any]:
    return ok({"token": "t", "events": [{"snapshot": {"status": each}} for each in statuses]})


def test_the_result_is_read_once_the_task_ended_and_the_task_is_destroyed() -> None:
    host = Scripted(ok(TASK), batch("pending"), batch("success"), ok("<value>OpaqueRef:made</value>"), ok(""))
    assert in_background(host, "VDI.snapshot", "OpaqueRef:disk", {}) == ok("OpaqueRef:made")
    assert host.calls == [
        ("Async.VDI.snapshot", "OpaqueRef:disk", {}),
        ("event.from", [f"task/{TASK}"], "", 30.0),
        ("event.from", [f"task/{TASK}"], "t", 30.0),
        ("task.get_result", TASK),
        ("task.destroy", TASK),
    ]


@pytest.mark.parametrize(
    ("answers", "came"),
    [
        ([{"failed": "SESSION_INVALID", "params": []}], {"failed": "SESSION_INVALID", "params": []}),
        ([ok(TASK), batch("success"), ok(""), ok("")], ok("")),
        ([ok(TASK), batch("failure"), ok(["CODE", "a"]), ok("")], {"failed": "CODE", "params": ["a"]}),
        ([ok(TASK), batch("cancelled"), ok([]), ok("")], {"failed": "cancelled", "params": []}),
    ],
)
def test_void_and_refusals_are_told(answers: list[dict[str, Any]], came: dict[str, Any]) -> None:
    host = Scripted(*answers)
    assert in_background(host, "VDI.enable_cbt", "OpaqueRef:disk") == came
    assert host.answers == []
