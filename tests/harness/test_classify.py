import pytest
from hypothesis.errors import Flaky, FlakyReplay, FlakyStrategyDefinition

from xencbt.harness.classify import Phase, classify
from xencbt.harness.verdicts import Axis, Blocked, NotExercised, NotRun, Unsupported, Verdict, Violation, judging


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Violation("bits lost"), Verdict.FAIL),
        (AssertionError("x"), Verdict.FAIL),
        (pytest.fail.Exception("x"), Verdict.FAIL),
        (Blocked("no space"), Verdict.BLOCKED),
        (NotExercised("no"), Verdict.NOT_EXERCISED),
        (Unsupported("no"), Verdict.UNSUPPORTED),
        (NotRun("no"), Verdict.NOT_RUN),
        (pytest.skip.Exception("later"), Verdict.NOT_RUN),
        (ValueError("oops"), Verdict.ERROR),
        (ConnectionResetError("oops"), Verdict.ERROR),
    ],
)
def test_what_a_test_raised_decides_its_verdict(error: BaseException, verdict: Verdict) -> None:
    classified = classify(error, Phase.CALL)
    assert classified.verdict is verdict
    assert classified.reason


def test_a_violation_while_preparing_blocks() -> None:
    assert classify(Violation("cannot create"), Phase.SETUP).verdict is Verdict.BLOCKED


def test_a_violation_in_a_group_outranks_trouble_in_repeating_it() -> None:
    group = ExceptionGroup("flaky", [ValueError("inconsistent"), ExceptionGroup("inner", [Violation("bits lost")])])
    assert classify(group, Phase.CALL).verdict is Verdict.FAIL


@pytest.mark.parametrize("flaky", [FlakyReplay, FlakyStrategyDefinition])
@pytest.mark.parametrize(
    ("seen", "verdict"),
    [(Violation("bits lost"), Verdict.FAIL), (ConnectionResetError("gone"), Verdict.ERROR)],
)
def test_what_was_seen_once_speaks_when_it_does_not_come_again(
    flaky: type[Flaky], seen: Exception, verdict: Verdict
) -> None:
    try:
        try:
            raise seen
        finally:
            raise flaky("Inconsistent data generation!")
    except Flaky as error:
        classified = classify(error, Phase.CALL)
    assert classified.verdict is verdict
    assert str(seen) in classified.reason


def test_a_violation_keeps_what_was_expected_and_what_came() -> None:
    classified = classify(Violation("m", expected=["a", "b"], actual="c"), Phase.CALL)
    assert (classified.expected, classified.actual) == (("a", "b"), "c")


def test_a_violation_keeps_the_first_axis_it_was_said_to_be_about() -> None:
    with pytest.raises(Violation) as raised, judging(Axis.STATE), judging(Axis.RECOVERY):
        raise Violation("does not answer")
    assert classify(raised.value, Phase.CALL).axis is Axis.RECOVERY
    assert classify(Violation("bits lost"), Phase.CALL).axis is None
