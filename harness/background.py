"""Calls in the background: `Async.Class.name` answers with a task, whose end is waited for by events, not by asking."""

from collections.abc import Mapping
from typing import Any, Protocol

from xencbt.harness.answers import decode
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.transport import Deadline, Garbled

ASYNC = "Async."
"""How the name of a call begins that is made in the background."""

DEADLINE_S = 60.0
PATIENCE_S = 30.0
"""Seconds that the host may keep one question for events; idle connections are cut by middle boxes sooner or later."""

GRACE_S = 10.0
"""Seconds more that its answer may take."""

UNFINISHED = frozenset({"pending", "cancelling"})


class Caller(Protocol):
    """What is needed of a session: it masks and records each call, and never raises for what the host answers."""

    def call(self, method: str, *params: object, deadline_s: float | None = None) -> Outcome:
        """Make one call."""


def call_in_background(
    session: Caller, method: str, *params: object, deadline_s: float = DEADLINE_S, answer_s: float | None = None
) -> Outcome:
    """Call `Async.<method>`, wait for the end of its task, and give the outcome that the call itself would have had.

    Indeterminate when the answer with the task was lost (`answer_s` bounds it, else the session's deadline), when the
    task's end was not seen within `deadline_s` seconds, or when the task went away. A finished task is destroyed. A
    cancelled one is the failure that it carries.
    """
    begun = session.call(f"{ASYNC}{method}", *params, deadline_s=answer_s)
    return outcome_of_task(session, str(begun.value), deadline_s=deadline_s) if isinstance(begun, Ok) else begun


def outcome_of_task(session: Caller, task: str, *, deadline_s: float = DEADLINE_S) -> Outcome:
    """Wait for the end of a task, and give the outcome of the call that it stands for, as `call_in_background` does."""
    ended = _wait(session, task, Deadline(deadline_s))
    if isinstance(ended, Indeterminate):
        return ended
    session.call("task.destroy", task)
    return _outcome(ended)


def _wait(session: Caller, task: str, deadline: Deadline) -> Mapping[str, Any] | Indeterminate:
    """Give the record of the finished task."""
    token, status = "", "unknown"
    while True:
        try:
            patience = min(PATIENCE_S, deadline.remaining())
        except TimeoutError:
            return Indeterminate(f"after {deadline.seconds:g} s its task is still {status}")
        batch = session.call("event.from", [f"task/{task}"], token, patience, deadline_s=patience + GRACE_S)
        if not isinstance(batch, Ok):
            return Indeterminate(f"the end of its task was not seen: {batch}")
        match batch.value:
            case {"token": str(token), "events": list(events)}:
                pass
            case _:
                return Indeterminate("the end of its task was not seen: event.from gave no events")
        for event in events:
            match event:
                case {"operation": "del"}:
                    return Indeterminate("its task was destroyed before its end was seen")
                case {"snapshot": {"status": str(status)}} if status not in UNFINISHED:
                    return dict(event["snapshot"])


def _outcome(record: Mapping[str, object]) -> Outcome:
    if record["status"] == "success":
        return _result(str(record.get("result", "")))
    match record.get("error_info"):
        case [str(code), *params]:
            return Failed(code, tuple(map(str, params)))
    return Indeterminate(f"its task ended as {record['status']}, and does not say why")


def _result(text: str) -> Outcome:
    """Read a task's result: the XML-RPC text of a value, or nothing for void."""
    if not text:
        return Ok("")
    answer = f"<methodResponse><params><param>{text}</param></params></methodResponse>"
    try:
        return Ok(decode(answer.encode())[0])
    except Garbled as error:
        return Indeterminate(f"the result of its task cannot be read: {error}")
