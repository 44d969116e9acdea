"""The map of a wrong listing, drawn: blocks as cells in lines, each line named by its first block."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from xencbt.reports.run_json import BitmapRow

PER_LINE = 32
"""Blocks in a line: 2 MiB of the disk, and what a phone shows without scrolling."""

MOST_LINES = 40
"""Lines that are drawn; those with a difference come first."""

CELL = 10
"""Width and height of a block, in units of the drawing."""

LABEL = 44
"""Room left of the lines for the number of their first block, in units of the drawing."""

STRIP = 640
"""Columns into which the strip lays the whole disk."""

Runs = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Line:
    """One drawn line: its number among all lines of the disk, where it stands, and its cells by kind as SVG paths."""

    first_block: int
    y: int
    blocks: int
    after_gap: bool
    paths: dict[str, str]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A map ready to be drawn. `strip` is empty for a disk whose lines are all shown; paths are by kind of block."""

    lines: tuple[Line, ...]
    width: int
    height: int
    left_out: bool
    strip: dict[str, str]


def drawing(bitmap: BitmapRow) -> Drawing:
    """Return `bitmap` as lines of cells: `kept` (had to be marked and was), `lost`, `more` (marked beyond that)."""
    kinds: dict[str, Runs] = {
        "kept": _kept(bitmap["expected"], bitmap["missing"]),
        "free": _without(bitmap["reported"], bitmap["expected"], bitmap["extra"]),
        "more": bitmap["extra"],
        "lost": bitmap["missing"],
    }
    total = max([bitmap["blocks"], *(last + 1 for runs in kinds.values() for _, last in runs[-1:])])
    numbers = _lines_to_show(kinds, total)
    lines = []
    for place, number in enumerate(numbers):
        first = number * PER_LINE
        paths = {kind: _cells(runs, first, place * (CELL + 2)) for kind, runs in kinds.items()}
        lines.append(
            Line(
                first,
                place * (CELL + 2),
                min(PER_LINE, total - first),
                after_gap=place > 0 and numbers[place - 1] != number - 1,
                paths={kind: path for kind, path in paths.items() if path},
            )
        )
    all_shown = len(numbers) * PER_LINE >= total
    return Drawing(
        tuple(lines),
        LABEL + PER_LINE * CELL,
        max(len(lines) * (CELL + 2), CELL),
        left_out=not all_shown,
        strip={} if all_shown else {kind: path for kind, runs in kinds.items() if (path := _strip(runs, total))},
    )


def in_words(runs: Runs, limit: int = 8) -> str:
    """Return runs of blocks in words, long lists cut: `3 blocks (0-1, 7)`.

    >>> in_words([[0, 1], [7, 7]])
    '3 blocks (0-1, 7)'
    """
    number = sum(last - first + 1 for first, last in runs)
    listed = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs[:limit])
    more = f" and {len(runs) - limit} more runs" if len(runs) > limit else ""
    return f"block {listed}" if number == 1 else f"{number} blocks ({listed}{more})"


def _kept(expected: Runs, missing: Runs) -> list[list[int]]:
    return list(_subtracted(expected, missing))


def _without(reported: Runs, expected: Runs, extra: Runs) -> list[list[int]]:
    return list(_subtracted(list(_subtracted(reported, expected)), extra))


def _subtracted(runs: Runs, others: Runs) -> Iterator[list[int]]:
    """Yield what of `runs` is in none of `others`; both ascending."""
    at = 0
    for first, last in runs:
        start = first
        while at < len(others) and others[at][1] < start:
            at += 1
        look = at
        while look < len(others) and others[look][0] <= last:
            if others[look][0] > start:
                yield [start, others[look][0] - 1]
            start = max(start, others[look][1] + 1)
            look += 1
        if start <= last:
            yield [start, last]


def _lines_to_show(kinds: dict[str, Runs], total: int) -> list[int]:
    """Return the numbers of the lines to draw: all of a small disk, else those with differences, then with marks."""
    of_disk = -(-total // PER_LINE)
    if of_disk <= MOST_LINES:
        return list(range(of_disk))
    shown: set[int] = set()
    for kind in ("lost", "more", "kept", "free"):
        for first, last in kinds[kind]:
            for number in range(first // PER_LINE, last // PER_LINE + 1):
                if len(shown) == MOST_LINES:
                    return sorted(shown)
                shown.add(number)
    return sorted(shown)


def _cells(runs: Runs, first: int, y: int) -> str:
    """Return the SVG path of the blocks of `runs` in the line that begins at block `first`."""
    parts = []
    for run_first, run_last in _within(runs, first, first + PER_LINE - 1):
        x, width = LABEL + (run_first - first) * CELL, (run_last - run_first + 1) * CELL
        parts.append(f"M{x} {y}h{width}v{CELL}h-{width}z")
    return "".join(parts)


def _within(runs: Runs, first: int, last: int) -> Iterator[tuple[int, int]]:
    for start, end in runs:
        if start > last:
            return
        if end >= first:
            yield max(start, first), min(end, last)


def _strip(runs: Runs, total: int) -> str:
    """Return the SVG path of `runs` with the whole disk in STRIP columns, each as wide as it must be to be seen."""
    columns = _merged((first * STRIP // total, last * STRIP // total) for first, last in runs)
    return "".join(f"M{first} 0h{last - first + 1}v12h-{last - first + 1}z" for first, last in columns)


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    current: tuple[int, int] | None = None
    for first, last in spans:
        if current is not None and first <= current[1] + 1:
            current = current[0], max(current[1], last)
            continue
        if current is not None:
            yield current
        current = first, last
    if current is not None:
        yield current
