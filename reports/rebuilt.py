"""Whether a run.json is what its events give; pure but for reading them."""

import json
import math
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from xencbt.harness.catalogue import Catalogue, Chapter, Level, Page, Requirement, catalogue
from xencbt.harness.events import read_events
from xencbt.reports.document import build
from xencbt.reports.run_json import Run

Place = tuple[str | int, ...]
"""The way to a value in run.json: keys and positions."""


def differs_at(run: Run, events: Path) -> Place | None:
    """Return the first place at which `run` is not what the file `events` gives, None where it is.

    Raises UnreadableEvents for events that are none, OSError and UnicodeDecodeError for a file that cannot be read.
    """
    rebuilt = json.loads(json.dumps(build(read_events(events), judging(run))))
    return _differing(run, rebuilt, (), foreign=run["suite"]["version"] != version("xencbt"))


def judging(run: Run) -> Catalogue:
    """Return the catalogue that judged: ours where it is the same, else what the run itself says of it."""
    ours = catalogue()
    if run["suite"]["catalogue_hash"] == ours.hash:
        return ours
    rows = {
        row["id"]: Requirement(
            id=row["id"],
            level=Level(row["level"]),
            chapter=row["chapter"],
            statement=row["statement"],
            page=Page("", row["source"]["page"], row["source"]["url"]),
            section=row["source"]["section"],
            calls=(),
            codes=(),
        )
        for row in run["requirements"]
    }
    chapters = {
        row["chapter"]: Chapter(row["chapter"], row["chapter_title"], implemented=False) for row in run["requirements"]
    }
    return Catalogue(MappingProxyType(rows), MappingProxyType(chapters))


def _differing(said: Any, given: Any, place: Place, *, foreign: bool) -> Place | None:
    """Return where `said` differs from what the events have `given`, None where it does not.

    Fields may be added within a version of the schema: what an older run lacks is empty here, and what a `foreign`
    (newer) version added cannot be compared.
    """
    if isinstance(said, dict) and isinstance(given, dict):
        return _first(_fields(said, given, place, foreign=foreign))
    if isinstance(said, list) and isinstance(given, list):
        if len(said) != len(given):
            return place
        pairs = enumerate(zip(said, given, strict=True))
        return _first(_differing(one, other, (*place, at), foreign=foreign) for at, (one, other) in pairs)
    return None if _equal(said, given) else place


def _fields(
    said: Mapping[str, Any], given: Mapping[str, Any], place: Place, *, foreign: bool
) -> Iterable[Place | None]:
    for name in dict.fromkeys((*said, *given)):
        if name not in said:
            yield (*place, name) if given[name] else None
        elif name not in given:
            yield None if foreign else (*place, name)
        else:
            yield _differing(said[name], given[name], (*place, name), foreign=foreign)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other)
    return type(one) is type(other) and bool(one == other)


def _first(places: Iterable[Place | None]) -> Place | None:
    return next((place for place in places if place is not None), None)
