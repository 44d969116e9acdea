import pytest

from xencbt.harness.verdicts import Exit, Verdict, chapter_of, counts, exit_code, worst

M = {"A-01": "M", "A-02": "M"}


def test_the_order_is_worst_first() -> None:
    words = [verdict.value for verdict in Verdict]
    assert words == [
        "error",
        "fail",
        "stale",
        "blocked",
        "not exercised",
        "known",
        "unsupported",
        "not run",
        "pass",
    ]


def test_the_worst_verdict_wins_and_nothing_is_not_run() -> None:
    assert worst([Verdict.PASS, Verdict.BLOCKED, Verdict.KNOWN]) is Verdict.BLOCKED
    assert worst([]) is Verdict.NOT_RUN


def test_counts_keep_every_verdict() -> None:
    assert counts([Verdict.PASS, Verdict.FAIL, Verdict.PASS]) == {"fail": 1, "pass": 2}


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (Verdict.PASS, Exit.OK),
        (Verdict.NOT_RUN, Exit.OK),
        (Verdict.UNSUPPORTED, Exit.OK),
        (Verdict.KNOWN, Exit.OK),
        (Verdict.NOT_EXERCISED, Exit.UNDECIDED),
        (Verdict.BLOCKED, Exit.UNDECIDED),
        (Verdict.STALE, Exit.FAILED),
        (Verdict.FAIL, Exit.FAILED),
        (Verdict.ERROR, Exit.ERROR),
    ],
)
def test_exit_code_beside_a_pass(second: Verdict, expected: Exit) -> None:
    assert exit_code({"A-01": Verdict.PASS, "A-02": second}, M, {"A"}) is expected


@pytest.mark.parametrize(
    "verdict", [v for v in Verdict if v not in {Verdict.PASS, Verdict.FAIL, Verdict.STALE, Verdict.ERROR}]
)
def test_a_chapter_without_a_pass_is_never_zero(verdict: Verdict) -> None:
    assert exit_code({"A-01": verdict}, M, {"A"}) is Exit.UNDECIDED


def test_every_selected_chapter_needs_its_own_pass() -> None:
    levels = {"A-01": "M", "B-01": "M"}
    assert exit_code({"A-01": Verdict.PASS, "B-01": Verdict.UNSUPPORTED}, levels, {"A", "B"}) is Exit.UNDECIDED


def test_an_empty_selection_is_never_zero() -> None:
    assert exit_code({}, {}, set()) is Exit.UNDECIDED


def test_a_pass_of_guidance_does_not_earn_a_chapter() -> None:
    assert exit_code({"A-01": Verdict.PASS}, {"A-01": "S"}, {"A"}) is Exit.UNDECIDED


def test_guidance_decides_only_when_strict_and_information_never() -> None:
    levels = {"A-01": "M", "A-02": "S", "A-03": "I"}
    verdicts = {"A-01": Verdict.PASS, "A-02": Verdict.FAIL, "A-03": Verdict.FAIL}
    assert exit_code(verdicts, levels, {"A"}) is Exit.OK
    assert exit_code(verdicts, levels, {"A"}, strict=True) is Exit.FAILED
    assert exit_code(verdicts | {"A-02": Verdict.PASS}, levels, {"A"}, strict=True) is Exit.OK


def test_an_error_outranks_a_failure() -> None:
    assert exit_code({"A-01": Verdict.FAIL, "A-02": Verdict.ERROR}, M, {"A"}) is Exit.ERROR


def test_chapter_of_an_id() -> None:
    assert chapter_of("ENABLE-13") == "ENABLE"
