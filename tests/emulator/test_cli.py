"""The command line of the emulated host, byte by byte, with clients good and bad."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulator.laboratory import laboratory
from tests.emulator.served import DEADLINE_S, PASSWORD, Served, read_all, serve
from xencbt.fixtures.emulator.cli_errors import REFERENCE, tells
from xencbt.fixtures.emulator.cli_protocol import (
    BODY_BYTES,
    GREETING,
    WORDS,
    BadTalkError,
    check_greeting,
    complains,
    ends,
    error,
    parse_words,
    shows,
)
from xencbt.fixtures.emulator.errors import Refusal
from xencbt.fixtures.emulator.options import Limits, Options

if TYPE_CHECKING:
    from collections.abc import Iterator

UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as served:
        yield served


def posted(*words: str, user: str = "root", password: str = PASSWORD) -> bytes:
    body = "\n".join((*words, f"username={user}", f"password={password}")).encode()
    return b"POST /cli HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def told(served: Served, request: bytes, greeting: bytes = GREETING) -> bytes:
    """Talk to the end; what came after the host's greeting."""
    with served.socket() as connection:
        connection.sendall(request)
        assert connection.recv(len(GREETING), socket.MSG_WAITALL) == GREETING, "at once, and without HTTP"
        connection.sendall(greeting)
        return read_all(connection)


def uuid_of_the_disk(served: Served) -> str:
    def read() -> str:
        (ref,) = served.host.db.all("VDI")
        return str(served.host.db.get("VDI", ref)["uuid"])

    return str(served.on_loop(read))


def test_the_messages_on_the_wire() -> None:
    assert b"XenSource thin CLI protocol" + bytes([0, 0, 0, 0, 2, 0, 0, 0]) == GREETING
    assert shows("ab") == bytes([14, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]) + b"ab"
    assert complains("ü") == struct.pack("<Iiii", 14, 9, 16, 2) + "ü".encode()
    assert ends(1) == struct.pack("<Iiii", 12, 9, 4, 1)
    assert error("X", ["a", ""]) == struct.pack("<Iiii", 26, 9, 14, 1) + b"X" + struct.pack("<ii", 2, 1) + b"a" + bytes(
        4
    )


def test_a_field_is_printed(served: Served) -> None:
    uuid = f"uuid={uuid_of_the_disk(served)}"
    assert told(served, posted("vdi-param-get", "param-name=cbt-enabled", uuid)) == shows("false") + ends(0)
    assert told(served, posted("vdi-param-get", uuid, "param-name=virtual-size")) == shows(str(2**21)) + ends(0)
    assert told(served, posted("vdi-param-get", uuid, "param-name=name-label")) == shows("disk") + ends(0)


@pytest.mark.parametrize("name", ["SR", "tags", "other-config", "nothing", "", "__class__"])
def test_what_is_no_plain_field_is_not_printed(served: Served, name: str) -> None:
    answer = told(served, posted("vdi-param-get", f"uuid={uuid_of_the_disk(served)}", f"param-name={name}"))
    assert answer == complains(f"Error: Unknown parameter name: {name}\n") + ends(1)


def test_an_unknown_uuid_is_explained(served: Served) -> None:
    expected = complains(f"The uuid you supplied was invalid.\ntype: VDI\nuuid: {UNKNOWN}\n") + ends(1)
    for command in ("vdi-enable-cbt", "vdi-disable-cbt", "vdi-data-destroy", "vdi-snapshot"):
        assert told(served, posted(command, f"uuid={UNKNOWN}")) == expected


@pytest.mark.parametrize(("user", "password"), [("root", "wrong"), ("nobody", PASSWORD), ("", ""), ("root", "")])
def test_wrong_credentials_are_refused_before_the_command_is_looked_at(
    served: Served, user: str, password: str, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = complains(f"{REFERENCE['SESSION_AUTHENTICATION_FAILED'].sentence}\n") + ends(1)
    for command in ("vdi-enable-cbt", "no-such-command"):
        assert told(served, posted(command, f"uuid={UNKNOWN}", user=user, password=password)) == expected
    assert capfd.readouterr() == ("", "")


def test_a_role_may_do_by_command_what_it_may_do_by_call(served: Served) -> None:
    uuid = f"uuid={uuid_of_the_disk(served)}"
    refused = told(served, posted("vdi-enable-cbt", uuid, user="vm-operator"))
    assert b"RBAC permission denied.\npermission: vdi.enable_cbt\n" in refused
    assert refused.endswith(ends(1))
    allowed = told(served, posted("vdi-param-get", uuid, "param-name=cbt-enabled", user="read-only"))
    assert allowed == shows("false") + ends(0)


def test_the_calls_are_counted_and_the_session_ends(served: Served) -> None:
    before = served.on_loop(lambda: len(list(served.host.db.all("session"))))
    counted = served.on_loop(lambda: len(served.host.call_counts.get("VDI.get_by_uuid", {})))
    told(served, posted("vdi-enable-cbt", f"uuid={UNKNOWN}"))
    assert served.on_loop(lambda: len(served.host.call_counts["VDI.get_by_uuid"])) == counted + 1
    assert served.on_loop(lambda: len(list(served.host.db.all("session")))) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["vdi-enable-cbt"], "Required parameter not found: uuid"),
        (["vdi-list-changed-blocks"], "Required parameter not found: vdi-from-uuid"),
        (["vdi-param-get"], "Required parameter not found: param-name"),
        (["no-such-command", "uuid=1"], "Unknown command: no-such-command"),
    ],
)
def test_a_wrong_command_line_is_told_so(served: Served, words: list[str], said: str) -> None:
    assert told(served, posted(*words)) == complains(f"{said}\n") + ends(1)


