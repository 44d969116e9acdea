"""Which call a planned fault hits, and the receipts: no server, no real time."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.harness.faults import (
    AnswerLost,
    Call,
    Duplicate,
    Plan,
    Planned,
    RequestDropped,
    Strike,
    Watch,
    require_fired,
)
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.verdicts import NotExercised

START = datetime(2024, 5, 1, tzinfo=UTC)
ENABLE = "VDI.enable_cbt"


def ticking() -> Callable[[], datetime]:
    ticks = count()
    return lambda: START + timedelta(seconds=next(ticks))


def enable(session: str = "mine") -> Call:
    return Call(ENABLE, ENABLE, session)


def strike(due: Strike | None, answer: Outcome | None = None) -> bool:
    """Carry the strike out, if one is due."""
    if due is None or not due.begin():
        return False
    due.fire(answer)
    due.end()
    return True


def watch_for(*faults: Planned, session: str | None = "mine") -> Watch:
    return Watch(Plan(faults), session, ticking())


@given(st.integers(1, 6), st.integers(1, 6), st.lists(st.sampled_from([ENABLE, "VM.start"]), max_size=15))
def test_exactly_the_calls_from_the_nth_on_are_hit(nth: int, times: int, methods: list[str]) -> None:
    watch = watch_for(Planned(AnswerLost(), ENABLE, nth, times))
    struck = [number for number, name in enumerate(methods, 1) if strike(watch.notice(Call(name, name, "mine")))]
    matching = [number for number, name in enumerate(methods, 1) if name == ENABLE]
    assert struck == matching[nth - 1 : nth - 1 + times]
    (receipt,) = watch.receipts
    assert [firing.call for firing in receipt.firings] == struck
    assert receipt.fired is (len(struck) == times)
    assert receipt.matched == len(matching)
    assert bool(receipt.why_not) is not receipt.fired


def test_calls_of_other_sessions_are_not_even_counted() -> None:
    watch = watch_for(Planned(AnswerLost(), ENABLE, nth=2))
    assert [strike(watch.notice(enable(who))) for who in ("other", "mine", "other", "mine")] == [
        *(False, False, False, True)
    ]
    assert watch.receipts[0].firings[0].call == 2


def test_without_a_session_all_calls_count() -> None:
    watch = watch_for(Planned(AnswerLost(), "*", nth=2), session=None)
    assert [strike(watch.notice(Call("a.b", "a.b", who))) for who in ("one", None, "two")] == [False, True, False]


def test_a_call_takes_one_fault_and_the_other_says_why_it_did_not_fire() -> None:
    watch = watch_for(Planned(RequestDropped(), "VDI.*"), Planned(Duplicate(), ENABLE))
    assert strike(watch.notice(enable()))
    assert not strike(watch.notice(enable()))
    taken, late = watch.receipts
    assert taken.fired
    assert late.why_not == (
        "duplicate at call 1 of VDI.enable_cbt did not fire: its call was taken by request-dropped at call 1 of VDI.*"
    )


def test_a_strike_that_could_not_be_carried_out_is_not_fired() -> None:
    watch = watch_for(Planned(Duplicate(), ENABLE))
    due = watch.notice(enable())
    assert due is not None
    assert due.begin()
    due.end("no second connection")
    assert watch.receipts[0].why_not == "duplicate at call 1 of VDI.enable_cbt did not fire: no second connection"


def test_after_healing_nothing_strikes_any_more() -> None:
    watch = watch_for(Planned(AnswerLost(), ENABLE, times=2))
    due = watch.notice(enable())
    assert due is not None
    assert watch.heal(0)
    assert not due.begin()
    assert watch.notice(enable()) is None
    assert watch.receipts[0].healed is not None
    assert watch.receipts[0].matched == 1


def test_healing_waits_for_a_strike_under_way() -> None:
    watch = watch_for(Planned(AnswerLost(), ENABLE))
    due = watch.notice(enable())
    assert due is not None
    assert due.begin()
    assert not watch.heal(0.01)
    assert watch.receipts[0].healed is None

    due.fire()
    ending = threading.Thread(target=due.end)
    ending.start()
    assert watch.heal(10)
    ending.join(10)
    (receipt,) = watch.receipts
    assert receipt.fired
    assert receipt.healed is not None
    assert receipt.firings[0].time < receipt.healed


def test_what_lasts_until_healing_is_told_of_it_even_when_late() -> None:
    watch = watch_for(Planned(AnswerLost(), ENABLE))
    told: list[str] = []
    watch.at_heal(lambda: told.append("early"))
    assert told == []
    watch.heal(0)
    watch.at_heal(lambda: told.append("late"))
    assert told == ["early", "late"]


def test_healing_twice_keeps_the_first_time() -> None:
    watch = watch_for(Planned(AnswerLost(), ENABLE))
    assert watch.heal(0)
    first = watch.receipts
    assert watch.heal(0)
    assert watch.receipts == first


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (None, None),
        (Ok("secret"), "ok"),
        (Failed("VDI_MISSING", ("secret",)), "VDI_MISSING"),
        (Indeterminate("x"), "no answer"),
    ],
)
def test_the_receipt_as_data_holds_no_values(answer: Outcome | None, word: str | None) -> None:
    watch = watch_for(Planned(AnswerLost(), ENABLE))
    strike(watch.notice(Call(ENABLE, "Async.VDI.enable_cbt", "mine")), answer)
    watch.heal(0)
    (receipt,) = watch.receipts
    assert receipt.firings[0].answer == answer
    assert receipt.as_json(since=datetime(2024, 4, 30, 23, 59, 58, tzinfo=UTC)) == {
        "fault": "answer-lost",
        "parameters": {},
        "phase": "after",
        "method": ENABLE,
        "arguments": [],
        "nth": 1,
        "times": 1,
        "armed": "2024-05-01T00:00:00+00:00",
        "armed_s": 2.0,
        "fired": True,
        "firings": [
            {
                "time": "2024-05-01T00:00:01+00:00",
                "time_s": 3.0,
                "call": 1,
                "method": "Async.VDI.enable_cbt",
                "answer": word,
                "byte": None,
                "at": "",
                "exchange": None,
            }
        ],
        "matched": 1,
        "healed": "2024-05-01T00:00:02+00:00",
        "healed_s": 4.0,
        "note": "",
    }


def test_what_did_not_fire_is_not_exercised() -> None:
    watch = watch_for(Planned(AnswerLost(), ENABLE), Planned(Duplicate(), ENABLE, nth=2, times=2))
    strike(watch.notice(enable()))
    strike(watch.notice(enable()))
    with pytest.raises(NotExercised) as caught:
        require_fired(watch.receipts)
    assert caught.value.reason == (
        "duplicate at calls 2 to 3 of VDI.enable_cbt fired 1 of 2 times: 2 matching calls seen"
    )
    strike(watch.notice(enable()))
    require_fired(watch.receipts)
    with pytest.raises(NotExercised, match="no fault was planned"):
        require_fired([])


def test_counting_is_exact_across_threads() -> None:
    watch = watch_for(Planned(AnswerLost(), ENABLE, nth=101, times=300))
    together = threading.Barrier(4)
    struck: list[bool] = []

    def calls() -> Iterator[bool]:
        together.wait(10)
        for _ in range(200):
            yield strike(watch.notice(enable()))

    threads = [threading.Thread(target=lambda: struck.extend(calls())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(struck), sum(struck)) == (800, 300)
    assert sorted(firing.call for firing in watch.receipts[0].firings) == list(range(101, 401))


def test_no_fault_strikes_a_call_that_names_what_is_not_ours() -> None:
    def foreign(call: Call) -> str | None:
        return next((ref for ref in call.references if ref != "OpaqueRef:mine"), None)

    watch = Watch(Plan((Planned(AnswerLost(), ENABLE),)), "mine", ticking(), foreign)
    theirs = Call(ENABLE, ENABLE, "mine", frozenset({"OpaqueRef:theirs"}))
    assert watch.notice(theirs) is None
    with pytest.raises(NotExercised, match=r"names OpaqueRef:thei…, which this run did not create"):
        require_fired(watch.receipts)
    ours = Watch(Plan((Planned(AnswerLost(), ENABLE),)), "mine", ticking(), foreign)
    assert ours.notice(Call(ENABLE, ENABLE, "mine", frozenset({"OpaqueRef:mine"}))) is not None
