"""The addons inside mitmproxy, one concern each: import this module only where its warnings are silenced.

A call's way, and where faults strike:

client ──▶ listener ──▶ request ──▶ upstream
                         └ phase before: the carrier may cut the connection here
client ◀── response ◀── upstream
            └ phase after: the carrier may cut the connection or repeat the call here
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding
from mitmproxy import ctx, flow, http, tls
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from OpenSSL import SSL
from OpenSSL.crypto import X509, X509StoreFlags

from xencbt.harness.endpoint import Endpoint
from xencbt.harness.faults import Phase, Strike, Watch, read_call
from xencbt.harness.outcome import Outcome
from xencbt.harness.transport import NotConnected
from xencbt.harness.trust import Trust
from xencbt.proxies.answers import outcome_of
from xencbt.proxies.carriers import carry
from xencbt.proxies.redelivery import Request, deliver_again

STRIKE = "xencbt.strike"
KEPT_PROBLEMS = 50

Verification = Callable[[SSL.Connection, X509, int, int, int], bool]
Upstreams = Mapping[tuple[str, int], Endpoint]
"""The hosts that are served, by host and port."""


class UpstreamTrust(TlsConfig):
    """mitmproxy's own TLS settings, with each upstream trusted as its own endpoint says."""

    def __init__(self, upstreams: Upstreams, trouble: "LabTrouble") -> None:
        super().__init__()
        self._upstreams = upstreams
        self._trouble = trouble

    def tls_start_server(self, tls_start: tls.TlsData) -> None:
        """Choose what this connection trusts: the options are global, but nothing runs before they are read."""
        address = tls_start.context.server.address or ("", 0)
        trust = self._upstreams[address[0], address[1]].trust
        wanted = {
            "ssl_verify_upstream_trusted_ca": str(trust.ca_file) if trust.ca_file else None,
            "ssl_insecure": trust.insecure,
        }
        if any(getattr(ctx.options, name) != value for name, value in wanted.items()):
            ctx.options.update(**wanted)  # type: ignore[no-untyped-call]  # mitmproxy's
        super().tls_start_server(tls_start)
        assert tls_start.ssl_conn is not None
        # as in Trust.context: a host's own certificate in the CA file is enough
        if (store := tls_start.ssl_conn.get_context().get_cert_store()) is not None:
            store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
        if trust.fingerprint is not None:
            tls_start.ssl_conn.set_verify(SSL.VERIFY_PEER, self._only_pinned(trust, tls_start.conn.id))

    def _only_pinned(self, trust: Trust, connection_id: str) -> Verification:
        """Return OpenSSL's question on each certificate of a chain: the host's own decides, whatever OpenSSL thinks."""

        def accepts(_conn: SSL.Connection, shown: X509, _error: int, depth: int, _ok: int) -> bool:
            if depth > 0:
                return True
            objection = trust.objection(shown.to_cryptography().public_bytes(Encoding.DER))
            if objection is not None:
                self._trouble.object_to(connection_id, objection)
            return objection is None

        return accepts


