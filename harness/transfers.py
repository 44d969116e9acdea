"""Transfers over HTTP, each under a task of its own: as a status line comes before the work, the task tells the end.

The task is finished before the connection closes. Nothing is sent twice, and each transfer is recorded without content.
A host that is not connected to the disk's SR leads to one that is: followed once, and trusted by the same rules.
"""

import http.client
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from xencbt.harness.endpoint import Endpoint
from xencbt.harness.errors import HarnessError, UsageError
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.session import Session, clock, shorten
from xencbt.harness.transport import Channel, Deadline, NoAnswer, until_closed

TRANSFER_DEADLINE_S = 120.0
POLL_S = 5.0

Transfer = Callable[[socket.socket, Endpoint, Deadline], Outcome]
"""Uses a connection to the host at an endpoint, which need not be that of the session."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A success that left before the host's stream had ended: our leaving cuts its task off, which decides nothing."""

    value: object


TASK_RESULT = Ok("the result of the task")
"""What a transfer gives whose value is what its task says in the end."""


def request_head(
    session: Session, at: Endpoint, verb: str, path: str, options: Mapping[str, str], length: int | None = None
) -> bytes:
    """Return the head of a request to `at` with `options` as its query; `length` of the body in bytes, if known."""
    query = urlencode({"session_id": session.ref} | dict(options))
    told = "" if length is None else f"Content-Length: {length}\r\n"
    return (f"{verb} {path}?{query} HTTP/1.0\r\nHost: {at.netloc}\r\nUser-Agent: xencbt\r\n{told}\r\n").encode()


class _SentElsewhere(Exception):
    """Another host of the pool is to be asked, the one in this URL."""


def trouble(response: http.client.HTTPResponse) -> Outcome:
    """Say that the handler did not serve; the task, where there is one, knows why.

    Raises _SentElsewhere where another host is to be asked, which `transferred` follows.
    """
    if response.status == HTTPStatus.FOUND and response.headers["Location"]:
        raise _SentElsewhere(response.headers["Location"])
    return Indeterminate(f"HTTP {response.status} {response.reason}")


def under_a_task(
    session: Session,
    step: str,
    transfer: Callable[[socket.socket, Endpoint, Deadline, str], Outcome],
    deadline_s: float,
) -> Outcome:
    """Run `transfer` on a connection of its own, then let the task decide wherever it knows more.

    A success is believed once the connection has closed: the last byte may come before the task is finished.
    """
    created = session.call("task.create", "xencbt raw disk transfer", "")
    if not isinstance(created, Ok):
        return created
    task = str(created.value)
    started = clock()

    def to_its_end(sock: socket.socket, at: Endpoint, deadline: Deadline) -> Outcome:
        came = transfer(sock, at, deadline, task)
        if isinstance(came, Ok) and not isinstance(came.value, Partial):
            until_closed(sock, deadline)
        return came

    outcome = transferred(session, to_its_end, deadline_s)
    if isinstance(outcome, Ok) and isinstance(outcome.value, Partial):
        _wait_for_end(session, task, Deadline(session.deadline_s))
        outcome = Ok(outcome.value.value)
    else:
        outcome = _task_says(session, task, outcome)
    record(session, step, outcome, started)
    session.call("task.destroy", task)
    return outcome


def record(session: Session, step: str, outcome: Outcome, started: float) -> None:
    """Record one transfer, which began at `started`."""
    session.recorder.record(
        method=step.partition("(")[0],
        step=step,
        outcome=shorten(str(outcome)),
        started=started,
        duration_s=clock() - started,
        request="",
        response="",
    )


def transferred(session: Session, transfer: Transfer, deadline_s: float) -> Outcome:
    """Run `transfer` on a connection of its own, to the host that the first one leads to if need be.

    A second time nobody is followed.
    """
    deadline = Deadline(deadline_s)
    try:
        return _transferred_at(session.endpoint, transfer, deadline)
    except _SentElsewhere as sent:
        url = session.recorder.secrets.mask(str(sent))
        try:
            return _transferred_at(_moved(session.endpoint, str(sent)), transfer, deadline)
        except UsageError as error:
            return Indeterminate(f"led to {url}, which is not followed: {error}")
        except _SentElsewhere as again:
            return Indeterminate(f"led to {url}, and from there to {session.recorder.secrets.mask(str(again))}")


def _moved(endpoint: Endpoint, url: str) -> Endpoint:
    """Return the host that `url` names, by the same scheme, port and trust; raises UsageError for anything else."""
    asked = Endpoint.parse("{0.scheme}://{0.netloc}".format(urlsplit(url)), endpoint.trust)
    moved = endpoint.moved_to(asked.host)
    if asked != moved:
        raise UsageError(f"it is not at {moved.url}")
    return moved


def _transferred_at(host: Endpoint, transfer: Transfer, deadline: Deadline) -> Outcome:
    channel = Channel(host)
    try:
        with channel.exchange("transfer", deadline) as sock:
            return transfer(sock, host, deadline)
    except NoAnswer as error:
        return Indeterminate(str(error))
    finally:
        channel.close()


def _wait_for_end(session: Session, task: str, deadline: Deadline) -> None:
    """Wait until the host has noticed that we left early: the disk counts as attached until then."""
    token = ""
    while True:
        try:
            patience = min(POLL_S, deadline.remaining())
        except TimeoutError:
            return
        batch = session.call("event.from", [f"task/{task}"], token, patience)
        if not isinstance(batch, Ok) or not isinstance(batch.value, dict):
            return
        token = batch.value["token"]
        if any(event.get("snapshot", {}).get("status") != "pending" for event in batch.value["events"]):
            return


def _task_says(session: Session, task: str, seen: Outcome) -> Outcome:
    """Return the failure that the task carries, `seen` where it succeeded, and doubt where it is not finished."""
    answer = session.call("task.get_record", task)
    if not isinstance(answer, Ok):
        return Indeterminate(f"{seen}; its task cannot be read: {answer}")
    if not isinstance(answer.value, dict):
        raise HarnessError(f"task.get_record answered {type(answer.value).__name__}, not a record")
    status = answer.value.get("status")
    if status == "failure":
        code, *params = [str(part) for part in answer.value.get("error_info") or ["UNKNOWN"]]
        return Failed(code, tuple(params))
    if status == "success" and seen == TASK_RESULT:
        return Ok(str(answer.value.get("result", "")))
    if status == "success" or isinstance(seen, Indeterminate):
        return seen
    return Indeterminate(f"the connection closed, and the task is still {status}")
