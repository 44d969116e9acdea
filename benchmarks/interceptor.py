"""What the interceptor costs per call, side by side with a bare mitmproxy reverse proxy.

The same calls to the same emulated host, over kept connections, in turns: direct, through `mitmdump`, and through
`xencbt proxy` with an empty plan. Prints the medians and the ratio of the last two; exits 1 when it exceeds LIMIT.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import time
import xmlrpc.client
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from call_rate import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 1.15
DEADLINE_S = 60.0


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603  our own words
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def ready_line(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    line: dict[str, str] = json.loads(process.stdout.readline())
    return line


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            continue
        return
    raise SystemExit("mitmdump does not listen")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300, help="calls per round")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    mitmdump = Path(sys.executable).with_name("mitmdump")
    if not mitmdump.exists() and shutil.which("mitmdump") is None:
        raise SystemExit("mitmdump is not installed beside this Python")
    with ExitStack() as stack:
        host = ready_line(stack.enter_context(started(sys.executable, "-m", "xencbt.fixtures.emulator")))
        url = host["url"]
        session = xmlrpc.client.ServerProxy(url, allow_none=True).session.login_with_password(
            host["user"], host["password"]
        )
        port = free_port()
        stack.enter_context(started(str(mitmdump), "-q", "--mode", f"reverse:{url}@127.0.0.1:{port}"))
        ours = ready_line(
            stack.enter_context(started(sys.executable, "-m", "xencbt.harness.cli", "proxy", "--upstream", url))
        )
        wait_for(port)
        ref = session["Value"] if isinstance(session, dict) else ""
        body = xmlrpc.client.dumps((ref,), "VDI.get_all").encode()
        ways = {"direct": url, "bare mitmproxy": f"http://127.0.0.1:{port}", "interceptor": ours["url"]}
        clients = {name: stack.enter_context(closing(Client(where, body))) for name, where in ways.items()}
        for client in clients.values():
            client.rate(options.calls)
        per_call = {name: [] for name in ways}  # type: dict[str, list[float]]
        for _ in range(options.rounds):
            for name, client in clients.items():
                per_call[name].append(1000 / client.rate(options.calls))
    medians = {name: statistics.median(times) for name, times in per_call.items()}
    for name, median in medians.items():
        print(f"{name:<16} {median:.3f} ms a call   (of {urlsplit(ways[name]).netloc})")
    ratio = medians["interceptor"] / medians["bare mitmproxy"]
    print(f"ratio {ratio:.2f} (limit {LIMIT})")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
