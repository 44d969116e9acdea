"""The VHD format as a pure codec: what is written reads back, damage is told, and qemu-img agrees."""

from __future__ import annotations

import random
import struct
import tracemalloc
from array import array
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.emulator import qemu
from xencbt.fixtures.emulator.vhd import (
    BLOCK_BYTES,
    NO_UUID,
    SECTOR,
    UNUSED,
    Footer,
    Header,
    Kind,
    MalformedVhdError,
    bitmap_bytes,
    decode_table,
    encode_table,
    geometry,
    table_bytes,
)
from xencbt.fixtures.emulator.vhd_decoding import PIECE, Layout, VhdTooLargeError, decode
from xencbt.fixtures.emulator.vhd_encoding import Identity, encode, entries, length, rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GIB = 2**30
UUID = bytes(range(16))
PARENT = bytes(range(16, 32))

sizes = st.one_of(st.integers(1, 3 * BLOCK_BYTES), st.sampled_from([SECTOR, BLOCK_BYTES - 1, BLOCK_BYTES + 1]))


class Disk:
    """Content in memory that a stream is made of, or read into."""

    def __init__(self, size: int, content: bytes = b"") -> None:
        self.content = bytearray(content.ljust(size, b"\0"))

    def read(self, offset: int, count: int) -> bytes:
        assert offset + count <= len(self.content)
        return bytes(self.content[offset : offset + count])

    def write(self, offset: int, data: bytes) -> None:
        assert data
        assert offset + len(data) <= len(self.content)
        self.content[offset : offset + len(data)] = data


def decoded(stream: bytes, size: int, write: Callable[[int, bytes], None], told: int | None = None) -> Layout:
    """Read a stream to its end; it must be read exactly."""
    reading = decode(size, write, told)
    at, wanted = 0, next(reading)
    while True:
        assert 0 < wanted <= PIECE
        data = stream[at : at + wanted]
        at += len(data)
        try:
            wanted = reading.send(data)
        except StopIteration as done:
            assert at == len(stream)
            layout: Layout = done.value
            return layout


def image(
    size: int, blocks: list[int], content: bytes, *, identity: Identity | None = None, told: bool = False
) -> tuple[bytes, bytes, Layout]:
    """Encode content and decode it again: the stream, what came out, and the layout."""
    stream = b"".join(encode(size, blocks, Disk(size, content).read, identity or Identity(UUID)))
    back = Disk(size)
    layout = decoded(stream, size, back.write, len(stream) if told else None)
    return stream, bytes(back.content), layout


@given(size=sizes, seed=st.integers(0, 2**32), chosen=st.sets(st.integers(0, 2)), told=st.booleans())
@settings(deadline=None, max_examples=25)
def test_what_is_encoded_decodes_to_the_blocks_that_went_in(size: int, seed: int, chosen: set[int], told: bool) -> None:
    blocks = sorted(block for block in chosen if block < entries(size))
    content = random.Random(seed).randbytes(size)
    stream, back, layout = image(size, blocks, content, told=told)
    assert len(stream) == length(size, len(blocks))
    for block in range(entries(size)):
        place = slice(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES)
        assert layout.has(place.start) is (block in blocks)
        assert back[place] == (content[place] if block in blocks else bytes(len(content[place])))
    assert Footer.decode(stream[:SECTOR]) == Footer.decode(stream[-SECTOR:])
    assert Footer.decode(stream[:SECTOR]).size == rounded(size)


@given(
    kind=st.sampled_from(Kind),
    sectors=st.integers(1, 2**40),
    uuid=st.binary(min_size=16, max_size=16),
    timestamp=st.integers(0, 2**32 - 1),
    header_at=st.one_of(st.none(), st.integers(0, 2**63)),
    damaged=st.integers(0, SECTOR * 8 - 1),
)
def test_a_footer_reads_back_and_any_damage_is_told(
    kind: Kind, sectors: int, uuid: bytes, timestamp: int, header_at: int | None, damaged: int
) -> None:
    footer = Footer(kind, sectors * SECTOR, uuid, timestamp, header_at)
    data = footer.encode()
    assert Footer.decode(data) == footer
    with pytest.raises(MalformedVhdError):
        Footer.decode(flipped(data, damaged))


