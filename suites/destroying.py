"""Snapshots that lose their data, or everything: what must be seen afterwards, and what is in the way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import Lab
from xencbt.fixtures.unchanged import assert_unchanged
from xencbt.harness.bitmap import BLOCK
from xencbt.harness.expectations import VdiType, refusals
from xencbt.harness.outcome import Ok
from xencbt.harness.session import clock
from xencbt.harness.verdicts import Violation

METADATA = VdiType.CBT_METADATA.value

CONTENT_ID = "content_id"
"""The key in `other_config` under which hosts note that there is no content any more."""

BEGINNING_DEADLINE_S = 10.0
"""How long a call may take until its work shows, or its answer is there."""


def assert_metadata_only(snapshot: Disk) -> None:
    """Expect what data_destroy leaves: type cbt_metadata, tracking on, still a snapshot, and nothing to read."""
    record = snapshot.record()
    wanted = {"type": METADATA, "cbt_enabled": True, "is_a_snapshot": True}
    wrong = {name: record[name] for name, value in wanted.items() if record[name] != value}
    if wrong:
        raise Violation("what data_destroy left is not as it must be", expected=(str(wanted),), actual=str(wrong))
    outcome = snapshot.export(0, BLOCK)
    if isinstance(outcome, Ok):
        raise Violation("the data can still be read", expected=("a refusal",), actual="bytes were sent")
    snapshot.lab.check(outcome, refusals.wrong_type(VdiType.CBT_METADATA, snapshot.ref), "exporting metadata alone")


@contextmanager
def data_freed(snapshot: Disk) -> Iterator[None]:
    """Expect that inside the snapshot's type becomes cbt_metadata, and that of its record nothing else changes.

    But for the host's own note about the content, in `other_config`.
    """
    before = snapshot.record()
    yield
    after = snapshot.record()
    notes = {**after["other_config"]}
    notes.pop(CONTENT_ID, None)
    known = {name: value for name, value in before["other_config"].items() if name != CONTENT_ID}
    assert_unchanged(
        {**before, "type": METADATA, "other_config": known}, {**after, "other_config": notes}, "VDI.data_destroy"
    )


def assert_gone(disk: Disk) -> None:
    """Expect that the host knows neither the reference nor the uuid of `disk` any more."""
    lab = disk.lab
    lab.check(lab.session.call("VDI.get_by_uuid", disk.uuid), refusals.unknown_uuid(disk.uuid), "a destroyed uuid")
    outcome = lab.session.call("VDI.get_record", disk.ref)
    if isinstance(outcome, Ok):
        raise Violation("a destroyed VDI still has a record", expected=("a refusal",), actual="a record")


def held_by_nobody(lab: Lab, vbd: str) -> None:
    """Destroy a VBD."""
    lab.session.value("VBD.destroy", vbd)
    lab.journal.removed_ref(vbd)


def metadata_only(lab: Lab) -> frozenset[str]:
    """Return the uuids of all VDIs of type cbt_metadata on the SR of the run."""
    records = lab.session.value("VDI.get_all_records").values()
    return frozenset(record["uuid"] for record in records if (record["type"], record["SR"]) == (METADATA, lab.sr().ref))


def waiting(snapshot: Disk, answered: Callable[[], bool]) -> None:
    """Wait until a data_destroy of `snapshot`, made elsewhere, shows in its record, or is `answered`."""
    end = clock() + BEGINNING_DEADLINE_S
    while clock() < end and not answered() and snapshot.record()["type"] != METADATA:
        pass
