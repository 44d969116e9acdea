"""The session sends each call once, gives an outcome for whatever comes back, and records nothing secret."""

import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.harness.scripted_host import (
    SESSION,
    UUID,
    Reply,
    ScriptedHost,
    answer,
    drip,
    failure,
    hang_up,
    say_nothing,
    success,
)
from xencbt.harness.endpoint import Endpoint
from xencbt.harness.errors import HarnessError, TargetUnreachable
from xencbt.harness.exchange import Recorder
from xencbt.harness.masking import Secrets
from xencbt.harness.outcome import Failed, Indeterminate, Ok
from xencbt.harness.session import Session
from xencbt.harness.spending import LOST_IN_A_ROW
from xencbt.harness.verdicts import Violation

PASSWORD = "s3cret & <sharp> ü"
VDI = "OpaqueRef:12345678-1234-1234-1234-123456789abc"
CALL = "VDI.enable_cbt"
BOMB = b"""<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>
<methodResponse><params><param><value>&b;</value></param></params></methodResponse>"""


@contextmanager
def logged_in(host: ScriptedHost, *, deadline_s: float = 5) -> Iterator[Session]:
    session = Session.login(Endpoint.parse(host.url), "root", PASSWORD, Recorder(Secrets()), deadline_s=deadline_s)
    try:
        yield session
    finally:
        session.close()


@contextmanager
def serving(reply: Reply, *, deadline_s: float = 5) -> Iterator[tuple[ScriptedHost, Session]]:
    with ScriptedHost({CALL: reply}) as host, logged_in(host, deadline_s=deadline_s) as session:
        yield host, session


def xml(value: str) -> bytes:
    return f"<methodResponse><params><param><value>{value}</value></param></params></methodResponse>".encode()


