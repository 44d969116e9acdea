"""Whole images of disks over HTTP: exported and imported as streams, so that a sparse disk costs what is in it."""

import http.client
import socket
from collections.abc import Callable, Iterable
from typing import Literal

from xencbt.harness.endpoint import Endpoint
from xencbt.harness.outcome import Indeterminate, Ok, Outcome
from xencbt.harness.session import Session, clock, shorten
from xencbt.harness.transfers import (
    TRANSFER_DEADLINE_S,
    record,
    request_head,
    transferred,
    trouble,
    under_a_task,
)
from xencbt.harness.transport import CHUNK, Deadline, receive, send
from xencbt.harness.vhd import COOKIE, BadVhd, Piece, decode

Form = Literal["raw", "vhd"]


def export_pieces(
    session: Session,
    vdi: str,
    size: int,
    take: Callable[[Piece], None],
    *,
    deadline_s: float = TRANSFER_DEADLINE_S,
) -> Outcome:
    """Have `take` see what the VHD export of the disk with reference `vdi` holds, of `size` bytes, ascending: Ok("").

    Indeterminate where the stream is no VHD of such a disk.
    """
    step = f'GET /export_raw_vdi("{shorten(vdi)}", vhd)'

    def transfer(sock: socket.socket, at: Endpoint, deadline: Deadline, task: str) -> Outcome:
        query = {"vdi": vdi, "format": "vhd", "task_id": task}
        send(sock, [request_head(session, at, "GET", "/export_raw_vdi", query)], deadline)
        with receive(sock, "GET", deadline) as response:
            if response.status != http.client.OK:
                return trouble(response)
            try:
                for piece in decode(response.read, size):
                    take(piece)
            except BadVhd as error:
                return Indeterminate(f"no VHD stream: {error}")
        return Ok("")

    return under_a_task(session, step, transfer, deadline_s)


def export_whole(session: Session, vdi: str, *, form: Form, deadline_s: float = TRANSFER_DEADLINE_S) -> Outcome:
    """Have the disk with reference `vdi` exported and look at nothing that comes: Ok(int), the bytes."""
    step = f'GET /export_raw_vdi("{shorten(vdi)}", {form})'

    def transfer(sock: socket.socket, at: Endpoint, deadline: Deadline, task: str) -> Outcome:
        query = {"vdi": vdi, "format": form, "task_id": task}
        send(sock, [request_head(session, at, "GET", "/export_raw_vdi", query)], deadline)
        with receive(sock, "GET", deadline) as response:
            if response.status != http.client.OK:
                return trouble(response)
            came = 0
            while part := response.read(CHUNK):
                came += len(part)
        return Ok(came)

    return under_a_task(session, step, transfer, deadline_s)


def import_image(
    session: Session,
    vdi: str,
    body: Iterable[bytes],
    length: int,
    *,
    form: Form,
    deadline_s: float = TRANSFER_DEADLINE_S,
) -> Outcome:
    """Write an image of `length` bytes to the disk with reference `vdi`, which no VM may have attached: Ok("")."""
    session.fence("VDI.import", vdi)
    step = f'PUT /import_raw_vdi("{shorten(vdi)}", {form}, {length} bytes)'

    def transfer(sock: socket.socket, at: Endpoint, deadline: Deadline, task: str) -> Outcome:
        query = {"vdi": vdi, "format": form, "task_id": task}
        send(sock, [request_head(session, at, "PUT", "/import_raw_vdi", query, length)], deadline)
        with receive(sock, "PUT", deadline) as response:
            if response.status != http.client.OK:
                return trouble(response)
            send(sock, body, deadline)
            while response.read(CHUNK):
                pass
        return Ok("")

    return under_a_task(session, step, transfer, deadline_s)


def serves_vhd(session: Session, vdi: str) -> Outcome:
    """Ask for the disk with reference `vdi`, a small one, as VHD: Ok("") where that comes, else Ok(what came)."""

    def transfer(sock: socket.socket, at: Endpoint, deadline: Deadline) -> Outcome:
        query = {"vdi": vdi, "format": "vhd"}
        send(sock, [request_head(session, at, "GET", "/export_raw_vdi", query)], deadline)
        with receive(sock, "GET", deadline) as response:
            begins = response.read(len(COOKIE))
            while response.read(CHUNK):
                pass
        if response.status != http.client.OK:
            return Ok(f"HTTP {response.status} {response.reason}")
        return Ok("" if begins == COOKIE else f"a stream that begins with {begins!r}")

    started = clock()
    outcome = transferred(session, transfer, session.deadline_s)
    record(session, f'GET /export_raw_vdi("{shorten(vdi)}", vhd)', outcome, started)
    return outcome
