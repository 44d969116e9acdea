"""The model as a reader of the documentation would tell it."""

import pytest

from xencbt.harness.bitmap import BLOCK, Bitmap
from xencbt.harness.expectations import SUCCESS, VdiType, refusals
from xencbt.harness.model import (
    CBT_OPERATIONS,
    Attach,
    Attachment,
    Clone,
    Copy,
    Create,
    DataDestroy,
    Destroy,
    Disable,
    Enable,
    HostDisabled,
    ListChanged,
    Model,
    OnBoot,
    OutsideModel,
    Resize,
    Scan,
    SetOnBoot,
    Snapshot,
    Step,
    Storage,
    UncleanStop,
    Unplug,
    Write,
)
from xencbt.harness.outcome import Failed, Indeterminate
from xencbt.harness.verdicts import Violation

SIZE = 32 * BLOCK


def after(*steps: Step, model: Model | None = None) -> Model:
    model = model or Model()
    for step in steps:
        model.happened(step)
    return model


def tracked(*steps: Step) -> Model:
    return after(Create("disk", SIZE, ref="ref"), Enable("disk"), Snapshot("disk", "baseline"), *steps)


def write(block: int) -> Write:
    return Write("disk", block * BLOCK, BLOCK)


def test_a_doubtful_log_may_be_refused_as_inconsistent_until_the_disk_is_attached_again() -> None:
    refused = Failed("SR_BACKEND_FAILURE_459", ("", "inconsistent", ""))
    step = ListChanged("baseline", "disk")
    sound = tracked(write(4))
    assert not any(one.allows(refused) for one in sound.allowed(step).alternatives)
    doubtful = after(Attach("disk", Attachment.READ_WRITE), UncleanStop("disk"), model=sound)
    assert any(one.allows(refused) for one in doubtful.allowed(step).alternatives)
    again = after(Attach("disk", Attachment.READ_WRITE), Attach("disk", Attachment.NONE), model=doubtful)
    assert not any(one.allows(refused) for one in again.allowed(step).alternatives)


def test_a_set_begins_with_enabling_and_ends_with_disabling() -> None:
    model = tracked(write(3), Snapshot("disk", "second"), Disable("disk"), Snapshot("disk", "outside"))
    assert model.expected_status() == {"disk": False, "baseline": True, "second": True, "outside": False}
    ended = model.backup_set("baseline")
    assert ended is not None
    assert ended == model.backup_set("second")
    assert (ended.baseline, ended.snapshots, ended.live) == ("baseline", ("baseline", "second"), False)
    assert model.backup_set("disk") is None
    assert model.bounds("baseline", "second").must == {3}
    for later in ("outside", "disk"):
        assert model.allowed(ListChanged("baseline", later)) == refusals.unrelated()


def test_enabling_again_starts_another_set() -> None:
    model = tracked(HostDisabled("disk"), Enable("disk"), write(5), Snapshot("disk", "next baseline"))
    first, second = model.backup_set("baseline"), model.backup_set("disk")
    assert first is not None
    assert second is not None
    assert first.id != second.id
    assert second.baseline == "next baseline"
    assert second.live
    assert model.allowed(ListChanged("baseline", "next baseline")) == refusals.unrelated()
    with pytest.raises(OutsideModel, match="unrelated"):
        model.bounds("baseline", "disk")


def test_enabling_twice_changes_nothing() -> None:
    model = tracked(write(3))
    before = model.states
    assert model.allowed(Enable("disk")) == SUCCESS
    assert after(Enable("disk"), model=model).states == before


def test_a_disk_compared_with_itself_and_the_reverse_order() -> None:
    model = tracked()
    assert model.allowed(ListChanged("disk", "disk")) == refusals.same_vdi()
    assert model.allowed(ListChanged("disk", "baseline")) == refusals.unrelated()
    assert model.allowed(ListChanged("baseline", "disk")) == SUCCESS


