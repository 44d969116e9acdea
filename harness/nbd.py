"""Reading a disk over NBD: one connection to one export, every wait bounded, nothing the server says believed."""

import itertools
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from xencbt.harness import nbd_protocol as protocol
from xencbt.harness.exchange import Recorder
from xencbt.harness.nbd_protocol import Export, NbdMalformed, NbdTrouble, Receive, Secure, Send, Talk
from xencbt.harness.session import clock, shorten
from xencbt.harness.transport import Deadline, describe, send
from xencbt.harness.trust import explain, unstrict

T = TypeVar("T")

NBD_DEADLINE_S = 60.0
"""Seconds for opening an export, and for each piece that is read."""

CLOSING_DEADLINE_S = 10.0
PIECE = 4 * 2**20
CLOSING_BYTES = 2 * PIECE
FIELDS = frozenset({"exportname", "address", "port", "cert", "subject"})


class NbdUnreachable(NbdTrouble):
    """There was no connection; `refused`: because nothing listens there."""

    def __init__(self, what: str, *, refused: bool = False) -> None:
        super().__init__(what)
        self.refused = refused


class NbdUntrusted(NbdTrouble):
    """The connection could not be secured, or the certificate is not the one given."""


class NbdClosed(NbdTrouble):
    """The server closed the connection where it owed an answer."""


class NbdSilent(NbdTrouble):
    """The server did not go on before the deadline."""


