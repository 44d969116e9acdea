"""Calls in the background: their records, and stopping them."""

from __future__ import annotations

import asyncio
import xmlrpc.client
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.laboratory import MIB, PASSWORD, Laboratory, laboratory
from tests.emulator.served import Failed, decode
from xencbt.fixtures.emulator import tasks
from xencbt.fixtures.emulator.calls import Calls
from xencbt.fixtures.emulator.methods import METHODS
from xencbt.fixtures.emulator.operations import performing
from xencbt.fixtures.emulator.sessions import Caller
from xencbt.fixtures.emulator.values import NULL, Ref

if TYPE_CHECKING:
    from collections.abc import Iterator

TURNS = 1000


class Background:
    """A furnished host and a client that calls in the background."""

    def __init__(self, lab: Laboratory) -> None:
        self.lab = lab
        self.calls = Calls(lab.host)

    async def calling(self, name: str, *params: Any, session: str = "") -> Any:
        answer = self.calls.begin(name, [session or self.lab.session, *params])
        return decode(answer if isinstance(answer, bytes) else await answer.task)

    def call(self, name: str, *params: Any, session: str = "") -> Any:
        return self.lab.runner.run(self.calling(name, *params, session=session))

    def refused(self, name: str, *params: Any, session: str = "") -> tuple[str, ...]:
        with pytest.raises(Failed) as failed:
            self.call(name, *params, session=session)
        return tuple(failed.value.args)

    def log_in(self, user: str) -> str:
        answer = self.calls.begin("session.login_with_password", [user, PASSWORD])
        assert isinstance(answer, bytes)
        return str(decode(answer))

    async def settled(self, task: str) -> dict[str, Any]:
        """Let the loop turn until a task is over; its record."""
        for _ in range(TURNS):
            record: dict[str, Any] = await self.calling("task.get_record", task)
            if record["status"] not in {"pending", "cancelling"}:
                return record
            await asyncio.sleep(0)
        raise AssertionError("the task does not end")

    def run(self, name: str, *params: Any) -> dict[str, Any]:
        async def run() -> dict[str, Any]:
            return await self.settled(await self.calling(f"Async.{name}", *params))

        return self.lab.runner.run(run())


@pytest.fixture
def background() -> Iterator[Background]:
    with laboratory() as lab:
        yield Background(lab)


def unwrap(result: str) -> Any:
    """Read a result as clients do: an XML-RPC value."""
    text = f"<methodResponse><params><param>{result}</param></params></methodResponse>"
    return xmlrpc.client.loads(text)[0][0]


def test_a_background_call_goes_from_pending_to_success(background: Background) -> None:
    async def run() -> tuple[dict[str, Any], dict[str, Any]]:
        task = await background.calling("Async.VDI.snapshot", background.lab.vdi, {})
        before = await background.calling("task.get_record", task)
        return before, await background.settled(task)

    before, after = background.lab.runner.run(run())
    assert (before["name_label"], before["status"], before["progress"]) == ("Async.VDI.snapshot", "pending", 0.0)
    assert (before["result"], before["error_info"], before["finished"].value) == ("", [], "19700101T00:00:00Z")
    assert before["allowed_operations"] == ["cancel", "destroy"]
    assert before["resident_on"] == background.lab.host.ref
    assert (after["status"], after["progress"], after["error_info"]) == ("success", 1.0, [])
    assert after["finished"].value >= after["created"].value > before["finished"].value
    assert background.call("VDI.get_snapshot_of", unwrap(after["result"])) == background.lab.vdi
    assert after["result"] == f"<value>{unwrap(after['result'])}</value>"


def test_results_are_written_as_xml_rpc_writes_them(background: Background) -> None:
    lab = background.lab
    vdi = lab.tracked_disk()
    first = lab.snapshot(vdi)
    lab.write(vdi, 3)
    second = lab.snapshot(vdi)
    listed = background.run("VDI.list_changed_blocks", first, second)
    assert unwrap(listed["result"]) == background.call("VDI.list_changed_blocks", first, second)
    assert background.run("VDI.enable_cbt", vdi)["result"] == ""
    types = background.run("SR.get_supported_types")["result"]
    assert unwrap(types) == background.call("SR.get_supported_types")


