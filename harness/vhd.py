"""VHD streams as a client sees them: the blocks of 64 KiB that an image holds, read and written without a copy of it.

Dynamic images, and differencing ones as hosts send them for a `base`. All numbers are big-endian; the layout is that of
Microsoft's "Virtual Hard Disk Image Format Specification" 1.0.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from xencbt.harness.bitmap import BLOCK

SECTOR = 512
CHUNK_BYTES = 2 * 2**20
"""Bytes of disk that one block of an image holds, as hosts make them; this reader takes no others."""

LARGEST = 2040 * 2**30
"""Bytes of the largest disk that the format is used for."""

COOKIE = b"conectix"
"""How an image begins."""

_SECTORS = CHUNK_BYTES // SECTOR
_BLOCKS = CHUNK_BYTES // BLOCK
_ABSENT = b"\xff\xff\xff\xff"
_ENTRIES_PER_SECTOR = SECTOR // 4
_TABLE_AT = 3 * SECTOR
_DYNAMIC, _DIFFERENCING = 3, 4
_LAST_FOOTER_WITHIN = 4096

Read = Callable[[int], bytes]
"""Gives that many bytes of a stream, fewer at its end."""


class BadVhd(ValueError):
    """What came is no VHD stream of the form that hosts send; the message says why."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What an image says of one block of 64 KiB, numbered from the disk's beginning. `data` ends with the disk."""

    block: int
    data: bytes