class Watches:
    """The plans that are armed now; read by the proxy, changed by the tests' threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: tuple[Watch, ...] = ()

    def add(self, watch: Watch) -> None:
        """Let `watch` see every call from now on."""
        with self._lock:
            self._armed = (*self._armed, watch)

    def remove(self, watch: Watch) -> None:
        """Let `watch` see no further call."""
        with self._lock:
            self._armed = tuple(each for each in self._armed if each is not watch)

    def notice(self, body: bytes) -> Strike | None:
        """Show a request body to every plan; the plan armed first gets the call where several want it."""
        armed = self._armed
        if not armed:
            return None
        call = read_call(body)
        if call is None:
            return None
        strikes = [strike for watch in armed if (strike := watch.notice(call))]
        for late in strikes[1:]:
            if late.begin():
                late.end(fired=False, note="its call was taken by another plan")
        return strikes[0] if strikes else None


@dataclass(frozen=True, slots=True)
class FlowDelivery:
    """A mitmproxy flow as carriers see it."""

    flow: http.HTTPFlow
    upstream: Endpoint
    timeout_s: float

    @property
    def answer(self) -> Outcome | None:
        """See Delivery."""
        response = self.flow.response
        return outcome_of(response.status_code, response.raw_content or b"") if response else None

    def cut(self) -> None:
        """See Delivery."""
        self.flow.kill()  # type: ignore[no-untyped-call]  # mitmproxy's

    async def repeat(self) -> Outcome:
        """See Delivery."""
        sent = self.flow.request
        request = Request(sent.method, sent.path, tuple(sent.headers.fields), sent.raw_content or b"")
        return await deliver_again(request, self.upstream, self.timeout_s)


class FaultCarrier:
    """The addon that lets due faults strike."""

    def __init__(self, watches: Watches, upstreams: Upstreams, timeout_s: float) -> None:
        self._watches = watches
        self._upstreams = upstreams
        self._timeout_s = timeout_s

    async def request(self, flow: http.HTTPFlow) -> None:
        """Look for a fault that is due at this call, and strike if its phase is before the host."""
        if flow.request.method != "POST":
            return
        strike = self._watches.notice(flow.request.raw_content or b"")
        if strike is None:
            return
        if strike.planned.fault.phase is Phase.BEFORE:
            await self._strike(strike, flow)
        else:
            flow.metadata[STRIKE] = strike

    async def response(self, flow: http.HTTPFlow) -> None:
        """Strike where the host has acted."""
        strike = flow.metadata.pop(STRIKE, None)
        if strike is not None:
            await self._strike(strike, flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """Note that a fault waited for an answer which never came."""
        strike = flow.metadata.pop(STRIKE, None)
        if strike is not None and strike.begin():
            strike.end(fired=False, note="the connection ended before the host answered")

    async def _strike(self, strike: Strike, flow: http.HTTPFlow) -> None:
        if not strike.begin():
            return
        fired, answer, note = False, None, "the fault's carrier broke"
        try:
            host, port, *_ = flow.server_conn.address or ("", 0)
            upstream = self._upstreams[host, port]
            answer = await carry(strike.planned.fault, FlowDelivery(flow, upstream, self._timeout_s))
            fired, note = True, ""
        except NotConnected as undelivered:
            note = f"no second connection: {undelivered}"
        finally:
            strike.end(fired=fired, answer=answer, note=note)


class PlainDrop:
    """The addon that shows a client what the host did: no answer is a closed connection, never an invented 502."""

    def error(self, failed: http.HTTPFlow) -> None:
        """Close the client's connection unanswered."""
        if failed.error is not None:
            failed.error = flow.Error(flow.Error.KILLED_MESSAGE)


class LabTrouble:
    """The addon that notes why an upstream could not be reached or trusted: clients only see a closed connection."""

    def __init__(self) -> None:
        self.problems: deque[str] = deque(maxlen=KEPT_PROBLEMS)
        self._objections: dict[str, str] = {}

    def object_to(self, connection_id: str, objection: str) -> None:
        """Keep why that connection is about to fail, in better words than OpenSSL has."""
        self._objections[connection_id] = objection

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        """Note that there is no connection."""
        self._note(data.server.address, data.server.error)

    def tls_failed_server(self, data: tls.TlsData) -> None:
        """Note that the connection is not secure."""
        self._note(data.context.server.address, self._objections.pop(data.conn.id, data.conn.error))

    def _note(self, address: tuple[str, int] | None, error: str | None) -> None:
        host, port, *_ = address or ("?", 0)
        self.problems.append(f"upstream {host}:{port}: {error}")


class PassThrough:
    """The addon that lets everything but calls (disk imports and exports) stream by, so that no image piles up."""

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Stream the body of a request that is no call."""
        if flow.request.method != "POST":
            flow.request.stream = True

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Stream the answer to a request that is no call."""
        if flow.request.method != "POST" and flow.response is not None:
            flow.response.stream = True
