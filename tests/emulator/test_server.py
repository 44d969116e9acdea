"""The wire with real sockets: kept connections, hostile input, idle crowds, events, restart, control."""

from __future__ import annotations

import contextlib
import gc
import json
import resource
import socket
import ssl
import threading
import time
import tracemalloc
import xmlrpc.client
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.served import DEADLINE_S, PASSWORD, Failed, Served, decode, read_all, serve
from xencbt.fixtures.emulator import identity
from xencbt.fixtures.emulator.certificate import self_signed
from xencbt.fixtures.emulator.options import Limits, Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as running:
        yield running


@pytest.fixture
def own() -> Iterator[Served]:
    """Serve a host for one test that harms it."""
    with serve() as running:
        yield running


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, which another thread brings about, up to the deadline."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        threading.Event().wait(0.005)


def request(body: bytes, head: str = "POST /RPC2 HTTP/1.1") -> bytes:
    return f"{head}\r\nHost: h\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def call(name: str, *params: Any) -> bytes:
    return xmlrpc.client.dumps(params, name).encode()


LIST = call("system.listMethods")


@pytest.mark.parametrize("path", ["/RPC2", "/RPC2/", "/", "/xmlrpc", "/xmlrpc/", "/RPC2?a=b", "/RPC2/deeper"])
def test_calls_are_taken_on_every_path(served: Served, path: str) -> None:
    assert served.call("session.login_with_password", "root", PASSWORD, path=path).startswith("OpaqueRef:")


def test_answers_are_plain_xml(served: Served) -> None:
    response, body = served.post(LIST, **{"Accept-Encoding": "gzip"})
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/xml"
    assert response.headers["Content-Encoding"] is None
    assert body.startswith(b'<?xml version="1.0"?><methodResponse><params><param><value><array>')


def test_the_official_way_of_calling_works(served: Served) -> None:
    with xmlrpc.client.ServerProxy(served.url, allow_none=True) as proxy:
        login: Any = proxy.session.login_with_password("root", PASSWORD, "1.0", "test")
        answer: Any = proxy.VDI.get_all_records(login["Value"])
    assert [record["name_label"] for record in answer["Value"].values()] == ["disk"]


def test_a_connection_serves_many_calls(served: Served) -> None:
    connection = served.connect()
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request("POST", "/RPC2", LIST)
        assert connection.getresponse().read().startswith(b"<?xml")
        assert connection.sock is first
    connection.close()


@pytest.mark.parametrize("head", ["POST / HTTP/1.0", "POST / HTTP/1.1\r\nConnection: close"])
def test_a_connection_ends_when_the_client_wants_it(served: Served, head: str) -> None:
    answer = served.raw(request(LIST, head), end=False)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close" in answer


def test_requests_sent_ahead_are_answered_in_order(served: Served) -> None:
    session = served.login()
    names = [call("VDI.get_all", session), call("SR.get_all", session), call("nonesuch", session)]
    answers = served.raw(
        b"".join(map(request, names)) + request(LIST, "POST / HTTP/1.1\r\nConnection: close"), end=False
    )
    parts = answers.split(b"HTTP/1.1 200 OK")
    assert len(parts) == 5
    assert b"MESSAGE_METHOD_UNKNOWN" in parts[3]


def test_a_request_may_come_byte_by_byte(served: Served) -> None:
    with served.socket() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(LIST, "POST / HTTP/1.0"):
            connection.sendall(bytes((byte,)))
        assert read_all(connection).endswith(b"</methodResponse>")


def test_a_client_that_waits_is_told_to_go_on(served: Served) -> None:
    with served.socket() as connection:
        connection.sendall(
            request(b"", f"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: {len(LIST)}").replace(
                b"Content-Length: 0\r\n", b""
            )
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(LIST)
        assert b"200 OK" in read_all(connection)


BOMB = b'<!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><methodCall><methodName>&b;</methodName></methodCall>'
DEEP = b"<methodCall><methodName>a</methodName><params><param>" + b"<value><array><data>" * 5000


@pytest.mark.parametrize("body", [b"", b"not xml", b"\x00" * 100, BOMB, DEEP, b"<methodCall/>", "é".encode("latin-1")])
def test_malformed_calls_get_a_fault_and_the_connection_lives(served: Served, body: bytes) -> None:
    connection = served.connect()
    connection.request("POST", "/RPC2", body)
    with pytest.raises(xmlrpc.client.Fault):
        xmlrpc.client.loads(connection.getresponse().read())
    connection.request("POST", "/RPC2", LIST)
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 405),
        (b"GET /nonesuch HTTP/1.1\r\n\r\n", 404),
        (b"POST / HTTP/1.1\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nX: " + b"y" * 20_000, 431),
        (b"POST / HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 431),
    ],
)
def test_requests_that_cannot_be_served_are_refused_and_the_connection_closed(
    served: Served, data: bytes, status: int
) -> None:
    answer = served.raw(data, end=False)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in answer


