"""A backup with the official Python binding, judged by bytes and by the host's own counts."""

from __future__ import annotations

import base64
import xmlrpc.client
from typing import TYPE_CHECKING, Any

import pytest
import XenAPI

from tests.clients.judging import SIZE, expected_bitmap, expected_content, frames, session, transfer
from xencbt.fixtures.targets import Target, start_emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Call = Callable[..., Any]

pytestmark = pytest.mark.heavy

ROUNDS = 50


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "tls"])
def host(request: pytest.FixtureRequest) -> Iterator[Target]:
    with start_emulator(tls=request.param) as target:
        yield target


def in_background(own: Any, name: str, *params: Any) -> Any:
    """Start a call, follow its task by events, and give its result."""
    task = own.xenapi_request(f"Async.{name}", params)
    token = ""
    for _ in range(ROUNDS):
        batch = own.xenapi.event_from([f"task/{task}"], token, 10.0)
        token = batch["token"]
        for event in batch["events"]:
            record = event["snapshot"]
            if record["status"] == "success":
                own.xenapi.task.destroy(task)
                answer = f"<methodResponse><params><param>{record['result']}</param></params></methodResponse>"
                return xmlrpc.client.loads(answer)[0][0] if record["result"] else ""
            if record["status"] != "pending":
                raise XenAPI.Failure(record["error_info"])
    raise AssertionError(f"{name} does not end")


def at_once(own: Any, name: str, *params: Any) -> Any:
    return own.xenapi_request(name, params)


@pytest.mark.parametrize("how", [at_once, in_background])
def test_an_incremental_backup(host: Target, how: Call) -> None:
    with session(host) as own:

        def call(name: str, *params: Any) -> Any:
            return how(own, name, *params)

        sr = own.xenapi.SR.get_by_uuid(host.srs["lvm"])
        disk = call("VDI.create", {"SR": sr, "virtual_size": str(SIZE), "type": "user", "name_label": "by the binding"})
        call("VDI.enable_cbt", disk)
        first = call("VDI.snapshot", disk, {})
        transfer(host, "/import_raw_vdi", frames(), session_id=own._session, vdi=disk, chunked="true")
        second = call("VDI.snapshot", disk, {})
        listed = call("VDI.list_changed_blocks", first, second)
        read = transfer(host, "/export_raw_vdi", session_id=own._session, vdi=second)
        call("VDI.data_destroy", first)
        again = call("VDI.list_changed_blocks", first, second)
        with pytest.raises(XenAPI.Failure) as refused:
            call("VDI.enable_cbt", second)
        kind = own.xenapi.VDI.get_type(first)
        uuid = own.xenapi.session.get_uuid(own._session)
    assert [base64.b64decode(bitmap, validate=True) for bitmap in (listed, again)] == [expected_bitmap()] * 2
    assert read == expected_content()
    assert kind == "cbt_metadata"
    assert refused.value.details == ["OPERATION_NOT_ALLOWED", f"VDI is a snapshot: {second}"]
    assert host.control is not None
    counts = host.control.call_counts()
    expected = {"VDI.create": 1, "VDI.enable_cbt": 2, "VDI.snapshot": 2, "VDI.list_changed_blocks": 2}
    assert {name: counts[name].get(uuid) for name in expected} == expected
    assert (uuid in counts.get("event.from", {})) is (how is in_background)


def test_calls_go_by_their_underscored_names_too(host: Target) -> None:
    with session(host) as own:
        (vdi,) = own.xenapi.VDI_get_by_name_label("Disk of the emulated VM")
        assert own.xenapi.VDI_get_uuid(vdi) == host.vdi
        assert {"VDI.enable_cbt", "Async.VDI.enable_cbt"} <= set(own.xenapi.host.list_methods())
        assert "VDI.enable_cbt" in own.system.listMethods()
