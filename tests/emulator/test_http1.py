"""Heads of requests: read in one way or not at all."""

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.emulator.http1 import BadRequestError, covers, parse_head, refusal, rpc_answer


def test_a_head_is_read() -> None:
    head = parse_head(
        b"PUT /import_raw_vdi/?vdi=OpaqueRef%3A1&empty= HTTP/1.0\r\nContent-Length:  12 \r\nX-A: 1\r\nx-a: 2\r\n"
        b"Cookie: a=b; session_id=OpaqueRef%3A2\r\nAuthorization: Basic cm9vdDphOmI="
    )
    assert (head.method, head.path, head.length, head.keep_alive) == ("PUT", "/import_raw_vdi", 12, False)
    assert head.query == {"vdi": "OpaqueRef:1", "empty": ""}
    assert head.headers["x-a"] == "1, 2"
    assert head.cookies["session_id"] == "OpaqueRef:2"
    assert head.basic_credentials == ("root", "a:b")


@pytest.mark.parametrize(
    ("target", "path"), [("/", "/"), ("/RPC2", "/RPC2"), ("/RPC2/", "/RPC2"), ("http://h/x?y", "/x")]
)
def test_a_trailing_slash_makes_no_difference(target: str, path: str) -> None:
    assert parse_head(f"POST {target} HTTP/1.1".encode()).path == path


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        ("1.1", "", True),
        ("1.1", "Connection: close", False),
        ("1.1", "connection: Keep-Alive, CLOSE", False),
        ("1.0", "", False),
    ],
)
def test_connections_stay_open_unless_asked_not_to(version: str, connection: str, kept: bool) -> None:
    head = "\r\n".join(filter(None, [f"POST / HTTP/{version}", connection]))
    assert parse_head(head.encode()).keep_alive is kept


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"POST /",
        b"POST / HTTP/2.0",
        b"post / HTTP/1.1",
        b"POST  / HTTP/1.1",
        b"POST / HTTP/1.1\r\nno colon",
        b"POST / HTTP/1.1\r\nspace : x",
        b"POST / HTTP/1.1\r\n folded: x",
        b"POST / HTTP/1.1\r\na: b\x00c",
        b"POST / HTTP/1.1\r\na: b\nc: d",
        b"POST /\xff HTTP/1.1",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1",
        b"POST / HTTP/1.1\r\nContent-Length: -1",
        b"POST / HTTP/1.1\r\nContent-Length: +1",
        b"POST / HTTP/1.1\r\nContent-Length: 1_0",
        b"POST / HTTP/1.1\r\nContent-Length: 1, 1",
        b"POST http://[ HTTP/1.1",
        b"POST /?" + b"a=1&" * 100 + b" HTTP/1.1",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(head: bytes) -> None:
    with pytest.raises(BadRequestError) as refused:
        parse_head(head)
    assert refused.value.status is HTTPStatus.BAD_REQUEST


def test_transfer_encodings_are_not_spoken() -> None:
    with pytest.raises(BadRequestError) as refused:
        parse_head(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked")
    assert refused.value.status is HTTPStatus.NOT_IMPLEMENTED


@pytest.mark.parametrize("value", ["Basic", "Basic !", "Basic /w==", "Basic cm9vdA==", "Bearer x"])
def test_unreadable_credentials_are_none(value: str) -> None:
    assert parse_head(f"GET / HTTP/1.1\r\nAuthorization: {value}".encode()).basic_credentials is None


@given(st.binary(max_size=120).map(lambda b: b"POST / HTTP/1.1\r\n" + b) | st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        head = parse_head(data)
    except BadRequestError:
        return
    assert head.path.startswith("/")


def test_prefixes_cover_whole_segments() -> None:
    assert covers("/_control", "/_control/lab")
    assert covers("/_control", "/_control")
    assert not covers("/_control", "/_controls")
    assert covers("/", "/anything")


def test_answers_have_the_content_type_that_strict_clients_expect() -> None:
    answer = rpc_answer(b"<x/>", "text/xml", keep_alive=True)
    assert (
        answer
        == b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\n<x/>"
    )
    assert b"Connection: close" in rpc_answer(b"", "text/xml", keep_alive=False)
    assert b"Connection: close" in refusal(BadRequestError(HTTPStatus.BAD_REQUEST, "no"))
