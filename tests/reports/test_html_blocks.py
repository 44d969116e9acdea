"""The drawing of a wrong listing."""

import re

from hypothesis import given
from hypothesis import strategies as st

from xencbt.harness.bitmap import BLOCK, Bitmap
from xencbt.harness.blockmap import BlockMap
from xencbt.reports.html.blocks import CELL, LABEL, MOST_LINES, PER_LINE, Drawing, drawing, in_words

SETS = st.frozensets(st.integers(0, 199))


def drawn(
    expected: frozenset[int], reported: frozenset[int], blocks: int, allowed: frozenset[int] = frozenset()
) -> Drawing:
    bitmap = Bitmap.of(reported, blocks * BLOCK)
    told = BlockMap.of(bitmap, expected, between=("a", "b"), size=blocks * BLOCK, allowed=allowed).as_json()
    return drawing(told)  # type: ignore[arg-type]  # plain JSON data, as it comes from run.json


def cells(shown: Drawing, kind: str) -> set[int]:
    """Return the blocks that are drawn as `kind`."""
    found = set()
    for line in shown.lines:
        for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v", line.paths.get(kind, "")):
            assert int(y) == line.y
            first = line.first_block + (int(x) - LABEL) // CELL
            found |= set(range(first, first + int(width) // CELL))
    return found


@given(SETS, SETS, SETS)
def test_every_block_of_a_small_disk_is_drawn_as_what_it_is(
    expected: frozenset[int], reported: frozenset[int], allowed: frozenset[int]
) -> None:
    shown = drawn(expected, reported, 200, allowed)
    assert [line.first_block for line in shown.lines] == list(range(0, 200, PER_LINE))
    assert sum(line.blocks for line in shown.lines) == 200
    assert not shown.left_out
    assert cells(shown, "kept") == expected & reported
    assert cells(shown, "lost") == expected - reported
    assert cells(shown, "more") == reported - expected - allowed
    assert cells(shown, "free") == (reported & allowed) - expected


def test_of_a_large_disk_the_lines_that_differ_are_drawn() -> None:
    blocks = 1 << 20
    shown = drawn(frozenset(range(1 << 19)) | {blocks - 1}, frozenset(range(1 << 19)), blocks)
    assert shown.left_out
    assert len(shown.lines) == MOST_LINES
    assert cells(shown, "lost") == {blocks - 1}
    assert shown.lines[-1].after_gap
    assert shown.strip["lost"] == "M639 0h1v12h-1z"
    assert shown.strip["kept"] == "M0 0h320v12h-320z"


def test_a_disk_that_is_all_wrong_is_drawn_in_bounds() -> None:
    blocks = 1 << 20
    shown = drawn(frozenset(range(0, blocks, 512)), frozenset(), blocks)
    assert len(shown.lines) == MOST_LINES
    assert sum(len(path) for line in shown.lines for path in line.paths.values()) < 10_000


def test_marks_beyond_the_end_are_drawn_too() -> None:
    told = BlockMap.of(Bitmap(b"\x80\x01"), {0}, between=("a", "b"), size=9 * BLOCK).as_json()
    shown = drawing(told)  # type: ignore[arg-type]  # plain JSON data
    assert cells(shown, "more") == {15}


def test_runs_read_as_words() -> None:
    assert in_words([[7, 7]]) == "block 7"
    assert in_words([[0, 1], [7, 7]]) == "3 blocks (0-1, 7)"
    assert in_words([[number, number] for number in range(0, 20, 2)], limit=2) == "10 blocks (0, 2 and 8 more runs)"
