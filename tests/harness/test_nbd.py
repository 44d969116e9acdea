"""The edge of the NBD client: one socket, every wait bounded, only the given certificate trusted, nothing told."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.test_nbd_protocol import GREETING, accepted, export, reply
from xencbt.fixtures.emulator.certificate import self_signed
from xencbt.harness.exchange import Recorder
from xencbt.harness.masking import Secrets
from xencbt.harness.nbd import NbdAddress, NbdClient, NbdClosed, NbdSilent, NbdUnreachable, NbdUntrusted
from xencbt.harness.nbd_protocol import STARTTLS, NbdFailed, NbdMalformed, NbdRefused

TOKEN = "OpaqueRef:0123-not-to-be-told"
NAME = f"/a-disk?session_id={TOKEN}"
DEADLINE_S = 10.0
SUBJECT = "a-host"

Story = Callable[[socket.socket], None]


@contextmanager
def server(story: Story, certificate: str = "", subject: str = SUBJECT) -> Iterator[NbdAddress]:
    """Have one client served by `story`, and then closed."""

    def serve() -> None:
        with listening.accept()[0] as sock:
            sock.settimeout(DEADLINE_S)
            try:
                story(sock)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(DEADLINE_S)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield NbdAddress(NAME, "127.0.0.1", listening.getsockname()[1], certificate, subject)
        finally:
            thread.join(DEADLINE_S)


def take(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data


def option(sock: socket.socket) -> int:
    _, number, length = struct.unpack(">8sII", take(sock, 16))
    take(sock, length)
    return int(number)


def greet(sock: socket.socket) -> None:
    sock.sendall(GREETING)
    take(sock, 4)


def open_up(sock: socket.socket, size: int = 100) -> None:
    greet(sock)
    option(sock)
    sock.sendall(accepted(size))


def request(sock: socket.socket) -> tuple[int, int, int, int]:
    """Read one request: command, handle, offset, length."""
    _, _, command, handle, offset, length = struct.unpack(">IHHQQI", take(sock, 28))
    return command, handle, offset, length


def answer(handle: int, data: bytes = b"", error: int = 0) -> bytes:
    return struct.pack(">IIQ", 0x67446698, error, handle) + data


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(Secrets([TOKEN]))


def test_a_range_is_read_in_pieces_and_the_leave_is_waited_for(recorder: Recorder) -> None:
    content = bytes(range(100))
    seen: list[tuple[int, int]] = []

    def story(sock: socket.socket) -> None:
        open_up(sock)
        while True:
            command, handle, offset, length = request(sock)
            if command == 2:
                seen.append((-1, -1))
                return
            seen.append((offset, length))
            for byte in answer(handle, content[offset : offset + length]):
                sock.sendall(bytes([byte]))

    with server(story) as at:
        with NbdClient(at, recorder, deadline_s=DEADLINE_S).open(tls=False) as client:
            assert client.export.size == 100
            assert list(client.stream(10, 25, piece=10)) == [content[10:20], content[20:30], content[30:35]]
            assert client.read(99, 1) == content[99:]
            assert client.read(5, 0) == b""
        assert seen == [(10, 10), (20, 10), (30, 5), (99, 1), (-1, -1)]
    told = [exchange.step for exchange in recorder.kept]
    assert told[1] == "NBD read 10 bytes at 10"
    assert not any(TOKEN in repr(exchange) for exchange in recorder.kept)
    assert TOKEN not in repr(at)


def test_a_command_that_fails_leaves_the_connection_of_use(recorder: Recorder) -> None:
    def story(sock: socket.socket) -> None:
        open_up(sock)
        _, handle, _, length = request(sock)
        take(sock, length)
        sock.sendall(answer(handle, error=1))
        _, handle, _, length = request(sock)
        sock.sendall(answer(handle, b"x" * length))
        request(sock)

    with server(story) as at, NbdClient(at, recorder, deadline_s=DEADLINE_S).open(tls=False) as client:
        with pytest.raises(NbdFailed, match="EPERM"):
            client.write(0, b"data")
        assert client.read(0, 3) == b"xxx"


def test_erasing_is_asked_for_without_data(recorder: Recorder) -> None:
    seen = []

    def story(sock: socket.socket) -> None:
        open_up(sock)
        for _ in range(2):
            command, handle, offset, length = request(sock)
            seen.append((command, offset, length))
            sock.sendall(answer(handle))
        request(sock)

    with server(story) as at, NbdClient(at, recorder, deadline_s=DEADLINE_S).open(tls=False) as client:
        client.trim(3, 5)
        client.write_zeroes(7, 2**31)
    assert seen == [(4, 3, 5), (6, 7, 2**31)]


def silent(sock: socket.socket) -> None:
    sock.recv(1)
    sock.recv(1)


def asked_and_silent(sock: socket.socket) -> None:
    greet(sock)
    option(sock)
    silent(sock)


def refusing(sock: socket.socket) -> None:
    greet(sock)
    option(sock)
    sock.sendall(reply(7, 1 << 31 | 6))


@pytest.mark.parametrize(
    ("story", "trouble"),
    [
        (lambda sock: sock.close(), NbdClosed),
        (lambda sock: sock.sendall(GREETING[:9]), NbdClosed),
        (lambda sock: sock.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n"), NbdMalformed),
        (silent, NbdSilent),
        (refusing, NbdRefused),
        (asked_and_silent, NbdSilent),
    ],
)
def test_what_can_go_wrong_at_the_door_has_its_name(recorder: Recorder, story: Story, trouble: type[Exception]) -> None:
    with server(story) as at, NbdClient(at, recorder, deadline_s=0.2) as client:
        with pytest.raises(trouble) as raised:
            client.open(tls=False)
        assert TOKEN not in str(raised.value)
    assert recorder.kept[-1].outcome == str(raised.value)


@pytest.mark.parametrize(
    ("part", "trouble"), [(answer(1)[:7], NbdClosed), (answer(2) + b"x" * 99, NbdMalformed), (bytes(16), NbdMalformed)]
)
def test_a_broken_answer_to_a_read_has_its_name(recorder: Recorder, part: bytes, trouble: type[Exception]) -> None:
    def story(sock: socket.socket) -> None:
        open_up(sock)
        request(sock)
        sock.sendall(part)

    with server(story) as at, NbdClient(at, recorder, deadline_s=DEADLINE_S) as client:
        client.open(tls=False)
        with pytest.raises(trouble):
            client.read(0, 10)


def test_a_server_that_drips_does_not_outlast_the_deadline(recorder: Recorder) -> None:
    stop = threading.Event()

    def story(sock: socket.socket) -> None:
        open_up(sock)
        _, handle, _, _ = request(sock)
        for byte in answer(handle, bytes(1000)):
            sock.sendall(bytes([byte]))
            if stop.wait(0.05):
                return

    with server(story) as at, NbdClient(at, recorder, deadline_s=0.3).open(tls=False) as client:
        with pytest.raises(NbdSilent):
            client.read(0, 1000)
        stop.set()


def test_a_server_that_talks_on_and_on_is_left(recorder: Recorder) -> None:
    def story(sock: socket.socket) -> None:
        open_up(sock)
        while True:
            sock.sendall(bytes(2**16))

    with server(story) as at:
        NbdClient(at, recorder, deadline_s=DEADLINE_S).open(tls=False).close()


def test_where_nothing_listens_there_is_no_connection(recorder: Recorder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NbdUnreachable) as unreachable:
        NbdClient(NbdAddress(NAME, "127.0.0.1", port, "", ""), recorder)
    assert unreachable.value.refused


def secured(context: ssl.SSLContext) -> Story:
    def story(sock: socket.socket) -> None:
        greet(sock)
        assert option(sock) == STARTTLS
        sock.sendall(reply(STARTTLS, 1))
        with context.wrap_socket(sock, server_side=True) as inside:
            option(inside)
            inside.sendall(accepted(100))
            request(inside)

    return story


def test_the_certificate_that_came_with_the_address_verifies_the_server(recorder: Recorder, tmp_path: Path) -> None:
    made = self_signed(tmp_path, SUBJECT, "127.0.0.1")
    with (
        server(secured(made.server_context()), made.pem) as at,
        NbdClient(at, recorder, deadline_s=DEADLINE_S) as client,
    ):
        assert client.open(tls=True).export.size == 100


def assert_untrusted(client: NbdClient) -> None:
    with pytest.raises(NbdUntrusted):
        client.open(tls=True)


def test_no_other_certificate_and_no_other_name_does(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    made, other = self_signed(tmp_path, SUBJECT, "127.0.0.1"), self_signed(tmp_path / "other", SUBJECT, "127.0.0.1")
    for certificate, subject in [
        (other.pem, SUBJECT),
        (made.pem, "another-host"),
        ("", SUBJECT),
        ("x", SUBJECT),
        (made.pem, ""),
    ]:
        story = secured(made.server_context())
        with server(story, certificate, subject) as at, NbdClient(at, recorder, deadline_s=DEADLINE_S) as client:
            assert_untrusted(client)


def test_a_server_that_says_yes_to_tls_and_talks_on_in_clear_is_not_believed(
    recorder: Recorder, tmp_path: Path
) -> None:
    def story(sock: socket.socket) -> None:
        greet(sock)
        option(sock)
        sock.sendall(reply(STARTTLS, 1) + accepted(100) + export())
        silent(sock)

    made = self_signed(tmp_path, SUBJECT, "127.0.0.1")
    with server(story, made.pem) as at, NbdClient(at, recorder, deadline_s=DEADLINE_S) as client:
        assert_untrusted(client)


RECORD = {"exportname": NAME, "address": "127.0.0.1", "port": "10809", "cert": "PEM", "subject": SUBJECT}


def test_a_record_holds_just_the_documented_fields() -> None:
    assert NbdAddress.parse(RECORD) == NbdAddress(NAME, "127.0.0.1", 10809, "PEM", SUBJECT)
    assert NbdAddress.parse(RECORD | {"address": "::1"}).netloc == "[::1]:10809"
    fewer = {name: value for name, value in RECORD.items() if name != "cert"}
    bad: object
    for bad in (
        fewer,
        RECORD | {"extra": "x"},
        RECORD | {"port": "0"},
        RECORD | {"port": "many"},
        RECORD | {"cert": 1},
        [],
    ):
        with pytest.raises(NbdMalformed):
            NbdAddress.parse(bad)
