"""Reads a run from the folder it left; whoever wrote that is not trusted, and what is no run is refused in words."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, cast

import jsonschema  # type: ignore[import-untyped]  # ships no types

from xencbt.harness.errors import UsageError
from xencbt.harness.events import UnreadableEvents
from xencbt.harness.sinks import EVENTS_FILE
from xencbt.reports.plain import one_line
from xencbt.reports.rebuilt import differs_at
from xencbt.reports.run_json import SCHEMA, Run
from xencbt.reports.write import RUN_FILE

MOST_BYTES = 1 << 30
"""A run.json or an events.jsonl that is larger is not read."""

_SHOWN = 160


class UnreadableRun(UsageError):
    """What was named holds no run that this version can read and believe; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A run that was read. `folder` holds it; `checked` tells that its events were there and give the same run.json."""

    run: Run
    folder: Path
    checked: bool


def read_run(named: Path) -> Saved:
    """Read the run in the folder, or the run.json, `named`.

    Raises UnreadableRun for what cannot be read, is cut off, is of another program, of a newer version, not as the
    schema says, or not what the events.jsonl beside it gives. Without events nothing is compared, and `checked` false.
    """
    path = named / RUN_FILE if named.is_dir() else named
    if not path.exists():
        raise UnreadableRun(_nothing_there(named))
    try:
        return _read(path)
    except RecursionError as error:
        raise UnreadableRun(f"{path} is nested deeper than any run") from error


def stored(path: Path) -> Run:
    """Read the run.json `path` without a look at its events; raises UnreadableRun."""
    return believed(_json(path), path)


def believed(data: Any, path: Path) -> Run:
    """Return `data`, which came from `path`, as a run; raises UnreadableRun where it is none of this schema."""
    run = _valid(data, path)
    _refuse_loose_ends(run, path)
    return run


def _read(path: Path) -> Saved:
    run = stored(path)
    events = path.parent / EVENTS_FILE
    if path.name != RUN_FILE or not events.exists():
        return Saved(run, path.parent, checked=False)
    _refuse_tampered(run, events, path)
    return Saved(run, path.parent, checked=True)


def _nothing_there(named: Path) -> str:
    if not named.is_dir():
        return f"{named} does not exist: name a folder that `xencbt run` wrote, or its {RUN_FILE}"
    if (named / EVENTS_FILE).exists():
        return f"{named} holds no {RUN_FILE}, only {EVENTS_FILE}: `xencbt report {named}` makes it from them"
    if (named / "lab.json").exists():
        return f"{named} is the folder of a lab: name the folder of one of its targets"
    return f"{named} holds no {RUN_FILE}: it is not a folder that `xencbt run` wrote"


def _json(path: Path) -> Any:
    try:
        refuse_large(path)
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as error:
        raise UnreadableRun(f"{path} cannot be read: {error}") from error
    except ValueError as error:
        raise UnreadableRun(f"{path} is cut off or damaged, it is no JSON: {error}") from error


def refuse_large(path: Path) -> None:
    """Raise UnreadableRun for a file that is larger than any run writes, and for a pipe or device, which never ends."""
    if path.exists() and not path.is_file():
        raise UnreadableRun(f"{path} is no file")
    if path.stat().st_size > MOST_BYTES:
        raise UnreadableRun(f"{path} is larger than {MOST_BYTES} bytes: no run writes that")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _valid(data: Any, path: Path) -> Run:
    named = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(named, str):
        raise UnreadableRun(f"{path} is not from xencbt: it names no schema")
    newer = re.fullmatch(r"xencbt\.run/(\d{1,6})", named)
    if newer and int(newer[1]) > int(SCHEMA.rpartition("/")[2]):
        raise UnreadableRun(f"{path} is of schema {named}, this version reads {SCHEMA}: use a newer xencbt")
    if named != SCHEMA:
        raise UnreadableRun(f"{path} is no run: its schema is {_cut(named)}, that of a run is {SCHEMA}")
    wrong = jsonschema.exceptions.best_match(_validator().iter_errors(data))
    if wrong is not None:
        raise UnreadableRun(f"{path} is not as its schema says: {_place(wrong.absolute_path)}: {_cut(wrong.message)}")
    return cast("Run", data)


@cache
def _validator() -> Any:
    text = resources.files(__package__).joinpath("run.schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def _refuse_loose_ends(run: Run, path: Path) -> None:
    """Refuse what a schema cannot: an id that is used twice, a requirement that leans on a test that is not told."""
    tests = [test["id"] for test in run["tests"]]
    for what, ids in (("test", tests), ("requirement", [row["id"] for row in run["requirements"]])):
        twice = _first_twice(ids)
        if twice is not None:
            raise UnreadableRun(f"{path} tells the {what} {_cut(twice)} twice")
    told = set(tests)
    for row in run["requirements"]:
        untold = [test for test in row["tests"] if test not in told]
        if untold:
            raise UnreadableRun(f"{path} names the test {_cut(untold[0])} at {row['id']}, and does not tell of it")


def _first_twice(ids: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            return one
        seen.add(one)
    return None


def _refuse_tampered(run: Run, events: Path, path: Path) -> None:
    try:
        refuse_large(events)
        place = differs_at(run, events)
    except (UnreadableEvents, OSError, UnicodeDecodeError) as error:
        raise UnreadableRun(f"{path} cannot be checked: {_cut(str(error))}") from error
    if place is not None:
        raise UnreadableRun(
            f"{path} does not say what {events.name} beside it says, at {_place(place)}: one of them was changed "
            f"after the run (`xencbt report --anew {path.parent}` makes {RUN_FILE} from the events again)"
        )


def _place(path: Iterable[str | int]) -> str:
    words = "".join(f"[{step}]" if isinstance(step, int) else f".{one_line(step)}" for step in path)
    return words.removeprefix(".") or "its top"


def _cut(text: str) -> str:
    shown = one_line(text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
