"""Budget and breaker: spent when the time is, tripped when nothing answers any more."""

import hypothesis
from hypothesis import strategies as st

from xencbt.harness.searching import EXAMPLES, prepare, profile
from xencbt.harness.spending import LOST_IN_A_ROW, Breaker, Budget


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_budget_is_spent_when_its_time_is_over() -> None:
    clock = Clock()
    budget = Budget(30, clock)
    clock.now += 29.9
    assert not budget.spent
    clock.now += 0.1
    assert budget.spent


def test_no_budget_is_never_spent() -> None:
    clock = Clock()
    budget = Budget(None, clock)
    clock.now += 1e9
    assert not budget.spent


def test_a_breaker_trips_only_at_losses_in_a_row_and_for_good() -> None:
    breaker = Breaker()
    for _ in range(LOST_IN_A_ROW - 1):
        breaker.lost("VDI.create: timed out")
    breaker.answered()
    for _ in range(LOST_IN_A_ROW - 1):
        breaker.lost("VDI.create: timed out")
    reasons = [breaker.reason]
    breaker.lost("VDI.destroy: timed out")
    breaker.answered()
    assert breaker.tripped
    assert reasons == [None]
    assert (
        breaker.reason == "the host looks dead: 5 calls in a row were not answered, the last one VDI.destroy: timed out"
    )


def test_a_property_stops_drawing_when_the_budget_is_spent() -> None:
    clock = Clock()
    seen = []

    @hypothesis.given(number=st.integers())
    def search(number: int) -> None:
        seen.append(number)
        clock.now += 10

    prepare(search, 1, "t", profile("quick", shrink=False), Budget(35, clock))
    search()
    assert len(seen) == 4
    prepare(search, 1, "t", profile("quick", shrink=False, examples=7), Budget(None, clock))
    search()
    assert len(seen) == 4 + EXAMPLES["quick"]  # settings once applied stay; the earlier budget does not


def test_examples_are_what_the_plan_says() -> None:
    assert profile("quick", shrink=True).max_examples == EXAMPLES["quick"]
    assert profile("nightly", shrink=False, examples=7).max_examples == 7
