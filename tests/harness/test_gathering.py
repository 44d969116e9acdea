import pytest

from xencbt.harness.classify import Phase
from xencbt.harness.gathering import FEWEST_EXAMPLES, Gathering
from xencbt.harness.verdicts import Unsupported, Verdict, Violation

IDS = ("ENABLE-01",)


def test_a_body_that_returned_after_calls_passes() -> None:
    gathering = Gathering(IDS)
    assert gathering.returned(calls=3, examples=0, unfired=0) is None
    assert gathering.verdict().verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("calls", "examples", "unfired", "reason"),
    [
        (0, 9, 0, "no call"),
        (5, 9, 1, "did not fire"),
        (5, FEWEST_EXAMPLES - 1, 0, "example"),
    ],
)
def test_a_pass_that_was_not_earned_is_none(calls: int, examples: int, unfired: int, reason: str) -> None:
    gathering = Gathering(IDS, property_based=True)
    gathering.returned(calls=calls, examples=examples, unfired=unfired)
    assert gathering.verdict().verdict is Verdict.NOT_EXERCISED
    assert reason in gathering.verdict().reason


def test_a_body_that_never_ran_is_an_error() -> None:
    assert Gathering(IDS).verdict().verdict is Verdict.ERROR


def test_what_the_body_raised_decides() -> None:
    gathering = Gathering(IDS)
    gathering.raised(Phase.CALL, Violation("bits lost"))
    assert (gathering.verdict().verdict, gathering.verdict().reason) == (Verdict.FAIL, "bits lost")


def test_setup_that_found_no_capability_is_unsupported() -> None:
    gathering = Gathering(IDS)
    gathering.raised(Phase.SETUP, Unsupported("no xe"))
    assert gathering.verdict().verdict is Verdict.UNSUPPORTED


def test_trouble_while_cleaning_up_hides_no_verdict_but_spoils_a_pass() -> None:
    failed = Gathering(IDS)
    failed.raised(Phase.CALL, Violation("bits lost"))
    failed.raised(Phase.TEARDOWN, OSError("gone"))
    assert failed.verdict().verdict is Verdict.FAIL
    assert "bits lost; clean-up failed" in failed.verdict().reason
    passed = Gathering(IDS)
    passed.returned(calls=1, examples=0, unfired=0)
    passed.raised(Phase.TEARDOWN, OSError("gone"))
    assert passed.verdict().verdict is Verdict.ERROR


def test_time_is_taken_from_the_clock() -> None:
    ticks = iter([10.0, 12.5])
    gathering = Gathering(IDS, clock=lambda: next(ticks))
    assert gathering.duration_s == 2.5
