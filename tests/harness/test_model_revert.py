"""Reverting a VM, as the model follows it for one of its disks."""

import pytest

from xencbt.harness.bitmap import BLOCK
from xencbt.harness.expectations import SUCCESS, VdiType, refusals
from xencbt.harness.model import (
    Attach,
    Attachment,
    Create,
    DataDestroy,
    Destroy,
    Enable,
    ListChanged,
    Model,
    OutsideModel,
    Resize,
    Revert,
    Snapshot,
    Step,
    Storage,
    UncleanStop,
    Write,
)
from xencbt.harness.outcome import Failed

SIZE = 32 * BLOCK
SAME_DISK = Revert("disk", "older", "disk")
OTHER_DISK = Revert("disk", "older", "back")


def after(*steps: Step) -> Model:
    """Track a disk with the snapshots `older` and `newer`; blocks 1, 2, 3 written before, between and after them."""
    model = Model()
    history: tuple[Step, ...] = (Create("disk", SIZE, ref="ref"), Enable("disk"), write(1), Snapshot("disk", "older"))
    for step in (*history, write(2), Snapshot("disk", "newer"), write(3), *steps):
        model.happened(step)
    return model


def write(block: int, disk: str = "disk") -> Write:
    return Write(disk, block * BLOCK, BLOCK)


def test_a_disk_that_takes_the_place_of_the_old_one_is_untracked_and_holds_what_the_snapshot_held() -> None:
    model = after(OTHER_DISK)
    assert model.expected_status() == {"older": True, "newer": True, "back": False}
    assert model.disk("back").content == model.disk("older").content
    assert not model.disk("back").is_a_snapshot
    for snapshot in ("older", "newer"):
        assert model.allowed(ListChanged(snapshot, "back")) == refusals.unrelated()


def test_the_snapshots_of_a_reverted_disk_stay_a_set() -> None:
    model = after(OTHER_DISK)
    backup_set = model.backup_set("older")
    assert backup_set is not None
    assert (backup_set.snapshots, backup_set.live) == (("older", "newer"), False)
    assert model.allowed(ListChanged("older", "newer")) == SUCCESS
    assert model.bounds("older", "newer").must == {2}


def test_tracking_what_a_revert_made_begins_a_set_of_its_own() -> None:
    model = after(OTHER_DISK, Enable("back"), Snapshot("back", "next"), write(9, "back"))
    assert model.bounds("next", "back").must == {9}
    assert model.allowed(ListChanged("newer", "next")) == refusals.unrelated()


def test_a_disk_put_back_in_place_is_untracked_or_lists_everything_that_differs() -> None:
    model = after(SAME_DISK)
    assert model.enabled("disk") is None
    allowed = model.allowed(ListChanged("newer", "disk"))
    assert allowed.succeeds
    assert any(
        one.allows(Failed("SR_BACKEND_FAILURE_460", ("", "Source and target VDI are unrelated", "")))
        for one in allowed.alternatives
    )
    assert model.bounds("newer", "disk").must == {2}
    assert model.bounds("newer", "disk").may is None
    assert model.bounds("older", "disk").must == set()


def test_what_cbt_enabled_reads_decides_what_became_of_a_disk_put_back() -> None:
    off, on = after(SAME_DISK), after(SAME_DISK)
    off.saw_enabled("disk", enabled=False)
    assert off.allowed(ListChanged("newer", "disk")) == refusals.unrelated()
    on.saw_enabled("disk", enabled=True)
    on.happened(Snapshot("disk", "later"))
    assert on.bounds("newer", "later").must == {2}


def test_a_size_goes_back_as_well() -> None:
    model = after(Resize("disk", 2 * SIZE), SAME_DISK)
    model.saw_enabled("disk", enabled=False)
    assert model.disk("disk").size == SIZE
    assert after(Resize("disk", 2 * SIZE), OTHER_DISK).disk("back").size == SIZE


def test_an_unclean_stop_before_the_revert_adds_nothing_to_fear() -> None:
    model = after(Attach("disk", Attachment.READ_WRITE), UncleanStop("disk"), OTHER_DISK)
    assert model.enabled("back") is False
    assert model.allowed(ListChanged("older", "newer")) == SUCCESS


def test_nothing_goes_back_to_a_snapshot_without_data() -> None:
    model = after(DataDestroy("older"))
    assert model.allowed(OTHER_DISK) == refusals.wrong_type(VdiType.CBT_METADATA)
    assert after().allowed(OTHER_DISK) == SUCCESS


def test_an_sr_that_is_not_attached_takes_nothing_back() -> None:
    model = after()
    model.storage(Storage(attached=False))
    assert model.allowed(OTHER_DISK) == refusals.sr_not_attached()


def test_one_goes_back_from_what_a_revert_made_to_snapshots_of_the_first_disk_too() -> None:
    model = after(OTHER_DISK, Enable("back"), write(9, "back"), Revert("back", "newer", "again"))
    assert model.disk("again").content == model.disk("newer").content
    assert model.enabled("again") is False


def test_only_snapshots_lead_back() -> None:
    with pytest.raises(OutsideModel, match="disk is no snapshot"):
        after(Revert("disk", "disk", "back"))


def test_destroying_what_a_revert_made_leaves_the_snapshots() -> None:
    assert after(OTHER_DISK, Destroy("back")).bounds("older", "newer").must == {2}
