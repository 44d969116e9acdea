"""Which of what a dead run's journal names is shown by the host itself to be that run's: a pure decision.

A journal may have been edited, copied or damaged, so a reference in it proves nothing. Class, uuid, SR and one of the
marks must agree: see `Marks.why_not`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from xencbt.harness.entries import Change, Header, Item, State
from xencbt.harness.journal import TAG
from xencbt.harness.recovery import CLASSES, NULL

Records: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Any]]]

NO_MARK = "carries no mark of this run"
LONGEST = 80


class Marks:
    """What the host shows (all records, by class and reference) held against a journal's items."""

    def __init__(self, header: Header, items: Sequence[Item], records: Records) -> None:
        self._items = {item.token: (number, item) for number, item in enumerate(items)}
        self._tokens = {f"{header.run_id}/{item.token}": item for item in items}
        self._by_ref = {(item.cls, item.ref): item for item in items if item.ref}
        self._records = records
        self._srs = {header.sr} | {item.sr for item in items}
        self._holders: dict[str, set[str]] = {}
        for vbd in records["VBD"].values():
            self._holders.setdefault(str(vbd["VDI"]), set()).add(str(vbd["VM"]))

    def gone(self, item: Item) -> bool:
        """Tell whether the host knows neither reference nor uuid of `item` in a class that a run creates."""
        known = self._records.get(item.cls) if item.cls in CLASSES else None
        return known is not None and item.ref not in known and all(at["uuid"] != item.uuid for at in known.values())

    def why_not(self, item: Item) -> str:
        """Say why `item`, created as its journal says, is not shown to be the run's; empty where it is (or is gone).

        Its class must be one that a run creates, its uuid that of the journal, its SR one that the journal names, and
        its token that of its own or of what it was made from (which snapshots, clones and copies take over). A disk
        may carry the token of another disk of the run where only VMs of the run hold it; and a snapshot may carry none
        where its source is shown to be the run's.
        """
        if item.cls not in CLASSES:
            return f"is of a class of which a run creates nothing ({item.cls})"
        if self.gone(item):
            return ""
        record = self._records[item.cls].get(item.ref)
        if record is None:
            return "has another reference than the journal says"
        if record["uuid"] != item.uuid:
            return f"is not what its reference stands for: that is {item.cls} {record['uuid']}"
        if record.get("is_control_domain", False):
            return "is a control domain"
        if item.cls == "VDI" and (item.sr or item.how == "create") and self._sr(record).get("uuid") not in self._srs:
            return "is on an SR that the journal does not name"
        return "" if self._marked(item, record) else NO_MARK

    def shown(self, item: Item) -> str:
        """Name `item` with class, uuid, and what the host calls it and its SR."""
        known = self._records.get(item.cls, {}) if item.cls in CLASSES else {}
        record = known.get(item.ref, {})
        words = [item.cls, item.uuid]
        if "name_label" in record:
            words.append(quoted(str(record["name_label"])))
        if item.cls == "VDI" and record:
            words += ["on SR", quoted(str(self._sr(record).get("name_label", "")))]
        return " ".join(words)

    def _sr(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._records["SR"].get(str(record["SR"]), {})

    def _marked(self, item: Item, record: Mapping[str, Any]) -> bool:
        tag = record.get("other_config", {}).get(TAG)
        if tag is None:
            return item.cls == "VDI" and item.how == "snapshot" and self._source_is_ours(item, record)
        of = self._tokens.get(tag)
        if of is None or of.cls != item.cls:
            return False
        made_from = item.how != "create" and bool(item.origin) and of.uuid == item.origin
        twin = of.twice and (of.how, of.origin) == (item.how, item.origin)
        lent = of.state in {State.INTENDED, State.REFUSED}  # by the export of a VM, to what is exported
        return of is item or made_from or twin or lent or (item.cls == "VDI" and self._held_by_ours(item.ref))

    def _source_is_ours(self, item: Item, record: Mapping[str, Any]) -> bool:
        source = self._by_ref.get(("VDI", str(record.get("snapshot_of", NULL))))
        if source is None or source.uuid != item.origin or self._number(source) >= self._number(item):
            return False
        return source.ref in self._records["VDI"] and not self.why_not(source)

    def _number(self, item: Item) -> int:
        return self._items[item.token][0]

    def _held_by_ours(self, disk: str) -> bool:
        holders = self._holders.get(disk, set())
        return bool(holders) and all(self._is_our_vm(ref) for ref in holders)

    def _is_our_vm(self, ref: str) -> bool:
        item = self._by_ref.get(("VM", ref))
        return item is not None and not self.why_not(item)


def why_not_healed(change: Change, borrowed: frozenset[str]) -> str:
    """Say why a journalled change is none that a run can have made; empty where it can, and is to be undone.

    A run unplugs PBDs and never plugs one that it did not unplug; it gives and takes purposes for NBD only; and it
    switches the tracking of those disks (uuids) only that it was lent.
    """
    if change.what == "PBD.currently_attached" and not change.before:
        return "a run only unplugs, so cleaning only plugs"
    if change.what == "VDI.cbt_enabled" and change.uuid not in borrowed:
        return "the journal does not name it as a disk that the run was lent"
    return ""


def printable(text: str) -> str:
    """Return `text` with all that a terminal could act upon written as escapes."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def quoted(text: str) -> str:
    """Return a name that somebody gave, in quotes, without what a terminal could act upon, and not too long."""
    short = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    return f'"{printable(short)}"'
