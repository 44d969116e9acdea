"""What a report can draw of a wrong listing."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from xencbt.harness.bitmap import BLOCK, Bitmap, runs
from xencbt.harness.blockmap import MOST_RUNS, BlockMap

BLOCKS = st.frozensets(st.integers(0, 63))
NAMES = ("OpaqueRef:1111…", "OpaqueRef:2222…")
SIZE = 64 * BLOCK


def unfolded(listed: list[list[int]]) -> set[int]:
    return {block for first, last in listed for block in range(first, last + 1)}


@given(BLOCKS)
def test_runs_hold_the_blocks_and_nothing_else(blocks: frozenset[int]) -> None:
    found = runs(blocks)
    assert unfolded(found) == blocks
    assert all(left[1] + 1 < right[0] for left, right in pairwise(found))


@given(expected=BLOCKS, reported=BLOCKS)
def test_a_map_tells_what_is_missing_and_what_is_too_much(expected: frozenset[int], reported: frozenset[int]) -> None:
    told = BlockMap.of(Bitmap.of(reported, SIZE), expected, between=NAMES, size=SIZE).as_json()
    assert (told["from"], told["to"], told["block_size"], told["blocks"], told["cut"]) == (*NAMES, 65536, 64, False)
    lists = {name: unfolded(told[name]) for name in ("expected", "reported", "missing", "extra")}
    assert lists == {
        "expected": expected,
        "reported": reported,
        "missing": expected - reported,
        "extra": reported - expected,
    }


def test_what_might_be_marked_is_not_too_much() -> None:
    told = BlockMap.of(Bitmap.of({1, 2, 3}, SIZE), {1}, between=NAMES, size=SIZE, allowed={2}).as_json()
    assert told["extra"] == [[3, 3]]


def test_marks_beyond_the_disk_are_too_much() -> None:
    told = BlockMap.of(Bitmap(b"\x80\x01"), {0}, between=NAMES, size=9 * BLOCK).as_json()
    assert (told["blocks"], told["extra"]) == (9, [[15, 15]])


def test_a_long_map_is_cut_and_says_so() -> None:
    every_other = range(0, 4 * MOST_RUNS, 2)
    size = 4 * MOST_RUNS * BLOCK
    told = BlockMap.of(Bitmap.of(every_other, size), (), between=NAMES, size=size).as_json()
    assert told["cut"] is True
    assert told["reported"] == [[block, block] for block in every_other][:MOST_RUNS]
    assert (told["missing"], told["expected"]) == ([], [])
