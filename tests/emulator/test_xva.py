"""Whole VMs over HTTP: what comes in is what went out, but not its tracking; and rubbish leaves nothing behind."""

from __future__ import annotations

import hashlib
import io
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.served import Served, serve
from tests.emulator.test_server import wait_until
from xencbt.fixtures.emulator import storage_operations as operations
from xencbt.fixtures.emulator.inventory import furnish
from xencbt.fixtures.emulator.xmlwriter import encode
from xencbt.fixtures.emulator.xva import PIECE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xencbt.fixtures.emulator.host import EmulatedHost
    from xencbt.fixtures.emulator.storage import StorageRepository
    from xencbt.fixtures.emulator.values import Ref


def furnishing(host: EmulatedHost) -> None:
    host.lab = furnish(host)


class Travels:
    """A VM of a furnished host with two disks, the last piece of one not a whole one, and a drive."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.session = served.login()
        self.db = served.host.db
        self.vm = self.call("VM.create", {"name_label": "traveller"})
        self.even = self.disk("lvm", 2 * PIECE)
        self.odd = self.disk("unrounded", 4 * PIECE + 5)
        for place, vdi in (("0", self.even), ("1", self.odd), ("3", "OpaqueRef:NULL")):
            drive = {"type": "CD", "mode": "RO", "empty": True} if place == "3" else {"mode": "RW", "type": "Disk"}
            self.call("VBD.create", {"VM": self.vm, "VDI": vdi, "userdevice": place, **drive})
        self.call("VDI.enable_cbt", self.odd)
        self.call("VDI.snapshot", self.odd, {})
        for offset, byte in ((0, 1), (2 * PIECE + 7, 2), (4 * PIECE + 4, 3)):
            self.write(self.odd, offset, byte)

    def disk(self, kind: str, size: int) -> Ref:
        sr = self.db.by_uuid("SR", self.served.host.lab.srs[kind])
        made: Ref = self.call("VDI.create", {"SR": sr, "virtual_size": str(size), "type": "user"})
        return made

    def call(self, method: str, *params: Any) -> Any:
        return self.served.call(method, self.session, *params)

    def write(self, vdi: Ref, offset: int, byte: int) -> None:
        store, uuid = self.place(vdi)
        self.served.on_loop(lambda: store.fill(uuid, offset, 1, byte))

    def place(self, vdi: Ref) -> tuple[StorageRepository, str]:
        record = self.db.get("VDI", vdi)
        return self.served.host.storage[record["SR"]], record["uuid"]

    def content(self, vdi: Ref) -> bytes:
        store, uuid = self.place(vdi)
        size = self.db.get("VDI", vdi)["virtual_size"]
        read: bytes = self.served.on_loop(lambda: store.read(uuid, 0, size))
        return read

    def export(self, **query: str) -> tuple[int, bytes]:
        answer = self.served.raw(self._head("GET", "/export", {"ref": self.vm} | query), end=False)
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), body

    def archive(self) -> bytes:
        status, body = self.export()
        assert status == 200
        return body

    def import_(self, body: bytes, kind: str = "file", *, length: int | None = None) -> tuple[str, str, list[str]]:
        """Import; status, result and error of the task."""
        task = str(self.call("task.create", "import", ""))
        query = {"task_id": task, "sr_id": self.served.host.lab.srs[kind]}
        headers = f"Content-Length: {len(body) if length is None else length}\r\n"
        with suppress(ConnectionResetError, BrokenPipeError):  # a host that has seen enough does not read the rest
            self.served.raw(self._head("PUT", "/import", query, headers) + body, end=True)
        wait_until(lambda: self.call("task.get_status", task) != "pending")
        record = self.call("task.get_record", task)
        return record["status"], record["result"], record["error_info"]

    def _head(self, method: str, path: str, query: dict[str, str], headers: str = "") -> bytes:
        words = "&".join(f"{name}={value}" for name, value in ({"session_id": self.session} | query).items())
        return f"{method} {path}?{words} HTTP/1.1\r\nHost: h\r\n{headers}\r\n".encode()

    def count(self) -> tuple[int, int, int]:
        return self.db.count("VM"), self.db.count("VDI"), self.db.count("VBD")


@pytest.fixture
def travels() -> Iterator[Travels]:
    with serve(furnishing=furnishing) as served:
        yield Travels(served)


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        found = {}
        for member in tar.getmembers():
            opened = tar.extractfile(member)
            assert opened is not None
            found[member.name] = opened.read()
        return found


def archived(found: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in found.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return made.getvalue()


def test_a_vm_comes_in_as_it_went_out_without_its_tracking(travels: Travels) -> None:
    status, result, _ = travels.import_(travels.archive())
    assert status == "success"
    made = travels.db.all("VM")
    vm = list(made)[-1]
    assert result == encode([vm])
    old, new = dict(travels.db.get("VM", travels.vm)), dict(travels.db.get("VM", vm))
    assert new["uuid"] != old["uuid"]
    assert new["name_label"] == old["name_label"]
    first, odd, drive = (travels.db.get("VBD", vbd) for vbd in new["VBDs"])
    assert (first["userdevice"], odd["userdevice"], drive["empty"]) == ("0", "1", True)
    for vbd, origin in ((first, travels.even), (odd, travels.odd)):
        record = travels.db.get("VDI", vbd["VDI"])
        assert record["SR"] == travels.db.by_uuid("SR", travels.served.host.lab.srs["file"])
        assert (record["cbt_enabled"], record["is_a_snapshot"]) == (False, False)
        assert travels.content(vbd["VDI"])[: len(travels.content(origin))] == travels.content(origin)
        assert not any(travels.content(vbd["VDI"])[len(travels.content(origin)) :])
    assert travels.db.get("VDI", travels.odd)["cbt_enabled"]


def test_the_archive_holds_the_records_and_every_piece_that_is_not_zeros(travels: Travels) -> None:
    found = members(travels.archive())
    assert next(iter(found)) == "ova.xml"
    pieces = {name: data for name, data in found.items() if name.startswith("Ref:") and not name.endswith(".checksum")}
    odd = {name.partition("/")[2]: data for name, data in pieces.items() if any(data)}
    assert {name: len(data) for name, data in odd.items()} == {"00000000": PIECE, "00000002": PIECE, "00000004": 5}
    for name, data in pieces.items():
        assert found[name + ".checksum"] == hashlib.sha1(data, usedforsecurity=False).hexdigest().encode()


def test_a_running_vm_is_not_exported(travels: Travels) -> None:
    travels.call("VM.start", travels.vm, False, False)
    assert travels.export()[0] == 400
    travels.call("VM.suspend", travels.vm)
    assert travels.export()[0] == 200
    travels.call("VM.hard_shutdown", travels.vm)
    assert travels.db.get("VDI", travels.odd)["VBDs"] == travels.db.get("VM", travels.vm)["VBDs"][1:2]


def test_a_vm_that_is_not_there_and_a_client_that_may_not(travels: Travels) -> None:
    assert travels.export(ref="OpaqueRef:nobody")[0] == 404
    assert travels.export(session_id="OpaqueRef:nobody")[0] == 403
    assert travels.export(session_id=travels.served.login("vm-operator"))[0] == 403


def _flipped(found: dict[str, bytes]) -> dict[str, bytes]:
    name = next(name for name in found if name.endswith("/00000002"))
    return found | {name: b"\xff" + found[name][1:]}


def _too_far(found: dict[str, bytes]) -> dict[str, bytes]:
    name = next(name for name in found if name.endswith("/00000004"))
    return found | {name.replace("00000004", "00000044"): b"x"}


def _without_records(found: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in found.items() if name != "ova.xml"}


def _other_place(found: dict[str, bytes]) -> dict[str, bytes]:
    return found | {"Ref:99/00000000": b"x"}


def _data_of_a_vm(found: dict[str, bytes]) -> dict[str, bytes]:
    return found | {"Ref:0/00000000": b"x"}


@pytest.mark.parametrize("damage", [_flipped, _too_far, _without_records, _other_place, _data_of_a_vm])
def test_a_damaged_archive_makes_nothing(
    travels: Travels, damage: Callable[[dict[str, bytes]], dict[str, bytes]]
) -> None:
    archive = members(travels.archive())
    before = travels.count()
    status, _, error = travels.import_(archived(damage(archive)))
    assert (status, error[0]) == ("failure", "IMPORT_ERROR_GENERIC")
    assert travels.count() == before
    assert travels.import_(archived(archive))[0] == "success"


def test_an_upload_that_ends_early_makes_nothing(travels: Travels) -> None:
    archive = travels.archive()
    before = travels.count()
    assert travels.import_(archive[: len(archive) // 2], length=len(archive))[2][0] == "VDI_IO_ERROR"
    assert travels.import_(b"x" * 4096)[0] == "failure"
    assert travels.count() == before


def test_an_sr_without_room_takes_nothing(travels: Travels) -> None:
    archive = travels.archive()
    store = travels.served.host.storage[travels.db.by_uuid("SR", travels.served.host.lab.srs["file"])]
    travels.served.on_loop(lambda: store.limit_free(PIECE))
    before = travels.count()
    assert travels.import_(archive)[2][0] == "SR_BACKEND_FAILURE_44"
    assert travels.count() == before


def test_a_disk_that_lost_its_data_is_not_exported(travels: Travels) -> None:
    store, uuid = travels.place(travels.odd)
    travels.served.on_loop(lambda: store.run("destroy", operations.destroy(store, uuid)))
    assert travels.export()[0] == 400
