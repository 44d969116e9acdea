"""Where the events of a run go: into the output folder, or, from a worker, to the process that writes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from xencbt.harness.events import EventLog

EVENTS_FILE = "events.jsonl"
ONCE_A_RUN = frozenset({"run_started", "target", "selected", "planned", "known_issues"})
"""Events that every worker tells and the run keeps once: they are the same from all."""


class Shipped:
    """Keeps a worker's events until the next report carries them to the writing process."""

    def __init__(self) -> None:
        self._waiting: list[dict[str, Any]] = []

    def emit(self, event: str, /, **fields: object) -> bool:
        """Keep one event (plain JSON data, masked) for the next `take`; always true: nothing is left out here."""
        self._waiting.append({"event": event, **fields})
        return True

    def take(self) -> list[dict[str, Any]]:
        """Return and forget what waits."""
        taken, self._waiting = self._waiting, []
        return taken


class Written:
    """Writes events.jsonl; the folder is made by `make_folder` when the first event comes, so idle runs leave none."""

    def __init__(self, make_folder: Callable[[], Path]) -> None:
        self._make_folder = make_folder
        self._log: EventLog | None = None
        self._seen: set[str] = set()
        self.folder: Path | None = None

    def emit(self, event: str, /, **fields: object) -> bool:
        """Write one event (plain JSON data, masked) and return true; false for one that a run keeps once and has."""
        if event in ONCE_A_RUN and event in self._seen:
            return False
        self._seen.add(event)
        if self._log is None:
            self.folder = self._make_folder()
            self._log = EventLog(self.folder / EVENTS_FILE)
        self._log.write(event, **fields)
        return True

    def has(self, event: str) -> bool:
        """Return whether such an event was written."""
        return event in self._seen

    def close(self) -> Path | None:
        """Close the file and return the folder, None where nothing was written."""
        if self._log is not None:
            self._log.close()
        return self.folder