@pytest.mark.parametrize(
    "greeting",
    [
        pytest.param(b"x" * len(GREETING), id="another text"),
        pytest.param(GREETING[:-8] + struct.pack("<ii", 1, 0), id="another version"),
        pytest.param(GREETING[:10], id="cut short"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n" * 5000, id="a flood"),
    ],
)
def test_a_client_that_greets_wrongly_gets_nothing_done(served: Served, greeting: bytes) -> None:
    counts = served.on_loop(lambda: str(served.host.call_counts))
    with served.socket() as connection:
        connection.sendall(posted("vdi-enable-cbt", f"uuid={UNKNOWN}"))
        assert connection.recv(len(GREETING), socket.MSG_WAITALL) == GREETING
        try:
            connection.sendall(greeting)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the host has closed already, in the middle of the flood
        assert read_all(connection) == b""
    assert served.on_loop(lambda: str(served.host.call_counts)) == counts


def test_a_client_may_leave_at_any_point(served: Served) -> None:
    whole = posted("vdi-enable-cbt", f"uuid={UNKNOWN}") + GREETING
    for end in range(0, len(whole), 7):
        with served.socket() as connection:
            connection.sendall(whole[:end])
    assert told(served, posted("vdi-enable-cbt", f"uuid={UNKNOWN}")).endswith(ends(1))


def test_a_client_that_never_greets_is_left() -> None:
    with serve(Options(limits=Limits(header_s=0.1))) as served, served.socket() as connection:
        connection.sendall(posted("vdi-enable-cbt", f"uuid={UNKNOWN}"))
        assert read_all(connection) == GREETING


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /cli HTTP/1.0\r\n\r\n", b"405"),
        ("POST /cli HTTP/1.0\r\n\r\n", b"411"),
        (f"POST /cli HTTP/1.0\r\ncontent-length: {BODY_BYTES + 1}\r\n\r\n", b"413"),
    ],
)
def test_what_is_no_command_line_is_answered_as_http(served: Served, head: str, status: bytes) -> None:
    assert served.raw(head.encode()).split()[1] == status


@pytest.mark.parametrize("body", [b"", b"\n\n", b"\xff\xfe", b"x\n" * (WORDS + 1)])
def test_words_that_are_none_end_the_talk(served: Served, body: bytes) -> None:
    with pytest.raises(BadTalkError):
        parse_words(body)
    assert served.raw(b"POST /cli HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(body) + body) == b""


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reading(data: bytes) -> None:
    for read in (parse_words, check_greeting):
        try:
            read(data)
        except BadTalkError:
            continue
        assert data.strip(b"\n") or data == GREETING


def test_the_first_of_two_equal_names_counts_and_the_password_is_not_shown() -> None:
    line = parse_words(b"c\nuuid=1\nuuid=2\nusername=root\npassword=s3cret=x")
    assert (dict(line.parameters), line.user, line.password) == ({"uuid": "1"}, "root", "s3cret=x")
    assert "s3cret" not in repr(line)


def test_a_refusal_names_objects_by_their_uuids() -> None:
    with laboratory() as lab:
        vdi = lab.vdi
        uuid = lab.record(vdi)["uuid"]
        known = Refusal("VDI_INCOMPATIBLE_TYPE", vdi, "Ephemeral")
        sentence = REFERENCE["VDI_INCOMPATIBLE_TYPE"].sentence
        assert tells(lab.host.db, known) == complains(f"{sentence}\nvdi: {uuid}\ntype: Ephemeral\n")
        gone = Refusal("HANDLE_INVALID", "VDI", "OpaqueRef:gone")
        assert b"class: VDI\nhandle: OpaqueRef:gone\n" in tells(lab.host.db, gone)
        storage = Refusal("SR_BACKEND_FAILURE_457", "", f"broken: {vdi}", "")
        assert tells(lab.host.db, storage) == error("SR_BACKEND_FAILURE_457", ["", f"broken: {uuid}", ""])


def test_a_host_that_goes_down_cuts_the_talk(served: Served) -> None:
    with served.socket() as connection:
        connection.settimeout(DEADLINE_S)
        connection.sendall(posted("vdi-enable-cbt", f"uuid={UNKNOWN}"))
        assert connection.recv(len(GREETING), socket.MSG_WAITALL) == GREETING
        served.on_loop(served.host.cut_connections)
        assert read_all(connection) == b""
