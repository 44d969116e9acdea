"""A call of which nobody can say whether the host carried it out, until the state is read: it did, or it did not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from xencbt.harness.expectations import VdiType
from xencbt.harness.model import DataDestroy, Destroy, Disable, Enable, Resize, Snapshot
from xencbt.harness.outcome import Indeterminate, Ok, Outcome
from xencbt.suites.blame import breaking
from xencbt.suites.wording import words

if TYPE_CHECKING:
    from collections.abc import Callable

    from xencbt.suites.play import Play

Uncertain = Enable | Disable | Snapshot | Resize | DataDestroy | Destroy
"""Calls of which a read tells whether they happened."""


def make(play: Play, step: Uncertain, call: Callable[[], Outcome], *, arrived: bool = True) -> Outcome:
    """Make the call of `step` by `call`, and have the play follow what then is read; return what the client saw.

    It happened for certain where it was answered with success, and not at all where it never `arrived` at the host. A
    snapshot that came of it is found and becomes ours. Whatever is neither the one nor the other breaks FAULT-01.
    """
    disk = play.disks[step.disk]
    token = disk.intend("snapshot") if isinstance(step, Snapshot) else ""
    before = _snapshots(play, step)
    outcome = call()
    if isinstance(step, Snapshot):
        found = [ref for ref in _snapshots(play, step) if ref not in before]
        made = disk.made_of(token, Ok(found[0]), play.lab.session) if found else None
        if made is None:
            play.lab.journal.refused(token)
        else:
            play.disks[step.name] = made
            step = replace(step, ref=made.ref)
    if isinstance(outcome, Ok):
        supposed: Outcome | None = outcome
    else:
        supposed = Indeterminate("nobody knows what came of it") if arrived else None
    with breaking("FAULT-01"):
        if supposed is not None:
            play.supposed(step, supposed)
        else:
            play.struck(step)
        read(play, step)
        play.check_status(f"{words(step)}, which met a fault")
    return outcome


def read(play: Play, step: Uncertain) -> None:
    """Read what came of a call, as far as no status tells it: of the states that are possible some remain.

    A snapshot that was found is already among the play's disks. Raises Violation where it is so in none of them.
    """
    match step:
        case Snapshot(_, name):
            made = name in play.disks
            play.model.saw(f"{name} exists: {made}", lambda state: (name in state.disks) is made)
        case Destroy(name):
            there = isinstance(play.lab.session.call("VDI.get_uuid", play.disks[name].ref), Ok)
            play.model.saw(f"{name} exists: {there}", lambda state: (name in state.disks) is there)
            if not there:
                play.lab.journal.removed_ref(play.disks.pop(name).ref)
        case Resize(name):
            grown = play.disks[name]
            grown.size = int(grown.record()["virtual_size"])
            play.model.saw(f"{name} has {grown.size} bytes", lambda state: state.disk(name).size == grown.size)
        case DataDestroy(name):
            kind = VdiType(str(play.disks[name].record()["type"]))
            play.model.saw(f"{name} is of type {kind}", lambda state: state.disk(name).type is kind)


def _snapshots(play: Play, step: Uncertain) -> list[str]:
    """Read the references of the disk's snapshots, for a call that makes one."""
    if not isinstance(step, Snapshot):
        return []
    return list(map(str, play.lab.session.value("VDI.get_snapshots", play.disks[step.disk].ref)))
