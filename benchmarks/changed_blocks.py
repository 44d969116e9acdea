"""What `VDI.list_changed_blocks` costs over a chain of 10 snapshots of a 2040 GiB disk, beside the least it can cost.

At the method, without wire and client: against OR-ing ten such bitmaps with numpy and encoding one in base64 (at most 3
times that). End to end: against a server of the standard library that answers a text of the same length, asked by the
same client (at most 2 times that). And at the method for a quarter and all of the size: time grows no faster than size.
Prints medians and ratios; exits 1 where one is beyond its bound. Needs numpy (dependency group `benchmarks`).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import statistics
import subprocess
import sys
import time
import xmlrpc.client
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

import numpy as np

from xencbt.fixtures.emulator.calls import Calls
from xencbt.fixtures.emulator.control import Control
from xencbt.fixtures.emulator.host import EmulatedHost
from xencbt.fixtures.emulator.inventory import furnish
from xencbt.fixtures.emulator.options import Options
from xencbt.fixtures.emulator.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

GIB = 2**30
SIZE = 2040 * GIB
BLOCK = 64 * 1024
SNAPSHOTS = 10
DEADLINE_S = 60.0
METHOD_BOUND, WIRE_BOUND, GROWTH_BOUND = 3.0, 2.0, 1.25


@dataclass(frozen=True)
class Chain:
    """A tracked disk of a host: its baseline, its last snapshot, and the bitmaps of the intervals between."""

    host: EmulatedHost
    calls: Calls
    session: str
    first: str
    last: str
    bitmaps: tuple[bytes, ...]

    async def listing(self) -> str:
        """Make the call, all its checks included."""
        return str(await self.calls.perform("VDI.list_changed_blocks", self.session, self.first, self.last))


async def chain(size: int, writes: int) -> Chain:
    """Furnish a host and write `writes` runs of blocks before each snapshot, anywhere on the disk."""
    host = EmulatedHost(Options())
    host.lab = furnish(host)
    calls = Calls(host)
    session = await calls.perform("session.login_with_password", host.options.user, host.options.password)
    sr = host.db.by_uuid("SR", host.lab.srs["lvm"])
    record = {"SR": sr, "virtual_size": str(size), "type": "user", "sharable": False, "read_only": False}
    disk = await calls.perform("VDI.create", session, {**record, "other_config": {}})
    await calls.perform("VDI.enable_cbt", session, disk)
    uuid, logs = host.db.get("VDI", disk)["uuid"], host.storage[sr].tracking
    first = last = await calls.perform("VDI.snapshot", session, disk)
    draw, bitmaps = random.Random(1), []
    for _ in range(SNAPSHOTS):
        for _ in range(writes):
            blocks = draw.randrange(1, 30)
            logs.record(uuid, draw.randrange(size // BLOCK - blocks) * BLOCK, blocks * BLOCK, active=False)
        bitmaps.append(logs.logs[uuid].bits.bitmap(size))
        last = await calls.perform("VDI.snapshot", session, disk)
    return Chain(host, calls, session, first, last, tuple(bitmaps))


def least(bitmaps: Sequence[bytes]) -> Callable[[], bytes]:
    """Prepare what the call comes down to, done by numpy."""
    arrays = [np.frombuffer(bitmap, dtype=np.uint8) for bitmap in bitmaps]

    def merge() -> bytes:
        merged = arrays[0].copy()
        for array in arrays[1:]:
            np.bitwise_or(merged, array, out=merged)
        return base64.b64encode(merged.tobytes())

    return merge


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def compared(rounds: int, ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float, float]:
    """Take turns: both medians in seconds, and the median of the ratios."""
    ours(), theirs()
    turns = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    mine, other = zip(*turns, strict=True)
    return statistics.median(mine), statistics.median(other), statistics.median(a / b for a, b in turns)


def at_the_method(rounds: int, writes: int) -> tuple[bool, int]:
    """Compare with numpy, and all of the size with a quarter; whether both bounds hold, and the answer's length."""
    with asyncio.Runner() as loop:
        whole, quarter = (loop.run(chain(size, writes * size // SIZE)) for size in (SIZE, SIZE // 4))
        merge = least(whole.bitmaps)
        listed = loop.run(whole.listing())
        if listed != merge().decode():
            raise SystemExit("the answer is not the ten bitmaps merged")
        ours, theirs, ratio = compared(rounds, lambda: loop.run(whole.listing()), merge)
        print(f"the method              {1000 * ours:8.1f} ms   {SNAPSHOTS} intervals of {SIZE // GIB} GiB")
        print(f"numpy and base64        {1000 * theirs:8.1f} ms   ratio {ratio:.2f}, at most {METHOD_BOUND:g}")
        _, part, growth = compared(rounds, lambda: loop.run(whole.listing()), lambda: loop.run(quarter.listing()))
        print(f"a quarter of the size   {1000 * part:8.1f} ms   ratio {growth:.2f}, at most {4 * GROWTH_BOUND:g}")
    return ratio <= METHOD_BOUND and growth <= 4 * GROWTH_BOUND, len(listed)


class KeepAliveHandler(SimpleXMLRPCRequestHandler):
    """HTTP/1.1, so that the connection stays open; no compression, and no delay of small packets held back."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    encode_threshold = sys.maxsize


def serve_text(length: int) -> None:
    """Be the standard library's server of one text, until killed."""
    text = base64.b64encode(random.Random(2).randbytes(length // 4 * 3)).decode().ljust(length, "A")
    with SimpleXMLRPCServer(("127.0.0.1", 0), KeepAliveHandler, logRequests=False) as server:
        server.register_function(lambda: text, "text")
        print(json.dumps({"url": f"http://127.0.0.1:{server.server_address[1]}"}), flush=True)
        server.serve_forever()


async def serve_chain(writes: int) -> None:
    """Be the emulated host with the chain, until killed."""
    made = await chain(SIZE, writes)
    server = Server(made.host, Control(made.host, {}))
    url = await server.start()
    print(json.dumps({"url": url, "call": [made.session, made.first, made.last]}), flush=True)
    await asyncio.Event().wait()


@contextmanager
def started(*words: str) -> Iterator[dict[str, Any]]:
    """Run this script as a server; its ready line."""
    command = [sys.executable, __file__, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield json.loads(line)
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


def end_to_end(rounds: int, writes: int, length: int) -> bool:
    """Compare both servers as a client sees them; whether the bound holds."""
    with ExitStack() as stack:
        emulator = stack.enter_context(started("--serve-chain", f"--writes={writes}"))
        library = stack.enter_context(started("--serve-text", f"--length={length}"))
        host, other = (stack.enter_context(xmlrpc.client.ServerProxy(ready["url"])) for ready in (emulator, library))

        def ask() -> int:
            answer = cast("dict[str, str]", host.VDI.list_changed_blocks(*emulator["call"]))
            return len(answer["Value"])

        def fetch() -> int:
            return len(cast("str", other.text()))

        if not ask() == fetch() == length:
            raise SystemExit("the two answers differ in length")
        ours, theirs, ratio = compared(rounds, ask, fetch)
    print(f"the call                {1000 * ours:8.1f} ms   end to end, {length} characters")
    print(f"SimpleXMLRPCServer      {1000 * theirs:8.1f} ms   ratio {ratio:.2f}, at most {WIRE_BOUND:g}")
    return ratio <= WIRE_BOUND


def main(argv: Sequence[str]) -> int:
    """Measure and print; 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="turns of each side (%(default)s)")
    parser.add_argument("--writes", type=int, default=200_000, help="runs of blocks per snapshot (%(default)s)")
    parser.add_argument("--serve-chain", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve-text", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--length", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.serve_chain:
        asyncio.run(serve_chain(options.writes))
    elif options.serve_text:
        serve_text(options.length)
    else:
        held, length = at_the_method(options.rounds, options.writes)
        held = end_to_end(options.rounds, options.writes, length) and held
        return 0 if held else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
