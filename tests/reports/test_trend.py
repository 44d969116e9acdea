"""Many runs as they followed each other: strips, flips, durations, and what the page says of them."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reports.events import finding, whole_run
from tests.reports.folders import left_by
from tests.reports.test_comparison import NASTY, run_of
from xencbt.harness.cli import main
from xencbt.harness.findings import Finding
from xencbt.harness.verdicts import Verdict
from xencbt.reports.pages import trend as trend_page
from xencbt.reports.run_json import Run
from xencbt.reports.trend import Strip, trend
from xencbt.reports.trend_text import percent, text

PASS, FAIL = Verdict.PASS, Verdict.FAIL


def at(day: int, *findings: Finding, **started: Any) -> Run:
    return run_of(*findings, time=f"2026-03-{day:02}T10:00:00+00:00", **started)


def strip_of(*runs: Run) -> Strip:
    return next(strip for strip in trend([(str(number), run) for number, run in enumerate(runs)]).strips)


def verdicts(strip: Strip) -> list[str | None]:
    return [None if mark is None else mark.verdict for mark in strip.marks]


def test_runs_stand_in_the_order_of_time_however_they_were_named() -> None:
    shown = trend([("late", at(9, finding("ENABLE-13", FAIL))), ("early", at(1, finding("ENABLE-13")))])
    assert shown.names == ("early", "late")
    assert verdicts(shown.strips[0]) == ["pass", "fail"]


def test_a_run_that_did_not_select_a_requirement_says_nothing_of_it() -> None:
    one, two = finding("ENABLE-02"), finding("ENABLE-13")
    shown = trend([("a", at(1, one, two)), ("b", at(2, one))])
    assert {strip.id: verdicts(strip) for strip in shown.strips} == {
        "ENABLE-02": ["pass", "pass"],
        "ENABLE-13": ["pass", None],
    }
    assert all(strip.steady for strip in shown.strips)


@pytest.mark.parametrize(
    ("said", "flips", "judged"),
    [
        ([PASS, PASS, PASS], 0, 3),
        ([PASS, FAIL, PASS], 2, 3),
        ([PASS, Verdict.BLOCKED], 1, 2),
        ([FAIL, Verdict.ERROR], 0, 2),
        ([PASS, Verdict.NOT_RUN, PASS], 0, 2),
        ([PASS, Verdict.UNSUPPORTED, FAIL], 0, 2),
    ],
)
def test_two_runs_of_the_same_that_disagree_are_a_flip(said: list[Verdict], flips: int, judged: int) -> None:
    strip = strip_of(*(at(day, finding("ENABLE-13", verdict)) for day, verdict in enumerate(said, start=1)))
    assert (strip.flips, strip.judged) == (flips, judged)
    assert strip.flake_rate == flips / judged


def test_another_suite_may_say_something_else_without_flipping() -> None:
    newer = {"version": "0.1.0", "catalogue_hash": "abc123", "files_hash": "other"}
    assert strip_of(at(1, finding("ENABLE-13")), at(2, finding("ENABLE-13", FAIL), suite=newer)).flips == 0


def test_attempts_that_disagree_are_a_flip_of_one_run() -> None:
    run = at(1, finding("ENABLE-13", FAIL), finding("ENABLE-13"))
    assert run["requirements"][0]["flaky"]
    assert (strip_of(run).flips, strip_of(run).steady) == (1, False)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(Verdict), min_size=1, max_size=6))
def test_a_rate_is_a_share(said: list[Verdict]) -> None:
    strip = strip_of(*(at(day, finding("ENABLE-13", verdict)) for day, verdict in enumerate(said, start=1)))
    assert 0.0 <= strip.flake_rate <= 1.0
    assert len(strip.marks) == len(said)


@pytest.mark.parametrize(("share", "words"), [(0.0, "0 %"), (0.004, "0.4 %"), (0.25, "25 %"), (1.0, "100 %")])
def test_shares_in_words(share: float, words: str) -> None:
    assert percent(share) == words


def test_the_console_shows_what_is_not_steady() -> None:
    shown = trend([(NASTY, at(1, finding("ENABLE-02"), finding("ENABLE-13"))),
                   ("b", at(2, finding("ENABLE-02"), finding("ENABLE-13", FAIL)))])  # fmt: skip
    said = text(shown)
    assert "ENABLE-13  ✓✗  flake rate 50 %" in said
    assert "ENABLE-02" not in said
    assert said.endswith("1 of 2 requirements passed in every run that selected them · flake rate 25 %")
    assert not {"\x1b", "\u202e"} & set(said)


def test_the_page_escapes_and_says_in_words_what_it_shows() -> None:
    failed = finding("ENABLE-13", FAIL, reason=f'" {NASTY}')
    laid = trend_page.render(trend([(NASTY, at(1, finding("ENABLE-13"))), ("b", at(2, failed))])).decode()
    assert "<script" not in laid
    assert not {"\x1b", "\u202e"} & set(laid)
    assert re.findall(r"<[^>]* style=", laid) == []
    assert 'aria-label="run 2: fail, flips"' in laid
    assert laid.count("<rect") == 2


def test_the_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(left_by(whole_run(finding("ENABLE-13")), tmp_path / name)) for name in "ab"]
    assert main(["trend", *folders, "--html", str(tmp_path / "t.html")]) == 0
    assert "1 of 1 requirements passed in every run" in capsys.readouterr().out
    assert (tmp_path / "t.html").read_text().startswith("<!doctype html>")


def test_bad_input_is_3_and_every_trouble_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(left_by(whole_run(finding("ENABLE-13")), tmp_path / "a"))
    assert main(["trend", folder, "nowhere", str(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert "nowhere does not exist" in said
    assert "holds no run.json" in said
    assert main(["trend", folder, f"{folder}/"]) == 3
    assert "named twice" in capsys.readouterr().err