@pytest.mark.parametrize(
    ("attachment", "succeeds"),
    [
        (Attachment.NONE, True),
        (Attachment.READ_ONLY, False),
        (Attachment.READ_WRITE, False),
        (Attachment.SNAPSHOT_VM, True),
        (Attachment.SUSPENDED, True),
    ],
)
def test_the_later_disk_must_not_be_attached_but_may_be_enabled(attachment: Attachment, succeeds: bool) -> None:
    model = tracked(Attach("disk", attachment))
    assert model.allowed(ListChanged("baseline", "disk")).succeeds is succeeds
    assert model.allowed(Enable("disk")) == SUCCESS
    assert model.allowed(Disable("disk")) == SUCCESS


def test_a_deleted_snapshot_in_the_middle_loses_nothing() -> None:
    model = tracked(write(1), Snapshot("disk", "middle"), write(2), Snapshot("disk", "last"), Destroy("middle"))
    assert model.bounds("baseline", "last").must == {1, 2}
    remaining = model.backup_set("last")
    assert remaining is not None
    assert remaining.snapshots == ("baseline", "last")
    with pytest.raises(OutsideModel, match="no disk 'middle'"):
        model.enabled("middle")


def test_metadata_keeps_listing() -> None:
    model = tracked(write(1), Snapshot("disk", "last"))
    before = model.bounds("baseline", "last")
    after(DataDestroy("baseline"), DataDestroy("last"), model=model)
    assert model.bounds("baseline", "last") == before
    assert model.enabled("baseline") is True
    assert model.allowed(DataDestroy("baseline")) == SUCCESS
    for step in (Enable("baseline"), Clone("baseline", "x"), Resize("baseline", 2 * SIZE), Snapshot("baseline", "x")):
        assert "VDI_INCOMPATIBLE_TYPE" in model.allowed(step).codes
        assert not model.allowed(step).succeeds


def test_a_grown_disk_keeps_its_set_and_its_bitmap_grows() -> None:
    model = tracked(write(31), Resize("disk", 2 * SIZE), write(40), Snapshot("disk", "grown"))
    bounds = model.bounds("baseline", "grown")
    assert bounds.must == bounds.may == frozenset({31, 40})
    assert bounds.length == 8
    assert model.allowed(Resize("disk", SIZE)) == refusals.shrinking()
    with pytest.raises(Violation):
        model.happened(Resize("disk", SIZE))


def test_clones_and_copies_start_disabled_and_touch_nothing() -> None:
    model = tracked(write(3), Clone("disk", "clone"), Copy("disk", "copy"), Clone("baseline", "clone of baseline"))
    assert model.expected_status() == {
        "disk": True,
        "baseline": True,
        "clone": False,
        "copy": False,
        "clone of baseline": False,
    }
    assert model.bounds("baseline", "disk").must == {3}
    assert model.allowed(ListChanged("baseline", "clone")) == refusals.unrelated()


def test_a_write_with_the_same_content_may_be_marked_and_need_not() -> None:
    same = Write("disk", 0, BLOCK, content=-7)
    model = after(Create("disk", SIZE), Enable("disk"), same, Snapshot("disk", "baseline"), same, write(1))
    bounds = model.bounds("baseline", "disk")
    assert bounds.must == {1}
    assert bounds.may == frozenset({0, 1})
    with pytest.raises(OutsideModel, match="whole blocks"):
        model.happened(Write("disk", 1, BLOCK, content=-7))


def test_a_write_to_a_snapshot_must_be_listed_where_it_makes_a_difference() -> None:
    model = tracked(write(1), Snapshot("disk", "middle"), Snapshot("disk", "last"), Write("middle", 9 * BLOCK, 1))
    assert model.bounds("middle", "last").must == {9}
    assert model.bounds("baseline", "middle").must == {1, 9}
    assert model.bounds("baseline", "last").must == {1}
    assert model.bounds("baseline", "last").may == frozenset({1, 9})
    after(Destroy("middle"), model=model)
    assert model.bounds("baseline", "last").may == frozenset({1, 9})