@dataclass(frozen=True, slots=True)
class NbdAddress:
    """One record of VDI.get_nbd_info: where a disk is served, and by what certificate (PEM) the server is known."""

    name: str = field(repr=False)
    address: str
    port: int
    certificate: str = field(repr=False)
    subject: str

    @classmethod
    def parse(cls, record: object) -> "NbdAddress":
        """Read one record; raises NbdMalformed where it has not exactly the documented fields in their types."""
        if not isinstance(record, Mapping) or set(record) != FIELDS:
            keys = sorted(map(str, record)) if isinstance(record, Mapping) else type(record).__name__
            raise NbdMalformed(f"a record of VDI.get_nbd_info holds {keys}, not {sorted(FIELDS)}")
        fields: Mapping[str, Any] = record
        port = str(fields["port"])
        if not port.isdecimal() or not 0 < int(port) < 2**16:
            raise NbdMalformed(f"the port of a record of VDI.get_nbd_info is {port[:20]!r}")
        texts = [fields[name] for name in ("exportname", "address", "cert", "subject")]
        if not all(isinstance(text, str) for text in texts):
            raise NbdMalformed("a record of VDI.get_nbd_info holds something else than text")
        name, address, certificate, subject = texts
        return cls(name, address, int(port), certificate, subject)

    @property
    def netloc(self) -> str:
        """Address and port as people write them."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class NbdClient:
    """One open export. Methods raise NbdTrouble or one of its kinds; every exchange is recorded without content."""

    def __init__(self, at: NbdAddress, recorder: Recorder, *, deadline_s: float = NBD_DEADLINE_S) -> None:
        """Connect, and no more: `open` or `ask` comes next. Raises NbdUnreachable."""
        self.at = at
        self.export = Export(0, read_only=True)
        self._recorder = recorder
        self._deadline_s = deadline_s
        self._handles = itertools.count(1)
        self._usable = True
        try:
            self._sock: socket.socket = socket.create_connection((at.address, at.port), timeout=deadline_s)
        except OSError as error:
            refused = isinstance(error, ConnectionRefusedError)
            raise NbdUnreachable(f"no connection to {at.netloc} ({describe(error)})", refused=refused) from error
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, *, tls: bool, oldest: bool = False) -> Self:
        """Open the export that the record names, over TLS or in clear; `oldest`: by the oldest option there is."""
        step = f"NBD open {self.at.name} at {self.at.netloc}, {'TLS' if tls else 'no TLS'}"
        self.export = self._recorded(step, protocol.negotiate(self.at.name, tls=tls, oldest=oldest))
        return self

    def ask(self, option: int) -> None:
        """Ask for one option, right after connecting."""
        self._recorded(f"NBD option {option} at {self.at.netloc}", protocol.ask(option))

    def read(self, offset: int, length: int) -> bytes:
        """Read a range of the export."""
        return b"".join(self.stream(offset, length))

    def stream(self, offset: int, length: int, piece: int = PIECE) -> Iterator[bytes]:
        """Read a range in pieces of at most `piece` bytes, as each comes."""
        for at in range(offset, offset + length, piece):
            count = min(piece, offset + length - at)
            yield self._command(f"NBD read {count} bytes at {at}", protocol.READ, at, count, expect=count)

    def write(self, offset: int, data: bytes) -> None:
        """Ask the server to write, which an export that is read-only refuses."""
        self._command(f"NBD write {len(data)} bytes at {offset}", protocol.WRITE, offset, len(data), data)

    def trim(self, offset: int, length: int) -> None:
        """Tell the server that a range is not needed any more, which an export that is read-only refuses."""
        self._command(f"NBD trim {length} bytes at {offset}", protocol.TRIM, offset, length)

    def write_zeroes(self, offset: int, length: int) -> None:
        """Ask the server to write zeros, which an export that is read-only refuses."""
        self._command(f"NBD write_zeroes {length} bytes at {offset}", protocol.WRITE_ZEROES, offset, length)

    def close(self) -> None:
        """Take leave, and wait until the server has let go of the disk: until it closes the connection, or silence."""
        with suppress(NbdTrouble, OSError):
            if self._usable:
                deadline = Deadline(min(CLOSING_DEADLINE_S, self._deadline_s))
                send(self._sock, [protocol.request(protocol.DISC, next(self._handles), 0, 0)], deadline)
                for _ in range(CLOSING_BYTES // 2**16):
                    self._sock.settimeout(deadline.remaining())
                    if not self._sock.recv(2**16):
                        break
        self._usable = False
        self._sock.close()

    def _command(
        self, step: str, command: int, offset: int, length: int, data: bytes = b"", *, expect: int = 0
    ) -> bytes:
        handle = next(self._handles)

        def talk() -> Talk[bytes]:
            yield Send(protocol.request(command, handle, offset, length, data))
            protocol.check_answer((yield Receive(protocol.ANSWER_HEAD)), handle)
            return (yield Receive(expect)) if expect else b""

        return self._recorded(step, talk())

    def _recorded(self, step: str, talk: Talk[T]) -> T:
        started, outcome = clock(), "ok"
        try:
            return self._carry_out(talk)
        except NbdTrouble as trouble:
            outcome = str(trouble)
            self._usable = self._usable and isinstance(trouble, protocol.NbdFailed)
            raise
        finally:
            self._recorder.record(
                method=" ".join(step.split()[:2]),
                step=lambda: shorten(self._recorder.secrets.mask(step)),
                outcome=outcome,
                started=started,
                duration_s=clock() - started,
                request="",
                response="",
            )

    def _carry_out(self, talk: Talk[T]) -> T:
        deadline = Deadline(self._deadline_s)
        came = b""
        try:
            step = next(talk)
            while True:
                match step:
                    case Send(data):
                        send(self._sock, [data], deadline)
                    case Receive(count):
                        came = self._receive(count, deadline)
                    case Secure():
                        self._secure(deadline)
                step = talk.send(came)
        except StopIteration as done:
            result: T = done.value
            return result
        except TimeoutError as error:
            raise NbdSilent(f"{self.at.netloc} did not go on within {deadline.seconds:g} s") from error
        except OSError as error:
            raise NbdClosed(f"{self.at.netloc} closed the connection ({describe(error)})") from error

    def _receive(self, count: int, deadline: Deadline) -> bytes:
        data = bytearray(count)
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(deadline.remaining())
            got = self._sock.recv_into(rest)
            if not got:
                raise NbdClosed(f"{self.at.netloc} closed the connection instead of answering")
            rest = rest[got:]
        return bytes(data)

    def _secure(self, deadline: Deadline) -> None:
        context = _only(self.at.certificate)
        self._sock.settimeout(deadline.remaining())
        try:
            self._sock = context.wrap_socket(self._sock, server_hostname=self.at.subject)
        except (ssl.SSLError, ssl.CertificateError) as error:
            why = explain(error, self.at.subject)
            raise NbdUntrusted(f"TLS with {self.at.netloc} failed ({why})") from error
        except ValueError as error:
            raise NbdUntrusted(
                f"the subject {self.at.subject[:80]!r} cannot be the name of a server ({error})"
            ) from error


def _only(certificate: str) -> ssl.SSLContext:
    """Return a context that trusts nobody but the certificate given (PEM); raises NbdUntrusted where it is none."""
    try:
        context = ssl.create_default_context(cadata=certificate or "none")
    except (ssl.SSLError, ValueError) as error:
        raise NbdUntrusted(f"the certificate that VDI.get_nbd_info gives is none ({error})") from error
    return unstrict(context)
