"""Access to xe at its edges: hosts that misbehave, commands that do, and what is never written down."""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from xencbt.fixtures.emulator import cli_protocol
from xencbt.harness.endpoint import Endpoint
from xencbt.harness.exchange import Recorder
from xencbt.harness.masking import Secrets
from xencbt.harness.outcome import Indeterminate
from xencbt.harness.xe import OwnCommand, ThinCli
from xencbt.harness.xe_words import XeResult

PASSWORD = "s3cret & <sharp> ü"
WORDS = ("vdi-enable-cbt", "uuid=4711")
Host = Callable[[socket.socket, bytes], None]


def read_request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(f"password={PASSWORD}".encode()):
        part = sock.recv(65536)
        if not part:
            return data
        data += part
    return data


@contextmanager
def hosting(host: Host) -> Iterator[str]:
    """Serve one connection."""

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(10)
            try:
                host(sock, read_request(sock))
            except OSError:
                return  # the client has gone, as it may

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            thread.join(10)
            assert not thread.is_alive()


def ran(host: Host, *, deadline_s: float = 5.0) -> tuple[XeResult | Indeterminate, Recorder]:
    recorder = Recorder(Secrets())
    with hosting(host) as url:
        xe = ThinCli(Endpoint.parse(url), "root", PASSWORD, recorder)
        return xe.run(*WORDS, deadline_s=deadline_s), recorder


def says(data: bytes) -> Host:
    return lambda sock, _: sock.sendall(data)


def test_a_command_is_sent_once_and_recorded_without_its_password() -> None:
    seen: list[bytes] = []

    def host(sock: socket.socket, request: bytes) -> None:
        seen.append(request)
        sock.sendall(cli_protocol.GREETING + cli_protocol.shows(f"your password is {PASSWORD}"))
        seen.append(sock.recv(cli_protocol.GREETING_BYTES, socket.MSG_WAITALL))
        sock.sendall(cli_protocol.ends(0))

    result, recorder = ran(host)
    assert result == XeResult(0, f"your password is {PASSWORD}\n", "")
    assert seen[0].endswith(f"\r\n\r\nvdi-enable-cbt\nuuid=4711\nusername=root\npassword={PASSWORD}".encode())
    assert seen[1:] == [cli_protocol.GREETING]
    (exchange,) = recorder.kept
    assert exchange.method == "xe vdi-enable-cbt"
    assert exchange.step == "xe vdi-enable-cbt uuid=4711"
    assert "password=•••" in exchange.request
    assert PASSWORD not in str(exchange.as_json())
    assert recorder.calls == 1


BROKEN: dict[str, tuple[Host, str]] = {
    "closes at once": (lambda *_: None, "closed in the middle"),
    "closes after the greeting": (says(cli_protocol.GREETING), "closed in the middle"),
    "closes in a message": (says(cli_protocol.GREETING + cli_protocol.shows("hello")[:-1]), "closed in the middle"),
    "never says how it ended": (says(cli_protocol.GREETING + cli_protocol.shows("hello")), "closed in the middle"),
    "speaks HTTP": (says(b"HTTP/1.1 404 Not Found\r\n\r\n"), "no thin CLI"),
    "announces a huge message": (says(cli_protocol.GREETING + b"\xff" * 64), "a message of 4294967295 bytes"),
    "speaks garbage": (says(os.urandom(7) + bytes(300)), "not the thin CLI protocol"),
}


@pytest.mark.parametrize(("host", "why"), BROKEN.values(), ids=BROKEN)
def test_a_broken_host_decides_nothing(host: Host, why: str) -> None:
    result, recorder = ran(host)
    assert isinstance(result, Indeterminate)
    assert why in result.why or "connection was lost" in result.why
    assert recorder.kept[0].outcome.startswith("no answer")


def test_a_host_that_says_nothing_is_left_at_the_deadline() -> None:
    left = threading.Event()

    def host(sock: socket.socket, _: bytes) -> None:
        sock.sendall(cli_protocol.GREETING)
        while sock.recv(65536):
            pass
        left.set()

    result, _ = ran(host, deadline_s=0.2)
    assert isinstance(result, Indeterminate)
    assert "within 0.2 s" in result.why
    assert left.wait(5)


def test_a_host_that_is_not_there_got_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    result = ThinCli(Endpoint.parse(url), "root", PASSWORD, Recorder(Secrets())).run(*WORDS)
    assert isinstance(result, Indeterminate)
    assert "cannot connect" in result.why


def own(script: str, recorder: Recorder | None = None) -> OwnCommand:
    return OwnCommand([sys.executable, "-c", script], recorder or Recorder(Secrets()))


def test_a_command_gets_the_words_and_tells_what_it_did() -> None:
    recorder = Recorder(Secrets())
    script = "import sys; print(*sys.argv[1:]); print('no', file=sys.stderr); sys.exit(1)"
    assert own(script, recorder).run(*WORDS) == XeResult(1, "vdi-enable-cbt uuid=4711\n", "no\n")
    assert recorder.kept[0].step == "xe vdi-enable-cbt uuid=4711"
    assert recorder.kept[0].outcome == "exit 1: vdi-enable-cbt uuid=4711; no"


def test_a_command_gets_no_secret_and_no_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XENCBT_PASSWORD", PASSWORD)
    script = "import os, sys; print('XENCBT_PASSWORD' in os.environ, len(sys.stdin.read()))"
    assert own(script).run(*WORDS) == XeResult(0, "False 0\n", "")


@pytest.mark.parametrize("word", ["a b", "uuid=$(id)", "x;y", "-x", "", "a\nb", "uuid='1'"])
def test_a_word_that_a_shell_could_read_is_not_given(word: str) -> None:
    with pytest.raises(ValueError, match="no plain word"):
        own("").run("vdi-enable-cbt", word)


def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    script = f"import os, time; open({str(marker)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    result = own(script).run(*WORDS, deadline_s=1.0)
    assert isinstance(result, Indeterminate)
    assert "within 1 s" in result.why
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)


def test_a_command_that_writes_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xencbt.harness.xe.OUTPUT_BYTES", 100_000)
    result = own("while True: print('x' * 1000)").run(*WORDS, deadline_s=20.0)
    assert isinstance(result, Indeterminate)
    assert "more than 100000 bytes" in result.why


def test_what_a_command_leaves_behind_does_not_hold_us_up() -> None:
    script = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(5)']); print(1)"
    begun = time.monotonic()
    assert own(script).run(*WORDS, deadline_s=20.0) == XeResult(0, "1\n", "")
    assert time.monotonic() - begun < 4


def test_a_command_that_is_not_there_decides_nothing() -> None:
    result = OwnCommand(["/no/such/command"], Recorder(Secrets())).run(*WORDS)
    assert isinstance(result, Indeterminate)
    assert "cannot run '/no/such/command'" in result.why
