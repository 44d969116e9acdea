"""How many calls per second the emulated host answers, side by side with the standard library's XML-RPC server.

`VDI.get_cbt_enabled` against an echo of the same size, each server in a process of its own, one keep-alive client that
takes turns between them. Prints the medians and their ratio; exits 1 if the emulated host is the slower one.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import statistics
import subprocess
import sys
import time
import xmlrpc.client
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
DEADLINE_S = 60.0


class KeepAliveHandler(SimpleXMLRPCRequestHandler):
    """HTTP/1.1, so that the connection stays open, and without the delay of small packets held back."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True


def serve_echo() -> None:
    """Be the standard library's server, until standard input is closed."""
    with SimpleXMLRPCServer(("127.0.0.1", 0), KeepAliveHandler, logRequests=False) as server:
        server.register_function(lambda text: text, "echo")
        print(json.dumps({"url": f"http://127.0.0.1:{server.server_address[1]}"}), flush=True)
        server.serve_forever()


class Client:
    """One kept connection over which the same request goes again and again."""

    def __init__(self, url: str, body: bytes) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=DEADLINE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = (
            "POST /RPC2 HTTP/1.1",
            f"Host: {address.netloc}",
            "Content-Type: text/xml",
            f"Content-Length: {len(body)}",
        )
        head = "".join(f"{line}\r\n" for line in (*lines, ""))
        self._request = head.encode() + body

    def close(self) -> None:
        self._socket.close()

    def call(self) -> bytes:
        """Ask once; the answer's body."""
        self._socket.sendall(self._request)
        data = b""
        while True:
            part = self._socket.recv(65536)
            if not part:
                raise SystemExit("the server closed the connection")
            data += part
            head, end, body = data.partition(b"\r\n\r\n")
            if end and (found := LENGTH.search(head)) and len(body) >= int(found[1]):
                return body

    def rate(self, calls: int) -> float:
        """Ask `calls` times; calls per second."""
        begun = time.perf_counter()
        for _ in range(calls):
            self.call()
        return calls / (time.perf_counter() - begun)


@contextmanager
def started(command: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Run a server; its ready line."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield json.loads(line)
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


def emulator_client(ready: dict[str, Any]) -> Client:
    """Log in, find the seeded disk, and prepare the call."""
    proxy = xmlrpc.client.ServerProxy(ready["url"])
    with proxy:
        login = cast("dict[str, str]", proxy.session.login_with_password(ready["user"], ready["password"]))
        vdi = cast("dict[str, str]", proxy.VDI.get_by_uuid(login["Value"], ready["vdi"]))
    body = xmlrpc.client.dumps((login["Value"], vdi["Value"]), "VDI.get_cbt_enabled")
    return Client(ready["url"], body.encode())


def echo_client(ready: dict[str, Any], size: int) -> Client:
    """Prepare an echo whose answer has `size` bytes."""
    empty = len(xmlrpc.client.dumps(("",), methodresponse=True))
    return Client(ready["url"], xmlrpc.client.dumps(("x" * max(0, size - empty),), "echo").encode())


def main(argv: Sequence[str]) -> int:
    """Measure and print; 1 if the emulated host is the slower one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="turns of each server (%(default)s)")
    parser.add_argument("--calls", type=int, default=1500, help="calls per turn (%(default)s)")
    parser.add_argument("--echo-server", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.echo_server:
        serve_echo()
        return 0
    with ExitStack() as stack:
        emulator = stack.enter_context(
            started([sys.executable, "-m", "xencbt.fixtures.emulator", "--until-stdin-closes"])
        )
        library = stack.enter_context(started([sys.executable, __file__, "--echo-server"]))
        ours = stack.enter_context(closing(emulator_client(emulator)))
        answer = len(ours.call())
        theirs = stack.enter_context(closing(echo_client(library, answer)))
        sizes = answer, len(theirs.call())
        for client in (ours, theirs):
            client.rate(200)  # warm-up
        turns = [(ours.rate(options.calls), theirs.rate(options.calls)) for _ in range(options.rounds)]
    ours_median, theirs_median = (statistics.median(column) for column in zip(*turns, strict=True))
    ratio = statistics.median(mine / other for mine, other in turns)
    print(f"emulated host       VDI.get_cbt_enabled  {ours_median:8.0f} calls/s  ({sizes[0]} bytes per answer)")
    print(f"SimpleXMLRPCServer  echo                 {theirs_median:8.0f} calls/s  ({sizes[1]} bytes per answer)")
    print(f"ratio {ratio:.2f}")
    return 0 if ratio >= 1 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
