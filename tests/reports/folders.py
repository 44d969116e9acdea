"""Folders as runs leave them, from made-up events, for the tests of this room."""

from collections.abc import Sequence
from pathlib import Path

from tests.reports.events import Event
from xencbt.harness.events import EventLog
from xencbt.harness.sinks import EVENTS_FILE
from xencbt.reports.write import write_all


def left_by(events: Sequence[Event], folder: Path) -> Path:
    """Make `folder` as a run that told `events` leaves it, and return it."""
    folder.mkdir(parents=True)
    with EventLog(folder / EVENTS_FILE) as log:
        for event in events:
            fields = dict(event)
            log.write(fields.pop("event"), **fields)
    write_all(folder / EVENTS_FILE, folder)
    return folder
