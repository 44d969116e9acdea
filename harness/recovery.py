"""What may be touched after a lost answer: a pure decision over the journal and what the host shows.

Three marks lead to a thing of ours, and nothing else does:

* its exact tag, `<run id>/<token>`, in `other_config` (on the SR that the journal names, for a disk);
* snapshots, clones and copies take over `other_config`: they carry the exact tag of their source until they get their
  own, and a snapshot names its source as well;
* the disks of a journalled VM snapshot, where they carry the exact tag of a journalled disk.

Somebody else may snapshot or clone a disk of ours, and that carries our tag too. So a thing that the journal does not
name is taken for ours only if an unanswered call, or one that may have reached the host twice, explains it. Where more
are found than the journal explains, or one shows somebody else's hand (a tag, another name, a VM that is not ours),
none of them is touched, and all of them are told.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xencbt.harness.entries import Item, State, named
from xencbt.harness.journal import TAG

NULL = "OpaqueRef:NULL"
CLASSES = ("VM", "VBD", "VDI")


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing as the host shows it: `sr` is its SR's uuid, `vms` the references of the VMs that hold it."""

    cls: str
    ref: str
    uuid: str
    tag: str
    sr: str = ""
    name: str = ""
    snapshot: bool = False
    snapshot_of: str = NULL
    vms: frozenset[str] = frozenset()
    labelled: bool = False


@dataclass(slots=True)
class Decision:
    """What was decided: `found` are things by the token of the intent that explains each, an intent's own one first.

    `never` are tokens of what never came to be; `unclear` says by token why nothing is touched.
    """

    found: dict[str, list[Seen]] = field(default_factory=dict)
    never: set[str] = field(default_factory=set)
    unclear: dict[str, str] = field(default_factory=dict)


def see(records: Mapping[str, Mapping[str, Mapping[str, Any]]], srs: Mapping[str, str]) -> tuple[Seen, ...]:
    """Make what is tagged at all out of the records of the host: by class, then by reference.

    `srs` are the uuids of SRs by reference.
    """
    holding: dict[str, set[str]] = {}
    for vbd in records.get("VBD", {}).values():
        holding.setdefault(str(vbd["VDI"]), set()).add(str(vbd["VM"]))
    return tuple(
        Seen(
            cls,
            ref,
            str(record["uuid"]),
            str(record["other_config"][TAG]),
            sr=srs.get(str(record.get("SR", "")), ""),
            name=str(record.get("name_label", "")),
            snapshot=bool(record.get("is_a_snapshot", False)),
            snapshot_of=str(record.get("snapshot_of", NULL)),
            vms=frozenset({str(record["VM"])} if cls == "VBD" else holding.get(ref, ())),
            labelled=bool(record.get("tags", ())),
        )
        for cls in CLASSES
        for ref, record in records.get(cls, {}).items()
        if TAG in record.get("other_config", {})
    )


def needs_a_look(items: Iterable[Item]) -> bool:
    """Tell whether the journal alone does not say all references: then the host must be looked at."""
    return any(
        item.state is State.INTENDED
        or item.twice
        or (item.cls == "VM" and item.how == "snapshot" and item.state is State.CREATED)
        for item in items
    )


def decide(run_id: str, items: Sequence[Item], seen: Iterable[Seen]) -> Decision:
    """Decide, from a run's whole journal and all that the host shows, what of the unknown is ours."""
    return _Deciding(run_id, items, tuple(seen)).decided()


