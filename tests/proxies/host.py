"""A tiny XML-RPC host that counts what it executes: the judge of what a fault did on the host's side."""

import datetime as dt
import hashlib
import ipaddress
import ssl
import threading
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SILENT = "test.close_without_answer"
REFUSED = "test.refuse"
BLOCKED = "test.wait_for_release"
COUNTING = "test.count"
TASK = "OpaqueRef:task"

KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass
class Host:
    """What the host saw. `requests` are (path, headers, body) in the order of arrival."""

    url: str = ""
    certificate: Path | None = None
    context: ssl.SSLContext | None = None
    connections: int = 0
    requests: list[tuple[str, tuple[tuple[str, str], ...], bytes]] = field(default_factory=list)
    executed: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    release: threading.Event = field(default_factory=threading.Event)
    blocked: threading.Event = field(default_factory=threading.Event)

    def executions(self, method: str, session: str | None = None) -> int:
        with self.lock:
            return sum(1 for name, ref in self.executed if name == method and session in (None, ref))


def answer_to(host: Host, method: str, session: str) -> dict[str, str | list[str]] | list[str]:
    if method == REFUSED:
        return {"Status": "Failure", "ErrorDescription": ["VDI_MISSING", "SR-ref", session]}
    if method == "system.listMethods":
        return ["VDI.enable_cbt"]
    if method == BLOCKED:
        host.blocked.set()
        host.release.wait(10)
    if method == "task.create":
        return {"Status": "Success", "Value": TASK}
    if method == COUNTING:
        return {"Status": "Success", "Value": str(host.executions(method, session))}
    return {"Status": "Success", "Value": ""}


def handler_for(host: Host) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 20

        def setup(self) -> None:
            with host.lock:
                host.connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            params, method = xmlrpc.client.loads(body)
            session = str(params[0]) if params else ""
            with host.lock:
                host.requests.append((self.path, tuple(self.headers.items()), body))
                host.executed.append((str(method), session))
            if method == SILENT:
                self.close_connection = True
                return
            answer = answer_to(host, str(method), session)
            self.reply(xmlrpc.client.dumps((answer,), methodresponse=True).encode())

        def do_GET(self) -> None:
            self.reply(b"\0" * 300_000)

        def do_PUT(self) -> None:
            size = len(self.rfile.read(int(self.headers["Content-Length"])))
            self.reply(str(size).encode())

        def reply(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the standard library's
            """Stay quiet."""

    return Handler


class QuietServer(ThreadingHTTPServer):
    """Counts a handshake that fails as no connection, without a traceback on the terminal."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: tests look at what the client and the host saw."""


class TlsServer(QuietServer):
    context: ssl.SSLContext

    def finish_request(self, request: object, client_address: object) -> None:
        assert not isinstance(request, tuple)
        with self.context.wrap_socket(request, server_side=True) as wrapped:  # type: ignore[arg-type]  # a TCP socket
            super().finish_request(wrapped, client_address)


@contextmanager
def running_host(certificate: Path | None = None) -> Iterator[Host]:
    """Run a host on a free loopback port; over TLS when given a certificate file (with its key, PEM)."""
    host = Host(certificate=certificate)
    server_class = QuietServer if certificate is None else TlsServer
    with server_class(("127.0.0.1", 0), handler_for(host)) as server:
        if isinstance(server, TlsServer) and certificate is not None:
            server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.context.load_cert_chain(certificate)
            host.context = server.context
        host.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield host
        finally:
            host.release.set()
            server.shutdown()
            thread.join(10)


def fingerprint(certificate: Path) -> str:
    """Return the SHA-256 of a certificate file that `make_certificate` wrote."""
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text().partition("-----BEGIN PRIVATE")[0])
    return hashlib.sha256(der).hexdigest()


def make_certificate(path: Path, address: str | None = "127.0.0.1", *, valid_from: int = -1, days: int = 2) -> Path:
    """Write a self-signed certificate with its key to `path`: for `address` (None: for the name `host.test`).

    `valid_from` is in days from now.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "host.test")])
    today = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [x509.DNSName("host.test")]
    names = names if address is None else [x509.IPAddress(ipaddress.ip_address(address))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today + dt.timedelta(days=valid_from))
        .not_valid_after(today + dt.timedelta(days=valid_from + days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(KEY_USAGE, critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
