"""The client's side of the NBD protocol, fixed newstyle, without a socket: what to send, what may come back.

A talk is a generator: it yields what is to be done with the connection, is sent what came in, and returns what it was
for. Everything the server says is checked and bounded. Source: NetworkBlockDevice/nbd, doc/proto.md.
"""

import struct
from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from xencbt.harness.errors import XencbtError

T = TypeVar("T")

REPLY_BYTES = 64 * 1024
"""Most bytes of one answer to an option that are read."""

REPLIES = 64
"""Most answers to one option that are read."""

SAID = 200

GREETING = b"NBDMAGICIHAVEOPT"
FIXED_NEWSTYLE, NO_ZEROES = 1, 2
PADDING_BYTES = 124
HAS_FLAGS, READ_ONLY = 1, 2
EXPORT_NAME, ABORT, LIST, STARTTLS, INFO, GO = 1, 2, 3, 5, 6, 7
ACK, INFO_REPLY = 1, 3
READ, WRITE, DISC, TRIM, WRITE_ZEROES = 0, 1, 2, 4, 6
_ERROR = 1 << 31
ERRORS = {
    _ERROR | 1: "UNSUP",
    _ERROR | 2: "POLICY",
    _ERROR | 3: "INVALID",
    _ERROR | 4: "PLATFORM",
    _ERROR | 5: "TLS_REQD",
    _ERROR | 6: "UNKNOWN",
    _ERROR | 7: "SHUTDOWN",
    _ERROR | 8: "BLOCK_SIZE_REQD",
    _ERROR | 9: "TOO_BIG",
}
ERRNOS = {
    1: "EPERM",
    5: "EIO",
    12: "ENOMEM",
    22: "EINVAL",
    28: "ENOSPC",
    75: "EOVERFLOW",
    95: "ENOTSUP",
    108: "ESHUTDOWN",
}

_OPTION = struct.Struct(">8sII")
_REPLY = struct.Struct(">QIII")
_REPLY_MAGIC = 0x0003E889045565A9
_EXPORT = struct.Struct(">QH")
_REQUEST = struct.Struct(">IHHQQI")
_SIMPLE_REPLY = struct.Struct(">IIQ")
ANSWER_HEAD = _SIMPLE_REPLY.size


class NbdTrouble(XencbtError):
    """A server did not do what it was asked over NBD."""


class NbdRefused(NbdTrouble):
    """An option was answered with an error: `reply` is its name in the protocol, without what all share."""

    def __init__(self, reply: str, said: str) -> None:
        super().__init__(f"refused with {reply}{f' ({said})' if said else ''}")
        self.reply = reply


class NbdFailed(NbdTrouble):
    """A command failed: `errno` is its name in the protocol."""

    def __init__(self, errno: str) -> None:
        super().__init__(f"the server answers {errno}")
        self.errno = errno


class NbdMalformed(NbdTrouble):
    """What the server sends is no NBD."""


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes to be sent."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Receive:
    """So many bytes are to be received, and sent into the talk."""

    count: int


@dataclass(frozen=True, slots=True)
class Secure:
    """The connection is to be secured by TLS."""


Step: TypeAlias = Send | Receive | Secure
Talk: TypeAlias = Generator[Step, bytes, T]


@dataclass(frozen=True, slots=True)
class Export:
    """What a server says of an export: its size in bytes, and whether it takes no writes."""

    size: int
    read_only: bool


def negotiate(name: str, *, tls: bool, oldest: bool = False) -> Talk[Export]:
    """Open the export `name`, over TLS if told so. Raises NbdRefused or NbdMalformed.

    `oldest`: by the option that every server knows, and that is refused only by closing the connection.
    """
    zeroes = yield from _greet()
    if tls:
        yield from _ask(STARTTLS)
        yield Secure()
    if oldest:
        return (yield from _export_name(name, zeroes=zeroes))
    try:
        return (yield from _go(name))
    except NbdRefused as refused:
        if refused.reply != "UNSUP":
            raise
    return (yield from _export_name(name, zeroes=zeroes))


