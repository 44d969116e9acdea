"""Reading which method a request calls, from bodies that may be anything."""

import json
import xmlrpc.client

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.harness.faults import Call, Dialect, canonical, read_call


@pytest.mark.parametrize(
    ("spelled", "plain"),
    [
        ("VDI.enable_cbt", "VDI.enable_cbt"),
        ("VDI_enable_cbt", "VDI.enable_cbt"),
        ("Async.VDI.enable_cbt", "VDI.enable_cbt"),
        ("Async.VDI_enable_cbt", "VDI.enable_cbt"),
        ("InternalAsync.VDI.pool_migrate", "VDI.pool_migrate"),
        ("VM_guest_metrics_get_record", "VM_guest_metrics.get_record"),
        ("VM_guest_metrics.get_record", "VM_guest_metrics.get_record"),
        ("VM_get_guest_metrics", "VM.get_guest_metrics"),
        ("host_cpu_get_all", "host_cpu.get_all"),
        ("host_get_all", "host.get_all"),
        ("system.listMethods", "system.listMethods"),
        ("version", "version"),
    ],
)
def test_all_forms_of_a_method_are_one(spelled: str, plain: str) -> None:
    assert canonical(spelled) == plain


def body(method: str, *params: object) -> bytes:
    return xmlrpc.client.dumps(params, method).encode()  # type: ignore[arg-type]  # plain values


def test_method_and_session_are_read() -> None:
    read = read_call(body("Async.VDI.enable_cbt", "OpaqueRef:session", "OpaqueRef:vdi"))
    assert read is not None
    assert read == Call(
        "VDI.enable_cbt", "Async.VDI.enable_cbt", "OpaqueRef:session", frozenset({"OpaqueRef:vdi"}), ("OpaqueRef:vdi",)
    )
    assert (read.asynchronous, read.operation, read.named) == (True, "enable_cbt", "OpaqueRef:vdi")


def test_untyped_strings_are_read() -> None:
    untyped = (
        b"<?xml version='1.0'?><methodCall><methodName>VDI.enable_cbt</methodName><params>"
        b"<param><value>OpaqueRef:s</value></param><param><value>OpaqueRef:v</value></param></params></methodCall>"
    )
    assert read_call(untyped) == Call(
        "VDI.enable_cbt", "VDI.enable_cbt", "OpaqueRef:s", frozenset({"OpaqueRef:v"}), ("OpaqueRef:v",)
    )


@pytest.mark.parametrize("params", [(), (7,), ({"a": "b"},), (["OpaqueRef:session"],)])
def test_a_first_parameter_that_is_no_text_is_no_session(params: tuple[object, ...]) -> None:
    read = read_call(body("VDI.enable_cbt", *params))
    assert read is not None
    assert read.session is None


BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<methodCall><methodName>VDI.enable_cbt</methodName><params><param><value>&b;</value></param></params></methodCall>"""


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no xml", id="text"),
        pytest.param(b'{"jsonrpc": "2.0"}', id="json"),
        pytest.param(b"\xff\xfe\x00", id="bytes"),
        pytest.param(b"<?xml version='1.0' encoding='no-such'?><methodCall/>", id="encoding"),
        pytest.param(body("VDI.enable_cbt")[:-20], id="truncated"),
        pytest.param(b"<methodCall><methodName> </methodName></methodCall>", id="no name"),
        pytest.param(b"<methodResponse><methodName>VDI.x</methodName></methodResponse>", id="an answer"),
        pytest.param(BOMB, id="entities"),
        pytest.param(b"<a>" * 200_000, id="deep, open"),
    ],
)
def test_what_is_no_call_is_none(data: bytes) -> None:
    assert read_call(data) is None


def test_deep_nesting_is_survived() -> None:
    depth = 50_000
    value = b"<value><array><data>" * depth + b"</data></array></value>" * depth
    nested = b"<methodCall><methodName>VDI.x</methodName><params><param>" + value + b"</param></params></methodCall>"
    assert read_call(nested) == Call("VDI.x", "VDI.x", None)


@given(st.binary())
def test_no_bytes_raise(data: bytes) -> None:
    assert read_call(data) is None or b"methodCall" in data


def named(method: str, *params: str) -> frozenset[str]:
    call = read_call(body(method, "OpaqueRef:session", *params))
    assert call is not None
    return call.references


def test_the_references_that_a_call_names_are_read() -> None:
    assert named("VDI.list_changed_blocks", "OpaqueRef:a", "OpaqueRef:b") == {"OpaqueRef:a", "OpaqueRef:b"}
    assert named("VDI.snapshot", "OpaqueRef:a") == {"OpaqueRef:a"}
    assert named("VDI_copy", "OpaqueRef:a", "OpaqueRef:sr", "OpaqueRef:NULL") == {"OpaqueRef:a", "OpaqueRef:sr"}
    assert named("VDI.get_by_uuid", "some uuid") == named("VDI.get_all") == named("session.logout") == frozenset()
    assert named("Async.VDI.set_name_label", "OpaqueRef:a", "OpaqueRef:b") == {"OpaqueRef:a", "OpaqueRef:b"}


def test_references_of_another_form_are_told_by_their_place() -> None:
    assert named("VDI.enable_cbt", "ref-17") == {"ref-17"}
    assert named("VDI.list_changed_blocks", "ref-17", "ref-18") == {"ref-17", "ref-18"}
    fields = ((b"SR", b"sr-1"), (b"name_label", b"x"))
    members = [b"<member><name>%s</name><value>%s</value></member>" % field for field in fields]
    record = b"<struct>%s</struct>" % b"".join(members)
    text = body("VDI.create", "OpaqueRef:session").replace(
        b"</params>", b"<param><value>" + record + b"</value></param></params>"
    )
    call = read_call(text)
    assert call is not None
    assert call.references == {"sr-1"}


def test_arguments_are_texts_in_their_order() -> None:
    read = read_call(body("VDI.resize", "OpaqueRef:s", "OpaqueRef:v", 7, True, {"a": "b"}, ["c"], "<&>"))
    assert read is not None
    assert read.arguments == ("OpaqueRef:v", "7", "true", "", "", "<&>")


def test_the_other_dialect_is_read_as_well() -> None:
    params = ["OpaqueRef:s", {"SR": "sr-1", "tags": ["OpaqueRef:tag"]}, 4, False]
    read = read_call(json.dumps({"jsonrpc": "2.0", "id": 9, "method": "Async.VDI.create", "params": params}).encode())
    assert read == Call(
        "VDI.create",
        "Async.VDI.create",
        "OpaqueRef:s",
        frozenset({"sr-1", "OpaqueRef:tag"}),
        ("", "4", "false"),
        Dialect.JSON,
        9,
    )


@pytest.mark.parametrize(
    "data",
    [b"{", b"{}", b'{"method": 3}', b'{"method": "VDI.x", "params": {}}', b'[{"method": "VDI.x"}]', b"{" * 100_000],
)
def test_json_that_is_no_call_is_none(data: bytes) -> None:
    assert read_call(data) is None


@pytest.mark.parametrize("depth", [100, 900, 5_000])
def test_deep_json_is_survived(depth: int) -> None:
    nested = b'{"method": "VDI.x", "params": ["OpaqueRef:s", ' + b"[" * depth + b"]" * depth + b"]}"
    read = read_call(nested)
    assert read is None or read.arguments == ("",)