def test_a_background_call_is_checked_before_it_has_a_task(background: Background) -> None:
    count = background.lab.host.db.count("task")
    assert background.refused("Async.VDI.enable_cbt", "x") == ("HANDLE_INVALID", "VDI", "x")
    assert background.refused("Async.VDI.enable_cbt", "x", session="y") == ("SESSION_INVALID", "y")
    reader = background.log_in("read-only")
    assert background.refused("Async.VDI.enable_cbt", "x", session=reader)[0] == "RBAC_PERMISSION_DENIED"
    assert background.lab.host.db.count("task") == count


def test_a_refusal_on_the_way_is_the_tasks_error(background: Background) -> None:
    snapshot = background.lab.snapshot(background.lab.tracked_disk())
    record = background.run("VDI.enable_cbt", snapshot)
    assert (record["status"], record["result"]) == ("failure", "")
    assert record["error_info"] == ["OPERATION_NOT_ALLOWED", f"VDI is a snapshot: {snapshot}"]


def test_calls_that_answer_at_once_have_no_background_form(background: Background) -> None:
    for name in ("task.create", "session.logout", "event.next", "VDI.get_uuid", "message.get_since"):
        assert background.refused(f"Async.{name}")[0] == "MESSAGE_METHOD_UNKNOWN"
    for name in ("VDI.enable_cbt", "VM.start", "host.restart_agent", "SR.scan", "PBD.plug", "VBD.plug"):
        assert f"Async.{name}" in background.lab.host.method_names


@contextmanager
def busy(background: Background) -> Iterator[asyncio.Event]:
    """Hold the turn on the main SR until the event is set."""
    lab = background.lab
    done = asyncio.Event()
    caller = Caller(Ref("s"), "u", "root", lab.host.sessions.users["root"])

    async def hold() -> None:
        async with performing(lab.host, caller, "create", sr=lab.sr(), vdi=NULL):
            await done.wait()

    async def begin() -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(hold())
        for _ in range(TURNS):
            if lab.host.db.get("SR", lab.sr())["current_operations"]:
                return task
            await asyncio.sleep(0)
        raise AssertionError("the turn is not held")

    async def end(task: asyncio.Task[None]) -> None:
        done.set()
        await task

    held = lab.runner.run(begin())
    yield done
    lab.runner.run(end(held))


def test_what_waits_for_its_turn_can_be_cancelled(background: Background) -> None:
    vdi = background.lab.disk()

    async def cancel() -> tuple[str, dict[str, Any]]:
        task = await background.calling("Async.VDI.enable_cbt", vdi)
        await asyncio.sleep(0)
        await background.calling("task.cancel", task)
        assert await background.calling("task.get_status", task) == "cancelling"
        return task, await background.settled(task)

    with busy(background):
        task, record = background.lab.runner.run(cancel())
    assert (record["status"], record["error_info"]) == ("cancelled", ["TASK_CANCELLED", task])
    assert record["allowed_operations"] == ["destroy"]
    assert background.call("VDI.get_cbt_enabled", vdi) is False
    assert background.refused("task.cancel", task)[0] == "OPERATION_NOT_ALLOWED"
    assert background.run("VDI.enable_cbt", vdi)["status"] == "success"


def test_waiting_for_devices_to_go_can_be_cancelled_and_the_type_goes_back(background: Background) -> None:
    lab = background.lab
    lab.host.options.data_destroy_wait_s = 60.0
    snapshot = lab.snapshot(lab.tracked_disk())
    lab.plug_into_vm(snapshot, "RO")

    async def cancel() -> dict[str, Any]:
        task = await background.calling("Async.VDI.data_destroy", snapshot)
        for _ in range(TURNS):
            if lab.record(snapshot)["type"] == "cbt_metadata":
                break
            await asyncio.sleep(0)
        await background.calling("task.cancel", task)
        return await background.settled(task)

    assert lab.runner.run(cancel())["status"] == "cancelled"
    assert (lab.record(snapshot)["type"], lab.record(snapshot)["current_operations"]) == ("user", {})


def test_what_cleans_up_after_being_cancelled_is_not_cancelled_again(background: Background) -> None:
    host = background.lab.host
    task = tasks.start(host, "a task")
    tasks.cancel(host, task)
    with pytest.raises(Exception, match="TASK_CANCELLED"):
        tasks.stop_if_cancelled(host, task)
    tasks.stop_if_cancelled(host, task)


