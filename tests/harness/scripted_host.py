"""A host that answers by a script, badly where told to: each request is counted, by method."""

import re
import socket
import threading
import xmlrpc.client
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl

SESSION = "OpaqueRef:5e55105e-5e55-105e-5e55-105e5e55105e"
UUID = "11111111-2222-3333-4444-555555555555"
_METHOD = re.compile(rb"<methodName>(.*?)</methodName>")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HOST = re.compile(rb"(?i)\r\nhost: *([^\r]*)")

Reply = Callable[[socket.socket, threading.Event], None]


def success(value: Any) -> bytes:
    return xmlrpc.client.dumps(({"Status": "Success", "Value": value},), methodresponse=True).encode()


def failure(*description: str) -> bytes:
    return xmlrpc.client.dumps(
        ({"Status": "Failure", "ErrorDescription": list(description)},), methodresponse=True
    ).encode()


def answer(body: bytes, *, length: int | None = None, status: str = "200 OK", close: bool = False) -> Reply:
    """Answer with `body`; a wrong `length` or a `close` afterwards where told."""

    def reply(sock: socket.socket, _stop: threading.Event) -> None:
        size = len(body) if length is None else length
        extra = "Connection: close\r\n" if close else ""
        sock.sendall(
            f"HTTP/1.1 {status}\r\nContent-Type: text/xml\r\n{extra}Content-Length: {size}\r\n\r\n".encode() + body
        )
        if close or size != len(body):
            sock.shutdown(socket.SHUT_RDWR)

    return reply


def drip(body: bytes, pause_s: float) -> Reply:
    """Answer one byte at a time: each read is quick, the whole never ends."""

    def reply(sock: socket.socket, stop: threading.Event) -> None:
        sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for byte in body:
            if stop.wait(pause_s):
                return
            sock.sendall(bytes([byte]))

    return reply


def hang_up(sock: socket.socket, _stop: threading.Event) -> None:
    """Close without a word."""
    sock.shutdown(socket.SHUT_RDWR)


def say_nothing(_sock: socket.socket, stop: threading.Event) -> None:
    """Keep the connection, and never answer."""
    stop.wait(30)


class ScriptedHost:
    """Serves on loopback; `script` says how each method is answered, the rest is as on a host with one session."""

    def __init__(self, script: dict[str, Reply] | None = None, at: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.script: dict[str, Reply] = {
            "session.login_with_password": answer(success(SESSION)),
            "session.get_uuid": answer(success(UUID)),
            "session.logout": answer(success("")),
        } | (script or {})
        self.requests: Counter[str] = Counter()
        self.called: set[str] = set()  # what clients took this host for, by their Host headers
        self.connections = 0
        self.tls: ssl.SSLContext | None = None
        self._stop = threading.Event()
        self._listener = socket.create_server(at)
        self._threads = [threading.Thread(target=self._accept)]
        self._sockets: list[socket.socket] = []

    @property
    def url(self) -> str:
        host, port = self._listener.getsockname()
        return f"{'https' if self.tls else 'http'}://{host}:{port}"

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for sock in self._sockets:
            sock.close()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(10)
            self.connections += 1
            self._sockets.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
                self._sockets.append(sock)
            while request := _read_request(sock):
                found = _METHOD.search(request)
                method = found[1].decode() if found else request.split(b"?")[0].split(b"\r\n")[0].decode()
                self.requests[method] += 1
                self.called.update(name.decode() for name in _HOST.findall(request.partition(b"\r\n\r\n")[0]))
                self.script[method](sock, self._stop)
        except OSError:
            return


def _read_request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    found = _LENGTH.search(head)
    while found and len(body) < int(found[1]):
        body += sock.recv(65536)
    return head + body