@pytest.mark.parametrize(
    "data", [b"POST / HT", b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n<method", b"\x16\x03\x01\x02\x00\x01"]
)
def test_truncated_requests_are_dropped(served: Served, data: bytes) -> None:
    assert served.raw(data) == b""
    assert served.login()


def test_a_slow_sender_is_cut_off() -> None:
    hasty_limits = Options(limits=Limits(header_s=0.05, body_s=0.05, idle_s=0.05))
    with serve(hasty_limits) as hasty, hasty.socket() as head, hasty.socket() as body, hasty.socket() as idle:
        head.sendall(b"POST / HT")
        body.sendall(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n<")
        assert [read_all(connection) for connection in (head, body, idle)] == [b"", b"", b""]


def test_bodies_on_their_way_share_a_bounded_space() -> None:
    with serve(Options(limits=Limits(bodies_bytes=1000))) as small, small.socket() as first:
        first.sendall(b"POST / HTTP/1.1\r\nContent-Length: 600\r\n\r\n<")
        wait_until(lambda: small.server._reserved == 600)
        assert small.raw(b"POST / HTTP/1.1\r\nContent-Length: 600\r\n\r\n<", end=False).startswith(b"HTTP/1.1 503 ")
        first.close()
        wait_until(lambda: small.server._reserved == 0)
        assert small.login()


def test_too_many_connections_are_turned_away() -> None:
    with serve(Options(limits=Limits(connections=2))) as small, small.socket(), small.socket():
        wait_until(lambda: small.server.connections == 2)
        assert small.raw(b"", end=False) == b""


def test_thousands_of_idle_connections_hurt_nobody(own: Served) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 2000
    if soft < 2 * count + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2 * count + 200, hard))
    try:
        with ExitStack() as crowd:
            for number in range(count):
                connection = crowd.enter_context(own.socket())
                if number % 2:
                    connection.sendall(b"POST /RPC2 HTTP/1.1\r\n")
            wait_until(lambda: own.server.connections == count)
            threads = threading.active_count()
            assert own.call("VDI.get_all", own.login())
            assert threading.active_count() == threads
        wait_until(lambda: own.server.connections == 0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_memory_does_not_grow_with_abuse(own: Served) -> None:
    def abuse() -> None:
        session = own.login()
        own.call("session.logout", session)
        for body in (b"not xml", BOMB, DEEP, call("VDI.get_record", "x", "y"), call("a" * 1000, "x")):
            own.post(body)
        for data in (b"POST / HTTP/1.1\r\nContent-Length: 900000\r\n\r\n" + b"x" * 100_000, b"G" * 20_000, b"\r\n\r\n"):
            own.raw(data)

    def held() -> int:
        wait_until(lambda: own.server.connections == 0)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        for _ in range(10):
            abuse()
        before = held()
        for _ in range(40):
            abuse()
        assert held() - before < 100_000
    finally:
        tracemalloc.stop()


def test_a_client_that_does_not_read_is_not_served_on(own: Served) -> None:
    with own.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        sent, data = 0, request(LIST) * 50
        with contextlib.suppress(BlockingIOError):
            while sent < 200_000_000:
                sent += connection.send(data)
        assert own.login()
    assert sent < 50_000_000


# events


def test_events_begin_with_all_there_is(served: Served) -> None:
    batch = served.call("event.from", served.login(), ["VDI", "sr"], "", 5.0)
    events = {event["class"]: event for event in batch["events"]}
    assert {name: event["operation"] for name, event in events.items()} == {"sr": "add", "vdi": "add"}
    assert events["vdi"]["snapshot"]["name_label"] == "disk"
    assert batch["valid_ref_counts"]["vdi"] == 1
    assert {"id", "timestamp", "class", "operation", "ref", "snapshot"} == set(events["vdi"])


def test_a_wait_for_events_ends_with_the_news_and_blocks_nobody(own: Served) -> None:
    session = own.login()
    vdi = own.call("VDI.get_all", session)[0]
    token = own.call("event.from", session, ["*"], "", 0.0)["token"]
    with own.socket() as waiting:
        waiting.sendall(request(call("event.from", session, [f"VDI/{vdi}"], token, 60.0), "POST / HTTP/1.0"))
        wait_until(lambda: len(own.host.running) == 1)
        own.call("SR.set_tags", session, own.call("SR.get_all", session)[0], ["unrelated"])
        own.call("VDI.set_tags", session, vdi, ["t"])
        batch = decode(read_all(waiting).partition(b"\r\n\r\n")[2])
    assert [(e["operation"], e["ref"], e["snapshot"]["tags"]) for e in batch["events"]] == [("mod", vdi, ["t"])]
    assert own.call("event.from", session, ["*"], batch["token"], 0.0)["events"] == []


def test_a_wait_for_events_ends_in_time(served: Served) -> None:
    session = served.login()
    token = served.call("event.from", session, ["*"], "", 0.0)["token"]
    assert served.call("event.from", session, ["*"], token, 0.05)["events"] == []


def test_a_deleted_object_is_reported_without_record(own: Served) -> None:
    session = own.login()
    network = own.call("network.create", session, {})
    token = own.call("event.from", session, ["network"], "", 0.0)["token"]
    own.call("network.destroy", session, network)
    (event,) = own.call("event.from", session, ["network"], token, 5.0)["events"]
    assert (event["operation"], event["ref"], "snapshot" in event) == ("del", network, False)


def test_an_injected_event_is_seen_before_the_token_it_gives(own: Served) -> None:
    session = own.login()
    vdi = own.call("VDI.get_all", session)[0]
    token = own.call("event.from", session, ["vdi"], "", 0.0)["token"]
    after = own.call("event.inject", session, "VDI", vdi)
    assert [e["ref"] for e in own.call("event.from", session, ["vdi"], token, 0.0)["events"]] == [vdi]
    assert own.call("event.from", session, ["vdi"], after, 0.0)["events"] == []
    with pytest.raises(Failed, match="HANDLE_INVALID"):
        own.call("event.inject", session, "VDI", "x")


def test_bad_tokens_are_refused(own: Served) -> None:
    session = own.login()
    with pytest.raises(Failed, match="EVENT_FROM_TOKEN_PARSE_FAILURE"):
        own.call("event.from", session, ["*"], "yesterday", 0.0)
    token = own.call("event.from", session, ["*"], "", 0.0)["token"]
    own.host.db._forgotten = own.host.db.generation + 1
    with pytest.raises(Failed, match="EVENTS_LOST"):
        own.call("event.from", session, ["*"], token, 0.0)


def test_a_wait_ends_when_its_session_does(own: Served) -> None:
    session, other = own.login(), own.login()
    token = own.call("event.from", session, ["vm"], "", 0.0)["token"]
    with own.socket() as waiting:
        waiting.sendall(request(call("event.from", session, ["vm"], token, 60.0), "POST / HTTP/1.0"))
        wait_until(lambda: len(own.host.running) == 1)
        own.call("session.logout", session)
        assert b"SESSION_INVALID" in read_all(waiting)
    assert own.call("VDI.get_all", other)


def test_a_wait_is_dropped_when_its_client_leaves(own: Served) -> None:
    session = own.login()
    token = own.call("event.from", session, ["vm"], "", 0.0)["token"]
    with own.socket() as waiting:
        waiting.sendall(request(call("event.from", session, ["vm"], token, 60.0)))
        wait_until(lambda: len(own.host.running) == 1)
    wait_until(lambda: not own.host.running)


# tasks and restart


def test_a_background_call_answers_with_a_task(own: Served) -> None:
    session = own.login()
    task = own.call("Async.network.create", session, {"name_label": "later"})
    wait_until(lambda: own.call("task.get_status", session, task) != "pending")
    record = own.call("task.get_record", session, task)
    (network,) = own.call("network.get_by_name_label", session, "later")
    assert (record["status"], record["result"], record["progress"]) == ("success", f"<value>{network}</value>", 1.0)


def test_a_background_call_that_is_refused_says_why_in_its_task(own: Served) -> None:
    session = own.login()
    network = own.call("network.create", session, {})
    own.on_loop(lambda: own.host.db.add("PIF", network=network))
    task = own.call("Async.network.destroy", session, network)
    wait_until(lambda: own.call("task.get_status", session, task) != "pending")
    assert own.call("task.get_status", session, task) == "failure"
    assert own.call("task.get_error_info", session, task)[0] == "NETWORK_CONTAINS_PIF"


def test_restarting_the_toolstack_ends_sessions_and_running_calls_and_keeps_records(own: Served) -> None:
    own.host.options.restart_s = 0.3
    session = own.login()
    host, vdi = own.call("host.get_all", session)[0], own.call("VDI.get_all", session)[0]
    token = own.call("event.from", session, ["vm"], "", 0.0)["token"]
    with own.socket() as waiting, own.socket() as idle:
        waiting.sendall(request(call("event.from", session, ["vm"], token, 60.0)))
        wait_until(lambda: len(own.host.running) == 1)
        assert own.call("host.restart_agent", session, host) == ""
        assert read_all(waiting) == b""
        assert read_all(idle) == b""
    wait_until(lambda: not own.host.serving)
    assert own.raw(request(LIST), end=False) == b""
    wait_until(lambda: own.host.serving)
    with pytest.raises(Failed, match="SESSION_INVALID"):
        own.call("VDI.get_all", session)
    assert own.call("VDI.get_name_label", own.login(), vdi) == "disk"
    assert not own.host.running


# control


def control(
    served: Served, verb: str, body: bytes = b"{}", token: str | None = None, method: str = "POST"
) -> tuple[int, Any]:
    connection = served.connect()
    try:
        bearer = served.token if token is None else token
        connection.request(method, f"/_control/{verb}", body, {"Authorization": f"Bearer {bearer}"})
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    return response.status, json.loads(text) if response.headers[
        "Content-Type"
    ] == "application/json" else text.decode()


def test_verbs_take_and_give_objects(served: Served) -> None:
    assert control(served, "echo", b'{"a": [1]}') == (200, {"a": [1]})
    assert control(served, "echo", b"") == (200, {})


@pytest.mark.parametrize("body", [b"[]", b"nonsense", b'"x"', b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_objects_are_bad_requests(served: Served, body: bytes) -> None:
    status, answer = control(served, "echo", body)
    assert (status, list(answer)) == (400, ["error"])


def test_a_verb_may_say_not_now(served: Served) -> None:
    assert control(served, "refuse") == (409, {"error": "not now: {}"})


def test_control_needs_the_token_and_a_known_verb(served: Served) -> None:
    assert control(served, "echo", token="wrong")[0] == 401
    status, text = control(served, "nonesuch")
    assert status == 404
    assert "echo" in text
    assert control(served, "nonesuch", token="wrong")[0] == 401
    assert control(served, "echo", method="GET")[0] == 405


def test_control_works_while_the_host_is_down(own: Served) -> None:
    own.on_loop(own.host.go_down)
    assert control(own, "echo", b'{"still": 1}') == (200, {"still": 1})
    assert own.raw(request(LIST), end=False) == b""
    own.on_loop(own.host.come_up)
    assert own.login()


def test_a_control_connection_survives_the_restart_it_asks_for(own: Served) -> None:
    own.host.options.restart_s = 0.01
    session = own.login()
    assert control(own, "restart", b'{"x": 1}') == (200, {"x": 1})
    with pytest.raises(Failed, match="SESSION_INVALID"):
        own.call("VDI.get_all", session)


# TLS


def test_tls_with_the_certificate_as_only_authority(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, identity.HOSTNAME, "127.0.0.1")
    assert certificate.key.stat().st_mode & 0o077 == 0
    trust = ssl.create_default_context(cafile=certificate.path)
    with serve(tls=certificate.server_context()) as secure:
        assert secure.url.startswith("https://127.0.0.1:")
        for name in ("127.0.0.1", "localhost", identity.HOSTNAME):
            with trust.wrap_socket(secure.socket(), server_hostname=name) as connection:
                connection.sendall(request(LIST, "POST / HTTP/1.0"))
                assert read_all(connection).startswith(b"HTTP/1.1 200 OK")
        assert b"200 OK" not in secure.raw(request(LIST), end=False)
        with trust.wrap_socket(secure.socket(), server_hostname="localhost") as connection:
            connection.sendall(request(call("session.login_with_password", "root", PASSWORD), "POST / HTTP/1.0"))
            assert b"Success" in read_all(connection)
