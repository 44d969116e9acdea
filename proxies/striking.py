"""Where faults strike inside mitmproxy: import this module only where its warnings are silenced.

client ──▶ listener ──▶ request ──▶ upstream
                         └ phase before: the carrier may cut, answer or hold back the call here
client ◀── response ◀── upstream
            └ phases during and after: the carrier may cut, change, hold back or repeat here
"""

import asyncio
import threading

from mitmproxy import http

from xencbt.harness.faults import Call, Phase, Strike, Watch, read_call
from xencbt.harness.transport import NotConnected
from xencbt.proxies.carriers import carry
from xencbt.proxies.flows import FlowDelivery
from xencbt.proxies.listeners import Listeners
from xencbt.proxies.passing import Passing

STRIKE = "xencbt.strike"
SESSION = "xencbt.session"


class Watches:
    """The plans that are armed now; read by the proxy, changed by the tests' threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: tuple[Watch, ...] = ()

    def add(self, watch: Watch) -> None:
        """Let `watch` see every call from now on; one of an empty plan has nothing to look for."""
        if watch.receipts:
            with self._lock:
                self._armed = (*self._armed, watch)

    def remove(self, watch: Watch) -> None:
        """Let `watch` see no further call."""
        with self._lock:
            self._armed = tuple(each for each in self._armed if each is not watch)

    @property
    def any(self) -> bool:
        """Whether calls need to be looked at."""
        return bool(self._armed)

    def notice(self, call: Call) -> Strike | None:
        """Show a call to every plan; the plan armed first gets it where several want it."""
        strikes = [strike for watch in self._armed if (strike := watch.notice(call))]
        for late in strikes[1:]:
            if late.begin():
                late.end("its call was taken by another plan")
        return strikes[0] if strikes else None


class FaultCarrier:
    """The addon that lets due faults strike."""

    def __init__(self, watches: Watches, listeners: Listeners, timeout_s: float) -> None:
        self._watches = watches
        self._listeners = listeners
        self._timeout_s = timeout_s
        self._passing = Passing()
        self._lasting: set[asyncio.Task[None]] = set()

    async def request(self, flow: http.HTTPFlow) -> None:
        """Look for a fault that is due at this call, and strike if its phase is before the host."""
        if flow.request.method != "POST" or not self._watches.any:
            return
        call = read_call(flow.request.raw_content or b"")
        if call is None:
            return
        flow.metadata[SESSION] = call.session
        strike = self._watches.notice(call)
        if strike is None:
            return
        if strike.planned.when is Phase.BEFORE:
            await self._strike(strike, flow)
        else:
            flow.metadata[STRIKE] = strike

    async def response(self, flow: http.HTTPFlow) -> None:
        """Strike where the host has acted."""
        if SESSION in flow.metadata:
            await self._passing.answered(flow.client_conn.id, flow.metadata[SESSION])
        strike = flow.metadata.pop(STRIKE, None)
        if strike is not None:
            await self._strike(strike, flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """Note that a fault waited for an answer which never came."""
        strike = flow.metadata.pop(STRIKE, None)
        if strike is not None and strike.begin():
            strike.end("the connection ended before the host answered")

    async def _strike(self, strike: Strike, flow: http.HTTPFlow) -> None:
        if not strike.begin():
            return
        delivery = FlowDelivery(flow, strike, self._listeners, self._passing, self._timeout_s)
        why_not = "the fault's carrier broke"
        try:
            await carry(strike.planned.fault, delivery)
            why_not = delivery.why_not
        except NotConnected as undelivered:
            why_not = f"no second connection: {undelivered}"
        finally:
            if not delivery.postponed:
                lasting = asyncio.create_task(self._last(strike, delivery, why_not))
                self._lasting.add(lasting)
                lasting.add_done_callback(self._lasting.discard)

    async def _last(self, strike: Strike, delivery: FlowDelivery, why_not: str) -> None:
        """Undo, once the plan is healed, what outlasts the call; the strike ends with that."""
        try:
            await delivery.undo()
        finally:
            strike.end(why_not)
