"""How long the records of 10,000 disks take to come out, side by side with what `xmlrpc.client.dumps` needs for them.

The emulated host runs in a process of its own; the clock runs from the request to the answer's last byte. Prints the
medians, their ratio and the most memory the host ever had; exits 1 beyond a ratio of 1.5 or 300 MiB.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import re
import statistics
import subprocess
import sys
import time
import xmlrpc.client
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

from xencbt.fixtures.emulator.control import Control
from xencbt.fixtures.emulator.disks import add_blank
from xencbt.fixtures.emulator.host import EmulatedHost
from xencbt.fixtures.emulator.inventory import furnish
from xencbt.fixtures.emulator.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEADLINE_S = 300.0
MOST_TIMES = 1.5
MOST_MIB = 300.0
KIB_PER_MIB = 1024


async def serve(disks: int) -> None:
    """Be the host with so many disks, until standard input is closed."""
    host = EmulatedHost()
    host.lab = furnish(host)
    sr = host.db.by_uuid("SR", host.lab.srs["unrounded"])
    record = dict(host.db.get("VDI", add_blank(host, host.storage[sr], sr, {"virtual_size": 65536})))
    for number in range(1, disks):  # only records are asked for: these have no storage
        uuid = str(uuid4())
        host.db.add("VDI", **(record | {"uuid": uuid, "location": uuid, "name_label": f"disk {number}"}))
    server = Server(host, Control(host, {}))
    url = await server.start()
    print(json.dumps({"url": url, "user": host.options.user, "password": host.options.password}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.close()


@contextmanager
def started(disks: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Run the host; its process id and ready line."""
    command = [sys.executable, __file__, "--serve", "--disks", str(disks)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ourselves
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield process.pid, json.loads(line)
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


class Client:
    """One kept connection on which the same call is made again and again."""

    def __init__(self, ready: dict[str, Any]) -> None:
        with xmlrpc.client.ServerProxy(ready["url"]) as proxy:
            login = cast("dict[str, str]", proxy.session.login_with_password(ready["user"], ready["password"]))
        self._body = xmlrpc.client.dumps((login["Value"],), "VDI.get_all_records").encode()
        address = urlsplit(ready["url"])
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=DEADLINE_S)

    def close(self) -> None:
        self._connection.close()

    def ask(self) -> bytes:
        self._connection.request("POST", "/RPC2", self._body, {"Content-Type": "text/xml"})
        return self._connection.getresponse().read()


def timed(work: Any) -> float:
    """Do it; seconds."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def most_memory_mib(pid: int) -> float:
    """Read the most memory a process ever had resident."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    if found is None:
        raise SystemExit("this system does not tell how much memory a process had")
    return int(found[1]) / KIB_PER_MIB


def main(argv: Sequence[str]) -> int:
    """Measure and print; 1 if the host is too slow or too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--disks", type=int, default=10_000, help="disks on the host (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (%(default)s)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.serve:
        asyncio.run(serve(options.disks))
        return 0
    with ExitStack() as stack:
        pid, ready = stack.enter_context(started(options.disks))
        client = stack.enter_context(closing(Client(ready)))
        answer = client.ask()
        parsed = cast("Any", xmlrpc.client.loads(answer)[0][0])
        records = parsed["Value"]
        if len(records) < options.disks:
            raise SystemExit(f"only {len(records)} records came")
        turns = [
            (timed(client.ask), timed(lambda: xmlrpc.client.dumps((records,), methodresponse=True)))
            for _ in range(options.rounds)
        ]
        memory = most_memory_mib(pid)
    ours, theirs = (statistics.median(column) for column in zip(*turns, strict=True))
    ratio = statistics.median(mine / other for mine, other in turns)
    print(
        f"emulated host         VDI.get_all_records  {ours:6.2f} s  ({len(records)} disks, {len(answer) / 1e6:.1f} MB)"
    )
    print(f"xmlrpc.client.dumps   the same records     {theirs:6.2f} s")
    print(f"ratio {ratio:.2f}, at most {MOST_TIMES}; the host had at most {memory:.0f} MiB, of {MOST_MIB:.0f}")
    return 0 if ratio <= MOST_TIMES and memory <= MOST_MIB else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
