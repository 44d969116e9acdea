"""Raw disk content over HTTP: chosen ranges written through the host's chunked import, and exports read as streams.

Whole images, raw or VHD, are the business of `images`.
"""

import http.client
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence

from xencbt.harness.endpoint import Endpoint
from xencbt.harness.outcome import Indeterminate, Ok, Outcome
from xencbt.harness.session import Session, clock, shorten
from xencbt.harness.transfers import (
    TRANSFER_DEADLINE_S,
    Partial,
    record,
    request_head,
    transferred,
    trouble,
    under_a_task,
)
from xencbt.harness.transport import CHUNK, Deadline, receive, send
from xencbt.harness.witness.traces import Did

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
    session.fence("VDI.import", vdi)
    size = sum(len(data) for _, data in writes)
    step = f'PUT /import_raw_vdi("{shorten(vdi)}", {len(writes)} ranges, {size} bytes)'

    def transfer(sock: socket.socket, at: Endpoint, deadline: Deadline, task: str) -> Outcome:
        query = {"vdi": vdi, "chunked": "true", "task_id": task}
        send(sock, [request_head(session, at, "PUT", "/import_raw_vdi", query)], deadline)
        with receive(sock, "PUT", deadline) as response:
            if response.status != 200:
                return trouble(response)
            send(sock, frames(writes), deadline)
            while response.read(CHUNK):
                pass
        return Ok("")

    outcome = under_a_task(session, step, transfer, deadline_s)
    session.recorder.note(Did("write", {"vdi": vdi, "writes": tuple(writes)}, outcome))
    return outcome


def export_range(
    session: Session, vdi: str, offset: int, length: int, *, deadline_s: float = TRANSFER_DEADLINE_S
) -> Outcome:
    """Read `length` bytes at `offset` of the disk with reference `vdi`: Ok(bytes).

    The export is a stream from the start of the disk; what comes before `offset` is read and dropped, what comes
    after the range is not read.
    """
    step = f'GET /export_raw_vdi("{shorten(vdi)}", {length} bytes at {offset})'

    def transfer(sock: socket.socket, at: Endpoint, deadline: Deadline, task: str) -> Outcome:
        query = {"vdi": vdi, "format": "raw", "task_id": task}
        send(sock, [request_head(session, at, "GET", "/export_raw_vdi", query)], deadline)
        with receive(sock, "GET", deadline) as response:
            return _range_of(response, offset, length) if response.status == 200 else trouble(response)

    outcome = under_a_task(session, step, transfer, deadline_s)
    session.recorder.note(Did("read", {"vdi": vdi, "offset": offset, "length": length}, outcome))
    return outcome


def handler_answers(session: Session, path: str) -> Outcome:
    """Ask the handler at `path` without naming disk or session, so that it can do nothing: Ok(HTTP status)."""

    def transfer(sock: socket.socket, at: Endpoint, deadline: Deadline) -> Outcome:
        send(sock, [f"GET {path} HTTP/1.0\r\nHost: {at.netloc}\r\n\r\n".encode()], deadline)
        with receive(sock, "GET", deadline) as response:
            return Ok(response.status)

    started = clock()
    outcome = transferred(session, transfer, session.deadline_s)
    record(session, f"GET {path}", outcome, started)
    return outcome


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
    return Ok(Partial(bytes(kept)) if rest_follows else bytes(kept))
