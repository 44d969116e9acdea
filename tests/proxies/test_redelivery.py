"""The second delivery of a duplicate, and reading answers that only a fault sees."""

import socket
import time
import xmlrpc.client
from pathlib import Path

import pytest

from tests.proxies.host import BLOCKED, REFUSED, SILENT, Host
from xencbt.harness.endpoint import Endpoint
from xencbt.harness.outcome import Failed, Indeterminate, Ok
from xencbt.harness.transport import NotConnected
from xencbt.proxies.answers import outcome_of
from xencbt.proxies.redelivery import Request, deliver


def request(method: str) -> Request:
    body = xmlrpc.client.dumps(("OpaqueRef:a",), method).encode()
    return Request("POST", "/RPC2", ((b"Host", b"host"), (b"Content-Length", b"%d" % len(body))), body)


@pytest.mark.parametrize(("method", "outcome"), [("VDI.enable_cbt", Ok), (REFUSED, Failed), (SILENT, Indeterminate)])
def test_outcomes_of_a_second_delivery(host: Host, method: str, outcome: type) -> None:
    assert type(deliver(request(method), Endpoint.parse(host.url, host.certificate), 10)) is outcome
    assert host.executions(method) == 1


def test_a_host_that_does_not_answer_is_waited_for_no_longer_than_said(plain_host: Host) -> None:
    started = time.monotonic()
    outcome = deliver(request(BLOCKED), Endpoint.parse(plain_host.url), 0.3)
    assert isinstance(outcome, Indeterminate)
    assert time.monotonic() - started < 5
    assert plain_host.executions(BLOCKED) == 1


def test_a_host_that_is_gone_was_sent_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        with pytest.raises(NotConnected):
            deliver(request("VDI.enable_cbt"), Endpoint.parse(f"http://127.0.0.1:{taken.getsockname()[1]}"), 5)


def test_a_foreign_certificate_was_sent_nothing(host: Host, foreign_certificate: Path) -> None:
    if host.certificate is None:
        assert deliver(request("VDI.enable_cbt"), Endpoint.parse(host.url), 5) == Ok("")
        return
    with pytest.raises(NotConnected, match="certificate"):
        deliver(request("VDI.enable_cbt"), Endpoint.parse(host.url, foreign_certificate), 5)
    assert host.executions("VDI.enable_cbt") == 0


def test_headers_keep_order_and_spelling() -> None:
    sent = Request("POST", "/RPC2", ((b"hOST", b"a"), (b"X-B", b"2"), (b"X-A", b"1")), b"body").as_bytes()
    assert sent == b"POST /RPC2 HTTP/1.1\r\nhOST: a\r\nX-B: 2\r\nX-A: 1\r\n\r\nbody"


@pytest.mark.parametrize(
    ("body", "framed"), [(b"x" * 18, b"12\r\n" + b"x" * 18 + b"\r\n0\r\n\r\n"), (b"", b"0\r\n\r\n")]
)
def test_a_body_of_chunks_is_framed_again(body: bytes, framed: bytes) -> None:
    sent = Request("POST", "/", ((b"Transfer-Encoding", b"chunked"),), body).as_bytes()
    assert sent.partition(b"\r\n\r\n")[2] == framed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY e 'x'>]><methodResponse/>",
        xmlrpc.client.dumps(("text",), methodresponse=True).encode(),
        xmlrpc.client.dumps(({"Status": "Failure", "ErrorDescription": []},), methodresponse=True).encode(),
        xmlrpc.client.dumps(xmlrpc.client.Fault(1, "no"), methodresponse=True).encode(),
    ],
)
def test_an_unreadable_answer_decides_nothing(body: bytes) -> None:
    assert isinstance(outcome_of(200, body), Indeterminate)


def test_an_http_error_is_no_answer_of_the_api() -> None:
    body = xmlrpc.client.dumps(({"Status": "Success", "Value": ""},), methodresponse=True).encode()
    assert outcome_of(200, body) == Ok("")
    assert outcome_of(502, body) == Indeterminate("HTTP 502")
