"""A VM that was touched is seen, and a writing guest tells truly what it wrote and when."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from xencbt.fixtures.content import Content
from xencbt.fixtures.control import ControlRefused
from xencbt.harness.errors import HarnessError
from xencbt.harness.exchange import Recorder
from xencbt.harness.masking import Secrets
from xencbt.harness.session import clock
from xencbt.harness.verdicts import Violation
from xencbt.suites.guests import LENGTH, VM_FIELDS, WritingGuest, undisturbed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xencbt.fixtures.disks import Disk
    from xencbt.fixtures.vms import Vm

SIZE = 16 * LENGTH


class FakeVm:
    """A VM with one VBD."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = dict.fromkeys(VM_FIELDS, "as it was") | {"memory_target": "1"}
        self.vbd: dict[str, Any] = {"currently_attached": True, "device": "xvda", "allowed_operations": []}

    def record(self) -> dict[str, Any]:
        return dict(self.fields)

    def vbds(self) -> dict[str, dict[str, Any]]:
        return {"vbd": dict(self.vbd)}


@pytest.mark.parametrize("field", VM_FIELDS)
def test_a_vm_that_changed_is_seen(field: str) -> None:
    vm = FakeVm()
    with (
        pytest.raises(Violation, match="the VM was disturbed by a call") as caught,
        undisturbed(cast("Vm", vm), "a call"),
    ):
        vm.fields[field] = "otherwise"
    assert caught.value.actual == f"{field}: 'as it was' → 'otherwise'"


def test_a_device_that_changed_is_seen() -> None:
    vm = FakeVm()
    with pytest.raises(Violation) as caught, undisturbed(cast("Vm", vm), "a call"):
        vm.vbd["currently_attached"] = False
    assert caught.value.actual == "VBD vbd currently_attached: True → False"


def test_what_hosts_refresh_by_themselves_does_not_count() -> None:
    vm = FakeVm()
    with undisturbed(cast("Vm", vm), "a call"):
        vm.fields["memory_target"] = "2"
        vm.vbd["allowed_operations"] = ["unplug"]
    assert vm.vbd["allowed_operations"] == ["unplug"]


class FakeDisk:
    """A disk that keeps what is written to it, or fails at the write of a given number."""

    uuid = "uuid"
    size = SIZE

    def __init__(self, fails_at: int | None = None, trouble: HarnessError | None = None) -> None:
        self.content = bytearray(SIZE)
        self.written = 0
        self.enough = threading.Event()
        self._fails_at = fails_at
        self._trouble = trouble or HarnessError("no answer")
        self.recorder = Recorder(Secrets())
        self.lab = SimpleNamespace(control=self, content=Content(1), bench=SimpleNamespace(recorder=self.recorder))

    def guest_write(self, uuid: str, writes: Sequence[tuple[int, bytes]]) -> int:
        assert uuid == self.uuid
        if self.written == self._fails_at:
            self.enough.set()
            raise self._trouble
        for offset, data in writes:
            self.content[offset : offset + len(data)] = data
        self.written += 1
        if self.written == 100:
            self.enough.set()
        return sum(len(data) for _, data in writes)


def test_a_guest_tells_what_it_wrote() -> None:
    disk = FakeDisk()
    before = bytes(SIZE)
    with WritingGuest(cast("Disk", disk)) as guest:
        assert disk.enough.wait(30)
    assert len(guest.writes) == disk.written >= 100
    assert guest.applied_to(before) == disk.content != before
    assert len({write.data for write in guest.writes}) == disk.written
    assert [exchange.outcome for exchange in disk.recorder.kept] == ["ok"]


def test_a_guest_tells_when_it_wrote() -> None:
    disk, earlier = FakeDisk(), clock()
    with WritingGuest(cast("Disk", disk)) as guest:
        assert disk.enough.wait(30)
    first, last = guest.writes[0], guest.writes[-1]
    assert guest.wrote_between(first.began, first.ended)
    assert guest.wrote_between(earlier, first.began)
    assert not guest.wrote_between(earlier, earlier)
    assert not guest.wrote_between(last.ended + 1, last.ended + 2)


@pytest.mark.parametrize(
    ("number", "trouble"),
    [(0, HarnessError("no answer")), (5, HarnessError("no answer")), (0, ControlRefused("not attached"))],
)
def test_trouble_of_ours_is_told_in_the_end(number: int, trouble: HarnessError) -> None:
    disk = FakeDisk(number, trouble)
    with pytest.raises(HarnessError, match=str(trouble)), WritingGuest(cast("Disk", disk)):
        assert disk.enough.wait(30)
    assert [exchange.outcome for exchange in disk.recorder.kept] == [str(trouble)]


def test_a_guest_that_cannot_write_any_more_was_disturbed() -> None:
    disk = FakeDisk(5, ControlRefused("not attached"))
    with pytest.raises(Violation, match="cannot write any more") as caught, WritingGuest(cast("Disk", disk)):
        assert disk.enough.wait(30)
    assert caught.value.actual == "not attached, after 5 writes"


def test_a_violation_is_not_hidden_by_what_the_guest_met() -> None:
    disk = FakeDisk(fails_at=0)
    with pytest.raises(Violation, match="seen"), WritingGuest(cast("Disk", disk)):
        raise Violation("seen")
