"""The records of all classes, their generic calls, and the events of their changes."""

import threading
import time
import uuid
from collections.abc import Iterable
from random import Random
from typing import Any
from xmlrpc.client import DateTime

from tests.odd_host.habits import Habits

NULL = "OpaqueRef:NULL"
LONGEST_WAIT_S = 2.0
"""How long one event.from waits at most: shorter than anybody asks for."""

Row = dict[str, Any]


class Refusal(Exception):
    """A call is refused with this code and these parameters."""

    def __init__(self, code: str, *params: str) -> None:
        super().__init__(code, *params)
        self.description = [code, *params]


class Records:
    """All records by class and reference; whoever reads or changes them holds `lock`."""

    def __init__(self, habits: Habits) -> None:
        self.habits = habits
        self.random = Random(habits.seed)
        self.lock = threading.Condition(threading.RLock())
        self._rows: dict[str, dict[str, Row]] = {}
        self._changes: list[tuple[str, str]] = []
        self._reads = 0

    def add(self, cls: str, **fields: Any) -> str:
        """Add a record and return its reference."""
        number = f"{self.random.getrandbits(64):016x}"
        ref = self.habits.reference.format(cls=cls, id=number)
        self._rows.setdefault(cls, {})[ref] = {"uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, ref)), **fields}
        self.touch(cls, ref)
        return ref

    def row(self, cls: str, ref: str) -> Row:
        """Return the record itself; refuses unknown references, those of VDIs as the documentation has it."""
        try:
            return self._rows[cls][ref]
        except KeyError:
            raise (Refusal("VDI_MISSING", ref) if cls == "VDI" else Refusal("HANDLE_INVALID", cls, ref)) from None

    def set(self, cls: str, ref: str, **fields: Any) -> None:
        """Change fields of a record."""
        self.row(cls, ref).update(fields)
        self.touch(cls, ref)

    def remove(self, cls: str, ref: str) -> None:
        """Remove a record."""
        self.row(cls, ref)
        del self._rows[cls][ref]
        self.touch(cls, ref)

    def refs(self, cls: str, **fields: Any) -> list[str]:
        """Return the references of the records with these values."""
        rows = self._rows.get(cls, {}).items()
        return [ref for ref, row in rows if all(row[name] == value for name, value in fields.items())]

    def touch(self, cls: str, ref: str) -> None:
        """Note that a record changed, and wake whoever waits for that."""
        self._changes.append((cls, ref))
        self.lock.notify_all()

    def shown(self, cls: str, ref: str) -> Row:
        """Return a record as it is sent: no order of fields or in sets, and with fields that only this host has."""
        self._reads += 1
        own = {"odd_reads_so_far": str(self._reads), "odd_opinion": {"on": cls, "is": "none"}}
        fields = list({**self.row(cls, ref), **own}.items())
        self.random.shuffle(fields)
        return {name: value if name == "error_info" else self._unordered(value) for name, value in fields}

    def generic(self, cls: str, call: str, params: list[Any]) -> Any:
        """Make a call that every class has; raises Refusal for what is none."""
        match call, params:
            case "get_all", []:
                return self.refs(cls)
            case "get_all_records", []:
                return {ref: self.shown(cls, ref) for ref in self.refs(cls)}
            case "get_by_uuid", [wanted]:
                for ref in self.refs(cls, uuid=wanted):
                    return ref
                raise Refusal("UUID_INVALID", cls, wanted)
            case "get_record", [ref]:
                return self.shown(cls, ref)
            case "set_other_config", [ref, value]:
                self.set(cls, ref, other_config=dict(value))
                return ""
            case "add_to_other_config", [ref, key, value]:
                self.set(cls, ref, other_config={**self.row(cls, ref)["other_config"], key: value})
                return ""
            case _, [ref] if call.startswith("get_") and call[4:] in self.row(cls, ref):
                return self._unordered(self.row(cls, ref)[call[4:]])
        raise Refusal("MESSAGE_METHOD_UNKNOWN", f"{cls}.{call}")

    def events_from(self, wanted: Iterable[str], token: str, timeout: float) -> Row:
        """Wait for changes after `token` of classes, or objects, in `wanted`; one event for each record."""
        filters = [(text.partition("/")[0].lower(), text.partition("/")[2]) for text in wanted]
        end = time.monotonic() + min(timeout, LONGEST_WAIT_S)
        while not (found := self._changed(filters, token)) and (left := end - time.monotonic()) > 0:
            self.lock.wait(left)
        return {
            "batch": "odd",
            "token": f"after {len(self._changes)} changes",
            "valid_ref_counts": {cls.lower(): str(len(rows)) for cls, rows in self._rows.items()},
            "events": [self._event(cls, ref) for cls, ref in found],
        }

    def _changed(self, filters: list[tuple[str, str]], token: str) -> list[tuple[str, str]]:
        if token:
            candidates = self._changes[int(token.split()[1]) :]
        else:
            candidates = [(cls, ref) for cls, rows in self._rows.items() for ref in rows]
        return [
            (cls, ref)
            for cls, ref in dict.fromkeys(candidates)
            if any(name in {"*", cls.lower()} and only in {"", ref} for name, only in filters)
        ]

    def _event(self, cls: str, ref: str) -> Row:
        event: Row = {
            "class": cls.lower(),
            "ref": ref,
            "odd": True,
            "id": "1",
            "timestamp": DateTime("20260101T00:00:00Z"),
        }
        if ref in self._rows[cls]:
            return event | {"operation": "mod", "snapshot": self.shown(cls, ref)}
        return event | {"operation": "del"}

    def _unordered(self, value: Any) -> Any:
        return self.random.sample(value, len(value)) if isinstance(value, list) else value
