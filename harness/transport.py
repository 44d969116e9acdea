"""One HTTP exchange with a target: sent once, bounded in time and size, and honest about what came of it."""

import http.client
import io
import select
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

from xencbt.harness.endpoint import Endpoint
from xencbt.harness.errors import XencbtError
from xencbt.harness.trust import explain

MAX_ANSWER = 64 * 2**20
"""Bytes of an answer that are read; the bitmap of the largest disk, or a pool's records, stay far below."""

CHUNK = 2**16
KEPT_LINE = 60
TLS_RECORDS = ("\x15\x03", "\x16\x03")
"""How an answer begins that is an alert or a handshake of TLS."""

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class NoAnswer(XencbtError):
    """No usable answer came; the call may have happened or not."""


class Silence(NoAnswer):
    """The connection stood, and no complete answer came before the deadline."""


class NotConnected(NoAnswer):
    """There was no connection, so nothing was sent."""


class TlsFailure(NotConnected):
    """The connection could not be secured or the certificate not verified, so nothing was sent."""


class Garbled(NoAnswer):
    """Something answered, but not as the XenAPI answers."""


class Deadline:
    """One moment for a whole call, however many reads and writes it takes."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds left, always positive; raises TimeoutError when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the call's time is up")
        return left


class _TimedReader(io.RawIOBase):
    """A socket's bytes, each read bounded by what is left of the call's time."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the base names a private buffer type
        self._sock.settimeout(self._deadline.remaining())
        return self._sock.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Pose as the socket that http.client wants to read from."""
        return io.BufferedReader(self, CHUNK)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status line and body of one HTTP answer."""

    status: int
    reason: str
    body: bytes


class Channel:
    """One connection to the target, kept alive between calls, opened when needed; nothing is ever sent twice.

    A connection that the host closed while it was idle is noticed before sending and replaced; after a failure it is
    closed, so that a late answer to one call can never be taken for the answer to the next.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._tls = endpoint.tls()
        self._sock: socket.socket | None = None

    def post(
        self, path: str, content_type: str, body: bytes, deadline: Deadline, headers: Mapping[str, str] = NO_HEADERS
    ) -> Answer:
        """Send one POST and read the whole answer. Raises NoAnswer or one of its kinds."""
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._endpoint.netloc}\r\nUser-Agent: xencbt\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        )
        with self.exchange("POST", deadline) as sock:
            send(sock, [head.encode("latin-1") + body], deadline)
            with receive(sock, "POST", deadline) as response:
                answer = Answer(response.status, response.reason, read_all(response))
            if response.will_close:
                self.close()
        return answer

    @contextmanager
    def exchange(self, method: str, deadline: Deadline) -> Iterator[socket.socket]:
        """Lend the connected socket for one exchange; whatever breaks it closes it and is told as NoAnswer."""
        sock = self._connected(deadline)
        finished = False
        try:
            yield sock
            finished = True
        except http.client.RemoteDisconnected as error:
            raise NoAnswer(f"the connection was closed without an answer to the {method}") from error
        except http.client.IncompleteRead as error:
            raise NoAnswer("the answer was cut short") from error
        except http.client.BadStatusLine as error:
            raise Garbled(_not_http(str(error))) from error
        except http.client.HTTPException as error:
            raise Garbled(f"not an HTTP answer ({type(error).__name__})") from error
        except TimeoutError as error:
            raise Silence(f"no complete answer within {deadline.seconds:g} s") from error
        except OSError as error:
            raise NoAnswer(f"the connection was lost ({describe(error)})") from error
        except ValueError as error:
            raise Garbled(f"not an HTTP answer ({error})") from error
        finally:
            if not finished:
                self.close()

    def close(self) -> None:
        """Close the connection, if there is one; the next call opens another."""
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    def _connected(self, deadline: Deadline) -> socket.socket:
        if self._sock is not None and _is_stale(self._sock):
            self.close()
        if self._sock is None:
            self._sock = self._connect(deadline)
        return self._sock

    def _connect(self, deadline: Deadline) -> socket.socket:
        endpoint = self._endpoint
        try:
            sock = socket.create_connection((endpoint.host, endpoint.port), timeout=deadline.remaining())
        except OSError as error:
            raise NotConnected(f"cannot connect to {endpoint.netloc} ({describe(error)})") from error
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return sock
            sock.settimeout(deadline.remaining())
            secured = self._tls.wrap_socket(sock, server_hostname=endpoint.host)
        except ssl.SSLError as error:
            sock.close()
            raise TlsFailure(f"TLS with {endpoint.netloc} failed ({explain(error, endpoint.host)})") from error
        except TimeoutError as error:
            sock.close()
            raise NotConnected(f"no TLS handshake with {endpoint.netloc} within {deadline.seconds:g} s") from error
        except OSError as error:
            sock.close()
            raise NotConnected(f"no connection to {endpoint.netloc} ({describe(error)})") from error
        objection = endpoint.trust.objection(secured.getpeercert(binary_form=True))
        if objection is not None:
            secured.close()
            raise TlsFailure(f"TLS with {endpoint.netloc} failed ({objection})")
        return secured


def send(sock: socket.socket, parts: Iterable[bytes], deadline: Deadline) -> None:
    """Write all `parts` before the deadline; raises OSError (TimeoutError among them)."""
    for part in parts:
        rest = memoryview(part)
        while rest:
            sock.settimeout(deadline.remaining())
            rest = rest[sock.send(rest[:CHUNK]) :]


@contextmanager
def receive(sock: socket.socket, method: str, deadline: Deadline) -> Iterator[http.client.HTTPResponse]:
    """Read the head of the answer; inside, its body is read through it. Raises HTTPException, OSError or ValueError."""
    reader = _TimedReader(sock, deadline)
    response = http.client.HTTPResponse(cast("socket.socket", reader), method=method)
    try:
        response.begin()
        yield response
    finally:
        response.close()


def read_all(response: http.client.HTTPResponse) -> bytes:
    """Read a whole body; raises IncompleteRead when it ends early, Garbled when it is beyond MAX_ANSWER."""
    parts: list[bytes] = []
    size = 0
    while part := response.read(CHUNK):
        size += len(part)
        if size > MAX_ANSWER:
            raise Garbled(f"the answer is larger than {MAX_ANSWER} bytes")
        parts.append(part)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(parts)


def until_closed(sock: socket.socket, deadline: Deadline) -> None:
    """Drop what still comes until the other side has closed the connection, or the deadline has passed."""
    try:
        while True:
            sock.settimeout(deadline.remaining())
            if not sock.recv(CHUNK):
                return
    except OSError:  # reset, which is an end as well, or TimeoutError
        return


def describe(error: OSError) -> str:
    """Say what an OSError means without its number."""
    return error.strerror or str(error) or type(error).__name__


def _not_http(line: str) -> str:
    if line.startswith(TLS_RECORDS):
        return "what answers there speaks TLS: use https"
    return f"not an HTTP answer: it begins with {line.strip()[:KEPT_LINE]!r}"


def _is_stale(sock: socket.socket) -> bool:
    """Whether an idle connection has something to read: its end, or bytes nobody asked for."""
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return bool(poller.poll(0))
