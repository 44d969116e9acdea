"""A call of which nobody can say whether the host carried it out, until the state is read: it did, or it did not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from xencbt.harness.model import DataDestroy, Destroy, Disable, Enable, Resize, Snapshot
from xencbt.harness.outcome import Ok, Outcome

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
    play.unanswered(step, arrived=arrived, certain=isinstance(outcome, Ok))
    return outcome


def _snapshots(play: Play, step: Uncertain) -> list[str]:
    """Read the references of the disk's snapshots, for a call that makes one."""
    if not isinstance(step, Snapshot):
        return []
    return list(map(str, play.lab.session.value("VDI.get_snapshots", play.disks[step.disk].ref)))
