import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.harness.bitmap import BLOCK, BadBitmap, Bitmap, block_count, describe, expected_length, touched

MIB = 1024 * 1024
SIZES = st.integers(1, 64 * MIB)


def test_the_first_block_is_the_most_significant_bit() -> None:
    assert Bitmap.of({0, 1}, 4 * MIB).to_base64() == "wAAAAAAAAAA="
    assert Bitmap.from_base64("wAAAAAAAAAA=").blocks == {0, 1}
    assert Bitmap.from_base64("AQAA").blocks == {7}


@pytest.mark.parametrize(
    "text", ["wAA", "wAAA\n", "wAA\nA", " wAAA", "w*AA", "wAAA====", "wB==", "wÄAA", "_-AA", None, b"wAAA"]
)
def test_anything_but_standard_base64_is_refused(text: object) -> None:
    with pytest.raises(BadBitmap):
        Bitmap.from_base64(text)


@given(size=SIZES, data=st.data())
def test_encoding_and_decoding_lose_nothing(size: int, data: st.DataObject) -> None:
    blocks = data.draw(st.frozensets(st.integers(0, block_count(size) - 1), max_size=40))
    bitmap = Bitmap.of(blocks, size)
    assert Bitmap.from_base64(bitmap.to_base64()) == bitmap
    assert bitmap.blocks == blocks
    assert len(bitmap) == len(blocks)
    assert {block for block in range(block_count(size)) if block in bitmap} == blocks
    assert bitmap.covers(size)


@pytest.mark.parametrize(
    ("size", "length"),
    [(1, 1), (BLOCK * 8, 1), (BLOCK * 8 + 1, 2), (2 * MIB, 4), (4 * MIB, 8), (2040 << 30, 4_177_920)],
)
def test_length_follows_the_size(size: int, length: int) -> None:
    assert expected_length(size) == length


def test_a_bitmap_may_cover_the_size_rounded_up_as_vhd_drivers_do() -> None:
    size = 5 * MIB
    assert Bitmap(bytes(10)).covers(size)
    assert Bitmap(bytes(12)).covers(size)
    for length in (0, 9, 11, 13, 16):
        assert Bitmap(bytes(length)).fault(size) == f"{length} bytes long, expected 10 for {size} bytes of disk"


def test_bits_beyond_the_end_of_the_disk_must_be_zero() -> None:
    three_blocks = 2 * BLOCK + 1
    assert Bitmap(b"\xe0").covers(three_blocks)
    assert Bitmap(b"\x10").fault(three_blocks) == "marks block 3 beyond the disk's 3 blocks"
    with pytest.raises(BadBitmap):
        Bitmap.of({3}, three_blocks)


@given(offset=st.integers(0, 8 * MIB), length=st.integers(0, MIB))
def test_a_write_touches_the_blocks_its_bytes_lie_in(offset: int, length: int) -> None:
    expected = {offset // BLOCK, (offset + length - 1) // BLOCK} if length else set()
    blocks = set(touched(offset, length))
    assert blocks == set(range(min(expected), max(expected) + 1) if expected else ())


def test_a_byte_marks_its_block_and_two_across_a_boundary_mark_both() -> None:
    assert list(touched(BLOCK, 1)) == [1]
    assert list(touched(BLOCK - 1, 2)) == [0, 1]
    with pytest.raises(ValueError, match="no such write"):
        touched(-1, 1)


@given(st.frozensets(st.integers(0, 79)), st.frozensets(st.integers(0, 31)))
def test_or_marks_what_either_marks_and_extends_with_zeroes(long: frozenset[int], short: frozenset[int]) -> None:
    grown, old = Bitmap.of(long, 80 * BLOCK), Bitmap.of(short, 32 * BLOCK)
    assert (grown | old).blocks == (old | grown).blocks == long | short
    assert (old | grown).length == 10


def test_a_sparse_bitmap_of_the_largest_disk_is_read_by_its_marks() -> None:
    size = 2040 << 30
    blocks = frozenset(range(0, block_count(size), 40_000))
    text = Bitmap.of(blocks, size).to_base64()
    assert Bitmap.from_base64(text).blocks == blocks
    assert Bitmap.from_base64(base64.b64encode(bytes(4 * MIB)).decode()).blocks == frozenset()


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        (set(), "no block"),
        ({3}, "block 3"),
        ({3, 4}, "blocks 3-4"),
        ({0, 2, 3, 9}, "blocks 0, 2-3, 9"),
        (set(range(0, 40, 2)), "blocks 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22 and 8 more runs"),
    ],
)
def test_blocks_in_words(blocks: set[int], words: str) -> None:
    assert describe(blocks) == words


def test_marking_more_than_before_keeps_what_was_marked() -> None:
    before = Bitmap.of({1, 9}, 16 * BLOCK)
    assert all(Bitmap.of(blocks, 16 * BLOCK).keeps(before) for blocks in ({1, 9}, {0, 1, 9, 15}))
    assert not any(Bitmap.of(blocks, 16 * BLOCK).keeps(before) for blocks in ({1}, {9}, set[int](), {2, 10}))
    assert not Bitmap.of({1, 9}, 24 * BLOCK).keeps(before)
