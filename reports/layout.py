"""Plain text in columns, 100 wide, coloured only where a person looks at a terminal."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from xencbt.reports.plain import one_line

WIDTH = 100

_COLOURS = {
    "error": "35;1",
    "fail": "31;1",
    "stale": "31;1",
    "blocked": "33",
    "not exercised": "33",
    "known": "33",
    "unsupported": "36",
    "not run": "2",
    "pass": "32",
}


def colour_wanted(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether to colour what goes to `stream`: only a terminal that can, and not against NO_COLOR."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours words by verdict, or leaves them plain."""

    colour: bool = False

    def __call__(self, verdict: str, text: str) -> str:
        """Return `text` in the colour of `verdict`."""
        code = _COLOURS.get(verdict) if self.colour else None
        return f"\x1b[{code}m{text}\x1b[0m" if code else text

    def bold(self, text: str) -> str:
        """Return `text` emphasised."""
        return f"\x1b[1m{text}\x1b[0m" if self.colour else text


def widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the width that each column of `rows` needs."""
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def hanging(head: str, text: str, *, indent: int = 0, pad: int = 0) -> str:
    """Return `head`, padded to `pad`, followed by `text` wrapped so that it hangs beside it."""
    first = f"{' ' * indent}{head:<{pad}}  "
    filled = textwrap.wrap(
        one_line(text), WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
    )
    return "\n".join(filled) if filled else first.rstrip()
