"""The search for a serial order, against histories whose answer is known, and against trying every order."""

import time
from itertools import combinations, pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.harness.linearizing import Operation, TooManyOrders, final_states

Word = tuple[str, int]
"""A call on a register: ("write", 1), or ("read", 1) with what it read."""

Call = Operation[Word]


def register(value: int, word: Word) -> tuple[int, ...]:
    what, number = word
    if what == "write":
        return (number,)
    if what == "maybe":
        return (value, number)
    return (value,) if value == number else ()


def call(what: str, number: int, invoked: float, returned: float | None) -> Call:
    return Operation((what, number), invoked, returned)


def ends(*calls: Call) -> set[int]:
    return set(final_states(0, calls, register))


def test_nothing_done_ends_where_it_began() -> None:
    assert ends() == {0}


def test_calls_one_after_the_other_keep_their_order() -> None:
    assert ends(call("write", 1, 0, 1), call("write", 2, 2, 3)) == {2}
    assert ends(call("write", 1, 0, 1), call("write", 2, 2, 3), call("read", 1, 4, 5)) == set()


def test_calls_that_overlap_may_take_effect_in_either_order() -> None:
    assert ends(call("write", 1, 0, 3), call("write", 2, 1, 2)) == {1, 2}
    assert ends(call("write", 1, 0, 3), call("write", 2, 1, 2), call("read", 1, 4, 5)) == {1}


def test_what_was_read_must_not_go_back() -> None:
    write = call("write", 1, 0, 9)
    assert ends(write, call("read", 0, 1, 2), call("read", 1, 3, 4)) == {1}
    assert ends(write, call("read", 1, 1, 2), call("read", 0, 3, 4)) == set()


def test_equal_moments_count_as_overlapping() -> None:
    assert ends(call("write", 1, 0, 1), call("write", 2, 1, 2)) == {1, 2}


def test_a_call_without_an_answer_may_have_happened_late_or_never() -> None:
    lost = call("write", 1, 0, None)
    assert ends(lost) == {0, 1}
    assert ends(lost, call("read", 0, 1, 2), call("read", 1, 3, 4)) == {1}
    assert ends(lost, call("read", 1, 1, 2), call("read", 0, 3, 4)) == set()


def test_a_call_without_an_answer_has_not_happened_before_it_was_sent() -> None:
    assert ends(call("read", 1, 0, 1), call("write", 1, 2, None)) == set()


def test_a_step_may_leave_several_states_open() -> None:
    assert ends(call("maybe", 1, 0, 1)) == {0, 1}
    assert ends(call("maybe", 1, 0, 1), call("read", 1, 2, 3)) == {1}


def test_states_that_cannot_be_hashed_will_do() -> None:
    def append(state: list[int], word: Word) -> list[list[int]]:
        return [[*state, word[1]]]

    both = [call("write", 1, 0, 3), call("write", 2, 1, 2)]
    assert sorted(final_states(list[int](), both, append)) == [[1, 2], [2, 1]]


def test_an_answer_before_its_call_is_refused() -> None:
    with pytest.raises(ValueError, match="before it was sent"):
        call("read", 0, 2, 1)


@pytest.mark.parametrize("returned", [None, 1.5, 2.0, 3.0])
def test_a_call_that_was_held_back_takes_effect_after_what_went_first(returned: float | None) -> None:
    """Also where both answers were under way at once, and that of the one held back was taken first."""
    first, held = call("write", 1, 1, 2.0), call("write", 2, 0, returned).after(2.0)
    read = call("read", 2, 4, 5)
    assert held.invoked > 2.0
    assert final_states(0, [first, held, read], register) == (2,)
    assert (held.returned is None) == (returned is None)
    if returned is None:
        assert final_states(0, [first, held, call("read", 1, 4, 5)], register) == (1, 2)
    else:
        assert final_states(0, [first, held, call("read", 1, 4, 5)], register) == ()


def test_the_search_is_bounded() -> None:
    calls = [call("write", number, 0, 1) for number in range(12)]
    with pytest.raises(TooManyOrders):
        final_states(list[Word](), calls, lambda state, word: [[*state, word]], most=1000)


MOMENTS = st.integers(0, 9)


@st.composite
def histories(draw: st.DrawFn) -> list[Call]:
    calls = []
    for _ in range(draw(st.integers(0, 5))):
        begun, ended = sorted((draw(MOMENTS), draw(MOMENTS)))
        word = draw(st.sampled_from(("write", "read", "maybe"))), draw(st.integers(0, 2))
        calls.append(Operation(word, begun, None if draw(st.booleans()) and word[0] != "read" else ended))
    return calls


def every_order(history: list[Call]) -> set[int]:
    """Find the final states by trying all orders of all subsets that hold every call which was answered."""
    must = [one for one in history if one.returned is not None]
    open_ones = [one for one in history if one.returned is None]
    found: set[int] = set()
    for count in range(len(open_ones) + 1):
        for happened in combinations(open_ones, count):
            for order in permutations([*must, *happened]):
                if all(not later.end < earlier.invoked for earlier, later in combinations(order, 2)):
                    values = {0}
                    for one in order:
                        values = {after for value in values for after in register(value, one.what)}
                    found |= values
    return found


@given(histories())
def test_the_search_finds_what_trying_every_order_finds(history: list[Call]) -> None:
    assert ends(*history) == every_order(history)


def test_forty_calls_of_four_sessions_take_less_than_a_second() -> None:
    calls, value = [], 0
    for number in range(10):
        for session in range(4):
            begun = number + session / 10
            calls.append(call("write", 4 * number + session, begun, begun + 1.05))
            value = 4 * number + session
    assert len(calls) == 40
    assert all(first.invoked <= second.invoked for first, second in pairwise(calls))
    began = time.process_time()
    assert value in ends(*calls)
    assert ends(*calls, call("read", -1, 99, 100)) == set()
    assert time.process_time() - began < 1
