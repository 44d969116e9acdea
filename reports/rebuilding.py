"""`xencbt report`: run.json and every report made again from the events that a run left, however it ended."""

import json
from collections.abc import Callable
from pathlib import Path

from xencbt.harness.catalogue import Catalogue, catalogue
from xencbt.harness.events import UnreadableEvents, read_events
from xencbt.harness.sinks import EVENTS_FILE
from xencbt.reports.document import build
from xencbt.reports.rebuilt import differs_at, judging
from xencbt.reports.run_json import Run
from xencbt.reports.saved import UnreadableRun, believed, refuse_large, stored
from xencbt.reports.told import gather
from xencbt.reports.write import RUN_FILE, write_all


def rebuild(
    folder: Path, complain: Callable[[str], None], *, anew: bool = False, since: tuple[str, Run] | None = None
) -> Run:
    """Make run.json and the reports in `folder` again from its events.jsonl; return what run.json says.

    Each report that cannot be written is told to `complain`. The page compares with the run `since`.

    Raises UnreadableRun for a folder without events, for events that are none, are damaged before their last line, of
    a newer version or judged by a catalogue that nobody here knows, and for a run.json that says something else than
    they do, unless `anew` takes the events' word for it.
    """
    events = folder / EVENTS_FILE
    if not events.is_file():
        raise UnreadableRun(_no_events(folder))
    try:
        refuse_large(events)
        told = _stored(folder / RUN_FILE)
        if told is not None and not anew and (place := differs_at(told, events)) is not None:
            where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
            raise UnreadableRun(
                f"{folder / RUN_FILE} does not say what {EVENTS_FILE} beside it says, at {where}: one of them was "
                "changed after the run; --anew takes the word of the events"
            )
        known = _judged_by(events, told)
        believed(json.loads(json.dumps(build(read_events(events), known))), events)
        return write_all(events, folder, known, complain=complain, since=since)
    except (UnreadableEvents, UnicodeDecodeError) as error:
        raise UnreadableRun(f"{events}: {error}") from error
    except RecursionError as error:
        raise UnreadableRun(f"{events} is nested deeper than any run") from error


def _no_events(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder} is no folder: name one that `xencbt run` wrote"
    if (folder / "lab.json").exists():
        return f"{folder} is the folder of a lab: name the folder of one of its targets"
    return f"{folder} holds no {EVENTS_FILE}: it is not a folder that `xencbt run` wrote"


def _stored(path: Path) -> Run | None:
    """Return the run.json that is there; None where there is none, or one that a crash left unreadable."""
    try:
        return stored(path)
    except UnreadableRun:
        return None


def _judged_by(events: Path, told: Run | None) -> Catalogue:
    """Return the catalogue that judged the run: ours where it is the same, else what its run.json says of it."""
    ours = catalogue()
    suite = gather(read_events(events)).started["suite"]
    if suite["catalogue_hash"] == ours.hash:
        return ours
    if told is None or told["suite"]["catalogue_hash"] != suite["catalogue_hash"]:
        raise UnreadableRun(
            f"{events} was judged by another catalogue ({suite['catalogue_hash'][:12]}, this one is {ours.hash[:12]}): "
            f"use xencbt {suite['version']}, which wrote it"
        )
    return judging(told)