def test_a_long_read_tells_how_far_it_is_and_can_be_cancelled(background: Background) -> None:
    vdi = background.lab.disk(virtual_size=64 * MIB)

    async def watch() -> tuple[set[float], dict[str, Any]]:
        task = await background.calling("Async.VDI.checksum", vdi)
        seen = set()
        for _ in range(TURNS):
            progress = await background.calling("task.get_progress", task)
            seen.add(progress)
            if progress >= 0.5:
                break
            await asyncio.sleep(0)
        await background.calling("task.cancel", task)
        return seen, await background.settled(task)

    seen, record = background.lab.runner.run(watch())
    assert len(seen) > 3
    assert all(0.0 <= progress < 1.0 for progress in seen)
    assert record["status"] == "cancelled"


def test_what_cannot_stop_half_way_says_so(background: Background) -> None:
    async def cancel() -> tuple[Any, str]:
        task = await background.calling("Async.VM.start", background.lab.vm, False, False)
        with pytest.raises(Failed, match="OPERATION_NOT_ALLOWED"):
            await background.calling("task.cancel", task)
        return await background.settled(task), task

    record, _ = background.lab.runner.run(cancel())
    assert record["status"] == "success"
    assert background.call("VM.get_power_state", background.lab.vm) == "Running"


def test_every_call_that_can_be_stopped_is_one(background: Background) -> None:
    assert METHODS.keys() >= tasks.STOPPABLE
    assert background.lab.host.method_names


def test_a_task_of_ones_own_is_steered_by_its_client(background: Background) -> None:
    task = background.call("task.create", "upload", "of a disk")
    background.call("task.set_progress", task, 0.25)
    background.call("task.set_error_info", task, ["A", "b"])
    background.call("task.set_result", task, "<value>x</value>")
    background.call("task.set_status", task, "failure")
    record = background.call("task.get_record", task)
    assert (record["name_label"], record["name_description"], record["progress"]) == ("upload", "of a disk", 0.25)
    assert (record["status"], record["error_info"], record["result"]) == ("failure", ["A", "b"], "<value>x</value>")
    assert record["finished"].value > "2000"
    assert background.refused("task.set_status", task, "perhaps")[0] == "VALUE_NOT_SUPPORTED"
    background.call("task.destroy", task)
    assert background.refused("task.get_status", task) == ("HANDLE_INVALID", "task", task)


def test_a_session_lists_its_tasks(background: Background) -> None:
    session = background.lab.session
    task = background.call("task.create", "a", "")
    assert background.call("session.get_tasks", session) == [task]
    background.call("task.destroy", task)
    assert background.call("session.get_tasks", session) == []


def test_users_end_their_own_tasks_only_but_for_the_administrator(background: Background) -> None:
    operator, other, again = (background.log_in(user) for user in ("vm-operator", "vm-admin", "vm-operator"))
    task = background.call("task.create", "a", "", session=operator)
    assert background.call("task.get_name_label", task, session=other) == "a"
    for call in ("task.cancel", "task.destroy"):
        assert background.refused(call, task, session=other)[:2] == ("RBAC_PERMISSION_DENIED", f"{call}/any")
    background.call("task.cancel", task, session=again)
    background.call("task.destroy", task)
    assert background.lab.host.db.count("task") == 0


def test_a_task_outlives_its_session_and_a_destroyed_one_still_does_its_work(background: Background) -> None:
    lab = background.lab
    session, vdi = background.log_in("vm-admin"), lab.disk()

    async def run() -> dict[str, Any]:
        kept = await background.calling("Async.VDI.enable_cbt", vdi, session=session)
        lost = await background.calling("Async.VDI.snapshot", vdi, {}, session=session)
        await background.calling("task.destroy", lost, session=session)
        await background.calling("session.logout", session=session)
        return await background.settled(kept)

    with busy(background) as done:
        done.set()
        assert lab.runner.run(run())["status"] == "success"
    assert len(background.call("VDI.get_snapshots", vdi)) == 1


def test_finished_tasks_make_room_first(background: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "TASKS_KEPT", 3)
    pending, finished, newer = (background.call("task.create", name, "") for name in "abc")
    background.call("task.set_status", finished, "success")
    fourth = background.call("task.create", "d", "")
    assert set(background.call("task.get_all")) == {pending, newer, fourth}
    fifth = background.call("task.create", "e", "")
    assert set(background.call("task.get_all")) == {newer, fourth, fifth}


def test_long_results_make_room(background: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "RESULTS_KEPT", 100)
    first, second, third = (background.call("task.create", name, "") for name in "abc")
    for task in (first, second, third):
        background.call("task.set_result", task, "x" * 40)
    assert set(background.call("task.get_all")) == {second, third}
    background.call("task.set_result", third, "y" * 200)
    assert background.call("task.get_all") == [third]
