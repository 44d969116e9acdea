"""What a run creates on a target, written down before it exists, so that nothing of ours is ever lost sight of.

The file holds one JSON object a line: a header with what finds the target again; an intent with a random token, flushed
to the disk before the create call is sent; then the reference and uuid that came back, or that the host refused; at
last the removal. A state of something that is not ours is written down before it is changed, and again when it is
restored. What is left can be told from these lines alone: see `entries.read`. The file stays locked while the run
lives, and whoever cleans up after a dead run holds the same lock.
"""

import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from xencbt.harness.entries import (
    VERSION,
    Book,
    Change,
    Contents,
    Disturbed,
    Header,
    Item,
    State,
    Summary,
    UnreadableJournal,
    read,
    still_there,
    summarise,
)
from xencbt.harness.errors import HarnessError, XencbtError

__all__ = [
    "FILE",
    "TAG",
    "Change",
    "Contents",
    "Header",
    "Item",
    "Journal",
    "LiveJournal",
    "State",
    "Summary",
    "UnreadableJournal",
    "directory",
    "journals_below",
    "read",
    "state_folder",
    "still_there",
    "summarise",
]

TAG = "xencbt"
"""The key in `other_config` under which everything of ours carries `<run id>/<token>`."""

FILE = "journal.jsonl"


class LiveJournal(XencbtError):
    """The journal is locked: its run lives, or somebody else cleans up after it."""


def directory(pool_uuid: str, run_id: str, environment: Mapping[str, str]) -> Path:
    """Return where a run on that pool keeps its journal: `$XDG_STATE_HOME/xencbt/<pool uuid>/<run id>`."""
    return state_folder(environment) / pool_uuid / run_id


def state_folder(environment: Mapping[str, str]) -> Path:
    """Return where runs keep what must outlive them: `$XDG_STATE_HOME/xencbt`."""
    state = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", "~")).expanduser() / ".local/state")
    return Path(state) / "xencbt"


def journals_below(folder: Path) -> tuple[Path, ...]:
    """Return the journal files in `folder`, directly, by run, or by pool and run."""
    return tuple(sorted({*folder.glob(FILE), *folder.glob(f"*/{FILE}"), *folder.glob(f"*/*/{FILE}")}))


