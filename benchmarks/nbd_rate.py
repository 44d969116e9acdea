"""How fast the emulated host serves a disk over NBD, side by side with nbdkit, plainly and over TLS.

1 GiB of random data, read by `nbdcopy` into nothing, in turns from a snapshot of the emulated host and from the memory
plugin of nbdkit. Prints the medians and their ratios; exits 1 if the emulated host is less than half as fast in clear,
or less than a third as fast over TLS, and 2 where nbdcopy or nbdkit is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from xencbt.fixtures.emulator.certificate import self_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LEAST = {"plain": 1 / 2, "TLS": 1 / 3}
DEADLINE_S = 600.0
CHUNK = 1 << 20
NAME = "localhost"


@contextmanager
def process(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the end of the block."""
    with subprocess.Popen(command, text=True, **options) as started:  # noqa: S603  our own choice of programs
        try:
            yield started
        finally:
            started.terminate()
            started.wait(DEADLINE_S)


def until(condition: Callable[[], bool], what: str) -> None:
    """Look again and again until `condition` holds, for ten seconds at most."""
    end = time.monotonic() + 10
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what} does not come up")
        time.sleep(0.02)


class Emulator:
    """An emulated host with one snapshot, which is served by the purpose that was set last."""

    def __init__(self, ready: dict[str, Any], source: Path) -> None:
        self._ready = ready
        self._proxy = xmlrpc.client.ServerProxy(ready["url"])
        self._session = ""
        self._session = str(self.call("session.login_with_password", ready["user"], ready["password"]))
        sr = self.call("SR.get_by_uuid", ready["srs"]["lvm"])
        size = source.stat().st_size
        disk = self.call("VDI.create", {"SR": sr, "virtual_size": str(size), "type": "user"})
        self._fill(disk, source, size)
        self.snapshot = self.call("VDI.snapshot", disk, {})
        (self._network,) = self.call("network.get_all")
        self._purpose: str | None = None

    def call(self, method: str, *params: object) -> Any:
        """Make a call that must succeed."""
        arguments = (self._session, *params) if self._session else params
        answer: Any = getattr(self._proxy, method)(*arguments)
        if answer["Status"] != "Success":
            raise SystemExit(f"{method}: {answer}")
        return answer["Value"]

    def _fill(self, disk: str, source: Path, size: int) -> None:
        address = urlsplit(self._ready["url"])
        head = (
            f"PUT /import_raw_vdi?session_id={self._session}&vdi={disk} HTTP/1.1\r\n"
            f"Host: {address.netloc}\r\nContent-Length: {size}\r\n\r\n"
        )
        with socket.create_connection((address.hostname, address.port), DEADLINE_S) as sock, source.open("rb") as file:
            sock.sendall(head.encode())
            while data := file.read(CHUNK):
                sock.sendall(data)
            while sock.recv(CHUNK):
                pass

    def uri(self, purpose: str, folder: Path) -> str:
        """Serve by `purpose`; say where."""
        if self._purpose is not None:
            self.call("network.remove_purpose", self._network, self._purpose)
        self.call("network.add_purpose", self._network, purpose)
        self._purpose = purpose
        (record,) = self.call("VDI.get_nbd_info", self.snapshot)
        place = f"{record['address']}:{record['port']}/{quote(record['exportname'])}"
        if purpose == "insecure_nbd":
            return f"nbd://{place}"
        folder.mkdir(exist_ok=True)
        (folder / "ca-cert.pem").write_text(record["cert"])
        return f"nbds://{place}?tls-certificates={folder}&tls-hostname={record['subject']}"


@contextmanager
def emulator(source: Path) -> Iterator[Emulator]:
    """Start an emulated host, and put `source` on a disk of it."""
    command = [sys.executable, "-m", "xencbt.fixtures.emulator", "--until-stdin-closes"]
    with process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        yield Emulator(json.loads(started.stdout.readline() if started.stdout else ""), source)


@contextmanager
def nbdkit(source: Path, folder: Path, *, tls: bool) -> Iterator[str]:
    """Have nbdkit hold `source` in memory; say where."""
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pid = folder / "pid"
    command = ["nbdkit", "-f", "-i", "127.0.0.1", "-p", str(port), "-P", str(pid), "--exit-with-parent"]
    uri = f"nbd://127.0.0.1:{port}"
    if tls:
        made = self_signed(folder, NAME, "127.0.0.1")
        shutil.copy(made.path, folder / "ca-cert.pem")
        shutil.copy(made.path, folder / "server-cert.pem")
        shutil.copy(made.key, folder / "server-key.pem")
        command += ["--tls=require", f"--tls-certificates={folder}"]
        uri = f"nbds://127.0.0.1:{port}/?tls-certificates={folder}&tls-hostname={NAME}"
    with process([*command, "memory", str(source.stat().st_size)]):
        until(pid.exists, "nbdkit")
        subprocess.run(["nbdcopy", str(source), uri], check=True, timeout=DEADLINE_S)  # noqa: S603, S607  as above
        yield uri


def rate(uri: str, size: int) -> float:
    """Read it all into nothing; bytes per second."""
    begun = time.perf_counter()
    subprocess.run(["nbdcopy", uri, "null:"], check=True, timeout=DEADLINE_S)  # noqa: S603, S607  as above
    return size / (time.perf_counter() - begun)


def main(argv: Sequence[str]) -> int:
    """Measure and print; 1 if the emulated host is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="MiB of random data (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each server (%(default)s)")
    options = parser.parse_args(argv)
    missing = [program for program in ("nbdcopy", "nbdkit") if shutil.which(program) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
        return 2
    size, verdict = options.mib << 20, 0
    with tempfile.TemporaryDirectory(prefix="nbd-rate-") as name, ExitStack() as opened:
        folder = Path(name)
        source = folder / "random.raw"
        with source.open("wb") as file:
            for _ in range(options.mib):
                file.write(os.urandom(CHUNK))
        host = opened.enter_context(emulator(source))
        for way, purpose in (("plain", "insecure_nbd"), ("TLS", "nbd")):
            with nbdkit(source, folder / way, tls=way == "TLS") as other:
                ours = host.uri(purpose, folder / "ours")
                pairs = [(rate(ours, size), rate(other, size)) for _ in range(options.rounds)]
            emulated, kit = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratio = emulated / kit
            verdict |= ratio < LEAST[way]
            print(
                f"{way:5}  emulated host {emulated / 2**20:6.0f} MiB/s   nbdkit {kit / 2**20:6.0f} MiB/s   "
                f"ratio {ratio:.2f} (at least {LEAST[way]:.2f})"
            )
    return int(verdict)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
