"""The addons inside mitmproxy that make it a plain reverse proxy: import only where its warnings are silenced."""

from collections import deque
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.serialization import Encoding
from mitmproxy import ctx, flow, http, tls
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from OpenSSL import SSL
from OpenSSL.crypto import X509, X509StoreFlags

from xencbt.harness.endpoint import Endpoint
from xencbt.harness.trust import Trust
from xencbt.proxies.certificates import Shown

KEPT_PROBLEMS = 50

Verification = Callable[[SSL.Connection, X509, int, int, int], bool]
Upstreams = Mapping[tuple[str, int], Endpoint]
"""The hosts that are served, by host and port."""


class BothLegs(TlsConfig):
    """mitmproxy's own TLS settings, with each upstream trusted as its endpoint says, and clients shown what we show."""

    def __init__(self, upstreams: Upstreams, trouble: "LabTrouble", shown: Shown) -> None:
        super().__init__()
        self._upstreams = upstreams
        self._trouble = trouble
        self._shown = shown

    def tls_start_client(self, tls_start: tls.TlsData) -> None:
        """Show a client the certificate that is to be shown now, which is none of mitmproxy's."""
        self._shown.make()
        settings = SSL.Context(SSL.TLS_SERVER_METHOD)
        settings.use_certificate_file(str(self._shown.now))
        settings.use_privatekey_file(str(self._shown.now))
        tls_start.ssl_conn = SSL.Connection(settings)
        tls_start.ssl_conn.set_accept_state()

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
