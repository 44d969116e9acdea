"""What the lines of a journal say: a pure reading of them, whatever moment a run was killed at."""

import enum
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from xencbt.harness.errors import UsageError, XencbtError
from xencbt.harness.trust import Trust

VERSION = 1


class UnreadableJournal(XencbtError):
    """The lines are no journal that this version reads."""


class State(enum.Enum):
    """How far a thing got: `intended` may exist on the host without our knowing its reference."""

    INTENDED = "intended"
    CREATED = "created"
    REFUSED = "refused"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Header:
    """What is needed to find the target again, none of it a secret: the first line of a journal.

    `sr` is the uuid of the run's SR, `trust` the options that say how the target's certificate is judged (none: by the
    system's authorities); `own`: the run started the target, an emulated host, which ends with it.
    """

    run_id: str
    url: str = ""
    user: str = ""
    trust: tuple[str, ...] = ()
    pool: str = ""
    sr: str = ""
    own: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of the run: its class as the XenAPI names it, the call that makes it, and what it is made on or from.

    `how` is the call's name (`create`, `snapshot`, …), `origin` the uuid of the SR, or of the source; `sr` the uuid of
    the SR on which it is made, where it is a disk, and `size` its bytes. `twice`: the call may have reached the host
    twice, because a fault that repeats calls was armed.
    """

    token: str
    cls: str
    how: str
    origin: str
    state: State = State.INTENDED
    ref: str = ""
    uuid: str = ""
    sr: str = ""
    size: int = 0
    twice: bool = False


Disturbed = Literal["PBD.currently_attached", "VDI.cbt_enabled", "network.nbd", "network.insecure_nbd"]
"""State of things that are not ours which a run may change for a while; of a network, whether it has that purpose."""


@dataclass(frozen=True, slots=True)
class Change:
    """A state of something that is not ours, changed for a while: it must be `before` again."""

    token: str
    what: Disturbed
    uuid: str
    before: bool
    restored: bool = False

    def __str__(self) -> str:
        return f"{self.what} of {self.uuid}, which was {str(self.before).lower()}"


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a journal says: items in order of intent, changes in the order in which they were made.

    `borrowed` are the uuids of disks that the run was lent.
    """

    header: Header
    items: tuple[Item, ...] = ()
    changes: tuple[Change, ...] = ()
    borrowed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of what was created and removed, and a line for each thing left on the target."""

    created: int
    removed: int
    left: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return asdict(self) | {"left": list(self.left)}


class Book:
    """Items and changes as the entries so far have them."""

    def __init__(self) -> None:
        self.header: Header | None = None
        self.items: dict[str, Item] = {}
        self.changes: dict[str, Change] = {}
        self.borrowed: set[str] = set()

    @property
    def contents(self) -> Contents:
        """Everything so far; raises UnreadableJournal where not even the header is there."""
        if self.header is None:
            raise UnreadableJournal("line 1: no header of a journal")
        items, changes = tuple(self.items.values()), tuple(self.changes.values())
        return Contents(self.header, items, changes, frozenset(self.borrowed))

    def take(self, entry: Mapping[str, Any]) -> None:
        """Take one entry up; raises KeyError, TypeError or ValueError for what is none."""
        kind = entry["entry"]
        if kind == "header":
            self._open(entry)
        elif self.header is None:
            raise ValueError("the header must come first")
        elif kind == "disturbed":
            self._disturb(entry)
        elif kind == "borrowed":
            self.borrowed.add(_text(entry["uuid"]))
        elif kind == "restored":
            self.changes[entry["token"]] = replace(self.changes[entry["token"]], restored=True)
        else:
            self._move(State(kind), entry)

    def _open(self, entry: Mapping[str, Any]) -> None:
        if self.header is not None:
            raise ValueError("a second header")
        if entry["version"] != VERSION:
            raise ValueError(f"version {entry['version']!r}, this program reads {VERSION}")
        fields = {name: _text(entry[name]) for name in ("run_id", "url", "user", "pool", "sr")}
        self.header = Header(**fields, trust=_trust(entry["trust"]), own=_truth(entry["own"]))

    def _disturb(self, entry: Mapping[str, Any]) -> None:
        what = entry["what"]
        if what not in get_args(Disturbed):
            raise ValueError(f"no change this version can undo: {what!r}")
        token = _text(entry["token"])
        self.changes[token] = Change(token, what, _text(entry["uuid"]), _truth(entry["before"]))

    def _move(self, state: State, entry: Mapping[str, Any]) -> None:
        token = _text(entry["token"])
        if state is State.INTENDED:
            self.items[token] = Item(
                token,
                cls=_text(entry["cls"]),
                how=_text(entry["how"]),
                origin=_text(entry["origin"]),
                sr=_text(entry.get("sr", "")),
                size=int(entry.get("size", 0)),
                twice=_truth(entry.get("twice", False)),
            )
        elif state is State.CREATED:
            known = self.items[token]
            self.items[token] = replace(known, state=state, ref=_text(entry["ref"]), uuid=_text(entry["uuid"]))
        else:
            self.items[token] = replace(self.items[token], state=state)


def read(lines: Iterable[str]) -> Contents:
    """Replay the lines of a journal; a last line that was cut short is left out.

    Raises UnreadableJournal, naming the line, where any other line is none of ours.
    """
    book = Book()
    written = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    for number, line in written:
        try:
            entry = json.loads(line)
        except ValueError as error:
            if number == written[-1][0] and number > 1:
                break
            raise UnreadableJournal(f"line {number}: {error}") from error
        try:
            book.take(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableJournal(f"line {number}: no entry of a journal ({error!r})") from error
    return book.contents


def still_there(items: Iterable[Item]) -> tuple[Item, ...]:
    """Return what exists or may exist, newest first: the order in which it can be removed."""
    return tuple(item for item in items if item.state in {State.INTENDED, State.CREATED})[::-1]


def not_restored(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return the changes that must still be undone, newest first."""
    return tuple(change for change in changes if not change.restored)[::-1]


def summarise(items: Iterable[Item], changes: Iterable[Change] = ()) -> Summary:
    """Count what `items` say was created and removed, and name what is left to be removed or restored."""
    known = tuple(items)
    created = [item for item in known if item.state in {State.CREATED, State.REMOVED}]
    removed = [item for item in known if item.state is State.REMOVED]
    left = tuple(named(item) for item in still_there(known))
    left += tuple(f"{change} and is not restored" for change in not_restored(changes))
    return Summary(len(created), len(removed), left)


def named(item: Item) -> str:
    """Name one thing for a reader: class and uuid, or what is known where its answer was lost."""
    return f"{item.cls} {item.uuid or f'with token {item.token} (its answer was lost)'}"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _trust(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"{value!r} is no list of options")
    options = tuple(map(_text, value))
    try:
        Trust.from_options(options)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return options


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value
