"""VHD over HTTP: exports that other programs read, imports of what others made, and what a bad upload leaves."""

from __future__ import annotations

import random
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from tests.emulator import qemu
from tests.emulator.served import Served, read_all, serve
from tests.emulator.test_rawdisk import BLOCK, Transfers
from tests.emulator.test_server import wait_until
from tests.emulator.test_vhd import BAD, decoded, made
from xencbt.fixtures.emulator import storage_operations as operations
from xencbt.fixtures.emulator.values import Ref
from xencbt.fixtures.emulator.vhd import BLOCK_BYTES, SECTOR, Footer, Header, Kind
from xencbt.fixtures.emulator.vhd_encoding import Identity, encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GIB = 2**30
SIZE = 5 * BLOCK_BYTES


class Images(Transfers):
    """A tracked disk of some blocks, or of more when it grows, and VHD transfers of it."""

    def __init__(self, served: Served) -> None:
        super().__init__(served)
        self.store.capacity = 2**42
        self.grow(SIZE)

    def grow(self, size: int) -> None:
        def resize() -> None:
            self.store.run("resize", operations.resize(self.store, self.uuid, size))
            self.served.host.db.update("VDI", self.vdi, virtual_size=size)

        self.served.on_loop(resize)

    def write(self, offset: int, data: bytes) -> None:
        self.served.on_loop(lambda: self.store.write(self.uuid, offset, data))

    def base(self) -> Ref:
        """Keep what the disk holds now as a snapshot; its reference."""
        host = self.served.host

        def snapshot() -> Ref:
            made = host.db.add(
                "VDI", SR=host.db.get("VDI", self.vdi)["SR"], virtual_size=self.store.disk(self.uuid).image.size
            )
            self.store.run("snapshot", operations.snapshot(self.store, self.uuid, host.db.get("VDI", made)["uuid"]))
            return made

        return Ref(self.served.on_loop(snapshot))

    def export_vhd(self, **query: str) -> bytes:
        return self.export(format="vhd", **query)

    def put_vhd(self, body: bytes) -> str:
        """Import; how the task ended."""
        task = self.task()
        assert self.put(body, format="vhd", task_id=task) == 200
        return self.status(task)

    def upload(self, stream: bytes, **query: str) -> None:
        """Import without a wish to know: the host may end the connection before all is sent."""
        with self.served.socket() as connection, suppress(OSError):  # cut
            connection.sendall(self.head(format="vhd", **query) + stream)
            connection.shutdown(socket.SHUT_WR)
            read_all(connection)
        wait_until(lambda: not self.served.host.running)

    def all(self) -> bytes:
        return self.content(0, self.store.disk(self.uuid).image.size)

    def slots(self) -> int:
        """How many blocks of the storage hold mixed content."""
        return len(self.store.disk(self.uuid).image.top.cells)


@pytest.fixture
def disk() -> Iterator[Images]:
    with serve() as served:
        yield Images(served)


def patterned(disk: Images) -> bytes:
    disk.write(BLOCK_BYTES + 7, b"here" * 1000)
    disk.write(4 * BLOCK_BYTES - 3, b"across")
    return disk.all()


def test_an_export_reads_back_by_the_format(disk: Images) -> None:
    content = patterned(disk)
    stream = disk.export_vhd()
    back = bytearray(SIZE)

    def write(offset: int, data: bytes) -> None:
        back[offset : offset + len(data)] = data

    layout = decoded(stream, SIZE, write, len(stream))
    assert bytes(back) == content
    assert [layout.has(block * BLOCK_BYTES) for block in range(5)] == [False, True, False, True, True]
    assert Footer.decode(stream[:SECTOR]).uuid == UUID(disk.uuid).bytes


@pytest.mark.heavy
def test_qemu_img_reads_an_export_and_finds_it_the_same(disk: Images, tmp_path: Path) -> None:
    content = patterned(disk)
    vhd, raw = tmp_path / "disk.vhd", tmp_path / "raw"
    vhd.write_bytes(disk.export_vhd())
    raw.write_bytes(disk.export())
    assert raw.read_bytes() == content
    qemu.qemu_img("compare", "-f", "vpc", "-F", "raw", vhd, raw)
    assert qemu.info(vhd)["virtual-size"] == SIZE
    raw.write_bytes(content[:-1] + b"!")
    qemu.qemu_img("compare", "-f", "vpc", "-F", "raw", vhd, raw, status=1)


