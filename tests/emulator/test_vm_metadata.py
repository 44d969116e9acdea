"""VM metadata over HTTP: what goes out makes the same VM again, with its disks or others, and rubbish makes none."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.emulator.served import Served, serve
from xencbt.fixtures.emulator.vm_metadata import MEMBER, MOST_BYTES
from xencbt.fixtures.emulator.xmlwriter import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xencbt.fixtures.emulator.values import Ref


class Machines:
    """A VM with a disk on a served host."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.session = served.login()
        db = served.host.db
        self.disk: Ref = next(db.all("VDI"))

        def furnish() -> Ref:
            vm = db.add("VM", name_label="machine <1>", VCPUs_max=3, platform={"a": "b"}, tags=["x"])
            db.add("VBD", VM=vm, VDI=self.disk, userdevice="0", mode="RW", type="Disk", bootable=True)
            db.add("VBD", VM=vm, userdevice="3", mode="RO", type="CD", empty=True)
            return vm

        self.vm: Ref = served.on_loop(furnish)
        self.uuid = db.get("VM", self.vm)["uuid"]

    def export(self, **query: str) -> bytes:
        head, _, body = self.served.raw(self._head("GET", "export", query), end=False).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        return body

    def status(self, method: str, direction: str, **query: str) -> int:
        return int(self.served.raw(self._head(method, direction, query), end=True).split(b" ", 2)[1])

    def import_(self, body: bytes, **query: str) -> tuple[str, str, list[str]]:
        """Import; status, result and error of the task."""
        task = str(self.served.call("task.create", self.session, "import", ""))
        head = self._head("PUT", "import", query | {"task_id": task}, f"Content-Length: {len(body)}\r\n")
        assert self.served.raw(head + body, end=False).startswith(b"HTTP/1.1 200 ") or len(body) > MOST_BYTES
        record = self.served.call("task.get_record", self.session, task)
        return record["status"], record["result"], record["error_info"]

    def _head(self, method: str, direction: str, query: dict[str, str], headers: str = "") -> bytes:
        words = "&".join(f"{quote(name)}={quote(value)}" for name, value in query.items())
        target = f"/{direction}_metadata?session_id={self.session}&{words}"
        return f"{method} {target} HTTP/1.1\r\nHost: h\r\n{headers}\r\n".encode()

    def others(self) -> list[Ref]:
        return [vm for vm in self.served.host.db.all("VM") if vm != self.vm]


@pytest.fixture
def machines() -> Iterator[Machines]:
    with serve() as served:
        yield Machines(served)


def test_what_goes_out_makes_the_same_vm_again(machines: Machines) -> None:
    db = machines.served.host.db
    assert machines.import_(machines.export(uuid=machines.uuid))[0] == "success"
    (made,) = machines.others()
    before, after = dict(db.get("VM", machines.vm)), dict(db.get("VM", made))
    assert after["uuid"] != before["uuid"]
    for name in ("name_label", "VCPUs_max", "platform", "tags"):
        assert after[name] == before[name]
    disk, drive = (db.get("VBD", vbd) for vbd in after["VBDs"])
    assert (disk["VDI"], disk["userdevice"], disk["mode"], disk["bootable"]) == (machines.disk, "0", "RW", True)
    assert (drive["type"], drive["empty"], drive["currently_attached"]) == ("CD", True, False)


def test_the_task_carries_the_references_of_what_was_made(machines: Machines) -> None:
    status, result, _ = machines.import_(machines.export(ref=machines.vm))
    assert (status, result) == ("success", encode(machines.others()))


def test_a_disk_is_replaced_as_the_query_says(machines: Machines) -> None:
    db = machines.served.host.db
    other = machines.served.on_loop(lambda: db.add("VDI", SR=db.get("VDI", machines.disk)["SR"]))
    old, new = (db.get("VDI", vdi)["uuid"] for vdi in (machines.disk, other))
    archive = machines.export(uuid=machines.uuid)
    for name in (old, machines.disk):
        assert machines.import_(archive, **{f"vdi:{name}": new})[0] == "success"
        assert db.get("VBD", db.get("VM", machines.others()[-1])["VBDs"][0])["VDI"] == other


def test_a_disk_that_is_not_here_is_refused_unless_forced(machines: Machines) -> None:
    db = machines.served.host.db
    archive, uuid = machines.export(uuid=machines.uuid), db.get("VDI", machines.disk)["uuid"]
    status, _, error = machines.import_(archive, **{f"vdi:{uuid}": "nonesuch"})
    assert (status, error) == ("failure", ["UUID_INVALID", "VDI", "nonesuch"])
    assert machines.others() == []
    assert machines.import_(archive, **{f"vdi:{uuid}": "nonesuch", "force": "true"})[0] == "success"
    assert [db.get("VBD", vbd)["type"] for vbd in db.get("VM", machines.others()[0])["VBDs"]] == ["CD"]


def test_a_dry_run_makes_nothing(machines: Machines) -> None:
    assert machines.import_(machines.export(all="true"), dry_run="true")[0] == "success"
    assert machines.others() == []


def archive(text: bytes, name: str = MEMBER) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return made.getvalue()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"rubbish" * 1000,
        archive(b"<value>", "other.xml"),
        archive(b"<value>"),
        archive(b"<value>text</value>"),
        archive(encode({"objects": "none"}).encode()),
        archive(encode({"objects": [{"class": "VM", "id": "OpaqueRef:x", "snapshot": "none"}]}).encode()),
        archive(encode({"objects": [{"class": "host", "id": "OpaqueRef:x", "snapshot": {}}]}).encode()),
        archive(encode({"objects": []}).encode())[:700],
        bytes(MOST_BYTES + 512),
    ],
)
def test_rubbish_makes_no_vm(machines: Machines, body: bytes) -> None:
    status, result, error = machines.import_(body)
    assert (status, result) == ("failure", "")
    assert error[0] in {"IMPORT_ERROR_GENERIC", "VDI_IO_ERROR"}
    assert machines.others() == []


def test_a_field_of_the_wrong_type_makes_no_vm(machines: Machines) -> None:
    objects = [{"class": "VM", "id": "OpaqueRef:x", "snapshot": {"VCPUs_max": "many"}}]
    status, _, error = machines.import_(archive(encode({"objects": objects}).encode()))
    assert (status, error) == ("failure", ["FIELD_TYPE_ERROR", "VCPUs_max"])


def test_requests_that_name_no_vm_or_come_the_wrong_way_are_refused(machines: Machines) -> None:
    assert machines.status("GET", "export") == 400
    assert machines.status("GET", "export", uuid="nonesuch") == 404
    assert machines.status("POST", "export", uuid=machines.uuid) == 405
    assert machines.status("GET", "import") == 405
    machines.session = machines.served.login("vm-operator")
    assert machines.status("GET", "export", uuid=machines.uuid) == 403
