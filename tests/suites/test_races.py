"""Which answers of sessions at once some serial order explains, and which none does."""

from __future__ import annotations

import time
from math import inf, nextafter

import pytest

from xencbt.harness.linearizing import Operation
from xencbt.harness.model import Create, Destroy, Disable, Enable, Model, Snapshot
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.profiles import XAPI
from xencbt.suites.serial import Answered, Called, Reading, explained

DONE = Ok("")
GONE = Failed("HANDLE_INVALID", ("VDI", "OpaqueRef:1"))
LOST = Indeterminate("lost")


def model() -> Model:
    model = Model()
    model.happened(Create("disk", 4 << 20))
    model.happened(Enable("disk"))
    model.happened(Snapshot("disk", "disk.0"))
    return model


def at(invoked: float, returned: float, called: Called, outcome: Outcome = DONE) -> Operation[Answered]:
    return Operation(Answered(called, outcome), invoked, None if isinstance(outcome, Indeterminate) else returned)


def statuses(*history: Operation[Answered]) -> set[bool]:
    return {state.disk("disk").enabled for state in explained(model().states, history, XAPI)}


def test_either_of_two_may_come_last() -> None:
    assert statuses(at(0, 2, Enable("disk")), at(1, 3, Disable("disk"))) == {True, False}


def test_a_reading_between_decides_the_order() -> None:
    race = [at(0, 2, Enable("disk")), at(1, 3, Disable("disk"))]
    assert statuses(*race, at(4, 5, Reading("disk"), Ok(True))) == {True}
    assert statuses(*race, at(4, 5, Reading("disk"), Ok(False))) == {False}


def test_a_status_that_comes_back_is_no_serial_outcome() -> None:
    readings = at(4, 5, Reading("disk"), Ok(False)), at(6, 7, Reading("disk"), Ok(True))
    assert statuses(at(0, 2, Enable("disk")), at(1, 3, Disable("disk")), *readings) == set()


@pytest.mark.parametrize("gone", [GONE, Failed("VDI_MISSING", ("OpaqueRef:1",))], ids=["HANDLE_INVALID", "VDI_MISSING"])
def test_only_one_session_can_destroy_a_snapshot(gone: Failed) -> None:
    """What is gone is refused as the documentation says, or as hosts do (D-01)."""
    first, second = at(0, 2, Destroy("disk.0")), at(1, 3, Destroy("disk.0"))
    assert statuses(first, second) == set()
    assert statuses(first, at(1, 3, Destroy("disk.0"), gone)) == {True}
    assert statuses(at(0, 2, Destroy("disk.0"), gone), at(1, 3, Destroy("disk.0"), gone)) == set()


def test_a_host_that_lets_nobody_wait_may_say_so() -> None:
    busy = Failed("OTHER_OPERATION_IN_PROGRESS", ("VDI", "OpaqueRef:1"))
    assert statuses(at(0, 2, Enable("disk")), at(1, 3, Disable("disk"), busy)) == {True}


def test_another_refusal_is_no_serial_outcome() -> None:
    assert statuses(at(0, 2, Disable("disk"), Failed("INTERNAL_ERROR", ("End_of_file",)))) == set()


def test_a_call_without_an_answer_happens_late_or_never() -> None:
    assert statuses(at(0, 0, Disable("disk"), LOST)) == {True, False}
    assert statuses(at(0, 0, Disable("disk"), LOST), at(8, 9, Reading("disk"), Ok(False))) == {False}


def test_disks_are_judged_apart_but_all_of_them() -> None:
    both = model()
    both.happened(Create("other", 4 << 20))
    wrong = at(0, 1, Reading("other"), Ok(True))
    assert explained(both.states, [at(0, 1, Reading("disk"), Ok(True))], XAPI)
    assert explained(both.states, [at(0, 1, Reading("disk"), Ok(True)), wrong], XAPI) == ()


def test_snapshots_taken_at_once_stand_in_either_order() -> None:
    states = explained(
        model().states, [at(0, 2, Snapshot("disk", "disk.a")), at(1, 3, Snapshot("disk", "disk.b"))], XAPI
    )
    assert {state.related("disk.a", "disk.b") for state in states} == {True, False}
    assert all(state.related("disk.0", "disk.a") for state in states)


def test_forty_calls_of_four_sessions_are_judged_within_a_second() -> None:
    history: list[Operation[Answered]] = []
    calls: list[Called] = [Enable("disk"), Reading("disk"), Disable("disk"), Reading("disk")]
    for session in range(4):
        for number in range(10):
            called, begun = calls[number % 4], number + session / 10
            outcome = Ok(number % 4 == 1) if isinstance(called, Reading) else DONE
            history.append(at(begun, begun + 0.95, called, outcome))
    history[9] = at(9, 9.9, Snapshot("disk", "disk.a"))
    history[19] = at(9.1, 9.95, Snapshot("disk", "disk.b"))
    began = time.process_time()
    assert explained(model().states, history, XAPI)
    assert time.process_time() - began < 1


def test_a_call_that_was_overtaken_comes_after_the_one_that_overtook_it() -> None:
    history = [at(1, 2, Disable("disk")), at(nextafter(2, inf), 3, Enable("disk"))]
    assert statuses(*history) == {True}
