"""events.jsonl: what happened, one JSON object a line, written as it happens; run.json is made from nothing else."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from xencbt.harness.errors import XencbtError

SCHEMA = "xencbt.events/1"


class UnreadableEvents(XencbtError):
    """The file is no events.jsonl that this version reads."""


class EventLog:
    """Appends events to a file, each flushed at once, so that a killed run leaves what it knew."""

    def __init__(self, path: Path) -> None:
        # a lone surrogate, which JSON from a target can carry and UTF-8 cannot, is written as the escape it came in as
        self._file: TextIO = path.open("x", encoding="utf-8", errors="backslashreplace")

    def write(self, event: str, /, **fields: object) -> dict[str, Any]:
        """Append one event; `fields` must be plain JSON data. Returns what was written."""
        entry: dict[str, Any] = {"event": event, **fields}
        self._file.write(json.dumps(entry, ensure_ascii=False, sort_keys=False) + "\n")
        self._file.flush()
        return entry

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_events(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the events of `path` in order; a last line cut short by a crash is left out.

    Raises UnreadableEvents where any other line is no JSON object.
    """
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            entry = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                return
            raise UnreadableEvents(f"{path}, line {number}: {error}") from error
        if not isinstance(entry, dict) or not isinstance(entry.get("event"), str):
            raise UnreadableEvents(f"{path}, line {number}: not an event")
        yield entry