def ask(option: int) -> Talk[None]:
    """Ask a server for `option` right after the greeting, without data. Raises NbdRefused or NbdMalformed."""
    yield from _greet()
    yield from _ask(option)


def request(command: int, handle: int, offset: int, length: int, data: bytes = b"") -> bytes:
    """Frame one command."""
    return _REQUEST.pack(0x25609513, 0, command, handle, offset, length) + data


def check_answer(head: bytes, handle: int) -> None:
    """Check the head of a simple reply to the command `handle`. Raises NbdFailed or NbdMalformed."""
    magic, error, answered = _SIMPLE_REPLY.unpack(head)
    if magic != 0x67446698:
        raise NbdMalformed(f"an answer begins with {magic:#x}")
    if answered != handle:
        raise NbdMalformed(f"an answer to command {answered}, which nobody sent")
    if error:
        raise NbdFailed(ERRNOS.get(error, f"error {error}"))


def _greet() -> Talk[bool]:
    """Shake hands; return whether the answer to EXPORT_NAME is padded."""
    greeting = yield Receive(len(GREETING) + 2)
    if not greeting.startswith(GREETING):
        raise NbdMalformed(f"what answers there begins with {greeting[:16]!r}, which is no NBD of the newer style")
    (flags,) = struct.unpack(">H", greeting[len(GREETING) :])
    if not flags & FIXED_NEWSTYLE:
        raise NbdMalformed("the server speaks newstyle, but not the fixed one")
    ours = flags & (FIXED_NEWSTYLE | NO_ZEROES)
    yield Send(struct.pack(">I", ours))
    return not ours & NO_ZEROES


def _ask(option: int, data: bytes = b"") -> Talk[list[bytes]]:
    """Send an option, and collect what is told until it is acknowledged."""
    yield Send(_OPTION.pack(b"IHAVEOPT", option, len(data)) + data)
    told: list[bytes] = []
    for _ in range(REPLIES):
        magic, answered, kind, length = _REPLY.unpack((yield Receive(_REPLY.size)))
        if magic != _REPLY_MAGIC or answered != option:
            raise NbdMalformed(f"an answer to option {answered} with magic {magic:#x}; option {option} was asked")
        if length > REPLY_BYTES:
            raise NbdMalformed(f"an answer of {length} bytes to option {option}")
        said = (yield Receive(length)) if length else b""
        if kind & _ERROR:
            text = said[:SAID].decode("utf-8", "replace")
            raise NbdRefused(ERRORS.get(kind, f"error {kind & ~_ERROR}"), text)
        if kind == ACK:
            return told
        told.append(said)
    raise NbdMalformed(f"more than {REPLIES} answers to option {option}")


def _go(name: str) -> Talk[Export]:
    encoded = name.encode()
    told = yield from _ask(GO, struct.pack(">I", len(encoded)) + encoded + struct.pack(">H", 0))
    for info in told:
        if info[:2] == b"\0\0":
            if len(info) != 2 + _EXPORT.size:
                raise NbdMalformed(f"{len(info)} bytes of information about an export")
            return _export(info[2:])
    raise NbdMalformed("the server accepts an export, and does not say how large it is")


def _export_name(name: str, *, zeroes: bool) -> Talk[Export]:
    encoded = name.encode()
    yield Send(_OPTION.pack(b"IHAVEOPT", EXPORT_NAME, len(encoded)) + encoded)
    told = yield Receive(_EXPORT.size + (PADDING_BYTES if zeroes else 0))
    return _export(told[: _EXPORT.size])


def _export(data: bytes) -> Export:
    size, flags = _EXPORT.unpack(data)
    if not flags & HAS_FLAGS:
        raise NbdMalformed(f"transmission flags {flags:#x} without the one that says there are any")
    return Export(size, bool(flags & READ_ONLY))
