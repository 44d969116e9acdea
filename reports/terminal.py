"""Where the lines of a running run go: a stream, and on a terminal one more line below that is always rewritten."""

import shutil
from collections.abc import Mapping
from typing import TextIO

REWRITE = "\r\x1b[K"
"""Back to the beginning of the line, which is emptied."""


class Terminal:
    """Writes lines to `stream`; `live` says whether it can rewrite one."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str]) -> None:
        self._stream = stream
        self.live = stream.isatty() and environment.get("TERM", "dumb") != "dumb"
        self._status = ""

    def line(self, text: str) -> None:
        """Write `text` and end the line; the live line moves below it."""
        self._stream.write(f"{REWRITE if self._status else ''}{text}\n{self._status}")
        self._stream.flush()

    def status(self, text: str) -> None:
        """Make `text` the live line, cut to the terminal's width; the empty text takes it away."""
        if not self.live or (not text and not self._status):
            return
        width = shutil.get_terminal_size().columns - 1
        self._status = text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"
        self._stream.write(f"{REWRITE}{self._status}")
        self._stream.flush()
