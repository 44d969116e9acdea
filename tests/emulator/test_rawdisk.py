"""Raw import and export over HTTP: what is written, what is tracked, what is refused, what a broken upload leaves."""

from __future__ import annotations

import base64
import http.client
import struct
from typing import TYPE_CHECKING

import pytest

from tests.emulator.served import DEADLINE_S, PASSWORD, Served, serve
from tests.emulator.test_server import wait_until
from xencbt.fixtures.emulator import storage_operations as operations
from xencbt.fixtures.emulator.drivers import UNROUNDED
from xencbt.fixtures.emulator.image import Spool
from xencbt.fixtures.emulator.operations import turns
from xencbt.fixtures.emulator.storage import StorageRepository

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 2**21 + 100
BLOCK = 64 * 1024
END = struct.pack("<QI", 0, 0)


def frame(offset: int, data: bytes) -> bytes:
    return struct.pack("<QI", offset, len(data)) + data


class Transfers:
    """A tracked disk of a served host, and a client for transfers of it."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.vdi = served.on_loop(self._furnish)
        self.uuid = served.host.db.get("VDI", self.vdi)["uuid"]
        self.session = served.login()

    def _furnish(self) -> str:
        host = self.served.host
        vdi = next(host.db.all("VDI"))
        sr = host.db.get("VDI", vdi)["SR"]
        self.store = StorageRepository(UNROUNDED, Spool(), 2**40)
        host.storage[sr] = self.store
        uuid = host.db.get("VDI", vdi)["uuid"]
        self.store.run("create", operations.create(self.store, uuid, SIZE))
        self.store.run("enable_cbt", operations.enable_cbt(self.store, uuid))
        host.db.update("VDI", vdi, virtual_size=SIZE, cbt_enabled=True)
        self.pbd = host.db.add("PBD", SR=sr, host=host.ref, currently_attached=True)
        domain = host.db.add("VM", is_control_domain=True, power_state="Running")
        host.db.update("host", host.ref, control_domain=domain)
        return vdi

    def head(
        self, method: str = "PUT", path: str = "/import_raw_vdi", version: str = "1.1", headers: str = "", **query: str
    ) -> bytes:
        query = {"session_id": self.session, "vdi": self.vdi} | query
        target = path + "?" + "&".join(f"{name}={value}" for name, value in query.items() if value)
        return f"{method} {target} HTTP/{version}\r\nHost: h\r\n{headers}\r\n".encode()

    def put(self, body: bytes, *, end: bool = False, length: bool = True, **query: str) -> int:
        """Import; the status of the answer."""
        headers = f"Content-Length: {len(body)}\r\n" if length else ""
        answer = self.served.raw(self.head(headers=headers, **query) + body, end=end)
        return int(answer.split(b" ", 2)[1])

    def export(self, **query: str) -> bytes:
        head, _, body = self.served.raw(self.head("GET", "/export_raw_vdi", **query), end=False).partition(b"\r\n\r\n")
        assert b" 200 OK" in head
        return body

    def content(self, offset: int, length: int) -> bytes:
        return bytes(self.served.on_loop(lambda: self.store.read(self.uuid, offset, length)))

    def changed(self) -> list[int]:
        """Numbers of the blocks tracked as changed."""
        return sorted(self.store.tracking.logs[self.uuid].bits)

    def task(self) -> str:
        return str(self.served.call("task.create", self.session, "transfer", ""))

    def status(self, task: str) -> str:
        return str(self.served.call("task.get_status", self.session, task))


@pytest.fixture
def disk() -> Iterator[Transfers]:
    with serve() as served:
        yield Transfers(served)


def test_a_whole_disk_goes_in_and_out(disk: Transfers) -> None:
    data = bytes(range(256)) * (SIZE // 256) + b"e" * (SIZE % 256)
    assert disk.put(data) == 200
    assert disk.export() == data
    assert disk.export(vdi=disk.uuid) == data


def test_frames_write_just_their_ranges_and_are_tracked(disk: Transfers) -> None:
    frames = frame(3 * BLOCK, b"a" * 10) + frame(SIZE - 5, b"b" * 5) + frame(7 * BLOCK - 1, b"cc") + END
    assert disk.put(frames, chunked="true") == 200
    assert disk.content(3 * BLOCK, 11) == b"a" * 10 + b"\0"
    assert disk.content(SIZE - 6, 6) == b"\0" + b"b" * 5
    assert disk.changed() == [3, 6, 7, 32]


def test_an_import_is_answered_before_its_body_is_read(disk: Transfers) -> None:
    task = disk.task()
    with disk.served.socket() as connection:
        connection.sendall(disk.head(chunked="true", task_id=task))
        head = connection.recv(1000)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Connection: close\r\n" in head
        assert disk.status(task) == "pending"
        (vbd,) = disk.served.call("VDI.get_VBDs", disk.session, disk.vdi)
        assert disk.served.call("VBD.get_currently_attached", disk.session, vbd) is True
        assert disk.served.call("VBD.get_mode", disk.session, vbd) == "RW"
        connection.sendall(frame(0, b"x"))
        connection.sendall(END)
        assert connection.recv(10) == b""
        assert disk.status(task) == "success"
    assert disk.served.call("VDI.get_VBDs", disk.session, disk.vdi) == []
    assert disk.content(0, 2) == b"x\0"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_without_a_length_the_body_ends_with_the_connection(disk: Transfers, version: str) -> None:
    answer = disk.served.raw(disk.head(version=version) + b"short", end=True)
    assert b" 200 OK" in answer
    assert disk.content(0, 6) == b"short\0"


def test_without_a_length_no_more_is_read_than_fits(disk: Transfers) -> None:
    disk.served.raw(disk.head(version="1.0") + b"y" * (SIZE + 1000), end=False)
    assert disk.content(SIZE - 1, 1) == b"y"


@pytest.mark.parametrize("chunked", ["", "true"])
def test_an_empty_body_leaves_the_disk_as_it_is(disk: Transfers, chunked: str) -> None:
    disk.put(frame(0, b"kept") + END, chunked="true")
    before, task = disk.changed(), disk.task()
    assert disk.put(b"", chunked=chunked, task_id=task) == 200
    assert disk.put(b"", chunked=chunked, length=False, end=True) == 200
    assert (disk.content(0, 4), disk.changed(), disk.status(task)) == (b"kept", before, "success")


@pytest.mark.parametrize(
    "frames",
    [
        frame(0, b"abc"),
        frame(0, b"abc")[:-1],
        frame(0, b"abc") + b"\0" * 5,
        struct.pack("<QI", SIZE, 1) + b"x" + END,
        struct.pack("<QI", 2**64 - 1, 2**32 - 1) + b"x" + END,
        struct.pack("<QI", 0, 2**32 - 1),
    ],
)
def test_broken_frames_fail_the_task_and_end_the_connection(disk: Transfers, frames: bytes) -> None:
    task = disk.task()
    disk.served.raw(disk.head(chunked="true", task_id=task) + frames, end=True)
    assert disk.status(task) == "failure"
    assert disk.served.call("task.get_error_info", disk.session, task)[0] == "VDI_IO_ERROR"
    assert disk.served.call("VDI.get_VBDs", disk.session, disk.vdi) == []


def test_a_truncated_upload_fails_the_task_and_keeps_what_came(disk: Transfers) -> None:
    task = disk.task()
    disk.served.raw(disk.head(headers="Content-Length: 1000\r\n", task_id=task) + b"z" * 10, end=True)
    assert disk.status(task) == "failure"
    assert disk.content(0, 11) == b"z" * 10 + b"\0"
    assert disk.changed() == [0]


def test_more_than_the_disk_holds_is_refused(disk: Transfers) -> None:
    task = disk.task()
    answer = disk.served.raw(disk.head(headers=f"Content-Length: {SIZE + 1}\r\n", task_id=task), end=False)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert disk.served.call("task.get_error_info", disk.session, task)[0] == "VDI_TOO_SMALL"


def test_credentials_are_taken_from_query_cookie_or_header(disk: Transfers) -> None:
    basic = base64.b64encode(f"vm-admin:{PASSWORD}".encode()).decode()
    for headers in (f"Cookie: session_id={disk.session}\r\n", f"Authorization: Basic {basic}\r\n"):
        assert b" 200 OK" in disk.served.raw(
            disk.head("GET", "/export_raw_vdi", headers=headers, session_id=""), end=False
        )


def test_those_without_rights_are_turned_away(disk: Transfers) -> None:
    wrong = base64.b64encode(b"root:wrong").decode()
    assert disk.put(b"", session_id="") == 401
    assert disk.put(b"", session_id="OpaqueRef:x") == 403
    assert disk.put(b"", session_id=disk.served.login("vm-operator")) == 403
    answer = disk.served.raw(disk.head(session_id="", headers=f"Authorization: Basic {wrong}\r\n"), end=False)
    assert answer.startswith(b"HTTP/1.1 403 ")


def test_unknown_disks_formats_and_methods_are_refused(disk: Transfers) -> None:
    assert disk.put(b"", vdi="nonesuch") == 404
    assert disk.put(b"", format="qcow2") == 400
    assert disk.put(b"", format="vhd", chunked="true") == 400
    for wrong in ({"format": "qcow2"}, {"base": disk.vdi}):
        answer = disk.served.raw(disk.head("GET", "/export_raw_vdi", **wrong), end=False)
        assert answer.startswith(b"HTTP/1.1 400 ")
    assert disk.served.raw(disk.head("POST"), end=False).startswith(b"HTTP/1.1 405 ")


def test_a_disk_in_use_is_refused_and_the_task_says_why(disk: Transfers) -> None:
    with disk.served.socket() as connection:
        connection.sendall(disk.head(chunked="true"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        task = disk.task()
        assert disk.put(b"", task_id=task) == 409
        assert disk.served.call("task.get_error_info", disk.session, task)[0] == "VDI_IN_USE"
    wait_until(lambda: not disk.served.host.running)
    assert disk.put(b"") == 200


def test_disks_without_data_or_storage_are_refused(disk: Transfers) -> None:
    host = disk.served.host
    disk.served.on_loop(lambda: host.db.update("PBD", disk.pbd, currently_attached=False))
    assert disk.put(b"") == 400
    disk.served.on_loop(lambda: host.db.update("PBD", disk.pbd, currently_attached=True))
    disk.served.on_loop(lambda: host.db.update("VDI", disk.vdi, type="cbt_metadata"))
    assert disk.put(b"") == 400
    assert host.db.get("VDI", disk.vdi)["VBDs"] == []


def test_a_restart_ends_an_import_in_order_and_a_crash_does_not(disk: Transfers) -> None:
    host, log = disk.served.host, disk.store.tracking.logs
    for unclean in (False, True):
        with disk.served.socket() as connection:
            connection.sendall(disk.head(chunked="true") + frame(0, b"x"))
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
            disk.served.on_loop(lambda: host.go_down(unclean=unclean))  # noqa: B023 - runs at once
            wait_until(lambda: not host.running)
            assert log[disk.uuid].consistent is not unclean
            assert host.db.get("VDI", disk.vdi)["VBDs"] == []
            disk.served.on_loop(host.come_up)
            disk.session = disk.served.login()


def test_a_transfer_blocks_nobody_and_a_large_export_streams(disk: Transfers) -> None:
    def grow() -> None:
        disk.store.run("resize", operations.resize(disk.store, disk.uuid, 2**31))
        disk.served.host.db.update("VDI", disk.vdi, virtual_size=2**31)

    disk.served.on_loop(grow)
    connection = http.client.HTTPConnection("127.0.0.1", disk.served.port, timeout=DEADLINE_S)
    connection.request("GET", f"/export_raw_vdi?session_id={disk.session}&vdi={disk.vdi}")
    response = connection.getresponse()
    assert response.length == 2**31
    assert response.read(BLOCK) == bytes(BLOCK)
    assert disk.served.call("VDI.get_name_label", disk.session, disk.vdi) == "disk"
    connection.close()
    response.close()
    wait_until(lambda: not disk.served.host.running)
    assert disk.served.call("VDI.get_VBDs", disk.session, disk.vdi) == []


def test_a_frame_may_be_as_long_as_its_length_field_says(disk: Transfers) -> None:
    size = 65 * 1024**2
    disk.served.on_loop(lambda: disk.store.run("resize", operations.resize(disk.store, disk.uuid, size)))
    task = disk.task()
    assert disk.put(frame(0, bytes(size)) + END, chunked="true", task_id=task) == 200
    assert disk.status(task) == "success"


def test_a_transfer_waits_for_an_operation_that_needs_the_disk_for_itself(disk: Transfers) -> None:
    host = disk.served.host

    def operations_become(current: dict[str, str]) -> None:
        host.db.update("VDI", disk.vdi, current_operations=current)
        turns(host).over()

    disk.served.on_loop(lambda: operations_become({"OpaqueRef:task": "resize"}))
    with disk.served.socket() as connection:
        connection.sendall(disk.head(headers="Content-Length: 0\r\n"))
        wait_until(lambda: bool(host.running))
        disk.served.on_loop(lambda: operations_become({}))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
