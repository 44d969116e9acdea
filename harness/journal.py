"""What a run creates on a target, written down before it exists, so that nothing of ours is ever lost sight of.

The file holds one JSON object a line: an intent with a random token, flushed to the disk before the create call is
sent; then the reference and uuid that came back, or that the host refused; at last the removal. What is left can be
told from these lines alone: `read` is a pure function of them.
"""

import enum
import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from xencbt.harness.errors import HarnessError, XencbtError

TAG = "xencbt"
"""The key in `other_config` under which everything of ours carries `<run id>/<token>`."""

FILE = "journal.jsonl"


class UnreadableJournal(XencbtError):
    """The lines are no journal that this version reads."""


class State(enum.Enum):
    """How far a thing got: `intended` may exist on the host without our knowing its reference."""

    INTENDED = "intended"
    CREATED = "created"
    REFUSED = "refused"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of the run: its class as the XenAPI names it, the call that makes it, and what it is made on or from.

    `how` is the call's name (`create`, `snapshot`, …), `origin` the uuid of the SR, or of the source.
    """

    token: str
    cls: str
    how: str
    origin: str
    state: State = State.INTENDED
    ref: str = ""
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of what was created and removed, and a line for each thing left on the target."""

    created: int
    removed: int
    left: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return asdict(self) | {"left": list(self.left)}


def read(lines: Iterable[str]) -> tuple[Item, ...]:
    """Replay the lines of a journal into its items, in order of intent; a last line cut short is left out.

    Raises UnreadableJournal where any other line is none of ours.
    """
    items: dict[str, Item] = {}
    written = [line for line in lines if line.strip()]
    for number, line in enumerate(written, start=1):
        try:
            entry = json.loads(line)
        except ValueError as error:
            if number == len(written):
                break
            raise UnreadableJournal(f"line {number}: {error}") from error
        try:
            _apply(items, entry)
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableJournal(f"line {number}: no entry of a journal ({error!r})") from error
    return tuple(items.values())


def still_there(items: Iterable[Item]) -> tuple[Item, ...]:
    """Return what exists or may exist, newest first: the order in which it can be removed."""
    return tuple(item for item in items if item.state in {State.INTENDED, State.CREATED})[::-1]


def summarise(items: Iterable[Item]) -> Summary:
    """Count what `items` say was created and removed, and name what is left."""
    known = tuple(items)
    created = [item for item in known if item.state in {State.CREATED, State.REMOVED}]
    removed = [item for item in known if item.state is State.REMOVED]
    left = tuple(
        f"{item.cls} {item.uuid or f'with token {item.token} (its answer was lost)'}" for item in still_there(known)
    )
    return Summary(len(created), len(removed), left)


def _apply(items: dict[str, Item], entry: Mapping[str, str]) -> None:
    kind, token = entry["entry"], entry["token"]
    if kind == State.INTENDED.value:
        items[token] = Item(token, cls=entry["cls"], how=entry["how"], origin=entry["origin"])
    elif kind == State.CREATED.value:
        items[token] = replace(items[token], state=State.CREATED, ref=entry["ref"], uuid=entry["uuid"])
    else:
        items[token] = replace(items[token], state=State(kind))


def directory(pool_uuid: str, run_id: str, environment: Mapping[str, str]) -> Path:
    """Return where a run on that pool keeps its journal: `$XDG_STATE_HOME/xencbt/<pool uuid>/<run id>`."""
    return state_folder(environment) / pool_uuid / run_id


def state_folder(environment: Mapping[str, str]) -> Path:
    """Return where runs keep what must outlive them: `$XDG_STATE_HOME/xencbt`."""
    state = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", "~")).expanduser() / ".local/state")
    return Path(state) / "xencbt"


class Journal:
    """The journal of one run, kept in a file that stays locked while the run lives."""

    def __init__(self, folder: Path, run_id: str) -> None:
        """Create the journal in `folder`; raises HarnessError when there is one already or it cannot be written."""
        self.run_id = run_id
        self.path = folder / FILE
        self._items: dict[str, Item] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sync_folder(folder)
        except OSError as error:
            raise HarnessError(f"cannot keep a journal in {folder}: {error}") from error

    @property
    def items(self) -> tuple[Item, ...]:
        """Everything this run meant to create, in order of intent."""
        return tuple(self._items.values())

    def intend(self, cls: str, *, how: str = "create", origin: str = "") -> str:
        """Write down that a `cls` will be made on or from `origin` (a uuid), before the call; return its token."""
        token = secrets.token_hex(16)
        entry = {"entry": State.INTENDED.value, "token": token, "cls": cls, "how": how, "origin": origin}
        self._write(entry)
        return token

    def created(self, token: str, *, ref: str, uuid: str) -> None:
        """Write down that the thing behind `token` exists."""
        self._write({"entry": State.CREATED.value, "token": token, "ref": ref, "uuid": uuid})

    def refused(self, token: str) -> None:
        """Write down that the host refused to make the thing behind `token`."""
        self._write({"entry": State.REFUSED.value, "token": token})

    def removed(self, token: str) -> None:
        """Write down that the thing behind `token` is gone."""
        self._write({"entry": State.REMOVED.value, "token": token})

    def removed_ref(self, ref: str) -> None:
        """Write down that the thing with reference `ref` is gone; nothing happens when it was never ours."""
        for item in self.items:
            if item.ref == ref and item.state is State.CREATED:
                self.removed(item.token)

    def tag(self, token: str) -> dict[str, str]:
        """Return the entry of `other_config` that marks the thing behind `token` as ours."""
        return {TAG: f"{self.run_id}/{token}"}

    def close(self) -> None:
        """Close the file, which unlocks it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, entry: dict[str, str]) -> None:
        line = json.dumps(entry) + "\n"
        try:
            os.write(self._file, line.encode())
            os.fsync(self._file)
        except OSError as error:
            raise HarnessError(f"cannot write the journal {self.path}: {error}") from error
        _apply(self._items, entry)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