@pytest.mark.heavy
def test_an_image_of_qemu_img_goes_in(disk: Images, tmp_path: Path) -> None:
    content = bytearray(SIZE)
    content[3 * BLOCK_BYTES - 2 : 3 * BLOCK_BYTES + 2] = b"edge"
    raw, vhd = tmp_path / "raw", tmp_path / "disk.vhd"
    raw.write_bytes(content)
    qemu.qemu_img("convert", "-f", "raw", "-O", "vpc", "-o", "subformat=dynamic,force_size=on", raw, vhd)
    assert disk.put_vhd(vhd.read_bytes()) == "success"
    assert disk.all() == content


@pytest.mark.heavy
@pytest.mark.parametrize("size", [1, 100, SECTOR + 1, BLOCK_BYTES + 1, 2**21 + 100])
def test_odd_sizes_round_up_to_sectors_with_zeros(size: int, tmp_path: Path) -> None:
    content = random.Random(size).randbytes(size)
    vhd = tmp_path / "disk.vhd"
    blocks = range(-(-size // BLOCK_BYTES))
    vhd.write_bytes(b"".join(encode(size, blocks, lambda at, n: content[at : at + n], Identity(bytes(16)))))
    assert qemu.content(vhd, tmp_path / "raw") == content.ljust(-(-size // SECTOR) * SECTOR, b"\0")


def test_an_odd_size_goes_out_and_comes_in_again(disk: Images) -> None:
    disk.grow(SIZE + 100)
    disk.write(SIZE, b"e" * 100)
    content, stream = disk.all(), disk.export_vhd()
    disk.write(0, b"other")
    disk.write(SIZE, b"o" * 100)
    assert disk.put_vhd(stream) == "success"
    assert disk.all() == content


@pytest.mark.heavy
def test_with_a_base_just_the_blocks_that_differ_come(disk: Images, tmp_path: Path) -> None:
    patterned(disk)
    base = disk.base()
    before = disk.all()
    disk.write(0, b"new")
    disk.write(4 * BLOCK_BYTES, bytes(BLOCK))
    stream = disk.export_vhd(base=base)
    back = bytearray(before)

    def write(offset: int, data: bytes) -> None:
        back[offset : offset + len(data)] = data

    layout = decoded(stream, SIZE, write, len(stream))
    assert bytes(back) == disk.all() != before
    assert layout.kind is Kind.DIFFERENCING
    assert [layout.has(block * BLOCK_BYTES) for block in range(5)] == [True, False, False, False, True]
    header = Header.decode(stream[SECTOR : SECTOR + 1024])
    assert header.parent == UUID(disk.served.host.db.get("VDI", base)["uuid"]).bytes
    assert header.parent_name.endswith(".vhd")
    vhd = tmp_path / "delta.vhd"
    vhd.write_bytes(stream)
    delta = qemu.content(vhd, tmp_path / "raw")
    assert delta[:BLOCK_BYTES] == disk.all()[:BLOCK_BYTES]
    assert not any(delta[BLOCK_BYTES : 4 * BLOCK_BYTES])


def test_a_base_of_another_size_or_the_disk_itself_is_no_trouble(disk: Images) -> None:
    patterned(disk)
    base = disk.base()
    disk.grow(7 * BLOCK_BYTES)
    disk.write(6 * BLOCK_BYTES, b"grown")
    stream = disk.export_vhd(base=base)
    layout = decoded(stream, 7 * BLOCK_BYTES, lambda _offset, _data: None, len(stream))
    assert [layout.has(block * BLOCK_BYTES) for block in range(7)] == [False] * 6 + [True]
    own = disk.export_vhd(base=disk.vdi)
    assert not any(decoded(own, 7 * BLOCK_BYTES, print).has(block * BLOCK_BYTES) for block in range(7))


@pytest.mark.parametrize(("base", "status"), [("nonesuch", b"404"), ("metadata", b"400")])
def test_a_base_that_has_no_content_is_refused(disk: Images, base: str, status: bytes) -> None:
    if base == "metadata":
        taken = disk.base()
        disk.served.on_loop(lambda: disk.served.host.db.update("VDI", taken, type="cbt_metadata"))
        base = taken
    answer = disk.served.raw(disk.head("GET", "/export_raw_vdi", format="vhd", base=base), end=False)
    assert answer.startswith(b"HTTP/1.1 %s " % status)
    assert disk.served.call("VDI.get_VBDs", disk.session, disk.vdi) == []


def test_an_import_makes_the_disk_read_as_the_image_and_is_tracked(disk: Images) -> None:
    disk.write(0, b"before")
    disk.write(4 * BLOCK_BYTES, b"before")
    marked = set(disk.changed())
    stream = made(size=SIZE, table=(2**32 - 1, 4, *(2**32 - 1,) * 3))
    assert disk.put_vhd(stream) == "success"
    assert disk.all() == bytes(BLOCK_BYTES) + b"d" * BLOCK_BYTES + bytes(3 * BLOCK_BYTES)
    assert set(disk.changed()) == marked | set(range(32, 64))


def test_a_differencing_image_leaves_the_rest_as_it_is(disk: Images) -> None:
    disk.write(0, b"stays")
    header = Header(5, SECTOR + 1024, parent=bytes(range(16)))
    bitmap = (b"\xc0" + bytes(511))[:SECTOR]
    table = (4, *(2**32 - 1,) * 4)
    footer = Footer(Kind.DIFFERENCING, SIZE, bytes(16))
    disk.write(SECTOR * 2, b"stays too")
    assert disk.put_vhd(made(footer=footer, header=header, table=table, bitmap=bitmap)) == "success"
    assert disk.content(0, SECTOR * 2) == b"d" * SECTOR * 2
    assert disk.content(SECTOR * 2, 9) == b"stays too"


@pytest.mark.parametrize("stream", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("length", [True, False])
def test_a_bad_image_fails_the_task_and_changes_nothing(disk: Images, stream: bytes, length: bool) -> None:
    disk.grow(2**41)
    task, before, slots = disk.task(), disk.changed(), disk.slots()
    disk.upload(stream, headers=f"Content-Length: {len(stream)}\r\n" if length else "", task_id=task)
    assert disk.status(task) == "failure"
    assert disk.served.call("task.get_error_info", disk.session, task)[0] == "VDI_IO_ERROR"
    assert disk.served.call("VDI.get_VBDs", disk.session, disk.vdi) == []
    if length or stream is not BAD["a block outside"]:
        assert (disk.changed(), disk.slots()) == (before, slots)


def test_an_image_of_a_larger_disk_is_refused_and_changes_nothing(disk: Images) -> None:
    task = disk.task()
    disk.put(made(size=SIZE + SECTOR, table=(4, *(2**32 - 1,) * 5)), format="vhd", task_id=task)
    assert disk.served.call("task.get_error_info", disk.session, task) == [
        "VDI_TOO_SMALL",
        disk.vdi,
        str(SIZE + SECTOR),
    ]
    assert disk.changed() == []
    assert disk.served.call("VDI.get_virtual_size", disk.session, disk.vdi) == str(SIZE)


def test_what_follows_the_image_is_an_error(disk: Images) -> None:
    assert disk.put_vhd(made(size=SIZE, table=(4, *(2**32 - 1,) * 4)) + b"more") == "failure"


def test_a_truncated_image_fails_the_task(disk: Images) -> None:
    stream = made(size=SIZE, table=(4, *(2**32 - 1,) * 4))
    task = disk.task()
    headers = f"Content-Length: {len(stream)}\r\n"
    disk.upload(stream[:-SECTOR], headers=headers, task_id=task)
    assert disk.status(task) == "failure"
    assert disk.put_vhd(stream) == "success"


def test_an_empty_body_leaves_the_disk_as_it_is(disk: Images) -> None:
    disk.write(0, b"kept")
    before = disk.changed()
    assert disk.put_vhd(b"") == "success"
    disk.served.raw(disk.head(version="1.0", format="vhd"), end=True)
    assert (disk.content(0, 4), disk.changed()) == (b"kept", before)


def test_an_old_client_without_host_or_length_is_served(disk: Images) -> None:
    query = f"session_id={disk.session}&vdi={disk.uuid}&format=vhd"
    stream = made(size=SIZE, table=(4, *(2**32 - 1,) * 4))
    answer = disk.served.raw(f"PUT /import_raw_vdi?{query} HTTP/1.0\r\n\r\n".encode() + stream, end=True)
    assert answer.split(b"\r\n")[0].endswith(b" 200 OK")
    answer = disk.served.raw(f"GET /export_raw_vdi?{query} HTTP/1.0\r\n\r\n".encode(), end=False)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Connection: close" in head
    back = bytearray(SIZE)

    def write(offset: int, data: bytes) -> None:
        back[offset : offset + len(data)] = data

    decoded(body, SIZE, write, len(body))
    assert bytes(back) == disk.all() == b"d" * BLOCK_BYTES + bytes(4 * BLOCK_BYTES)


def test_a_cancelled_task_ends_its_transfer(disk: Images) -> None:
    disk.grow(64 * GIB)
    task = disk.task()
    with disk.served.socket() as connection:
        connection.sendall(disk.head("GET", "/export_raw_vdi", task_id=task))
        assert b" 200 OK" in connection.recv(1000)
        disk.served.call("task.cancel", disk.session, task)
        assert len(read_all(connection)) < 2**30
    wait_until(lambda: not disk.served.host.running)
    assert disk.status(task) == "cancelled"
    assert disk.served.call("task.get_error_info", disk.session, task) == ["TASK_CANCELLED", task]
    assert disk.served.call("VDI.get_VBDs", disk.session, disk.vdi) == []


def test_a_task_shows_how_far_a_transfer_is(disk: Images) -> None:
    task = Ref(disk.task())
    stream = made(size=SIZE, table=(4, *(2**32 - 1,) * 4))
    with disk.served.socket() as connection:
        head = disk.head(headers=f"Content-Length: {len(stream)}\r\n", format="vhd", task_id=task)
        connection.sendall(head + stream[: len(stream) * 3 // 4])
        wait_until(lambda: 0.4 < disk.served.host.db.get("task", task)["progress"] < 1)
        assert disk.status(task) == "pending"
        connection.sendall(stream[len(stream) * 3 // 4 :])
        while connection.recv(1000):
            pass
    assert disk.status(task) == "success"
    assert disk.served.call("task.get_progress", disk.session, task) == 1.0


def test_a_failure_after_the_head_adds_nothing_to_the_stream(disk: Images) -> None:
    disk.grow(64 * GIB)
    with disk.served.socket() as connection:
        connection.sendall(disk.head("GET", "/export_raw_vdi"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        disk.served.on_loop(lambda: disk.store.disks.pop(disk.uuid))
        assert set(read_all(connection)) <= {0}


def test_a_sparse_disk_of_2040_gib_goes_out_and_comes_in(disk: Images) -> None:
    size = 2040 * GIB
    disk.grow(size)
    offsets = [4 * GIB - BLOCK, 4 * GIB, size - 5]
    for offset in offsets:
        disk.write(offset, b"place")
    stream = disk.export_vhd()
    assert len(stream) < 16 * 2**20
    for offset in offsets:
        disk.write(offset, b"other")
    disk.write(100 * GIB, b"other")
    assert disk.put_vhd(stream) == "success"
    assert [disk.content(offset, 5) for offset in (*offsets, 100 * GIB)] == [b"place"] * 3 + [bytes(5)]


def test_a_client_that_does_not_read_holds_up_nobody(disk: Images) -> None:
    disk.served.on_loop(lambda: disk.store.fill(disk.uuid, 0, SIZE, 7))
    with disk.served.socket() as connection:
        connection.sendall(disk.head("GET", "/export_raw_vdi", format="vhd"))
        wait_until(lambda: bool(disk.served.host.running))
        assert disk.served.call("VDI.get_name_label", disk.session, disk.vdi) == "disk"
        assert read_all(connection).count(b"\7") >= SIZE


def test_a_flood_of_entries_is_bounded(disk: Images) -> None:
    footer = Footer(Kind.DYNAMIC, SIZE, bytes(16)).encode()
    header = Header(2**20, SECTOR + 1024).encode()
    assert disk.put_vhd(footer + header + struct.pack(">I", 2**32 - 2) * 2**20) == "failure"
    assert disk.changed() == []