class _Deciding:
    def __init__(self, run_id: str, items: Sequence[Item], seen: Sequence[Seen]) -> None:
        self._items = items
        self._decision = Decision()
        self._known = {item.ref for item in items if item.ref}
        self._by_tag: dict[tuple[str, str], list[Seen]] = {}
        tokens = {f"{run_id}/{item.token}": item for item in items}
        self._seen = {each.ref: each for each in seen}
        for each in seen:
            item = tokens.get(each.tag)
            if item is not None and item.cls == each.cls and each.ref not in self._known:
                self._by_tag.setdefault((item.cls, item.token), []).append(each)
        self._derived: dict[tuple[str, str], list[Item]] = {}
        for item in items:
            if item.origin and item.how != "create":
                self._derived.setdefault((item.cls, item.origin), []).append(item)
        self._our_vms = {item.ref for item in items if item.cls == "VM" and item.ref}

    def decided(self) -> Decision:
        for cls in CLASSES:
            for item in self._items:
                if item.cls == cls:
                    self._from(item, self._derived.get((cls, item.uuid), ()))
            if cls == "VM":
                found = [each for list_ in self._decision.found.values() for each in list_]
                self._our_vms |= {each.ref for each in found}
                self._parts()
        explained = {*self._decision.found, *self._decision.never, *self._decision.unclear}
        for item in self._items:
            if item.state is State.INTENDED and item.token not in explained:
                self._decision.unclear[item.token] = f"{named(item)}: its source is not ours, so no token leads to it"
        return self._decision

    def _vms_of(self, uuid: str) -> set[str]:
        return {item.ref for item in self._items if item.cls == "VM" and item.uuid == uuid}

    def _parts(self) -> None:
        """Take the disks of our VM snapshots that the journal does not name yet."""
        snapshots = {item.ref: item for item in self._items if (item.cls, item.how) == ("VM", "snapshot") and item.ref}
        for token, found in self._decision.found.items():
            item = next(each for each in self._items if each.token == token)
            if (item.cls, item.how) == ("VM", "snapshot"):
                snapshots |= {each.ref: item for each in found}
        for mates in self._by_tag.values():
            for each in [mate for mate in mates if mate.cls == "VDI" and mate.snapshot and len(mate.vms) == 1]:
                (vm,) = each.vms
                if vm in snapshots:
                    mates.remove(each)
                    self._decision.found.setdefault(snapshots[vm].token, []).append(each)

    def _from(self, source: Item, derived: Sequence[Item]) -> None:
        """Settle what carries the tag of `source`: a lost creation of itself, and lost things made from it."""
        mates = self._by_tag.get((source.cls, source.token), [])
        if source.cls == "VBD":  # a snapshot of its VM has a copy of it
            mates = [each for each in mates if each.vms <= self._vms_of(source.origin)]
        of_it = {source.ref, NULL} if source.state is State.REMOVED else {source.ref}
        snapshots = [each for each in mates if each.snapshot and each.snapshot_of in of_it]
        others = [each for each in mates if not each.snapshot]
        self._settle(source, [item for item in derived if item.how == "snapshot"], snapshots)
        makers = [source] if source.how == "create" else []
        self._settle(source, makers + [item for item in derived if item.how != "snapshot"], others)

    def _settle(self, source: Item, intents: Sequence[Item], found: Sequence[Seen]) -> None:
        open_ = [item for item in intents if item.state is State.INTENDED]
        repeated = [item for item in intents if item.twice]
        if not open_ and not repeated:
            return
        foreign = self._why_foreign(source, intents, found, len(open_) + len(repeated))
        if foreign:
            for item in open_ or repeated[:1]:
                self._decision.unclear[item.token] = f"{named(item)}: {foreign}"
            return
        rest = list(found)
        for item in open_:
            if rest:
                self._decision.found.setdefault(item.token, []).append(rest.pop(0))
            else:
                self._decision.never.add(item.token)
        for each in rest:
            self._decision.found.setdefault((repeated or open_)[0].token, []).append(each)

    def _why_foreign(self, source: Item, intents: Sequence[Item], found: Sequence[Seen], explained: int) -> str:
        listed = ", ".join(each.uuid for each in found)
        if len(found) > explained:
            return f"{len(found)} carry its token, but only {explained} can be ours: {listed}"
        original = self._seen.get(source.ref)
        srs = {item.sr for item in intents}
        for each in found:
            if source.cls == "VDI" and each.sr not in srs:
                return f"{each.uuid} carries its token, but is on another SR"
            if each.labelled or not each.vms <= self._our_vms:
                return f"{each.uuid} carries its token, but somebody else uses it"
            if source.cls == "VDI" and original is not None and each.name != original.name:
                return f"{each.uuid} carries its token, but has another name"
        return ""
