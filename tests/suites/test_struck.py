"""What is made of receipts and answers, without a host."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from xencbt.fixtures.disks import Disk
from xencbt.harness.errors import HarnessError
from xencbt.harness.faults import (
    AnswerLost,
    ApiError,
    Duplicate,
    Fault,
    Firing,
    LateDuplicate,
    Planned,
    Receipt,
    RequestDropped,
)
from xencbt.harness.model import Enable, ListChanged, Snapshot
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.verdicts import NotExercised, Violation
from xencbt.suites.struck import Struck, answer_of_host, done_by, laid_here, met_by, method_of, subject_of

if TYPE_CHECKING:
    from xencbt.fixtures.lab import Lab

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOST = Indeterminate("the connection was closed")


def receipt(fault: Fault, *answers: Outcome | None, nth: int = 1, matched: int = 0) -> Receipt:
    firings = tuple(Firing(NOW, 1, "VDI.snapshot", answer) for answer in answers)
    return Receipt(Planned(fault, "VDI.snapshot", nth), NOW, firings, matched)


def answered(fault: Fault, client: Outcome, seen_by_fault: Outcome | None) -> Outcome | None:
    return answer_of_host("it", Planned(fault, "VDI.snapshot"), client, seen_by_fault)


def made(*refs: str) -> tuple[Disk, ...]:
    return tuple(Disk(cast("Lab", None), ref, f"uuid of {ref}", 1, "main") for ref in refs)


def test_the_fault_whose_receipt_grew_met_the_call() -> None:
    before = (receipt(AnswerLost()), receipt(Duplicate()))
    after = (before[0], receipt(Duplicate(), Ok("")))
    assert met_by(before, after) == (1, after[1])
    assert met_by(before, before) == (0, None)


def test_a_late_duplicate_met_the_call_that_it_waits_to_repeat() -> None:
    before = (receipt(LateDuplicate(), nth=2, matched=1),)
    assert met_by(before, (replace(before[0], matched=2),))[1] is not None
    assert met_by((receipt(LateDuplicate(), nth=2),), before)[1] is None  # the first call is not the second
    assert met_by(before, (replace(before[0], matched=2, note="its call was taken"),))[1] is None


def test_the_hosts_answer_is_the_one_that_only_the_fault_saw() -> None:
    assert answered(AnswerLost(), LOST, Ok("ref")) == Ok("ref")
    assert answered(RequestDropped(), LOST, None) is None
    assert answered(Duplicate(), Ok("first"), Ok("second")) == Ok("first")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(AnswerLost(), Ok("")), (AnswerLost(), Failed("X", ())), (ApiError("VDI_IN_USE"), Ok("")), (ApiError(), LOST)],
)
def test_a_client_that_sees_what_the_fault_hides_is_our_own_error(fault: Fault, outcome: Outcome) -> None:
    with pytest.raises(HarnessError, match=fault.name):
        answered(fault, outcome, Ok(""))


def test_a_delivered_call_whose_answer_nobody_saw_shows_nothing() -> None:
    with pytest.raises(NotExercised):
        answered(AnswerLost(), LOST, None)


def test_what_was_made_twice_is_followed_twice() -> None:
    struck = Struck(Planned(Duplicate(), "VDI.snapshot"), Ok("a"), Ok("a"), Ok("b"), made("a", "b"))
    assert done_by(Snapshot("disk", "new"), struck) == [
        (Snapshot("disk", "new"), Ok("a")),
        (Snapshot("disk", "new again"), Ok("b")),
    ]


def test_what_was_made_more_often_than_delivered_is_a_violation() -> None:
    struck = Struck(Planned(AnswerLost(), "VDI.snapshot"), LOST, Ok("a"), made=made("a", "b"))
    with pytest.raises(Violation, match="made more than it was asked for"):
        done_by(Snapshot("disk", "new"), struck)
    dropped = Struck(Planned(RequestDropped(), "VDI.snapshot"), LOST, None, made=made("a"))
    with pytest.raises(Violation, match="made more than it was asked for"):
        done_by(Snapshot("disk", "new"), dropped)


def test_what_did_not_happen_and_what_only_reads_is_not_followed() -> None:
    assert done_by(Enable("disk"), Struck(None, LOST, None)) == []
    assert done_by(ListChanged("a", "b"), Struck(None, Ok(""), Ok(""))) == []
    assert done_by(Enable("disk"), Struck(None, Ok(""), Ok(""))) == [(Enable("disk"), Ok(""))]


def test_a_violation_after_a_fault_breaks_what_the_test_decides() -> None:
    with pytest.raises(Violation) as raised, laid_here():
        raise Violation("lost", expected=("all",), actual="less", requirements=("LIST-02",))
    assert raised.value.requirements == ()


def test_a_listing_is_about_its_earlier_disk() -> None:
    assert (subject_of(ListChanged("a", "b")), method_of(ListChanged("a", "b"))) == ("a", "VDI.list_changed_blocks")
