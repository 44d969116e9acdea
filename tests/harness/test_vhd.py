"""The client's VHD codec: held against the emulated host's, which shares no line with it, and against qemu-img."""

import io
import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.emulator import qemu
from xencbt.fixtures.emulator import vhd_decoding, vhd_encoding
from xencbt.fixtures.emulator.vhd import geometry
from xencbt.harness import vhd
from xencbt.harness.bitmap import BLOCK
from xencbt.harness.vhd import CHUNK_BYTES, SECTOR, BadVhd, decode, encode, encoded_length

GIB = 2**30
SIZE = 3 * CHUNK_BYTES


def image_of(size: int, blocks: Sequence[int], seed: int = 1) -> tuple[bytes, bytes]:
    """Return the content of a disk with random `blocks`, and its image."""
    content = bytearray(size)
    for block in blocks:
        data = random.Random(seed * 1000 + block).randbytes(min(BLOCK, size - block * BLOCK))
        content[block * BLOCK : block * BLOCK + len(data)] = data
    stream = b"".join(encode(size, blocks, lambda block: bytes(content[block * BLOCK : (block + 1) * BLOCK])))
    assert len(stream) == encoded_length(size, blocks)
    return bytes(content), stream


def read_back(stream: bytes, size: int) -> bytes:
    back = bytearray(size)
    last = -1
    for piece in decode(io.BytesIO(stream).read, size):
        assert piece.block > last
        last = piece.block
        back[piece.block * BLOCK : piece.block * BLOCK + len(piece.data)] = piece.data
    return bytes(back)


shapes = st.integers(1, SIZE // SECTOR).flatmap(
    lambda sectors: st.tuples(
        st.just(sectors * SECTOR), st.sets(st.integers(0, -(-sectors * SECTOR // BLOCK) - 1), max_size=20).map(sorted)
    )
)


@given(shape=shapes, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_both_codecs_read_what_the_client_writes(shape: tuple[int, list[int]], seed: int) -> None:
    size, blocks = shape
    content, stream = image_of(size, blocks, seed)
    assert read_back(stream, size) == content
    other = bytearray(size)

    def write(offset: int, data: bytes) -> None:
        other[offset : offset + len(data)] = data

    reading, at = vhd_decoding.decode(size, write, len(stream)), 0
    wanted = next(reading)
    with suppress(StopIteration):
        while at < len(stream):
            at, came = at + wanted, stream[at : at + wanted]
            wanted = reading.send(came)
    assert bytes(other) == content


@given(size=st.integers(1, SIZE), chunks=st.sets(st.integers(0, 2)), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_the_client_reads_what_the_emulated_host_writes(size: int, chunks: set[int], seed: int) -> None:
    present = sorted(chunk for chunk in chunks if chunk * CHUNK_BYTES < size)
    content = bytearray(random.Random(seed).randbytes(size))
    for chunk in range(3):
        place = slice(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES)
        if chunk not in present:
            content[place] = bytes(len(content[place]))

    def read(offset: int, length: int) -> bytes:
        return bytes(content[offset : offset + length])

    for parent in (bytes(16), b"p" * 16):
        identity = vhd_encoding.Identity(b"i" * 16, parent=parent)
        stream = b"".join(vhd_encoding.encode(size, present, read, identity))
        assert read_back(stream, size) == content


GOOD = image_of(SIZE, [0, 40])[1]
HOLE = b"\0" * (CHUNK_BYTES + SECTOR)


@pytest.mark.parametrize(
    ("stream", "complaint"),
    [
        (b"", "too early"),
        (b"HTTP" * 1000, "begins with"),
        (GOOD[:100] + b"!" + GOOD[101:], "checksum of the footer"),
        (GOOD[:600] + b"!" + GOOD[601:], "checksum of the header"),
        (GOOD[:-1], "too early"),
        (GOOD[:-SECTOR], "too early"),
        (GOOD + b"!", "goes on"),
        (GOOD[:1536] + b"\0\0\0\1" + GOOD[1540:], "is referred to"),
        (GOOD[:1536] + GOOD[1540:1544] + GOOD[1536:1540] + GOOD[1544:], "order"),
        (image_of(SIZE + SECTOR, [])[1], "stands for a disk"),
        (GOOD[:-SECTOR] + bytes(5000 * SECTOR), "does not come"),
    ],
)
def test_a_stream_that_is_no_image_of_the_disk_is_told(stream: bytes, complaint: str) -> None:
    with pytest.raises(BadVhd, match=complaint):
        read_back(stream, SIZE)


def test_content_beyond_the_end_of_the_disk_is_told() -> None:
    stream = image_of(SECTOR, [0])[1]
    assert len(read_back(stream, SECTOR)) == SECTOR
    with pytest.raises(BadVhd, match="beyond"):
        read_back(stream, SECTOR - 1)


def test_an_image_has_whole_sectors() -> None:
    with pytest.raises(ValueError, match="whole sectors"):
        next(encode(SECTOR + 1, [], lambda _: b""))


@given(sectors=st.one_of(st.integers(1, 2**32), st.integers(1, 2**22)))
def test_the_geometry_is_that_of_the_other_codec(sectors: int) -> None:
    assert vhd._geometry(sectors) == geometry(sectors * SECTOR)


@pytest.mark.heavy
@pytest.mark.parametrize("blocks", [[], [0], [1, 31, 32, 95]])
def test_qemu_img_reads_what_the_client_writes(blocks: list[int], tmp_path: Path) -> None:
    content, stream = image_of(SIZE, blocks)
    (tmp_path / "disk.vhd").write_bytes(stream)
    assert qemu.content(tmp_path / "disk.vhd", tmp_path / "raw") == content


def test_a_sparse_disk_of_2040_gib_is_a_stream_of_some_mib() -> None:
    size = 2040 * GIB
    blocks = [0, 4 * GIB // BLOCK - 1, 4 * GIB // BLOCK, size // BLOCK - 1]
    stream = io.BytesIO(b"".join(encode(size, blocks, lambda block: block.to_bytes(8, "big") * (BLOCK // 8))))
    pieces = list(decode(stream.read, size))
    assert [(piece.block, int.from_bytes(piece.data[:8], "big")) for piece in pieces] == [(at, at) for at in blocks]
