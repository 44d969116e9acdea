"""Raw disk content over HTTP: chosen ranges written through the host's chunked import, and exports read as streams.

Both run under a task of their own, because a status line comes before the work: the task tells what came of it, and it
is finished before the connection closes. Nothing is sent twice, and each transfer is recorded without its content.
"""

import http.client
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from urllib.parse import urlencode

from xencbt.harness.errors import HarnessError
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.session import Session, clock, shorten
from xencbt.harness.transport import CHUNK, Channel, Deadline, NoAnswer, receive, send

TRANSFER_DEADLINE_S = 120.0
POLL_S = 5.0

Write = tuple[int, bytes]
"""Offset in bytes, and the content to put there."""


def frames(writes: Iterable[Write]) -> Iterator[bytes]:
    """Frame `writes` as the host's chunked import reads them.

    Each frame is offset (unsigned 64-bit little-endian), length (unsigned 32-bit little-endian) and data; a frame with
    offset 0 and length 0 ends the stream. Raises ValueError for an empty write, which would be such an end.
    """
    for offset, data in writes:
        if not data:
            raise ValueError(f"an empty write at {offset} would end the stream")
        yield struct.pack("<QI", offset, len(data)) + data
    yield struct.pack("<QI", 0, 0)


def import_ranges(
    session: Session, vdi: str, writes: Sequence[Write], *, deadline_s: float = TRANSFER_DEADLINE_S
) -> Outcome:
    """Write `writes` to the disk with reference `vdi`, which no VM may have attached. Ok("") when the host is done."""
    size = sum(len(data) for _, data in writes)
    step = f'PUT /import_raw_vdi("{shorten(vdi)}", {len(writes)} ranges, {size} bytes)'

    def transfer(sock: socket.socket, deadline: Deadline, task: str) -> Outcome:
        head = _head(session, "PUT", "/import_raw_vdi", vdi=vdi, chunked="true", task_id=task)
        send(sock, [head], deadline)
        with receive(sock, "PUT", deadline) as response:
            if response.status != 200:
                return _http_trouble(response)
            send(sock, frames(writes), deadline)
            while response.read(CHUNK):
                pass
        return Ok("")

    return _under_a_task(session, step, transfer, deadline_s)


def export_range(
    session: Session, vdi: str, offset: int, length: int, *, deadline_s: float = TRANSFER_DEADLINE_S
) -> Outcome:
    """Read `length` bytes at `offset` of the disk with reference `vdi`: Ok(bytes).

    The export is a stream from the start of the disk; what comes before `offset` is read and dropped, what comes
    after the range is not read.
    """
    step = f'GET /export_raw_vdi("{shorten(vdi)}", {length} bytes at {offset})'

    def transfer(sock: socket.socket, deadline: Deadline, task: str) -> Outcome:
        head = _head(session, "GET", "/export_raw_vdi", vdi=vdi, format="raw", task_id=task)
        send(sock, [head], deadline)
        with receive(sock, "GET", deadline) as response:
            return _range_of(response, offset, length) if response.status == 200 else _http_trouble(response)

    return _under_a_task(session, step, transfer, deadline_s)


def handler_answers(session: Session, path: str) -> Outcome:
    """Ask the handler at `path` without naming disk or session, so that it can do nothing: Ok(HTTP status)."""

    def transfer(sock: socket.socket, deadline: Deadline) -> Outcome:
        send(sock, [f"GET {path} HTTP/1.0\r\nHost: {session.endpoint.netloc}\r\n\r\n".encode()], deadline)
        with receive(sock, "GET", deadline) as response:
            return Ok(response.status)

    started = clock()
    outcome = _transferred(session, transfer, session.deadline_s)
    _record(session, f"GET {path}", outcome, started)
    return outcome


Transfer = Callable[[socket.socket, Deadline], Outcome]


def _head(session: Session, verb: str, path: str, **options: str) -> bytes:
    query = urlencode({"session_id": session.ref} | options)
    return f"{verb} {path}?{query} HTTP/1.0\r\nHost: {session.endpoint.netloc}\r\nUser-Agent: xencbt\r\n\r\n".encode()


def _range_of(response: http.client.HTTPResponse, offset: int, length: int) -> Outcome:
    position = 0
    kept = bytearray()
    end = offset + length
    while position < end:
        part = response.read(min(CHUNK, end - position))
        if not part:
            return Indeterminate(f"the export ended after {position} of {end} bytes")
        kept += part[max(0, offset - position) :]
        position += len(part)
    rest_follows = bool(response.read(1))
    return Ok(_Range(bytes(kept), complete=not rest_follows))


class _Range:
    """Bytes of an export, and whether the stream had ended with them (else its task is cut off by our leaving)."""

    def __init__(self, data: bytes, *, complete: bool) -> None:
        self.data = data
        self.complete = complete


def _http_trouble(response: http.client.HTTPResponse) -> Outcome:
    return Indeterminate(f"HTTP {response.status} {response.reason}")


def _under_a_task(
    session: Session, step: str, transfer: Callable[[socket.socket, Deadline, str], Outcome], deadline_s: float
) -> Outcome:
    """Run `transfer` on a connection of its own, then let the task decide wherever it knows more."""
    created = session.call("task.create", "xencbt raw disk transfer", "")
    if not isinstance(created, Ok):
        return created
    task = str(created.value)
    started = clock()
    outcome = _transferred(session, lambda sock, deadline: transfer(sock, deadline, task), deadline_s)
    if _is_partial(outcome):
        _wait_for_end(session, task, Deadline(session.deadline_s))
    else:
        outcome = _task_says(session, task, outcome)
    if isinstance(outcome, Ok) and isinstance(outcome.value, _Range):
        outcome = Ok(outcome.value.data)
    _record(session, step, outcome, started)
    session.call("task.destroy", task)
    return outcome


def _record(session: Session, step: str, outcome: Outcome, started: float) -> None:
    session.recorder.record(
        method=step.partition("(")[0],
        step=step,
        outcome=shorten(str(outcome)),
        started=started,
        duration_s=clock() - started,
        request="",
        response="",
    )


def _is_partial(outcome: Outcome) -> bool:
    return isinstance(outcome, Ok) and isinstance(outcome.value, _Range) and not outcome.value.complete


def _transferred(session: Session, transfer: Transfer, deadline_s: float) -> Outcome:
    channel = Channel(session.endpoint)
    deadline = Deadline(deadline_s)
    try:
        with channel.exchange("transfer", deadline) as sock:
            return transfer(sock, deadline)
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
    if status == "success" or isinstance(seen, Indeterminate):
        return seen
    return Indeterminate(f"the connection closed, and the task is still {status}")