def test_an_unclean_stop_makes_the_log_doubtful_until_the_next_attach() -> None:
    model = tracked(Attach("disk", Attachment.READ_WRITE), write(4), UncleanStop("disk"))
    assert model.enabled("disk") is None
    listing = model.allowed(ListChanged("baseline", "disk"))
    assert listing == SUCCESS | refusals.doubtful_log() | refusals.unrelated()
    bounds = model.bounds("baseline", "disk")
    assert bounds.missed(Bitmap.of(set(), SIZE)) == {4}
    assert bounds.may is None
    assert bounds.superfluous(Bitmap.of(range(32), SIZE)) == frozenset()
    after(Attach("disk", Attachment.READ_WRITE), model=model)
    assert model.enabled("disk") is False
    assert len(model.states) == 1
    assert not model.allowed(ListChanged("baseline", "disk")).succeeds
    assert "VDI_IN_USE" in model.allowed(ListChanged("baseline", "disk")).codes


def test_an_import_after_an_unclean_stop_is_an_attach() -> None:
    model = tracked(Attach("disk", Attachment.READ_WRITE), UncleanStop("disk"), write(1))
    assert model.enabled("disk") is False
    assert after(Enable("disk"), model=model).allowed(ListChanged("baseline", "disk")) == refusals.unrelated()


def test_a_snapshot_between_unclean_stop_and_attach_never_hides_a_block() -> None:
    model = tracked(Attach("disk", Attachment.READ_WRITE), write(4), UncleanStop("disk"), Snapshot("disk", "doubtful"))
    assert (
        model.allowed(ListChanged("baseline", "doubtful")) == SUCCESS | refusals.doubtful_log() | refusals.unrelated()
    )
    assert model.bounds("baseline", "doubtful").must == {4}
    assert model.enabled("doubtful") is None
    model.saw_enabled("doubtful", enabled=False)
    assert model.allowed(ListChanged("baseline", "doubtful")) == refusals.unrelated()


def test_a_lost_answer_leaves_both_open_until_the_state_is_read() -> None:
    model = after(Create("disk", SIZE))
    model.happened(Enable("disk"), Indeterminate("closed"))
    assert model.enabled("disk") is None
    with pytest.raises(OutsideModel, match="open"):
        model.backup_set("disk")
    with pytest.raises(OutsideModel, match="open"):
        model.disk("disk")
    model.saw_enabled("disk", enabled=True)
    assert model.enabled("disk") is True
    assert model.disk("disk").enabled
    with pytest.raises(Violation, match="cbt_enabled of disk is wrong"):
        model.saw_enabled("disk", enabled=False)


def test_a_lost_answer_to_disabling_leaves_listing_open() -> None:
    model = tracked(write(2))
    model.happened(Disable("disk"), Indeterminate("closed"))
    assert model.allowed(ListChanged("baseline", "disk")) == SUCCESS | refusals.unrelated()
    after(Disable("disk"), model=model)
    assert len(model.states) == 1
    assert model.allowed(ListChanged("baseline", "disk")) == refusals.unrelated()


def test_a_refusal_changes_nothing_and_one_that_is_not_allowed_is_a_violation() -> None:
    model = after(Create("disk", SIZE, type=VdiType.EPHEMERAL, ref="ref"))
    before = model.states
    model.happened(Enable("disk"), Failed("VDI_INCOMPATIBLE_TYPE", ("ref", "Ephemeral")))
    assert model.states == before
    with pytest.raises(Violation, match="VDI_INCOMPATIBLE_TYPE"):
        model.happened(Enable("disk"))
    with pytest.raises(Violation):
        model.happened(Enable("disk"), Failed("INTERNAL_ERROR"))


@pytest.mark.parametrize(
    ("storage", "codes"),
    [
        (Storage(attached=False), {"SR_NOT_ATTACHED", "SR_HAS_NO_PBDS"}),
        (Storage(lacks=CBT_OPERATIONS), {"SR_OPERATION_NOT_SUPPORTED"}),
        (Storage(writable=False), {"SR_BACKEND_FAILURE_457"}),
        (Storage(log_space=False), {"SR_BACKEND_FAILURE_457", "SR_BACKEND_FAILURE_44"}),
        (
            Storage(attached=False, lacks=CBT_OPERATIONS),
            {"SR_NOT_ATTACHED", "SR_HAS_NO_PBDS", "SR_OPERATION_NOT_SUPPORTED"},
        ),
    ],
)
def test_what_the_storage_must_give_for_enabling(storage: Storage, codes: set[str]) -> None:
    model = after(Create("disk", SIZE))
    model.storage(storage)
    expectation = model.allowed(Enable("disk"))
    assert expectation.codes == codes
    assert not expectation.succeeds


