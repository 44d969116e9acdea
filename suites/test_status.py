"""Checking whether changed block tracking is enabled: what `cbt_enabled` says, wherever it can be read."""

import uuid
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import Lab
from xencbt.harness.capabilities import MAIN
from xencbt.harness.decides import decides
from xencbt.harness.needs import needs
from xencbt.suites.command_line import assert_printed, assert_unknown_uuid_refused, status
from xencbt.suites.listing import assert_listed
from xencbt.suites.situations import ASKED_FOR
from xencbt.suites.statuses import Events, assert_reads


@decides("STATUS-01")
def test_the_status_is_true_exactly_while_tracking_is_enabled(disk: Disk) -> None:
    """A boolean: false at first, true once enabled, false once disabled, and true again."""
    assert disk.cbt_enabled is False
    for _ in range(2):
        assert disk.enable_cbt().cbt_enabled is True
        assert disk.disable_cbt().cbt_enabled is False


@decides("STATUS-01")
def test_the_status_of_a_snapshot_is_its_own(disk: Disk) -> None:
    """It reads as its source did when it was taken, and does not follow it afterwards."""
    off = disk.snapshot()
    on = disk.enable_cbt().snapshot()
    disk.disable_cbt()
    assert (off.cbt_enabled, on.cbt_enabled, disk.cbt_enabled) == (False, True, False)
    disk.enable_cbt()
    assert (off.cbt_enabled, on.cbt_enabled, disk.cbt_enabled) == (False, True, True)


@decides("STATUS-02")
def test_records_agree_with_the_call(disk: Disk) -> None:
    """The field of `get_record` and `get_all_records` is what the getter says."""
    assert_reads(disk, enabled=False)
    disk.enable_cbt()
    assert_reads(disk, enabled=True)
    disk.disable_cbt()
    assert_reads(disk, enabled=False)


@decides("STATUS-02")
def test_events_agree_with_the_call(disk: Disk) -> None:
    """Whoever waits for events of VDIs sees every change in the record that an event carries."""
    events = Events(disk.lab)
    for enabled in (True, False, True):
        (disk.enable_cbt if enabled else disk.disable_cbt)()
        events.wait_for(disk, enabled=enabled)
        assert_reads(disk, enabled=enabled)


@decides("STATUS-01", "STATUS-02")
@given(calls=st.lists(st.tuples(st.sampled_from([0, 1]), st.booleans()), min_size=1, max_size=6))
def test_the_status_agrees_everywhere_after_any_sequence(lab: Lab, calls: list[tuple[int, bool]]) -> None:
    """Two disks, enabled and disabled in any order and repeatedly: each reads as its own last call left it."""
    with lab.example():
        disks = (lab.create_disk(), lab.create_disk())
        expected = [False, False]
        events = Events(lab)
        for which, enabled in calls:
            (disks[which].enable_cbt if enabled else disks[which].disable_cbt)()
            if expected[which] is not enabled:
                events.wait_for(disks[which], enabled=enabled)
            expected[which] = enabled
            assert_reads(disks[which], enabled=enabled)
        for disk, status in zip(disks, expected, strict=True):
            assert_reads(disk, enabled=status)


@decides("STATUS-03")
@needs("xe", optional=ASKED_FOR)
def test_the_xe_command_prints_the_status(disk: Disk) -> None:
    """`xe vdi-param-get param-name=cbt-enabled uuid=…` prints true or false, as the call says, and changes nothing."""
    _assert_prints(disk, "false")
    for _ in range(2):
        _assert_prints(disk.enable_cbt(), "true")
        _assert_prints(disk.disable_cbt(), "false")


@decides("STATUS-03")
@needs("xe", optional=ASKED_FOR)
def test_the_xe_command_prints_the_status_of_snapshots(disk: Disk) -> None:
    """Their own, whatever becomes of their source and of their data."""
    off = disk.snapshot()
    on, metadata = disk.enable_cbt().snapshot(), disk.snapshot()
    with disk.lab.precondition("a snapshot without data"):
        metadata.data_destroy()
    disk.disable_cbt()
    for snapshot, status_now in ((off, "false"), (on, "true"), (metadata, "true"), (disk, "false")):
        _assert_prints(snapshot, status_now)


@decides("STATUS-03")
@needs("xe", optional=ASKED_FOR)
def test_the_xe_command_does_not_know_an_unknown_uuid(disk: Disk) -> None:
    """Refused as resolving it is; a known one leads to its disk."""
    unknown = str(uuid.UUID(bytes=disk.lab.content.draw(16), version=4))
    assert_unknown_uuid_refused(disk.lab, status(disk.lab, unknown), unknown)
    _assert_prints(disk, "false")


@decides("STATUS-03")
@needs("xe", optional=ASKED_FOR)
@given(calls=st.lists(st.tuples(st.sampled_from([0, 1]), st.booleans()), min_size=1, max_size=4))
def test_the_xe_command_agrees_with_the_call_after_any_sequence(lab: Lab, calls: list[tuple[int, bool]]) -> None:
    """Two disks, enabled and disabled in any order and repeatedly: each prints what the call says."""
    with lab.example():
        disks, expected = (lab.create_disk(), lab.create_disk()), ["false", "false"]
        for which, enabled in calls:
            (disks[which].enable_cbt if enabled else disks[which].disable_cbt)()
            expected[which] = "true" if enabled else "false"
            for disk, word in zip(disks, expected, strict=True):
                _assert_prints(disk, word)


def _assert_prints(disk: Disk, word: str) -> None:
    with disk.lab.unchanged(disk, after="an xe command that reads"):
        assert_printed(status(disk.lab, disk.uuid), f"{word}\n")
    assert disk.cbt_enabled is (word == "true")


def _scan(lab: Lab) -> None:
    lab.conditions.scan(MAIN)


def _replug(lab: Lab) -> None:
    with lab.conditions.unplugged(MAIN):
        pass


def _restart(lab: Lab) -> None:
    lab.conditions.restart_toolstack()


@decides("STATUS-04")
@needs("raw-import")
@pytest.mark.parametrize(
    "disturb",
    [
        pytest.param(_scan, id="SR scan"),
        pytest.param(_replug, marks=needs("sr-unplug"), id="PBD unplug and plug"),
        pytest.param(_restart, marks=needs("toolstack-restart"), id="toolstack restart"),
    ],
)
def test_the_status_survives(lab: Lab, disturb: Callable[[Lab], None]) -> None:
    """True stays true and false stays false, of disks and of snapshots, and what was recorded is still listed."""
    with lab.precondition("disks and snapshots of either status"):
        on, off, once = lab.create_disk(), lab.create_disk(), lab.create_disk()
        snapshot_on, snapshot_off = on.enable_cbt().snapshot(), off.snapshot()
        snapshot_once = once.enable_cbt().snapshot()
        once.disable_cbt()
        on.write(block=4)
    expected = {on: True, off: False, once: False, snapshot_on: True, snapshot_off: False, snapshot_once: True}
    for disk, enabled in expected.items():
        assert_reads(disk, enabled=enabled)
    disturb(lab)
    for disk, enabled in expected.items():
        assert_reads(disk, enabled=enabled)
    assert_listed(snapshot_on, on, {4})
