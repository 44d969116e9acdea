"""What a host tells administrators when it switches tracking off by itself."""

from collections.abc import Collection, Mapping
from typing import Any

from xencbt.fixtures.disks import Disk
from xencbt.harness.verdicts import Violation
from xencbt.suites.statuses import assert_reads

RESIZE_FAILED = "VDI_CBT_RESIZE_FAILED"
SNAPSHOT_FAILED = "VDI_CBT_SNAPSHOT_FAILED"
INCONSISTENT = "VDI_CBT_METADATA_INCONSISTENT"


MESSAGES = frozenset({RESIZE_FAILED, SNAPSHOT_FAILED, INCONSISTENT})


def assert_switched_off(disk: Disk, message: str, *, times: int = 1, beside: Collection[Disk] = ()) -> None:
    """Expect that the host has disabled `disk`, and raised one message of that name about it and no other.

    One for each of the `times` that it came to that; and since the last one none about any disk of the same SR but
    those `beside` it, which it came to as well.
    """
    assert_reads(disk, enabled=False)
    said = disk.messages()
    if said != (message,) * times:
        expected = (", ".join([message] * times),)
        raise Violation("the host did not say why it disabled tracking", expected=expected, actual=str(list(said)))
    records = disk.lab.session.value("message.get_all_records").values()
    about = [record for record in records if record["obj_uuid"] == disk.uuid]
    classes = {record["cls"] for record in about}
    if classes != {"VDI"}:
        raise Violation(f"{message} is about something else", expected=("cls VDI",), actual=str(sorted(classes)))
    since = max(str(record["timestamp"]) for record in about)
    _assert_no_other(disk, beside, [each for each in records if str(each["timestamp"]) >= since])


def _assert_no_other(disk: Disk, beside: Collection[Disk], raised: Collection[Mapping[str, Any]]) -> None:
    """Expect that none of the messages `raised` says that another disk of the SR is not tracked any more."""
    involved = {disk.uuid, *(other.uuid for other in beside)}
    place = disk.record()["SR"]
    vdis = disk.lab.session.value("VDI.get_all_records").values()
    others = {vdi["uuid"] for vdi in vdis if vdi["SR"] == place} - involved
    wrong = [record for record in raised if record["name"] in MESSAGES and record["obj_uuid"] in others]
    if wrong:
        told = ", ".join(f"{record['name']} about {record['obj_uuid']}" for record in wrong)
        raise Violation("a message about a disk that nothing happened to", expected=("none",), actual=told)


def assert_tracked_silently(disk: Disk) -> None:
    """Expect that `disk` is enabled, and that the host raised no message about it: the positive control."""
    assert_reads(disk, enabled=True)
    if disk.messages():
        raise Violation("the host raised a message", expected=("none",), actual=str(list(disk.messages())))
