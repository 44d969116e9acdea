"""A mitmproxy flow as the carriers of faults see it: import only where mitmproxy's warnings are silenced."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from mitmproxy import http

from xencbt.harness.endpoint import Endpoint
from xencbt.harness.faults import Call, Strike
from xencbt.harness.outcome import Outcome
from xencbt.proxies.answers import outcome_of
from xencbt.proxies.listeners import Listeners
from xencbt.proxies.passing import Late, Passing
from xencbt.proxies.redelivery import Request, deliver_again
from xencbt.proxies.wording import request


class FlowDelivery:
    """See Delivery."""

    def __init__(
        self, flow: http.HTTPFlow, strike: Strike, listeners: Listeners, passing: Passing, timeout_s: float
    ) -> None:
        self._flow = flow
        self._strike = strike
        self._listeners = listeners
        self._passing = passing
        self._timeout_s = timeout_s
        self._undoing: list[Callable[[], Awaitable[object]]] = []
        self._healed = asyncio.Event()
        self.why_not = ""
        self.postponed = False
        loop = asyncio.get_running_loop()
        strike.watch.at_heal(lambda: loop.call_soon_threadsafe(self._healed.set))

    @property
    def call(self) -> Call:
        """See Delivery."""
        return self._strike.call

    @property
    def answer(self) -> Outcome | None:
        """See Delivery."""
        response = self._flow.response
        return outcome_of(response.status_code, response.raw_content or b"") if response else None

    @property
    def body(self) -> bytes:
        """See Delivery."""
        return (self._flow.response.raw_content or b"") if self._flow.response else b""

    @property
    def address(self) -> str:
        """See Delivery."""
        host, port, *_ = self._flow.client_conn.sockname
        return f"{host}:{port}"

    def fired(self, answer: Outcome | None = None, byte: int | None = None) -> None:
        """See Delivery."""
        self._strike.fire(answer, byte)

    def failed(self, why: str) -> None:
        """See Delivery."""
        self.why_not = why

    def cut(self) -> None:
        """See Delivery."""
        self._flow.kill()  # type: ignore[no-untyped-call]  # mitmproxy's

    def reset(self) -> None:
        """See Delivery."""
        self._listeners.reset_when_closed(self._flow.client_conn)
        self._listeners.abort(self._flow.client_conn)
        self.cut()

    def reply(self, status: int, body: bytes, content_type: str = "text/xml") -> None:
        """See Delivery."""
        self._flow.response = http.Response.make(status, body, {"Content-Type": content_type})

    def rewrite(self, body: bytes, length: int | None = None) -> None:
        """See Delivery."""
        response = self._flow.response
        assert response is not None
        response.data.content = body
        response.headers.pop("Transfer-Encoding", None)
        response.headers["Content-Length"] = str(len(body) if length is None else length)
        if length is not None and length > len(body):
            self._undoing.append(self._hang_up)  # a client that waits for the rest learns that there is none

    def close_afterwards(self, *, reset: bool = False) -> None:
        """See Delivery."""
        if reset:
            self._listeners.reset_when_closed(self._flow.client_conn)
        # mitmproxy closes the client's connection by what the request asked for; the host has read it already
        self._flow.request.headers["Connection"] = "close"

    def drip(self, chunk: int, pause_s: float) -> None:
        """See Delivery."""
        hurry = self._listeners.throttle(self._flow.client_conn, chunk, pause_s)
        loop = asyncio.get_running_loop()
        self._strike.watch.at_heal(lambda: loop.call_soon_threadsafe(hurry))

    async def hold(self, seconds: float | None = None) -> bool:
        """See Delivery."""
        try:
            await asyncio.wait_for(self._healed.wait(), seconds)
        except TimeoutError:
            return True
        return False

    async def overtaken(self) -> bool:
        """See Delivery."""
        with self._passing.overtaking(self._flow.client_conn.id, self.call.session) as waiting:
            healed = asyncio.create_task(self._healed.wait())
            happened = asyncio.create_task(waiting.happened.wait())
            await asyncio.wait({healed, happened}, return_when=asyncio.FIRST_COMPLETED)
            healed.cancel()
            happened.cancel()
            return waiting.happened.is_set()

    async def repeat(self) -> Outcome:
        """See Delivery."""
        return await self._deliver(self._flow.request.raw_content or b"")

    async def ask(self, method: str, *params: str | Sequence[str]) -> Outcome:
        """See Delivery."""
        return await self._deliver(request(method, (self.call.session or "", *params)), xml=True)

    def repeat_after(self, calls: int) -> None:
        """See Delivery."""
        self.postponed = True
        self._passing.add_late(Late(self._strike, self.call.session, self.repeat, calls))

    def at_heal(self, undo: Callable[[], Awaitable[object]]) -> None:
        """See Delivery."""
        self._undoing.append(undo)

    async def refuse_connections(self, seconds: float | None) -> None:
        """See Delivery."""
        refused = await self._listeners.refuse(self._upstream)
        try:
            await self.hold(seconds)
        finally:
            await self._listeners.accept(refused)
            self.cut()

    async def show_certificate(self, certificate: str) -> None:
        """See Delivery."""
        with self._listeners.showing(certificate):
            self._listeners.hang_up(self._upstream)
            await self.hold()
        self._listeners.hang_up(self._upstream)
        self.cut()

    async def undo(self) -> None:
        """Wait until the plan is healed and undo what outlasted the call; at once where nothing does."""
        if self._undoing:
            await self._healed.wait()
        for undo in self._undoing:
            await undo()

    @property
    def _upstream(self) -> Endpoint:
        host, port, *_ = self._flow.server_conn.address or ("", 0)
        return self._listeners.upstreams[host, port]

    async def _hang_up(self) -> None:
        self._listeners.abort(self._flow.client_conn)

    async def _deliver(self, body: bytes, *, xml: bool = False) -> Outcome:
        sent = self._flow.request
        fields = tuple(sent.headers.fields)
        path = sent.path
        if xml:
            path = "/RPC2"
            host = tuple(each for each in fields if each[0].lower() == b"host")
            length = str(len(body)).encode()
            fields = (*host, (b"Content-Type", b"text/xml"), (b"Content-Length", length))
        return await deliver_again(Request(sent.method, path, fields, body), self._upstream, self._timeout_s)
