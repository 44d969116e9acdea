"""Coalesced images: sparse, exact at odd places, and told apart by a single byte."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.images import stretches
from xencbt.harness.bitmap import BLOCK, block_count
from xencbt.harness.sizes import GIB
from xencbt.harness.verdicts import Violation
from xencbt.suites.coalescing import Image, assert_same
from xencbt.suites.edges import LARGEST, crossings, edges, power_of_two

SIZE = 3 * BLOCK + 100


@given(writes=st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 2 * BLOCK), st.integers(0, 255)), max_size=6))
def test_an_image_holds_what_was_written_and_no_zeros(writes: list[tuple[int, int, int]]) -> None:
    image, plain = Image(SIZE), bytearray(SIZE)
    for offset, length, fill in writes:
        data = bytes([fill]) * min(length, SIZE - offset)
        image.overwrite(offset, data)
        plain[offset : offset + len(data)] = data
        assert image.read(offset, len(data)) == data
    assert b"".join(image.blocks.get(block, bytes(BLOCK)) for block in range(4))[:SIZE] == plain
    assert all(any(data) for data in image.blocks.values())


def test_filling_reads_just_the_blocks_asked_for_up_to_the_end() -> None:
    asked = []

    def read(offset: int, length: int) -> Iterator[bytes]:
        asked.append((offset, length))
        yield b"x" * (length - 1)
        yield b"y"

    image = Image(SIZE)
    image.put(1, b"before")
    image.fill([0, 2, 3], read)
    assert asked == [(0, BLOCK), (2 * BLOCK, BLOCK + 100)]
    assert image.read(BLOCK, 6) == b"before"
    assert image.read(SIZE - 2, 2) == b"xy"


def test_too_short_a_read_is_a_violation() -> None:
    with pytest.raises(Violation, match="reading 65536 bytes at 0"):
        Image(SIZE).fill([0], lambda _offset, length: (bytes(length - 1),))


def test_one_other_byte_is_found_and_its_block_named() -> None:
    one, other = Image(SIZE), Image(SIZE)
    for image in (one, other):
        image.overwrite(SIZE - 5, b"abcde")
    assert_same(one, other, "the same")
    other.overwrite(SIZE - 1, b"!")
    with pytest.raises(Violation, match="the image") as caught:
        assert_same(one, other, "the image")
    assert caught.value.actual == "others in block 3"
    with pytest.raises(Violation, match="the size"):
        assert_same(Image(SIZE + 1, dict(one.blocks)), one, "the image")


def test_a_lost_block_counts_as_zeros_on_either_side() -> None:
    full, empty = Image(SIZE), Image(SIZE)
    full.overwrite(0, b"a")
    assert full.differing(empty) == empty.differing(full) == {0}


@given(blocks=st.sets(st.integers(0, 200), min_size=1).map(sorted), most=st.integers(1, 64))
def test_stretches_cover_just_the_blocks(blocks: list[int], most: int) -> None:
    size = blocks[-1] * BLOCK + 7
    covered: list[int] = []
    for offset, length in stretches(blocks, size, most):
        assert offset % BLOCK == 0
        assert 0 < length <= most * BLOCK
        covered += range(offset // BLOCK, block_count(offset + length))
    assert covered == blocks


def test_edges_lie_on_both_sides_of_each_power_of_two() -> None:
    found = edges(LARGEST)
    assert found == sorted(set(found))
    assert {4 * GIB // BLOCK - 1, 4 * GIB // BLOCK, 1024 * GIB // BLOCK - 1, 1024 * GIB // BLOCK} <= set(found)
    assert found[-1] == LARGEST // BLOCK - 1
    assert edges(1) == edges(BLOCK) == [0]


def test_a_disk_that_grows_crosses_powers_of_two_whatever_it_may_grow_to() -> None:
    assert crossings(LARGEST) == (4 * GIB, 128 * GIB, 1024 * GIB)
    assert crossings(4 * GIB) == (GIB, 2 * GIB)
    assert crossings(GIB + 1) == (GIB // 4, GIB // 2)
    assert (power_of_two(LARGEST), power_of_two(GIB), power_of_two(3 * GIB)) == (128 * GIB, GIB, 2 * GIB)
