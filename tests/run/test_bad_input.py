"""Bad input whose trouble shows only at the target: a clear reason, the right exit code, and nothing made."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.run.command import xencbt
from xencbt.fixtures.targets import Target, start_emulator

SR = "00000000-0000-0000-0000-000000000000"


@contextmanager
def greeting() -> Iterator[int]:
    """Another service, that greets whoever comes and hangs up; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"220 mail.example ready\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


@pytest.mark.heavy
@pytest.mark.parametrize(("scheme", "said"), [("http", "not an HTTP answer"), ("https", "does not speak TLS")])
def test_the_port_of_another_service_is_4(tmp_path: Path, scheme: str, said: str) -> None:
    with greeting() as port:
        words = ("--target", f"{scheme}://127.0.0.1:{port}", "--sr", SR, "--requirement", "ENABLE-02")
        ran = xencbt(tmp_path, "run", *words, extra={"XENCBT_PASSWORD": "not-sent"})
    assert ran.exit == 4
    assert said in ran.document["problems"][0]["reason"]


@pytest.mark.heavy
def test_tls_that_is_not_there_is_4(tmp_path: Path) -> None:
    with start_emulator() as target:
        words = ("--target", target.url.replace("http:", "https:"), "--sr", target.srs["lvm"], "--suite", "status")
        ran = xencbt(tmp_path, "run", *words, extra={"XENCBT_PASSWORD": target.password})
    assert ran.exit == 4
    assert "no TLS on this port" in ran.document["problems"][0]["reason"]


@pytest.mark.heavy
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, None])
def test_a_password_file_that_others_can_read_or_nobody_is_3(tmp_path: Path, mode: int | None) -> None:
    secret = tmp_path / "password"
    if mode is not None:
        secret.write_text("hunter2")
        secret.chmod(mode)
    words = ("--target", "http://127.0.0.1:1", "--sr", SR, "--password-file", str(secret))
    ran = xencbt(tmp_path, "run", *words)
    assert ran.exit == 3
    assert ("chmod 600" if mode is not None else "cannot read the password file") in ran.stderr
    assert "hunter2" not in ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def emulator() -> Iterator[Target]:
    with start_emulator() as target:
        yield target


@pytest.mark.heavy
def test_a_journal_that_cannot_be_kept_is_4_and_nothing_is_made(emulator: Target, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert emulator.control is not None
    before = emulator.control.call_counts().get("VDI.create")
    words = ("--target", emulator.url, "--sr", emulator.srs["lvm"], "--journal-dir", str(tmp_path / "file"))
    ran = xencbt(tmp_path, "run", *words, "--suite", "status", extra={"XENCBT_PASSWORD": emulator.password})
    assert ran.exit == 4
    assert "cannot keep a journal" in ran.document["problems"][0]["reason"]
    assert emulator.control.call_counts().get("VDI.create") == before
    assert [path.name for path in (tmp_path / "state" / "xencbt").iterdir()] == ["claims"]