BROKEN: dict[str, tuple[Reply, str]] = {
    "closed without a word": (hang_up, "closed without an answer"),
    "cut short": (answer(success("")[:50], length=5000), "cut short"),
    "never answered": (say_nothing, "within 0.3 s"),
    "one byte at a time": (drip(success("") * 9, 0.05), "within 0.3 s"),
    "no XML": (answer(b"<html><p>hello</html>"), "not an XML-RPC answer"),
    "no bytes": (answer(b""), "not an XML-RPC answer"),
    "an entity bomb": (answer(BOMB), "DTDForbidden"),
    "nested without end": (answer(xml("<array><data><value>" * 500)), "nested"),
    "no HTTP": (lambda sock, _: sock.sendall(b"SSH-2.0-x\r\n\r\n"), "not an HTTP answer"),
    "a bad chunk": (
        lambda sock, _: sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        "",
    ),
    "an HTTP error": (answer(b"", status="502 Bad Gateway"), "HTTP 502"),
    "a protocol fault": (answer(b"<methodResponse><fault><value>no</value></fault></methodResponse>"), ""),
    "no Status": (answer(xml("<string>hello</string>")), "no usable Status"),
    "a failure without a code": (answer(failure()), "no usable Status"),
    "a success without a value": (
        answer(xml("<struct><member><name>Status</name><value>Success</value></member></struct>")),
        "no usable Status",
    ),
    "a bad number": (answer(xml("<int>many</int>")), "not an XML-RPC answer"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_useless_answer_is_indeterminate_and_the_call_was_sent_once(name: str) -> None:
    reply, why = BROKEN[name]
    with serving(reply, deadline_s=0.3 if "within" in why else 5) as (host, session):
        outcome = session.call(CALL, VDI)
        assert isinstance(outcome, Indeterminate)
        assert why in outcome.why
        assert host.requests[CALL] == 1


def test_a_host_that_answers_others_and_is_silent_on_one_call_is_at_fault() -> None:
    with serving(say_nothing, deadline_s=0.3) as (_, session), pytest.raises(Violation) as caught:
        session.value(CALL, VDI)
    assert "VDI.enable_cbt" in caught.value.message
    assert "was never answered" in caught.value.message
    assert "within 0.3 s), while another call was answered" in caught.value.actual


def test_a_host_that_is_silent_on_every_call_may_as_well_be_a_broken_lab() -> None:
    with serving(say_nothing, deadline_s=0.3) as (host, session):
        host.script["session.get_uuid"] = hang_up
        with pytest.raises(HarnessError, match=r"within 0\.3 s"):
            session.value(CALL, VDI)


@pytest.mark.parametrize("why", ["disturbed", "beside", "in a hurry", "hung up"])
def test_a_call_that_we_may_have_lost_ourselves_accuses_nobody(why: str) -> None:
    with serving(hang_up if why == "hung up" else say_nothing, deadline_s=0.3) as (_, session):
        session.disturbed, session.beside = why == "disturbed", why == "beside"
        outcome = session.call(CALL, VDI, deadline_s=0.2 if why == "in a hurry" else None)
        assert isinstance(outcome, Indeterminate)
        assert type(session.unanswered("enabling", outcome)) is HarnessError


def test_after_a_lost_answer_the_next_call_gets_its_own_answer() -> None:
    with serving(say_nothing, deadline_s=0.3) as (host, session):
        session.call(CALL, VDI)
        host.script[CALL] = answer(success("mine"))
        assert session.call(CALL, VDI) == Ok("mine")
        assert host.requests[CALL] == 2


def test_the_connection_is_kept_between_calls() -> None:
    with serving(answer(success(""))) as (host, session):
        for _ in range(5):
            assert session.call(CALL, VDI) == Ok("")
        assert host.connections == 1


def test_a_connection_that_was_closed_while_idle_is_replaced_before_sending() -> None:
    def answer_and_close_silently(sock: socket.socket, _stop: object) -> None:
        body = success("")
        sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        sock.shutdown(socket.SHUT_RDWR)

    with serving(answer_and_close_silently) as (host, session):
        for _ in range(3):
            assert session.call(CALL, VDI) == Ok("")
            idle = session._binding.once.channel._sock
            assert idle is not None
            assert select.select([idle], [], [], 30.0)[0], "the end of the connection arrived"
        assert host.requests[CALL] == 3


def test_an_invalid_session_is_a_refusal_and_nobody_logs_in_again() -> None:
    with serving(answer(failure("SESSION_INVALID", SESSION))) as (host, session):
        assert session.call(CALL, VDI) == Failed("SESSION_INVALID", (SESSION,))
        assert host.requests[CALL] == 1
        assert host.requests["session.login_with_password"] == 1


def test_a_refusal_carries_code_and_parameters() -> None:
    with serving(answer(failure("VDI_IN_USE", VDI, "destroy"))) as (_, session):
        assert session.call(CALL, VDI) == Failed("VDI_IN_USE", (VDI, "destroy"))


def test_values_are_plain_and_times_are_text() -> None:
    body = xml(
        "<struct><member><name>Status</name><value>Success</value></member><member><name>Value</name><value><array><data>"
        "<value><dateTime.iso8601>20260102T03:04:05Z</dateTime.iso8601></value><value><boolean>1</boolean></value>"
        "<value></value><value><double>0.5</double></value></data></array></value></member></struct>"
    )
    with serving(answer(body)) as (_, session):
        assert session.call(CALL, VDI) == Ok(["20260102T03:04:05Z", True, "", 0.5])


def test_integers_travel_as_text_and_the_session_comes_first() -> None:
    with serving(answer(success(""))) as (_, session):
        session.call(CALL, VDI, 2**40, {"size": 7, "on": True})
        request = session.recorder.kept[-1].request
        assert f"<string>{2**40}</string>" in request
        assert "<string>7</string>" in request
        assert "<int>" not in request
        assert request.index("•••") < request.index(VDI)


def test_value_returns_the_value() -> None:
    with serving(answer(success(VDI))) as (_, session):
        assert session.value(CALL, VDI) == VDI


def test_value_of_a_refused_call_is_a_violation() -> None:
    with serving(answer(failure("SESSION_INVALID", SESSION))) as (_, session):
        with pytest.raises(Violation, match=r"VDI.enable_cbt\(\"OpaqueRef:1234…\"\) was refused") as caught:
            session.value(CALL, VDI)
        assert SESSION not in str(caught.value)


def test_value_without_an_answer_is_trouble_of_the_harness() -> None:
    with serving(hang_up) as (_, session), pytest.raises(HarnessError, match="no answer"):
        session.value(CALL, VDI)


def test_an_exchange_reads_as_a_person_would_write_it() -> None:
    with serving(answer(failure("VDI_IN_USE", VDI, "destroy"))) as (_, session):
        session.call(CALL, VDI)
        exchange = session.recorder.kept[-1]
        assert exchange.step == 'VDI.enable_cbt("OpaqueRef:1234…")'
        assert exchange.outcome == "VDI_IN_USE[OpaqueRef:1234…, destroy]"
        assert exchange.method == CALL
        assert session.recorder.calls == 3


def test_nothing_secret_is_recorded() -> None:
    with ScriptedHost({CALL: answer(failure("SESSION_INVALID", SESSION))}) as host:
        with logged_in(host) as session:
            session.call(CALL, SESSION, PASSWORD)
        text = json.dumps([exchange.as_json() for exchange in session.recorder.kept], ensure_ascii=False)
    assert len(session.recorder.kept) == 4
    for secret in (SESSION, SESSION[:20], PASSWORD, "s3cret", "sharp"):
        assert secret not in text


def test_a_login_that_comes_back_garbled_leaves_no_session_in_the_record() -> None:
    with ScriptedHost({"session.login_with_password": answer(success(SESSION)[:-20])}) as host:
        recorder = Recorder(Secrets())
        with pytest.raises(TargetUnreachable, match="not as the XenAPI"):
            Session.login(Endpoint.parse(host.url), "root", PASSWORD, recorder)
    assert SESSION not in json.dumps([exchange.as_json() for exchange in recorder.kept])


def test_closing_logs_out_once() -> None:
    with serving(answer(success(""))) as (host, session):
        session.close()
        session.close()
        assert host.requests["session.logout"] == 1


def test_the_session_knows_its_uuid() -> None:
    with serving(answer(success(""))) as (_, session):
        assert (session.ref, session.uuid, session.user) == (SESSION, UUID, "root")


LOGIN_TROUBLE: dict[str, tuple[Reply, str]] = {
    "wrong password": (answer(failure("SESSION_AUTHENTICATION_FAILED", "root", "no")), "wrong user name or password"),
    "pool member": (answer(failure("HOST_IS_SLAVE", "10.0.0.1")), "the master '10.0.0.1', which is not followed"),
    "other refusal": (answer(failure("HOST_STILL_BOOTING")), "refused to log 'root' in: HOST_STILL_BOOTING"),
    "no XenAPI": (answer(b"<html></html>"), "not as the XenAPI does"),
    "no page": (answer(b"", status="404 Not Found"), "HTTP 404"),
    "no reference": (answer(success(True)), "gives no session reference"),
    "closes": (hang_up, "closed without an answer"),
}


@pytest.mark.parametrize("name", LOGIN_TROUBLE)
def test_a_login_that_fails_says_why(name: str) -> None:
    reply, why = LOGIN_TROUBLE[name]
    with ScriptedHost({"session.login_with_password": reply}) as host:
        with pytest.raises(TargetUnreachable, match=r"127\.0\.0\.1") as caught:
            Session.login(Endpoint.parse(host.url), "root", PASSWORD, Recorder(Secrets()))
        assert why in str(caught.value)
        assert host.requests["session.login_with_password"] == 1


def test_nobody_there_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TargetUnreachable, match=r"cannot connect to 127\.0\.0\.1"):
        Session.login(Endpoint.parse(f"http://127.0.0.1:{port}"), "root", PASSWORD, Recorder(Secrets()))


def test_tls_with_a_host_that_speaks_none_is_told_apart() -> None:
    def no_tls() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(1000)
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=no_tls)
        thread.start()
        endpoint = Endpoint.parse(f"https://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(TargetUnreachable, match=r"TLS with 127\.0\.0\.1:\d+ failed .*does not speak TLS"):
            Session.login(endpoint, "root", PASSWORD, Recorder(Secrets()))
        thread.join()


@pytest.mark.parametrize("disturbed", [False, True])
def test_calls_that_go_unanswered_trip_the_breaker_unless_we_disturb_them_ourselves(disturbed: bool) -> None:
    with serving(hang_up) as (_, session):
        session.disturbed = disturbed
        for _ in range(LOST_IN_A_ROW):
            assert isinstance(session.call(CALL, VDI), Indeterminate)
        assert session.recorder.breaker.tripped is not disturbed


def test_any_answer_keeps_the_breaker_from_tripping() -> None:
    with serving(hang_up) as (_, session):
        for _ in range(LOST_IN_A_ROW):
            session.call(CALL, VDI)
            assert isinstance(session.call("session.get_uuid", session.ref), Ok)
        assert not session.recorder.breaker.tripped
