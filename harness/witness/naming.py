"""Objects by alias: from references and uuids to names that mean the same on every host, and values made comparable."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from xencbt.harness.bitmap import BadBitmap, Bitmap
from xencbt.harness.faults import hides
from xencbt.harness.outcome import Failed, Ok, Outcome
from xencbt.harness.witness.fields import COMPARED
from xencbt.harness.witness.served import where_served
from xencbt.harness.witness.traces import Content
from xencbt.harness.witness.vocabulary import BY_METHOD, NULL, class_of
from xencbt.harness.xe_words import XeResult

if TYPE_CHECKING:
    from xencbt.harness.faults import Receipt

MOST_TEXT = 300
MOST_ITEMS = 400
DEEPEST = 6
MOST_BLOCKS = 1 << 20
"""Blocks that one bitmap may mark: those of 64 GiB."""

_REFERENCE = re.compile(r"OpaqueRef:[0-9A-Za-z-]+")
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
_TIME = re.compile(r"\b\d{8}T\d\d:\d\d:\d\d(?:\.\d+)?Z?")

Normal = None | bool | int | float | str | list["Normal"] | dict[str, "Normal"]
"""Plain JSON data that says the same on every host."""


class Naming:
    """Which alias stands for which reference and uuid; an object has both, or a reference alone."""

    def __init__(self) -> None:
        self._aliases: dict[str, str] = {}
        self._refs: dict[str, str] = {}
        self._numbers: dict[str, int] = {}

    def fresh(self, prefix: str) -> str:
        """Return the next alias that begins so: `disk-1`, then `disk-2`."""
        self._numbers[prefix] = self._numbers.get(prefix, 0) + 1
        return f"{prefix}-{self._numbers[prefix]}"

    def call(self, alias: str, ref: str, uuid: str = "") -> None:
        """Let `alias` stand for the object from now on."""
        self._refs[alias] = ref
        self._aliases[ref] = alias
        if uuid:
            self._aliases[uuid] = alias

    def alias(self, key: str) -> str | None:
        """Return the alias of a reference or uuid, if it has one."""
        return self._aliases.get(key)

    def ref(self, alias: str) -> str | None:
        """Return the reference of what an alias stands for."""
        return self._refs.get(alias)

    def outcome(self, outcome: Outcome, verb: str = "") -> dict[str, Normal]:
        """Return what came of a step as data: `{"ok": …}`, `{"failed": CODE, "params": […]}` or `{"lost": true}`."""
        if isinstance(outcome, Ok):
            return {"ok": self._answer(outcome.value, verb)}
        if isinstance(outcome, Failed):
            return {"failed": outcome.code[:MOST_TEXT], "params": [self.text(each) for each in outcome.params[:20]]}
        return {"lost": True}

    def _answer(self, value: object, verb: str) -> Normal:
        if verb == "list":
            return self._bitmap(value)
        return self.value(where_served(value, self.text) if verb == "nbd-info" else value)

    def value(self, value: object, depth: int = 0) -> Normal:
        """Return a value of the host's as plain data, with aliases for what has one."""
        if depth > DEEPEST:
            return "…"
        match value:
            case bool() | int() | float() | None:
                return value
            case str():
                return self.text(value)
            case bytes():
                return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
            case Content(length, sha256):
                return {"bytes": length, "sha256": sha256}
            case datetime():
                return "<time>"
            case Mapping():
                return self._mapping(value, depth)
            case XeResult(code, printed, told):
                return {"exit": code, "printed": self.text(printed.strip()), "told": self.text(told.strip())}
            case list() | tuple():
                items = [self.value(each, depth + 1) for each in value[:MOST_ITEMS]]
                return _sorted(items)
            case _:
                return f"<{type(value).__name__}>"

    def text(self, text: str) -> str:
        """Return a text with aliases in place of references and uuids, and what else is of one host taken out."""
        whole = self.alias(text)
        if whole is not None:
            return whole
        if text == NULL:
            return "null"
        told = _REFERENCE.sub(lambda found: f"<{self.alias(found[0]) or 'reference'}>", text)
        told = _UUID.sub(lambda found: f"<{self.alias(found[0]) or self.alias(found[0].lower()) or 'uuid'}>", told)
        return _TIME.sub("<time>", told)[:MOST_TEXT]

    def record(self, cls: str, record: object) -> Normal:
        """Return the fields of a record that are compared."""
        if not isinstance(record, Mapping):
            return self.value(record)
        return {name: self.field(name, record.get(name)) for name in sorted(COMPARED[cls] & set(record))}

    def field(self, name: str, value: object) -> Normal:
        """Return a field of a record; of the notes that everybody may leave there, only who left some."""
        if name == "other_config" and isinstance(value, Mapping):
            return [key for key in sorted(map(str, value)) if not key.startswith("xencbt")]
        if name == "snapshot_time":
            return "<time>"
        return self.value(value)

    def records(self, cls: str, answer: object) -> Normal:
        """Return the records of known objects out of all of a class, by alias."""
        if not isinstance(answer, Mapping):
            return self.value(answer)
        known = {ref: alias for ref in answer if (alias := self.alias(str(ref))) is not None}
        return {alias: self.record(cls, answer[ref]) for ref, alias in sorted(known.items(), key=lambda one: one[1])}

    def messages(self, answer: object) -> Normal:
        """Return the messages about known objects: name and alias of each, sorted."""
        if not isinstance(answer, Mapping):
            return self.value(answer)
        told = [
            [str(record.get("name", ""))[:MOST_TEXT], alias]
            for record in answer.values()
            if isinstance(record, Mapping) and (alias := self.alias(str(record.get("obj_uuid", "")))) is not None
        ]
        return [list(one) for one in sorted(told)]

    def unseen(self, receipts: Iterable[Receipt]) -> Normal:
        """Return what the host answered that no client saw, by call: a lost answer, that to a second delivery.

        What a call made has a name only where somebody was told of it, and a call in the background is not over when it
        is answered: of the former it is told that it was done, of the latter nothing.
        """
        told: dict[str, Normal] = {}
        for firing in (firing for receipt in receipts if hides(receipt.planned.fault) for firing in receipt.firings):
            verb, answer = BY_METHOD.get(firing.method), firing.answer
            if verb is not None and answer is not None:
                came = self.outcome(answer, verb.name)
                number = sum(name.endswith(f" to {verb.name}") for name in told) + 1
                told[f"unseen answer {number} to {verb.name}"] = "done" if "ok" in came and not verb.reads else came
        return told

    def _mapping(self, value: Mapping[object, object], depth: int) -> Normal:
        pairs = [(self.text(str(key)), self.value(one, depth + 1)) for key, one in list(value.items())[:MOST_ITEMS]]
        return dict(sorted(pairs, key=lambda pair: pair[0]))

    @staticmethod
    def _bitmap(value: object) -> Normal:
        try:
            bitmap = Bitmap.from_base64(value)
        except BadBitmap as error:
            return {"no bitmap": str(error)[:MOST_TEXT]}
        return {"marks": [list(one) for one in ranges_of(bitmap.blocks)], "bytes": _length(value)}