def decode(read: Read, size: int) -> Iterator[Piece]:
    """Yield what a stream for a disk of `size` bytes holds, ascending; what is left out is zeros, or the base's.

    Raises BadVhd, at the latest at the end of the stream.
    """
    first = _exactly(read, SECTOR)
    kind, header_at, virtual = _footer(first)
    if kind not in {_DYNAMIC, _DIFFERENCING} or not size <= virtual < size + SECTOR:
        raise BadVhd(f"an image of kind {kind} for {virtual} bytes stands for a disk of {size}")
    at = _forward(read, SECTOR, header_at)
    table_at, entries = _header(_exactly(read, 2 * SECTOR))
    if entries < -(-size // CHUNK_BYTES) or entries > LARGEST // CHUNK_BYTES + 1:
        raise BadVhd(f"a table of {entries} entries for a disk of {size} bytes")
    at = _forward(read, at + 2 * SECTOR, table_at)
    table = _exactly(read, -(-4 * entries // SECTOR) * SECTOR)
    at += len(table)
    places = sorted(_places(table, entries))
    if [chunk for _, chunk in places] != sorted(chunk for _, chunk in places):
        raise BadVhd("the blocks do not come in the disk's order")
    for sector, chunk in places:
        at = _forward(read, at, sector * SECTOR)
        yield from _pieces(_exactly(read, SECTOR), _exactly(read, CHUNK_BYTES), chunk, size)
        at += SECTOR + CHUNK_BYTES
    _end(read, first)


def encode(size: int, blocks: Iterable[int], content: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield a dynamic image of a disk of `size` bytes, a multiple of 512, with `blocks` of 64 KiB, ascending.

    `content(block)` gives what a block holds, up to the disk's end; all else is zeros.
    """
    if size % SECTOR:
        raise ValueError(f"a VHD cannot be of {size} bytes: it has whole sectors of {SECTOR}")
    chunks = [(chunk, list(inside)) for chunk, inside in groupby(blocks, lambda block: block // _BLOCKS)]
    entries = -(-size // CHUNK_BYTES)
    footer = _encoded_footer(size)
    table = bytearray(_ABSENT * (-(-entries // _ENTRIES_PER_SECTOR) * _ENTRIES_PER_SECTOR))
    sector = (_TABLE_AT + len(table)) // SECTOR
    for number, (chunk, _) in enumerate(chunks):
        struct.pack_into(">I", table, 4 * chunk, sector + number * (_SECTORS + 1))
    yield footer + _encoded_header(entries)
    yield bytes(table)
    for chunk, inside in chunks:
        bits, data = bytearray(SECTOR), bytearray(CHUNK_BYTES)
        for block in inside:
            at = block - chunk * _BLOCKS
            whole = content(block)
            data[at * BLOCK : at * BLOCK + len(whole)] = whole
            bits[at * BLOCK // SECTOR // 8 : (at + 1) * BLOCK // SECTOR // 8] = b"\xff" * (BLOCK // SECTOR // 8)
        yield bytes(bits) + bytes(data)
    yield footer


def encoded_length(size: int, blocks: Iterable[int]) -> int:
    """Return the bytes that `encode` yields."""
    chunks = len({block // _BLOCKS for block in blocks})
    entries = -(-size // CHUNK_BYTES)
    table = -(-entries // _ENTRIES_PER_SECTOR) * SECTOR
    return _TABLE_AT + table + chunks * (SECTOR + CHUNK_BYTES) + SECTOR


def _exactly(read: Read, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = read(count - len(parts))
        if not part:
            raise BadVhd(f"the stream ends {count - len(parts)} bytes too early")
        parts += part
    return bytes(parts)


def _forward(read: Read, at: int, to: int) -> int:
    """Read over what no one refers to; hosts leave at most some sectors between two parts."""
    if not at <= to <= at + CHUNK_BYTES:
        raise BadVhd(f"byte {to} is referred to, and the stream is at byte {at}")
    _exactly(read, to - at)
    return to


def _footer(data: bytes) -> tuple[int, int, int]:
    """Return kind, place of the header and size in bytes."""
    if data[:8] != COOKIE:
        raise BadVhd(f"the stream begins with {data[:8]!r}")
    _check_sum(data, 64, "footer")
    (header_at,), (size,), (kind,) = (
        struct.unpack_from(code, data, at) for code, at in ((">Q", 16), (">Q", 48), (">I", 60))
    )
    return kind, header_at, size


def _header(data: bytes) -> tuple[int, int]:
    """Return the place of the table and the number of its entries."""
    if data[:8] != b"cxsparse":
        raise BadVhd(f"the header begins with {data[:8]!r}")
    _check_sum(data, 36, "header")
    table_at, _, entries, chunk_bytes = struct.unpack_from(">QIII", data, 16)
    if chunk_bytes != CHUNK_BYTES:
        raise BadVhd(f"blocks of {chunk_bytes} bytes, not of {CHUNK_BYTES}")
    return table_at, entries


def _check_sum(data: bytes, at: int, what: str) -> None:
    (told,) = struct.unpack_from(">I", data, at)
    if told != _sum(data, at):
        raise BadVhd(f"the checksum of the {what} is wrong")


def _sum(data: bytes, at: int) -> int:
    return 0xFFFFFFFF - (sum(data[:at]) + sum(data[at + 4 :])) % 2**32


def _places(table: bytes, entries: int) -> Iterator[tuple[int, int]]:
    """Yield sector and number of each block that is there; most entries of a sparse disk's table are not."""
    blank = _ABSENT * 1024
    for start in range(0, 4 * entries, len(blank)):
        part = table[start : min(start + len(blank), 4 * entries)]
        if part != blank[: len(part)]:
            for at in range(0, len(part), 4):
                if part[at : at + 4] != _ABSENT:
                    yield struct.unpack_from(">I", part, at)[0], (start + at) // 4


def _pieces(bits: bytes, data: bytes, chunk: int, size: int) -> Iterator[Piece]:
    """Yield the blocks of 64 KiB of which the bitmap marks a sector; sectors that it does not mark are zeros."""
    marks = BLOCK // SECTOR // 8
    for number in range(_BLOCKS):
        mark = bits[number * marks : (number + 1) * marks]
        if not any(mark):
            continue
        block = chunk * _BLOCKS + number
        content = data[number * BLOCK : (number + 1) * BLOCK]
        if mark != b"\xff" * marks:
            content = b"".join(
                content[at * SECTOR : (at + 1) * SECTOR] if mark[at // 8] & 0x80 >> at % 8 else bytes(SECTOR)
                for at in range(BLOCK // SECTOR)
            )
        inside = max(min(size - block * BLOCK, BLOCK), 0)
        if any(content[inside:]):
            raise BadVhd(f"block {block} has content beyond the disk's end")
        if inside:
            yield Piece(block, content[:inside])


def _end(read: Read, first: bytes) -> None:
    """Expect the footer and nothing after it; some sectors may lie before."""
    for _ in range(_LAST_FOOTER_WITHIN):
        if _exactly(read, SECTOR) == first:
            if read(1):
                raise BadVhd("the stream goes on after its footer")
            return
    raise BadVhd("the footer does not come")


def _encoded_footer(size: int) -> bytes:
    data = bytearray(SECTOR)
    struct.pack_into(">8sIIQI4sI", data, 0, COOKIE, 2, 0x10000, SECTOR, 0, b"tap\0", 0x10003)
    struct.pack_into(">QQHBBI", data, 40, size, size, *_geometry(size // SECTOR), _DYNAMIC)
    data[68:84] = b"xencbt made this"
    struct.pack_into(">I", data, 64, _sum(bytes(data), 64))
    return bytes(data)


def _encoded_header(entries: int) -> bytes:
    data = bytearray(2 * SECTOR)
    fields = (b"cxsparse", 2**64 - 1, _TABLE_AT, 0x10000, entries, CHUNK_BYTES)
    struct.pack_into(">8sQQIII", data, 0, *fields)
    struct.pack_into(">I", data, 36, _sum(bytes(data), 36))
    return bytes(data)


def _geometry(sectors: int) -> tuple[int, int, int]:
    """Return cylinders, heads and sectors per track: the first shape of the format's list that is large enough."""
    sectors = min(sectors, 65535 * 16 * 255)
    if sectors >= 65535 * 16 * 63:
        return sectors // 255 // 16, 16, 255
    tracks = sectors // 17
    heads = max(4, -(-tracks // 1024))
    if heads <= 16 and tracks < heads * 1024:
        return tracks // heads, heads, 17
    for per_track in (31, 63):
        tracks = sectors // per_track
        if tracks < 16 * 1024 or per_track == 63:
            break
    return tracks // 16, 16, per_track
