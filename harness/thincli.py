"""The thin CLI protocol, the client's side: bytes in, bytes out, no socket.

Words are posted to `/cli`; then both sides greet, and messages follow, each a length and a payload. Integers are 32-bit
little-endian, strings carry their length, lists their count. The other side is not trusted: everything is bounded.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

PREFIX = b"XenSource thin CLI protocol"
GREETING = PREFIX + struct.pack("<ii", 0, 2)
MESSAGE_BYTES = 16 * 2**20
TALK_BYTES = 32 * 2**20
"""Bytes that are read of one message, and of all: the bitmap of the largest disk takes 6 MiB in base64."""
MESSAGES = 10_000

_COMMAND, _RESPONSE = 9, 10
_PRINT, _LOAD, _PROMPT, _EXIT, _GET, _PUT, _ERROR, _DEBUG, _STDERR, _CONNECT = 0, 1, 3, 4, 12, 13, 14, 15, 16, 17
_FAILED = 6
_REFUSED = struct.pack("<Iii", 8, _RESPONSE, _FAILED)
_WANTS_SOMETHING = frozenset({_LOAD, _PROMPT, _GET, _PUT, _CONNECT})


class BadTalk(ValueError):
    """The other side does not speak the thin CLI protocol, or says too much."""


def request(words: Sequence[str], user: str, password: str) -> bytes:
    """Write the request that begins a talk; raises ValueError for a word that would read as two."""
    lines = (*words, f"username={user}", f"password={password}")
    if not words or any("\n" in line for line in lines):
        raise ValueError("each word of a command line is one line")
    body = "\n".join(lines).encode()
    return f"POST /cli HTTP/1.0\r\nUser-Agent: xencbt\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


@dataclass(slots=True)
class Talk:
    """One talk as it goes on: what came, what is to be sent, and what a person at the command line would see.

    `exit_code` is None until the host ends the talk. What the host wants of a client (files, answers) is refused.
    """

    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = None
    _buffer: bytearray = field(default_factory=bytearray)
    _greeted: bool = False
    _bytes: int = 0
    _messages: int = 0

    def receive(self, data: bytes) -> bytes:
        """Take what came and return what to send; raises BadTalk."""
        self._bytes += len(data)
        if self._bytes > TALK_BYTES:
            raise BadTalk(f"more than {TALK_BYTES} bytes")
        self._buffer += data
        answers = [self._greet()]
        answers += [self._handle(payload) for payload in self._payloads()]
        return b"".join(answers)

    def _greet(self) -> bytes:
        if self._greeted:
            return b""
        begun = bytes(self._buffer[: len(PREFIX)])
        if not PREFIX.startswith(begun):
            raise BadTalk(f"no thin CLI: it said {bytes(self._buffer[:60])!r}")
        if len(self._buffer) < len(GREETING):
            return b""
        (major,) = struct.unpack_from("<i", self._buffer, len(PREFIX))
        if major != 0:
            raise BadTalk(f"thin CLI protocol {major}, not 0")
        del self._buffer[: len(GREETING)]
        self._greeted = True
        return GREETING

    def _payloads(self) -> Iterator[bytes]:
        while self._greeted and self.exit_code is None and len(self._buffer) >= 4:
            (length,) = struct.unpack_from("<I", self._buffer)
            if length > MESSAGE_BYTES:
                raise BadTalk(f"a message of {length} bytes")
            if len(self._buffer) < 4 + length:
                return
            payload = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            self._messages += 1
            if self._messages > MESSAGES:
                raise BadTalk(f"more than {MESSAGES} messages")
            yield payload

    def _handle(self, payload: bytes) -> bytes:
        reader = _Reader(payload)
        if reader.integer() != _COMMAND:
            raise BadTalk("a message that is no command")
        tag = reader.integer()
        if tag in _WANTS_SOMETHING:
            return _REFUSED
        if tag == _PRINT:
            self.stdout += f"{reader.string()}\n"
        elif tag == _STDERR:
            self.stderr += reader.string()
        elif tag == _ERROR:
            code, params = reader.string(), reader.strings()
            self.stderr += f"Error code: {code}\nError parameters: {', '.join(params)}\n"
        elif tag == _EXIT:
            self.exit_code = reader.integer()
        elif tag != _DEBUG:
            raise BadTalk(f"an unknown command, {tag}")
        return b""


class _Reader:
    """Reads one payload; raises BadTalk where it ends early."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 0

    def integer(self) -> int:
        return int(struct.unpack("<i", self._take(4))[0])

    def string(self) -> str:
        return self._take(self._count()).decode("utf-8", "replace")

    def strings(self) -> list[str]:
        count = self._count()
        if count > len(self._payload) // 4:
            raise BadTalk(f"a list of {count} in a message of {len(self._payload)} bytes")
        return [self.string() for _ in range(count)]

    def _count(self) -> int:
        return int(struct.unpack("<I", self._take(4))[0])

    def _take(self, count: int) -> bytes:
        taken = self._payload[self._at : self._at + count]
        if len(taken) < count:
            raise BadTalk("a message ends early")
        self._at += count
        return taken