def ranges_of(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the runs among `numbers` as (first, count), in order."""
    first = count = 0
    for number in sorted(numbers):
        if count and number == first + count:
            count += 1
            continue
        if count:
            yield first, count
        first, count = number, 1
    if count:
        yield first, count


def marks_of(value: object) -> frozenset[int] | None:
    """Return the blocks of a bitmap as `Naming.outcome` gives one; None where it is none."""
    runs = value.get("marks") if isinstance(value, Mapping) else None
    if not isinstance(runs, list) or not all(map(_is_run, runs)) or sum(run[1] for run in runs) > MOST_BLOCKS:
        return None
    return frozenset(number for first, count in runs for number in range(first, first + count))


def _is_run(run: object) -> bool:
    return isinstance(run, list) and len(run) == 2 and all(type(each) is int and each >= 0 for each in run)


def appearances(value: object, ref: str) -> Iterator[tuple[str | int, ...]]:
    """Yield where `ref` stands in an answer: by position in lists, by name in records."""
    if value == ref:
        yield ()
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from ((index, *rest) for rest in appearances(one, ref))
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if isinstance(name, str) and name.replace("_", "").isalpha():
                yield from ((name, *rest) for rest in appearances(one, ref))


def found_at(value: object, path: Iterable[str | int]) -> object:
    """Return what stands there in an answer; None where there is nothing."""
    for part in path:
        if isinstance(part, int) and isinstance(value, list | tuple) and part < len(value):
            value = value[part]
        elif isinstance(part, str) and isinstance(value, Mapping):
            value = value.get(part)
        else:
            return None
    return value


def is_of_class(alias: str, cls: str) -> bool:
    """Tell whether an alias may stand where an object of that class is wanted."""
    return class_of(alias) == cls or (alias in {"nobody", "null"} and cls not in {"SR", "host"})


def _sorted(items: list[Normal]) -> list[Normal]:
    if all(isinstance(one, str) for one in items):
        return sorted(items, key=str)
    return items


def _length(value: object) -> int:
    return len(base64.b64decode(str(value), validate=True))
