"""What the model says of disks beside a set: snapshots of snapshots, clones and copies, and the storage they lie on."""

import pytest

from xencbt.harness.bitmap import BLOCK
from xencbt.harness.expectations import SUCCESS, refusals
from xencbt.harness.model import (
    Attach,
    Attachment,
    Clone,
    Copy,
    Create,
    DataDestroy,
    Destroy,
    Enable,
    ListChanged,
    Model,
    OutsideModel,
    Plug,
    Scan,
    Snapshot,
    Step,
    Unplug,
    Write,
)
from xencbt.harness.outcome import Failed, Ok

SIZE = 32 * BLOCK
UNRELATED = Failed("SR_BACKEND_FAILURE_460", ("", "[opterr=Source and target VDI are unrelated]", ""))


def write(block: int, disk: str = "disk") -> Write:
    return Write(disk, block * BLOCK, BLOCK)


def after(*steps: Step) -> Model:
    """Track a disk with the snapshots `first`, `second` and `third`; blocks 1 and 2 written between them, 3 at last."""
    model = Model()
    history: tuple[Step, ...] = (Create("disk", SIZE), Enable("disk"), Snapshot("disk", "first"), write(1))
    rest: tuple[Step, ...] = (Snapshot("disk", "second"), write(2), Snapshot("disk", "third"), write(3))
    for step in (*history, *rest, *steps):
        model.happened(step)
    return model


def copied(*, before: bool) -> Model:
    """Snapshot `second` as `twin`, on a host that puts the twin before or after it."""
    model = after(Snapshot("second", "twin"))
    model.happened(ListChanged("twin", "second"), Ok("") if before else UNRELATED)
    return model


def test_a_snapshot_of_a_snapshot_is_of_the_same_set() -> None:
    model = after(Snapshot("second", "twin"))
    assert model.enabled("twin") is True
    first, then = model.allowed(ListChanged("twin", "second")), model.allowed(ListChanged("second", "twin"))
    assert first.succeeds
    assert then.succeeds
    assert first != SUCCESS, "which comes first is not documented"
    assert model.allowed(ListChanged("first", "twin")) == SUCCESS
    assert model.allowed(ListChanged("twin", "third")) == SUCCESS
    assert model.allowed(ListChanged("third", "twin")) == refusals.unrelated()


@pytest.mark.parametrize("before", [True, False])
def test_listing_shows_which_of_the_two_comes_first(before: bool) -> None:
    model = copied(before=before)
    order = ("first", "twin", "second", "third") if before else ("first", "second", "twin", "third")
    backup_set = model.backup_set("disk")
    assert backup_set is not None
    assert backup_set.snapshots == order
    assert model.allowed(ListChanged("second", "twin")) == (refusals.unrelated() if before else SUCCESS)


@pytest.mark.parametrize("before", [True, False])
def test_the_set_goes_on_around_a_snapshot_of_a_snapshot(before: bool) -> None:
    model = copied(before=before)
    pair = ("twin", "second") if before else ("second", "twin")
    assert (model.bounds(*pair).must, model.bounds(*pair).may) == (frozenset(), frozenset())
    for name in pair:
        assert model.bounds("first", name).may == frozenset({1})
        assert model.bounds(name, "third").may == frozenset({2})
        assert model.bounds(name, "disk").may == frozenset({2, 3})
    model.happened(Destroy("second"))
    assert model.bounds("first", "twin").must == {1}
    assert model.bounds("twin", "third").must == {2}


@pytest.mark.parametrize("before", [True, False])
def test_what_was_written_to_a_snapshot_is_in_its_snapshot(before: bool) -> None:
    model = after(write(9, "second"), Snapshot("second", "twin"))
    model.happened(ListChanged("twin", "second"), Ok("") if before else UNRELATED)
    for name in ("twin", "second"):
        assert model.bounds("first", name).must == {1, 9}
        assert model.bounds(name, "third").must == {2, 9}


def test_a_snapshot_of_an_untracked_snapshot_is_untracked() -> None:
    model = Model()
    for step in (Create("disk", SIZE), Snapshot("disk", "first"), Snapshot("first", "twin")):
        model.happened(step)
    assert model.expected_status() == {"disk": False, "first": False, "twin": False}
    assert model.disk("twin").snapshot_of == "first"


def test_metadata_alone_cannot_be_snapshotted_cloned_or_copied() -> None:
    model = after(DataDestroy("second"))
    for step in (Snapshot("second", "x"), Clone("second", "x"), Copy("second", "x")):
        assert not model.allowed(step).succeeds
        assert model.allowed(step).codes == {"VDI_INCOMPATIBLE_TYPE"}


@pytest.mark.parametrize("make", [Clone("second", "other"), Copy("second", "other")])
def test_what_is_made_from_a_snapshot_is_no_part_of_its_set(make: Step) -> None:
    model = after(make)
    assert model.enabled("other") is False
    assert model.allowed(ListChanged("first", "other")) == refusals.unrelated()
    assert model.bounds("first", "third").may == frozenset({1, 2})
    model.happened(Enable("other"))
    assert model.allowed(ListChanged("first", "other")) == refusals.unrelated()
    model.happened(Destroy("other"))
    assert model.bounds("first", "disk").must == {1, 2, 3}


def test_scanning_and_replugging_change_nothing() -> None:
    model, before = after(), after().states
    for step in (Scan(), Unplug(), Plug()):
        assert model.allowed(step) == SUCCESS
        model.happened(step)
    assert model.states == before


def test_nothing_goes_on_while_the_storage_is_unplugged() -> None:
    model = after(Unplug())
    for step in (Enable("disk"), Snapshot("disk", "x"), ListChanged("first", "second"), Destroy("first")):
        assert model.allowed(step) == refusals.sr_not_attached()
    with pytest.raises(OutsideModel, match="scanning"):
        model.allowed(Scan())
    model.happened(Plug())
    assert model.allowed(Snapshot("disk", "x")) == SUCCESS


def test_a_storage_in_use_is_not_unplugged() -> None:
    with pytest.raises(OutsideModel, match=r"in use \(disk\)"):
        after(Attach("disk", Attachment.READ_WRITE), Unplug())