def test_what_is_unknown_of_the_storage_leaves_both_open() -> None:
    model = after(Create("disk", SIZE))
    model.storage(Storage(log_space=None))
    assert model.allowed(Enable("disk")) == SUCCESS | refusals.full_sr()
    after(Enable("disk"), Snapshot("disk", "baseline"), model=model)
    assert model.enabled("baseline") is True
    assert model.enabled("disk") is None


def test_an_enabled_disk_needs_no_room_for_another_log() -> None:
    model = tracked()
    model.storage(Storage(log_space=False))
    assert model.allowed(Enable("disk")) == SUCCESS
    model.storage(Storage(writable=False))
    assert model.allowed(Enable("disk")) == SUCCESS | refusals.read_only_sr()
    assert model.allowed(Disable("disk")) == SUCCESS | refusals.cannot_disable()
    with pytest.raises(OutsideModel, match="not writable"):
        model.allowed(Snapshot("disk", "x"))


def test_the_licence_is_asked_for_enabling_only() -> None:
    model = tracked(Create("other", SIZE))
    model.licence(licensed=False)
    assert model.allowed(Enable("other")) == refusals.unlicensed()
    assert model.allowed(Enable("disk")) == SUCCESS | refusals.unlicensed()
    assert model.allowed(Disable("disk")) == SUCCESS
    assert model.allowed(ListChanged("baseline", "disk")) == SUCCESS


def test_on_boot_and_cbt_exclude_each_other() -> None:
    model = tracked(Create("other", SIZE, on_boot=OnBoot.RESET))
    assert model.allowed(SetOnBoot("disk", OnBoot.RESET)) == refusals.cbt_enabled("ref")
    assert model.allowed(Enable("other")) == refusals.on_boot_reset()
    assert model.allowed(Disable("other")) == refusals.on_boot_reset()
    after(SetOnBoot("other", OnBoot.PERSIST), model=model)
    assert model.allowed(Enable("other")) == SUCCESS


def test_disabling_a_snapshot_and_a_raw_disk() -> None:
    model = tracked(Create("raw", SIZE, raw=True))
    assert model.allowed(Disable("baseline")) == refusals.is_a_snapshot()
    assert model.allowed(Enable("raw")) == refusals.raw_vdi()
    assert model.allowed(Disable("raw")) == SUCCESS


def test_data_destroy_is_for_tracked_snapshots_that_nothing_holds() -> None:
    model = tracked(Create("plain", SIZE), Snapshot("plain", "untracked"))
    assert model.allowed(DataDestroy("disk")) == refusals.not_a_snapshot()
    assert model.allowed(DataDestroy("untracked")).codes == {"VDI_NO_CBT_METADATA"}
    after(Attach("baseline", Attachment.READ_ONLY), model=model)
    assert model.allowed(DataDestroy("baseline")).codes == {"VDI_IN_USE"}


def test_disks_of_other_storage_are_unrelated() -> None:
    model = tracked()
    model.storage(Storage(), "second")
    after(Create("far", SIZE, storage="second"), model=model)
    assert model.allowed(ListChanged("baseline", "far")) == refusals.unrelated_across_srs()


@pytest.mark.parametrize(
    "step",
    [
        Create("disk", SIZE),
        Scan("nowhere"),
        Unplug("nowhere"),
        Write("disk", SIZE, 1),
        Enable("nobody"),
        Create("far", SIZE, storage="nowhere"),
        HostDisabled("nobody"),
    ],
)
def test_misuse_is_named(step: Step) -> None:
    with pytest.raises(OutsideModel):
        after(step, model=tracked())


def test_creating_metadata_is_refused() -> None:
    assert Model().allowed(Create("x", SIZE, type=VdiType.CBT_METADATA)).codes == {"VDI_INCOMPATIBLE_TYPE"}
