"""What a host tells administrators when it switches tracking off by itself."""

from xencbt.fixtures.disks import Disk
from xencbt.harness.verdicts import Violation
from xencbt.suites.statuses import assert_reads

RESIZE_FAILED = "VDI_CBT_RESIZE_FAILED"
SNAPSHOT_FAILED = "VDI_CBT_SNAPSHOT_FAILED"
INCONSISTENT = "VDI_CBT_METADATA_INCONSISTENT"


def assert_switched_off(disk: Disk, message: str) -> None:
    """Expect that the host has disabled `disk`, and raised one message of that name about it and no other."""
    assert_reads(disk, enabled=False)
    said = disk.messages()
    if said != (message,):
        raise Violation("the host did not say why it disabled tracking", expected=(message,), actual=str(list(said)))
    records = disk.lab.session.value("message.get_all_records").values()
    classes = {record["cls"] for record in records if record["obj_uuid"] == disk.uuid}
    if classes != {"VDI"}:
        raise Violation(f"{message} is about something else", expected=("cls VDI",), actual=str(sorted(classes)))


def assert_tracked_silently(disk: Disk) -> None:
    """Expect that `disk` is enabled, and that the host raised no message about it: the positive control."""
    assert_reads(disk, enabled=True)
    if disk.messages():
        raise Violation("the host raised a message", expected=("none",), actual=str(list(disk.messages())))
