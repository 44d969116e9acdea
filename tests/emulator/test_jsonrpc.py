"""JSON-RPC beside XML-RPC: the same calls and refusals in another form, and nobody's input hurts the host."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.served import PASSWORD, Served, serve
from xencbt.fixtures.emulator.jsonrpc import NoCallError, Problem, Reply, Version, parse_call

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterator

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as it:
        yield it


def post(served: Served, body: bytes, path: str = "/jsonrpc") -> tuple[http.client.HTTPResponse, Any]:
    response, answer = served.post(body, path, **JSON)
    return response, json.loads(answer)


def ask(served: Served, method: str, *params: Any, path: str = "/jsonrpc") -> Any:
    """Call by version 2.0; the whole answer."""
    request = {"jsonrpc": "2.0", "id": 0, "method": method, "params": list(params)}
    return post(served, json.dumps(request).encode(), path)[1]


def value(served: Served, method: str, *params: Any) -> Any:
    answer = ask(served, method, *params)
    assert set(answer) == {"jsonrpc", "result", "id"}, answer
    return answer["result"]


def log_in(served: Served) -> str:
    return str(value(served, "session.login_with_password", "root", PASSWORD))


@pytest.mark.parametrize("path", ["/jsonrpc", "/jsonrpc/", "/jsonrpc?session_id=x"])
def test_a_call_is_answered_in_json_with_its_id(served: Served, path: str) -> None:
    request = {"jsonrpc": "2.0", "id": "seven", "method": "session.login_with_password", "params": ["root", PASSWORD]}
    response, answer = post(served, json.dumps(request).encode(), path)
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", "seven")
    assert answer["result"].startswith("OpaqueRef:")


def test_numbers_booleans_times_and_nothing_have_json_types(served: Served) -> None:
    session = log_in(served)
    (vdi,) = value(served, "VDI.get_all", session)
    record = value(served, "VDI.get_record", session, vdi)
    assert record["virtual_size"] == 2**21
    assert type(record["virtual_size"]) is int
    assert record["read_only"] is False
    assert record["snapshot_time"] == "19700101T00:00:00Z"
    assert record["SR"].startswith("OpaqueRef:")
    assert record["other_config"] == {}
    assert value(served, "VDI.set_tags", session, vdi, ["a"]) == ""
    assert value(served, "VDI.get_tags", session, vdi) == ["a"]
    batch = value(served, "event.from", session, ["VDI"], "", 0)
    assert batch["valid_ref_counts"]["vdi"] == 1


def test_both_forms_give_the_same_records(served: Served) -> None:
    session = log_in(served)
    for cls in ("VDI", "host", "pool", "SR"):
        by_json = value(served, f"{cls}.get_all_records", session)
        by_xml = served.call(f"{cls}.get_all_records", session)
        assert by_xml
        assert {ref: _as_xml(record) for ref, record in by_json.items()} == {
            ref: {k: str(v) if "DateTime" in type(v).__name__ else v for k, v in record.items()}
            for ref, record in by_xml.items()
        }


def _as_xml(value: Any) -> Any:
    """Write a JSON value as XML-RPC has it: integers are strings there."""
    if type(value) is dict:
        return {key: _as_xml(item) for key, item in value.items()}
    if type(value) is list:
        return [_as_xml(item) for item in value]
    return str(value) if type(value) is int else value


def test_a_refusal_has_code_one_the_name_as_message_and_parameters_as_data(served: Served) -> None:
    answer = ask(served, "VDI.get_record", log_in(served), "OpaqueRef:none")
    error = {"code": 1, "message": "HANDLE_INVALID", "data": ["VDI", "OpaqueRef:none"]}
    assert answer == {"jsonrpc": "2.0", "error": error, "id": 0}


def test_version_one_has_both_members_and_the_error_as_a_list(served: Served) -> None:
    def plain(method: str, *params: Any) -> Any:
        return post(served, json.dumps({"id": 5, "method": method, "params": list(params)}).encode())[1]

    good = plain("session.login_with_password", "root", PASSWORD)
    assert set(good) == {"result", "error", "id"}
    assert (good["error"], good["id"]) == (None, 5)
    bad = plain("VDI.get_record", good["result"], "x")
    assert bad == {"result": None, "error": ["HANDLE_INVALID", "VDI", "x"], "id": 5}


def test_the_checks_are_those_of_xml_rpc(served: Served) -> None:
    session = log_in(served)

    def refused(method: str, *params: Any) -> list[str]:
        error = ask(served, method, *params)["error"]
        assert error["code"] == 1
        return [error["message"], *error["data"]]

    (vdi,) = value(served, "VDI.get_all", session)
    assert refused("VDI.paint", session) == ["MESSAGE_METHOD_UNKNOWN", "VDI.paint"]
    assert refused("VDI.get_tags", "x", vdi) == ["SESSION_INVALID", "x"]
    assert refused("VDI.get_tags", session) == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VDI.get_tags", "1", "0"]
    network = value(served, "network.create", session, {})
    wrong: list[tuple[str, list[Any], list[Any]]] = [
        ("VDI.set_tags", [vdi], [None, 5, True, {}, "text"]),
        ("network.set_MTU", [network], [5.0, True, None, 2**63, 10**400, "x", []]),
        ("message.get_since", [], ["yesterday", 5, None, "2026-01-01T00:00:00Z"]),
    ]
    for method, first, values in wrong:
        for given in values:
            assert refused(method, session, *first, given)[0] == "FIELD_TYPE_ERROR"
    assert value(served, "message.get_since", session, "20260101T00:00:00Z") == {}


def test_times_stay_typed_in_xml(served: Served) -> None:
    body = (
        b"<methodCall><methodName>message.get_since</methodName><params><param><value>"
        + log_in(served).encode()
        + b"</value></param><param><value>20260101T00:00:00Z</value></param></params></methodCall>"
    )
    assert b"FIELD_TYPE_ERROR" in served.post(body)[1]


def test_the_list_of_methods_and_background_calls(served: Served) -> None:
    assert "VDI.get_record" in value(served, "system.listMethods")
    session = log_in(served)
    token = value(served, "event.from", session, ["*"], "", 0)["token"]
    task = value(served, "Async.network.create", session, {"name_label": "later", "MTU": 9000})
    assert task.startswith("OpaqueRef:")
    event = value(served, "event.from", session, ["network"], token, 20)["events"][0]
    assert (event["snapshot"]["MTU"], event["class"], type(event["id"])) == (9000, "network", int)


BAD = {
    b"": Problem.PARSE_ERROR,
    b"{": Problem.PARSE_ERROR,
    b"\xff\xfe": Problem.PARSE_ERROR,
    b"<methodCall/>": Problem.PARSE_ERROR,
    b'{"id": 1, "method": "a", "params": [NaN]}': Problem.PARSE_ERROR,
    b'{"id": 1, "method": "a", "params": [1e999]}': Problem.PARSE_ERROR,
    b'{"id": 1, "method": "a", "params": [' + b"9" * 5000 + b"]}": Problem.PARSE_ERROR,
    b"[" * 100_000: Problem.INVALID_REQUEST,
    b"[]": Problem.INVALID_REQUEST,
    b'[{"jsonrpc": "2.0", "id": 1, "method": "system.listMethods", "params": []}]': Problem.INVALID_REQUEST,
    b'"system.listMethods"': Problem.INVALID_REQUEST,
    b"null": Problem.INVALID_REQUEST,
    b'{"jsonrpc": "2.0", "method": "system.listMethods", "params": []}': Problem.INVALID_REQUEST,
    b'{"jsonrpc": "2.0", "id": null, "method": "system.listMethods"}': Problem.INVALID_REQUEST,
    b'{"jsonrpc": "2.0", "id": {}, "method": "system.listMethods"}': Problem.INVALID_REQUEST,
    b'{"jsonrpc": "2.0", "id": true, "method": "system.listMethods"}': Problem.INVALID_REQUEST,
    b'{"jsonrpc": "2.0", "id": "\\ud800", "method": "system.listMethods"}': Problem.INVALID_REQUEST,
    b'{"jsonrpc": "2.0", "id": "' + b"x" * 2000 + b'", "method": "system.listMethods"}': Problem.INVALID_REQUEST,
    b'{"jsonrpc": "3.0", "id": 1, "method": "system.listMethods"}': Problem.INVALID_REQUEST,
    b'{"jsonrpc": {}, "id": 1, "method": "system.listMethods"}': Problem.INVALID_REQUEST,
    b'{"jsonrpc": "2.0", "id": 1}': Problem.INVALID_REQUEST,
    b'{"jsonrpc": "2.0", "id": 1, "method": ["a"]}': Problem.INVALID_REQUEST,
    b'{"jsonrpc": "2.0", "id": 1, "method": "a", "params": ["\\udc00"]}': Problem.INVALID_REQUEST,
    b'{"jsonrpc": "2.0", "id": 1, "method": "a", "params": [{"\\udc00": 1}]}': Problem.INVALID_REQUEST,
    b'{"jsonrpc": "2.0", "id": 1, "method": "a", "params": ' + b"[" * 60 + b"]" * 60 + b"}": Problem.INVALID_REQUEST,
    b'{"jsonrpc": "2.0", "id": 1, "method": "a", "params": [' + b"0," * 60_000 + b"0]}": Problem.INVALID_REQUEST,
    b'{"jsonrpc": "2.0", "id": 1, "method": "a", "params": {"session_id": "x"}}': Problem.INVALID_PARAMS,
    b'{"id": 1, "method": "system.listMethods"}': Problem.INVALID_PARAMS,
}


@pytest.mark.parametrize("body", BAD, ids=lambda body: repr(body[:70]))
def test_what_is_no_call_gets_a_clean_error_and_the_connection_lives(served: Served, body: bytes) -> None:
    with pytest.raises(NoCallError) as refused:
        parse_call(body)
    assert refused.value.problem is BAD[body]
    connection = served.connect()
    connection.request("POST", "/jsonrpc", body, JSON)
    response = connection.getresponse()
    answer = json.loads(response.read())
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    error = answer["error"]
    number = error["code"] if answer.get("jsonrpc") == "2.0" else None
    assert number == BAD[body] or (number is None and isinstance(error[0], str))
    connection.request("POST", "/jsonrpc", b'{"jsonrpc":"2.0","id":2,"method":"system.listMethods"}', JSON)
    assert json.loads(connection.getresponse().read())["id"] == 2
    connection.close()


def test_a_notification_is_refused_and_not_carried_out(served: Served) -> None:
    session = log_in(served)
    (vdi,) = value(served, "VDI.get_all", session)
    request = {"jsonrpc": "2.0", "method": "VDI.set_name_label", "params": [session, vdi, "silently"]}
    for body in (request, [{**request, "id": 1}], {**request, "jsonrpc": None, "id": None}):
        assert "error" in post(served, json.dumps(body).encode())[1]
    assert value(served, "VDI.get_name_label", session, vdi) == "disk"


def test_a_body_that_is_too_large_is_refused_by_its_head(served: Served) -> None:
    head = b"POST /jsonrpc HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"
    assert served.raw(head, end=False).startswith(b"HTTP/1.1 413 ")
    assert served.raw(b"GET /jsonrpc HTTP/1.1\r\n\r\n", end=False).startswith(b"HTTP/1.1 405 ")


def test_nesting_and_text_up_to_the_bounds_are_read() -> None:
    inner = b"[" * 32 + b"]" * 32
    call = parse_call(
        b'{"jsonrpc": "2.0", "id": 1, "method": "a", "params": [' + inner + b', "\\ud83d\\ude00", -1.5e3]}'
    )
    assert call.params[1:] == ["\U0001f600", -1500.0]
    assert call.reply == Reply(Version.V2, 1)


def test_text_comes_back_as_it_was_sent(served: Served) -> None:
    session = log_in(served)
    (vdi,) = value(served, "VDI.get_all", session)
    for text in ('a \x01\x7f\r\n\t"\\ <&>', "é \U0001f600 \N{ARABIC-INDIC DIGIT FIVE}", "", " "):
        value(served, "VDI.set_name_description", session, vdi, text)
        assert value(served, "VDI.get_name_description", session, vdi) == text
