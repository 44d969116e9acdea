"""A state machine that meets a known failure begins anew; any other failure ends it."""

import hypothesis
import pytest
from hypothesis.stateful import RuleBasedStateMachine, rule

from xencbt.harness.searching import MOST_TOLERATED, Search, profile

SETTINGS = hypothesis.settings(profile("quick", shrink=True), max_examples=5)


def machine(failure: str) -> tuple[type[RuleBasedStateMachine], list[int]]:
    began: list[int] = []

    class Failing(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            began.append(1)

        @rule()
        def fail(self) -> None:
            raise AssertionError(failure)

    return Failing, began


def test_over_a_known_failure_the_search_goes_on_for_a_while() -> None:
    failing, began = machine("known")
    met: list[str] = []

    def tolerates(failure: AssertionError) -> bool:
        met.append(str(failure))
        return True

    Search(1, SETTINGS, 5, tolerates=tolerates).run(failing)
    assert met == ["known"] * (1 + MOST_TOLERATED)
    assert len(began) > MOST_TOLERATED


def test_any_other_failure_is_raised() -> None:
    failing, _ = machine("other")
    with pytest.raises(AssertionError, match="other"):
        Search(1, SETTINGS, 5).run(failing)