@given(
    count=st.integers(1, 2**20),
    table_at=st.integers(0, 2**63),
    shift=st.integers(16, 28),
    parent=st.binary(min_size=16, max_size=16),
    name=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=100),
    damaged=st.integers(0, 1024 * 8 - 1),
)
def test_a_header_reads_back_and_any_damage_is_told(
    count: int, table_at: int, shift: int, parent: bytes, name: str, damaged: int
) -> None:
    header = Header(count, table_at, 2**shift, parent, 7, name)
    data = header.encode()
    assert Header.decode(data) == header
    assert header.bitmap_bytes * 8 * SECTOR >= header.block_bytes
    with pytest.raises(MalformedVhdError):
        Header.decode(flipped(data, damaged))


def flipped(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


@given(st.lists(st.integers(0, UNUSED), min_size=1, max_size=300))
def test_a_table_is_big_endian_and_fills_whole_sectors(numbers: list[int]) -> None:
    data = encode_table(array("I", numbers))
    assert len(data) == table_bytes(len(numbers)) == -(-4 * len(numbers) // SECTOR) * SECTOR
    assert struct.unpack_from(f">{len(numbers)}I", data) == tuple(numbers)
    assert set(data[4 * len(numbers) :]) <= {0xFF}
    assert list(decode_table(data, len(numbers))) == numbers


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (4 * 2**20, (120, 4, 17)),
        (2 * 2**30, (4161, 16, 63)),
        (127 * GIB, (65278, 16, 255)),
        (2040 * GIB, (65535, 16, 255)),
        (SECTOR, (0, 4, 17)),
    ],
)
def test_the_geometry_follows_the_rule_of_the_format(size: int, expected: tuple[int, int, int]) -> None:
    assert geometry(size) == expected


def test_a_sparse_disk_of_2040_gib_is_encoded_and_decoded_without_its_size_in_memory() -> None:
    size, last = 2040 * GIB, 2040 * GIB // BLOCK_BYTES - 1
    blocks = [0, 2047, 2048, last]
    got: dict[int, bytes] = {}

    def write(offset: int, data: bytes) -> None:
        if any(data):
            got[offset] = data[:8]

    def stream() -> Iterator[bytes]:
        return encode(size, blocks, lambda offset, count: struct.pack(">Q", offset).ljust(count, b"\1"), Identity(UUID))

    tracemalloc.start()
    reading, sent, buffer = decode(size, write), 0, bytearray()
    wanted = next(reading)
    try:
        for piece in stream():
            assert len(piece) <= PIECE + SECTOR
            sent += len(piece)
            buffer += piece
            while len(buffer) >= wanted:
                data, buffer = bytes(buffer[:wanted]), buffer[wanted:]
                wanted = reading.send(data)
    except StopIteration as done:
        layout: Layout = done.value
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * 2**20
    assert sent == length(size, len(blocks))
    offsets = sorted(block * BLOCK_BYTES + at for block in blocks for at in range(0, BLOCK_BYTES, PIECE))
    assert got == {offset: struct.pack(">Q", offset) for offset in offsets}
    assert [block for block in (0, 1, 2047, 2048, last) if layout.has(block * BLOCK_BYTES)] == blocks


def made(  # every part can be made wrong on its own
    *,
    size: int = 2 * BLOCK_BYTES,
    footer: Footer | None = None,
    header: Header | None = None,
    table: tuple[int, ...] = (4, UNUSED),
    bitmap: bytes = b"\xff" * SECTOR,
    data: bytes = b"d" * BLOCK_BYTES,
    last: Footer | None = None,
) -> bytes:
    """Make an image of two blocks, of which the first is there."""
    footer = footer or Footer(Kind.DYNAMIC, size, UUID)
    header = header or Header(len(table), SECTOR + 1024)
    parts = footer.encode(), header.encode(), encode_table(array("I", table)), bitmap, data, (last or footer).encode()
    return b"".join(parts)


def nothing(_offset: int, _data: bytes) -> None:
    raise AssertionError("nothing may be written")


