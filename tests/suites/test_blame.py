"""The row that a violation is told to break is that of what was done, not of all that the test decides."""

import pytest

from xencbt.harness.bitmap import BLOCK
from xencbt.harness.model import (
    Clone,
    Create,
    DataDestroy,
    Destroy,
    Disable,
    Disk,
    Enable,
    Model,
    Plug,
    Resize,
    Scan,
    Snapshot,
    Step,
    Write,
)
from xencbt.suites import blame

SIZE = 32 * BLOCK
FAMILY = {"disk", "first"}
WRITE = Write("disk", 0, 1)


def disks(*steps: Step) -> Model:
    model = Model()
    for step in (Create("disk", SIZE), Enable("disk"), Snapshot("disk", "first"), Snapshot("disk", "second"), *steps):
        model.happened(step)
    return model


@pytest.mark.parametrize(
    ("since", "row"),
    [
        ((), "LIST-02"),
        ((WRITE,), "LIST-02"),
        ((Destroy("middle"), WRITE), "LIST-11"),
        ((DataDestroy("first"), WRITE), "LIST-09"),
        ((Scan(), WRITE), "STATUS-04"),
        ((Plug(),), "STATUS-04"),
        ((Clone("disk", "other"),), "LIFE-02"),
        ((Resize("disk", SIZE),), "LIST-05"),
        ((Enable("disk"), WRITE), "ENABLE-13"),
        ((Enable("other"),), "ENABLE-20"),
        ((Disable("other"),), "ENABLE-20"),
        ((Disable("disk"),), "DISABLE-07"),
        ((Destroy("middle"), Resize("disk", SIZE)), "LIST-05"),
    ],
)
def test_lost_changes_are_laid_to_the_latest_step_that_must_lose_none(since: tuple[Step, ...], row: str) -> None:
    assert blame.of_lost_changes(since, FAMILY, "LIST-02") == row


@pytest.mark.parametrize(
    ("steps", "pair", "row"),
    [
        ((), ("second", "first"), "LIST-06"),
        ((Disable("disk"),), ("first", "disk"), "SET-03"),
        ((Disable("disk"), Enable("disk")), ("first", "disk"), "SET-03"),
        ((Disable("disk"), Enable("disk"), Snapshot("disk", "new")), ("first", "new"), "SET-06"),
        ((Clone("first", "other"),), ("first", "other"), "LIST-08"),
        ((Clone("first", "other"), Enable("other")), ("first", "other"), "SET-06"),
    ],
)
def test_a_relation_that_is_none(steps: tuple[Step, ...], pair: tuple[str, str], row: str) -> None:
    model = disks(*steps)
    assert blame.of_invented_relation(*map(model.disk, pair)) == row


@pytest.mark.parametrize(
    ("step", "name", "row"),
    [
        (Enable("disk"), "disk", "ENABLE-02"),
        (Enable("disk"), "first", "ENABLE-20"),
        (Disable("disk"), "disk", "DISABLE-01"),
        (Disable("disk"), "first", "DISABLE-07"),
        (Disable("other"), "disk", "ENABLE-20"),
        (Snapshot("disk", "second"), "second", "LIFE-01"),
        (Clone("disk", "second"), "second", "LIFE-02"),
        (Resize("disk", SIZE), "disk", "LIFE-04"),
        (DataDestroy("first"), "first", "DESTROY-01"),
        (Destroy("first"), "disk", "DESTROY-06"),
        (Scan(), "disk", "STATUS-04"),
        (WRITE, "disk", "STATUS-01"),
    ],
)
def test_a_wrong_status(step: Step, name: str, row: str) -> None:
    assert blame.of_status(step, disks().disk(name)) == row


@pytest.mark.parametrize(
    ("step", "succeeds", "row"),
    [
        (Enable("disk"), True, "ENABLE-02"),
        (Enable("first"), False, "ENABLE-15"),
        (Disable("first"), False, "DISABLE-04"),
        (Clone("first", "x"), True, "LIFE-02"),
        (DataDestroy("first"), True, "DESTROY-01"),
        (DataDestroy("disk"), False, "DESTROY-03"),
        (Resize("disk", 1), False, None),
        (WRITE, True, None),
    ],
)
def test_an_outcome_that_must_not_be(step: Step, succeeds: bool, row: str | None) -> None:
    assert blame.of_outcome(step, disks().disk("first"), succeeds=succeeds) == row


@pytest.mark.parametrize("step", [Snapshot("first", "x"), Clone("first", "x"), Destroy("first")])
def test_metadata_alone_has_a_row_of_its_own(step: Step) -> None:
    gone: Disk = disks(DataDestroy("first")).disk("first")
    assert blame.of_outcome(step, gone, succeeds=False) == "DESTROY-05"
    assert blame.of_outcome(DataDestroy("first"), gone, succeeds=True) == "DESTROY-02"
