"""A bare emulated host, served from a thread of the test process: no disks, no guests, just records and the wire."""

from __future__ import annotations

import asyncio
import errno
import http.client
import socket
import threading
import xmlrpc.client
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from xencbt.fixtures.emulator import identity
from xencbt.fixtures.emulator.control import Control
from xencbt.fixtures.emulator.errors import VerbRefusedError
from xencbt.fixtures.emulator.host import EmulatedHost
from xencbt.fixtures.emulator.options import Options
from xencbt.fixtures.emulator.server import Server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from xencbt.fixtures.emulator.values import Ref

DEADLINE_S = 20.0
PASSWORD = "a password"


class Failed(Exception):
    """An answer with Status Failure; `args` are code and parameters."""


def decode(body: bytes) -> Any:
    """Give the value of an answer; raise Failed."""
    answer: Any = xmlrpc.client.loads(body, use_builtin_types=False)[0][0]
    if answer["Status"] == "Success":
        return answer["Value"]
    raise Failed(*answer["ErrorDescription"])


class Served:
    """A host that is being served, seen from a client's thread."""

    def __init__(self, host: EmulatedHost, loop: asyncio.AbstractEventLoop, server: Server, url: str) -> None:
        self.host, self.loop, self.server, self.url = host, loop, server, url
        self.port = urlsplit(url).port or 0
        self.token = server.control.token

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)

    def socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)

    def post(self, body: bytes, path: str = "/RPC2", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self.connect()
        try:
            connection.request("POST", path, body, {"Content-Type": "text/xml", **headers})
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def call(self, method: str, *params: Any, path: str = "/RPC2") -> Any:
        return decode(self.post(xmlrpc.client.dumps(params, method, allow_none=True).encode(), path)[1])

    def login(self, user: str = "root") -> str:
        return str(self.call("session.login_with_password", user, PASSWORD))

    def raw(self, data: bytes, *, end: bool = True) -> bytes:
        """Send bytes, and end if told so; everything that comes back until the host closes."""
        with self.socket() as connection:
            with suppress(ConnectionError):  # a host that has read enough may answer and close meanwhile
                connection.sendall(data)
            if end:
                try:
                    connection.shutdown(socket.SHUT_WR)
                except OSError as closed:
                    if closed.errno != errno.ENOTCONN:
                        raise
            return read_all(connection)

    def on_loop(self, work: Callable[[], Any]) -> Any:
        """Do something where the host lives."""

        async def run() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(DEADLINE_S)


def read_all(connection: socket.socket) -> bytes:
    """Everything up to the end, an abrupt one included."""
    parts = []
    try:
        while data := connection.recv(65536):
            parts.append(data)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def furnish(host: EmulatedHost) -> Ref:
    """One pool, host, SR and VDI; the VDI's reference."""
    the_host = host.db.add("host", name_label="host", **identity.host_fields(host.options))
    host.db.add("pool", master=the_host)
    sr = host.db.add("SR", name_label="storage", type="lvm")
    return host.db.add("VDI", name_label="disk", SR=sr, virtual_size=2**21)


def verbs() -> dict[str, Any]:
    async def slow(host: EmulatedHost, body: dict[str, Any]) -> dict[str, Any]:
        await host.restart()
        return body

    def refuse(_host: EmulatedHost, body: dict[str, Any]) -> dict[str, Any]:
        raise VerbRefusedError(409, f"not now: {body}")

    return {"echo": lambda _host, body: body, "restart": slow, "refuse": refuse}


@contextmanager
def serve(
    options: Options | None = None,
    tls: ssl.SSLContext | None = None,
    furnishing: Callable[[EmulatedHost], object] = furnish,
) -> Iterator[Served]:
    """Serve a host for the length of the block, a bare one unless it is furnished otherwise."""
    options = options or Options()
    options.password = PASSWORD
    loop = asyncio.new_event_loop()

    async def start() -> Served:
        host = EmulatedHost(options)
        furnishing(host)
        server = Server(host, Control(host, verbs()), tls)
        return Served(host, loop, server, await server.start())

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        served = asyncio.run_coroutine_threadsafe(start(), loop).result(DEADLINE_S)
        try:
            yield served
        finally:
            asyncio.run_coroutine_threadsafe(served.server.close(), loop).result(DEADLINE_S)
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(DEADLINE_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE_S)
        loop.close()