BAD = {
    "no image": b"x" * 4096,
    "too short": made()[:600],
    "damaged footer": flipped(made(), 100 * 8),
    "damaged header": flipped(made(), 600 * 8),
    "a fixed image": Footer(Kind.FIXED, BLOCK_BYTES, UUID, header_at=None).encode() + bytes(4096),
    "header in the footer": made(footer=Footer(Kind.DYNAMIC, 2 * BLOCK_BYTES, UUID, header_at=0)),
    "header far away": made(footer=Footer(Kind.DYNAMIC, 2 * BLOCK_BYTES, UUID, header_at=2**40)),
    "table before the header": made(header=Header(2, 0)),
    "table far away": made(header=Header(2, 2**50)),
    "table too small": made(header=Header(1, SECTOR + 1024)),
    "odd blocks": made(header=Header(2, SECTOR + 1024, 2**21 + 512)),
    "huge blocks": made(header=Header(2, SECTOR + 1024, 2**31)),
    "no parent": made(footer=Footer(Kind.DIFFERENCING, 2 * BLOCK_BYTES, UUID)),
    "a block in the table": made(table=(3, UNUSED)),
    "blocks that overlap": made(table=(4, 5)),
    "the same place twice": made(table=(4, 4)),
    "a block outside": made(table=(4, 2**31)),
}


@pytest.mark.parametrize("stream", BAD.values(), ids=BAD.keys())
def test_a_bad_image_is_refused_before_anything_is_written(stream: bytes) -> None:
    with pytest.raises(MalformedVhdError):
        decoded(stream, 2 * BLOCK_BYTES, nothing, len(stream))


def test_the_image_that_the_bad_ones_are_made_of_is_good() -> None:
    disk = Disk(2 * BLOCK_BYTES)
    stream = made()
    decoded(stream, 2 * BLOCK_BYTES, disk.write, len(stream))
    assert bytes(disk.content) == b"d" * BLOCK_BYTES + bytes(BLOCK_BYTES)


def test_an_enormous_table_is_refused_and_costs_nothing() -> None:
    header = Header(2, SECTOR + 1024).encode()
    grown = header[:28] + struct.pack(">I", 2**32 - 1) + header[32:]
    total = ~(sum(grown) - sum(grown[36:40])) & 0xFFFFFFFF
    stream = made()
    stream = stream[:SECTOR] + grown[:36] + struct.pack(">I", total) + grown[40:] + stream[SECTOR + 1024 :]
    with pytest.raises(MalformedVhdError, match="a table of 4294967295 blocks"):
        decoded(stream, 2 * BLOCK_BYTES, nothing)


@pytest.mark.parametrize(
    ("stream", "complaint"),
    [
        (made()[:-SECTOR], "ends early"),
        (made()[: -SECTOR - 100], "ends early"),
        (made(last=Footer(Kind.DYNAMIC, 2 * BLOCK_BYTES, PARENT)), "another one"),
        (made()[:-SECTOR] + flipped(made()[-SECTOR:], 800), "checksum"),
    ],
)
def test_an_image_that_ends_badly_is_refused(stream: bytes, complaint: str) -> None:
    with pytest.raises(MalformedVhdError, match=complaint):
        decoded(stream, 2 * BLOCK_BYTES, Disk(2 * BLOCK_BYTES).write)


def test_an_image_of_a_larger_disk_is_told_apart() -> None:
    with pytest.raises(VhdTooLargeError) as caught:
        decoded(made(), 2 * BLOCK_BYTES - SECTOR, nothing)
    assert caught.value.size == 2 * BLOCK_BYTES


@pytest.mark.parametrize("tail", [b"\0" * 100, b"\0" * 99 + b"x"])
def test_only_zeros_may_lie_beyond_the_end_of_the_disk(tail: bytes) -> None:
    disk = Disk(BLOCK_BYTES - 100)
    stream = made(size=BLOCK_BYTES, table=(4,), data=b"d" * (BLOCK_BYTES - 100) + tail)
    if any(tail):
        with pytest.raises(MalformedVhdError, match="beyond the end"):
            decoded(stream, len(disk.content), disk.write)
    else:
        decoded(stream, len(disk.content), disk.write)
        assert set(disk.content) == {ord("d")}


