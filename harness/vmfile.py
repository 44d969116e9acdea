"""Whole VMs over HTTP, as archives that are opaque to us: out by `/export`, in by `/import`, each under a task."""

import re
import socket
from collections.abc import Iterator

from xencbt.harness.endpoint import Endpoint
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.rawdisk import handler_answers
from xencbt.harness.session import Session, shorten
from xencbt.harness.transfers import TASK_RESULT, TRANSFER_DEADLINE_S, request_head, trouble, under_a_task
from xencbt.harness.transport import CHUNK, Deadline, receive, send

NOT_FOUND = 404
_REFERENCE = re.compile(r"<value>(?:<string>)?([^<>\s]+)")


def lacks_vm_files(session: Session) -> str | None:
    """Say why no VM can go out or come in here; None where the host serves `/export`."""
    shown = handler_answers(session, "/export")
    if isinstance(shown, Ok) and shown.value != NOT_FOUND:
        return None
    return f"/export is not served ({f'HTTP {NOT_FOUND}' if isinstance(shown, Ok) else shown})"


def export_vm(session: Session, vm: str, *, deadline_s: float = TRANSFER_DEADLINE_S) -> Outcome:
    """Read the archive of the halted VM with reference `vm`: Ok(bytes). It is held in memory."""

    def transfer(sock: socket.socket, at: Endpoint, deadline: Deadline, task: str) -> Outcome:
        head = request_head(session, at, "GET", "/export", {"ref": vm, "task_id": task, "use_compression": "false"})
        send(sock, [head], deadline)
        with receive(sock, "GET", deadline) as response:
            return Ok(response.read()) if response.status == 200 else trouble(response)

    return under_a_task(session, f'GET /export("{shorten(vm)}")', transfer, deadline_s)


def import_vm(session: Session, archive: bytes, sr: str, *, deadline_s: float = TRANSFER_DEADLINE_S) -> Outcome:
    """Have the host make the VM in `archive`, its disks on the SR with uuid `sr`: Ok(the VM's reference)."""

    def transfer(sock: socket.socket, at: Endpoint, deadline: Deadline, task: str) -> Outcome:
        head = request_head(session, at, "PUT", "/import", {"sr_id": sr, "task_id": task}, len(archive))
        send(sock, [head], deadline)
        with receive(sock, "PUT", deadline) as response:
            if response.status != 200:
                return trouble(response)
            send(sock, _pieces(archive), deadline)
            while response.read(CHUNK):
                pass
        return TASK_RESULT

    outcome = under_a_task(session, f"PUT /import({len(archive)} bytes)", transfer, deadline_s)
    if isinstance(outcome, Failed | Indeterminate):
        return outcome
    found = _REFERENCE.findall(str(outcome.value))
    return Ok(found[0]) if len(found) == 1 else Indeterminate(f"the task names {len(found)} VMs: {outcome.value!r}")


def _pieces(archive: bytes) -> Iterator[bytes]:
    for at in range(0, len(archive), CHUNK):
        yield archive[at : at + CHUNK]