class Journal:
    """The journal of one run, kept in a file that stays locked while the run lives. Threads may share one.

    `size` is the bytes of all disks that exist or may exist now.
    """

    def __init__(self, folder: Path, run_id: str, header: Header | None = None) -> None:
        """Create the journal in `folder`; raises HarnessError when there is one already or it cannot be written."""
        path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sync_folder(folder)
        except OSError as error:
            raise HarnessError(f"cannot keep a journal in {folder}: {error}") from error
        first = header or Header(run_id)
        self._begin(path, file, Book(), own=first.own)
        self._write({"entry": "header", "version": VERSION, **asdict(first)})

    def _begin(self, path: Path, file: int, book: Book, *, own: bool) -> None:
        self.path = path
        self._file = file
        self._book = book
        self._refs = {item.ref: item.token for item in book.items.values() if item.state is State.CREATED}
        self._made = {item.ref for item in book.items.values() if item.ref}
        self.size = sum(item.size for item in still_there(book.items.values()))
        self._twice = False
        self._survives = not own  # a host of our own does not outlive this machine, nor need its journal
        self._writing = threading.RLock()

    @classmethod
    def reopen(cls, path: Path) -> "Journal":
        """Take up the journal of a run that is dead.

        Raises LiveJournal while it is locked, UnreadableJournal naming the line, HarnessError when it cannot be opened.
        """
        try:
            file = os.open(path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise HarnessError(f"cannot open the journal {path}: {error}") from error
        try:
            cls._lock(file, path)
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1
            contents = read(data[:whole].decode("utf-8", "replace").split("\n")) if whole else Contents(Header(""))
            if whole != len(data):  # the last line was cut short by the run's end, before anything was sent
                os.ftruncate(file, whole)
        except BaseException:
            os.close(file)
            raise
        book = Book()
        book.header = contents.header
        book.items = {item.token: item for item in contents.items}
        book.changes = {change.token: change for change in contents.changes}
        book.borrowed = set(contents.borrowed)
        journal = cls.__new__(cls)
        journal._begin(path, file, book, own=contents.header.own)
        return journal

    @staticmethod
    def _lock(file: int, path: Path) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LiveJournal(f"{path} is locked: its run lives") from error

    @property
    def header(self) -> Header:
        """Which run on which target this is."""
        return self._book.contents.header

    @property
    def run_id(self) -> str:
        """The run's identity, which begins every tag."""
        return self.header.run_id

    @property
    def items(self) -> tuple[Item, ...]:
        """Everything this run meant to create, in order of intent."""
        return tuple(self._book.items.values())

    @property
    def changes(self) -> tuple[Change, ...]:
        """Every state of something not ours that this run meant to change, in that order."""
        return tuple(self._book.changes.values())

    @property
    def age_s(self) -> float:
        """Seconds since the last entry was written."""
        return max(0.0, time.time() - self.path.stat().st_mtime)

    def item(self, token: str) -> Item:
        """Return the item behind `token`."""
        return self._book.items[token]

    def owns(self, ref: str) -> bool:
        """Tell whether `ref` is a reference of something that this run created and has not removed."""
        return ref in self._refs

    def made(self, ref: str) -> bool:
        """Tell whether `ref` is a reference of something that this run ever created."""
        return ref in self._made

    def changing(self, uuid: str) -> bool:
        """Tell whether a change of what has that uuid is written down and not undone yet."""
        return any(change.uuid == uuid and not change.restored for change in self.changes)

    def intend(self, cls: str, *, how: str = "create", origin: str = "", sr: str = "", size: int = 0) -> str:
        """Write down that a `cls` will be made on or from `origin` (a uuid), before the call; return its token.

        `sr` is the uuid of the SR it will be on, `size` its bytes, for a disk.
        """
        token = secrets.token_hex(16)
        entry: dict[str, Any] = {
            "entry": State.INTENDED.value,
            "token": token,
            "cls": cls,
            "how": how,
            "origin": origin,
            "sr": sr,
            "size": size,
            "twice": self._twice,
        }
        with self._writing:
            self._write(entry)
            self.size += size
        return token

    @contextmanager
    def repeating(self) -> Iterator[None]:
        """Inside, a call may reach the host twice: what is intended may come to be twice."""
        outside, self._twice = self._twice, True
        try:
            yield
        finally:
            self._twice = outside

    def created(self, token: str, *, ref: str, uuid: str) -> None:
        """Write down that the thing behind `token` exists."""
        with self._writing:
            self._write({"entry": State.CREATED.value, "token": token, "ref": ref, "uuid": uuid})
            self._refs[ref] = token
            self._made.add(ref)

    def refused(self, token: str) -> None:
        """Write down that the host refused to make the thing behind `token`."""
        with self._writing:
            self._write({"entry": State.REFUSED.value, "token": token})
            self.size -= self.item(token).size

    def removed(self, token: str) -> None:
        """Write down that the thing behind `token` is gone."""
        with self._writing:
            self._write({"entry": State.REMOVED.value, "token": token})
            self._refs.pop(self.item(token).ref, None)
            self.size -= self.item(token).size

    def removed_ref(self, ref: str) -> None:
        """Write down that the thing with reference `ref` is gone; nothing happens when it was never ours."""
        with self._writing:
            if ref in self._refs:
                self.removed(self._refs[ref])

    @property
    def borrowed(self) -> frozenset[str]:
        """The uuids of disks that are not the run's and that it was lent, to switch their tracking."""
        return frozenset(self._book.borrowed)

    def borrow(self, uuid: str) -> None:
        """Write down that the run was lent the disk with that uuid."""
        if uuid not in self._book.borrowed:
            self._write({"entry": "borrowed", "uuid": uuid})

    def disturb(self, what: Disturbed, uuid: str, *, before: bool) -> str:
        """Write down that a state of something not ours is about to be changed; return the change's token."""
        token = secrets.token_hex(16)
        self._write({"entry": "disturbed", "token": token, "what": what, "uuid": uuid, "before": before})
        return token

    def restored(self, token: str) -> None:
        """Write down that the change behind `token` is undone."""
        self._write({"entry": "restored", "token": token})

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

    def _write(self, entry: dict[str, Any]) -> None:
        line = (json.dumps(entry) + "\n").encode()
        with self._writing:
            try:
                if os.write(self._file, line) != len(line):
                    raise HarnessError(f"cannot write the journal {self.path}: the disk is full")
                if self._survives:
                    os.fsync(self._file)
            except OSError as error:
                raise HarnessError(f"cannot write the journal {self.path}: {error}") from error
            self._book.take(entry)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