@given(
    present=st.sets(st.integers(0, 4095), max_size=40),
    differencing=st.booleans(),
)
@example(present=set(), differencing=True)
@example(present=set(range(2040, 2060)), differencing=True)
@settings(deadline=None, max_examples=25)
def test_the_sector_bitmap_says_what_a_block_holds(present: set[int], differencing: bool) -> None:
    bits = bytearray(bitmap_bytes(BLOCK_BYTES))
    for sector in present:
        bits[sector // 8] |= 0x80 >> sector % 8
    kind = Kind.DIFFERENCING if differencing else Kind.DYNAMIC
    header = Header(2, SECTOR + 1024, parent=PARENT if differencing else NO_UUID)
    stream = made(footer=Footer(kind, 2 * BLOCK_BYTES, UUID), header=header, bitmap=bytes(bits))
    disk = Disk(2 * BLOCK_BYTES, b"o" * 2 * BLOCK_BYTES)
    assert decoded(stream, 2 * BLOCK_BYTES, disk.write).kind is kind
    absent = b"o" if differencing else b"\0"
    expected = b"".join((b"d" if sector in present else absent) * SECTOR for sector in range(4096))
    assert bytes(disk.content) == expected + b"o" * BLOCK_BYTES


def test_blocks_may_come_in_any_order_and_with_gaps() -> None:
    stream = made(
        table=(4 + 4097 + 3, 4), data=b"2" * BLOCK_BYTES + bytes(3 * SECTOR) + b"\xff" * SECTOR + b"1" * BLOCK_BYTES
    )
    disk = Disk(2 * BLOCK_BYTES)
    decoded(stream, 2 * BLOCK_BYTES, disk.write, len(stream))
    assert bytes(disk.content) == b"1" * BLOCK_BYTES + b"2" * BLOCK_BYTES


@pytest.mark.heavy
@pytest.mark.parametrize("size", [SECTOR, 4 * 2**20, 3 * BLOCK_BYTES - SECTOR, 5 * BLOCK_BYTES])
def test_qemu_img_reads_what_is_encoded(size: int, tmp_path: Path) -> None:
    blocks = [block for block in (0, 2, 4) if block < entries(size)]
    content = bytearray(random.Random(size).randbytes(size))
    for block in range(entries(size)):
        if block not in blocks:
            content[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES] = bytes(
                len(content[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES])
            )
    vhd = tmp_path / "disk.vhd"
    vhd.write_bytes(image(size, blocks, bytes(content))[0])
    assert qemu.info(vhd)["virtual-size"] == size
    assert qemu.content(vhd, tmp_path / "raw") == content


@pytest.mark.heavy
def test_what_qemu_img_makes_is_decoded(tmp_path: Path) -> None:
    size = 5 * BLOCK_BYTES
    content = bytearray(size)
    content[BLOCK_BYTES + 5 : BLOCK_BYTES + 9] = b"here"
    content[-4:] = b"last"
    raw, vhd = tmp_path / "raw", tmp_path / "disk.vhd"
    raw.write_bytes(content)
    qemu.qemu_img("convert", "-f", "raw", "-O", "vpc", "-o", "subformat=dynamic,force_size=on", raw, vhd)
    disk = Disk(size)
    stream = vhd.read_bytes()
    decoded(stream, size, disk.write, len(stream))
    assert disk.content == content


@pytest.mark.heavy
def test_qemu_img_reads_a_sparse_disk_of_2040_gib(tmp_path: Path) -> None:
    size, last = 2040 * GIB, 2040 * GIB // BLOCK_BYTES - 1
    vhd = tmp_path / "disk.vhd"
    with vhd.open("wb") as file:
        for piece in encode(size, [2048, last], lambda _, count: b"z" * count, Identity(UUID)):
            file.write(piece)
    assert qemu.info(vhd)["virtual-size"] == size
    there = [(extent["start"], extent["length"]) for extent in qemu.mapped(vhd) if extent["data"]]
    assert there == [(2048 * BLOCK_BYTES, BLOCK_BYTES), (last * BLOCK_BYTES, BLOCK_BYTES)]
