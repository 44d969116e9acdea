"""The listeners of the interceptor and the connections of its clients. Everything here runs on the proxy's loop.

Import this module only where mitmproxy's warnings are silenced.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server import ConnectionIO

from xencbt.harness.endpoint import Endpoint
from xencbt.proxies.certificates import GOOD, Shown
from xencbt.proxies.errors import InterceptorError
from xencbt.proxies.throttle import Throttled

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Refused:
    """An upstream whose listener is closed; `address` is kept by a socket on which nobody listens."""

    upstream: Endpoint
    address: str
    keeper: socket.socket


class Listeners:
    """Which upstreams are served where, and the ways to disturb the connections that came there."""

    def __init__(self, proxyserver: Proxyserver, shown: Shown) -> None:
        self._proxyserver = proxyserver
        self._shown = shown
        self._modes: dict[Endpoint, ProxyMode] = {}
        self.upstreams: dict[tuple[str, int], Endpoint] = {}
        self.urls: dict[Endpoint, str] = {}

    async def listen(self, upstream: Endpoint, at: str) -> str:
        """Serve `upstream` at a loopback address (empty: a free port); return the URL, the same when asked again."""
        address = (upstream.host, upstream.port)
        known = self.upstreams.get(address)
        if known == upstream:
            return self.urls[upstream]
        if known is not None:
            raise InterceptorError(f"{upstream.url} is served already, with other settings")
        self.upstreams[address] = upstream
        try:
            await self._open(upstream, f"@{at}" if at else "")
        except InterceptorError:
            del self.upstreams[address]
            raise
        host, port = self._address(upstream)
        self.urls[upstream] = f"http://{host}:{port}"
        return self.urls[upstream]

    async def forget(self, upstream: Endpoint) -> None:
        """Close the listener of `upstream` and its connections; does nothing when it is not served."""
        if upstream in self._modes:
            await self._close(upstream)
            del self.urls[upstream], self.upstreams[upstream.host, upstream.port]

    async def close(self) -> None:
        """Close everything."""
        await self._proxyserver.servers.update([])
        for mode in self._modes.values():
            self._hang_up(mode)

    async def refuse(self, upstream: Endpoint) -> Refused:
        """Close the listener of `upstream` and its connections, and keep its port until `accept`."""
        host, port = self._address(upstream)
        await self._close(upstream)
        keeper = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            keeper.bind((host, port))
        except OSError:
            keeper.close()
            raise
        return Refused(upstream, f"{host}:{port}", keeper)

    async def accept(self, refused: Refused) -> None:
        """Listen again where `refuse` closed; the port is kept until then, so that nobody else can have got it."""
        with refused.keeper:
            await self._open(refused.upstream, f"@{refused.address}")

    def hang_up(self, upstream: Endpoint) -> None:
        """Close every client's connection to `upstream`."""
        self._hang_up(self._modes[upstream])

    @contextmanager
    def showing(self, certificate: str) -> Iterator[None]:
        """Show the certificate of that name to whoever connects over TLS meanwhile."""
        self._shown.show(certificate)
        try:
            yield
        finally:
            self._shown.show(GOOD)

    def reset_when_closed(self, client: Client) -> None:
        """Let the client's connection end with a reset (TCP RST) when it is closed."""
        if (transport := self._transport(client)) is not None and isinstance(transport.writer, asyncio.StreamWriter):
            connected = transport.writer.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def abort(self, client: Client) -> None:
        """Close the client's connection at once, whatever is still to be sent."""
        if (transport := self._transport(client)) is not None and isinstance(transport.writer, asyncio.StreamWriter):
            transport.writer.transport.abort()

    def throttle(self, client: Client, chunk: int, pause_s: float) -> Callable[[], None]:
        """Let what is next written to the client go out slowly, once; return what lets the rest go at once."""
        transport = self._transport(client)
        if transport is None or not isinstance(transport.writer, asyncio.StreamWriter):
            return lambda: None
        writer = transport.writer

        def restore() -> None:
            transport.writer = writer

        throttled = Throttled(writer, chunk, pause_s, restore)
        transport.writer = cast("asyncio.StreamWriter", throttled)
        return throttled.hurry

    async def _open(self, upstream: Endpoint, where: str) -> None:
        mode = ProxyMode.parse(f"reverse:{upstream.url}{where}")
        vars(mode)["transport_protocol"] = "tcp"  # for https mitmproxy would open a UDP port as well, for HTTP/3
        servers = self._proxyserver.servers
        if not await servers.update([*self._modes.values(), mode]):
            failure = servers[mode].last_exception
            await servers.update(self._modes.values())
            raise InterceptorError(f"the interceptor cannot listen for {upstream.url}: {failure}")
        self._modes[upstream] = mode

    async def _close(self, upstream: Endpoint) -> None:
        mode = self._modes.pop(upstream)
        await self._proxyserver.servers.update(self._modes.values())
        self._hang_up(mode)

    def _address(self, upstream: Endpoint) -> tuple[str, int]:
        host, port, *_ = self._proxyserver.servers[self._modes[upstream]].listen_addrs[0]
        return str(host), int(port)

    def _hang_up(self, mode: ProxyMode) -> None:
        for connection in list(self._proxyserver.connections.values()):
            if connection.client.proxy_mode == mode:
                for transports in list(connection.transports.values()):
                    if transports.handler is not None:
                        transports.handler.cancel("the interceptor serves this upstream no longer")

    def _transport(self, client: Client) -> ConnectionIO | None:
        for connection in self._proxyserver.connections.values():
            if connection.client is client:
                return connection.transports.get(client)
        return None
