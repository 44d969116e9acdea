"""A test that was run again keeps every attempt, and no second attempt makes a row green."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reports.events import Event, finding, journal, run_finished, run_started, selected, target
from tests.reports.test_document import VALIDATOR
from xencbt.harness.findings import Finding
from xencbt.harness.verdicts import ORDER, Verdict
from xencbt.reports import allure, junit
from xencbt.reports.console import summary
from xencbt.reports.document import build
from xencbt.reports.run_json import Run

PASS, FAIL = Verdict.PASS, Verdict.FAIL
BESIDE = finding("ENABLE-01")
WORST_FIRST = st.sampled_from(ORDER)


def events_of(*attempts: Finding, beside: Finding = BESIDE) -> list[Event]:
    """Return the events of a run in which all but the last of `attempts` come from the run that it makes again."""
    ids = dict.fromkeys(name for one in (beside, *attempts) for name in one.requirement)
    *before, last = attempts
    return [
        run_started(rerun_of={"started": "2026-03-01T09:00:00+00:00", "exit": 1}),
        target(),
        selected(*ids),
        *({"event": "attempted", **one.as_json()} for one in (beside, *before)),
        {"event": "test_started", "id": last.id, "requirement": list(last.requirement)},
        {"event": "test_finished", **last.as_json()},
        journal(),
        run_finished(),
    ]


def made_again(*attempts: Finding, beside: Finding = BESIDE) -> Run:
    run = build(events_of(*attempts, beside=beside))
    VALIDATOR.validate(run)
    return run


def row(run: Run, name: str) -> Any:
    return next(one for one in run["requirements"] if one["id"] == name)


@pytest.mark.parametrize("verdicts", [(FAIL, PASS), (PASS, FAIL), (FAIL, PASS, PASS), (PASS, FAIL, PASS)])
def test_what_failed_once_stays_failed_and_is_flaky(verdicts: tuple[Verdict, ...]) -> None:
    run = made_again(*(finding("ENABLE-13", verdict) for verdict in verdicts))
    assert (row(run, "ENABLE-13")["verdict"], row(run, "ENABLE-13")["flaky"], run["exit"]) == ("fail", True, 1)
    test = run["tests"][1]
    assert [attempt["verdict"] for attempt in test["attempts"]] == [verdict.value for verdict in verdicts]
    assert (test["verdict"], test["flaky"]) == ("fail", True)


@pytest.mark.parametrize(("first", "exit_code"), [(Verdict.BLOCKED, 2), (Verdict.NOT_EXERCISED, 2), (Verdict.ERROR, 4)])
def test_a_pass_after_something_undecided_decides_nothing_either(first: Verdict, exit_code: int) -> None:
    run = made_again(finding("ENABLE-13", first), finding("ENABLE-13"))
    assert (row(run, "ENABLE-13")["flaky"], run["exit"]) == (True, exit_code)


def test_failing_twice_is_not_flaky() -> None:
    run = made_again(finding("ENABLE-13", FAIL), finding("ENABLE-13", FAIL))
    assert (row(run, "ENABLE-13")["flaky"], run["tests"][1]["flaky"]) == (False, False)
    assert len(run["tests"][1]["attempts"]) == 2


def test_one_attempt_is_not_listed() -> None:
    assert made_again(finding("ENABLE-13"))["tests"][0]["attempts"] == []


def test_a_run_holds_what_it_did_not_run_again() -> None:
    run = made_again(finding("ENABLE-13", FAIL), finding("ENABLE-13"))
    assert row(run, "ENABLE-01")["verdict"] == "pass"
    assert run["rerun_of"] == {"started": "2026-03-01T09:00:00+00:00", "exit": 1}


def test_a_violation_of_a_later_attempt_is_not_lost_behind_an_equally_bad_one() -> None:
    both = ("ENABLE-02", "ENABLE-13")
    attempts = [
        Finding("suites.test_x::test_y", both, FAIL, "first", violated=("ENABLE-02",)),
        Finding("suites.test_x::test_y", both, FAIL, "second", violated=("ENABLE-13",)),
    ]
    run = made_again(*attempts)
    assert [(row(run, name)["verdict"], row(run, name)["reason"]) for name in both] == [
        ("fail", "first"),
        ("fail", "second"),
    ]


def test_an_attempt_that_did_not_finish_is_an_error_beside_the_earlier_one() -> None:
    told = [
        event
        for event in events_of(finding("ENABLE-13", FAIL), finding("ENABLE-13"))
        if event["event"] != "test_finished"
    ]
    run = build([*told[:-1], run_finished(complete=False)])
    assert [attempt["verdict"] for attempt in run["tests"][1]["attempts"]] == ["fail", "error"]
    assert run["exit"] == 4


@settings(deadline=None)
@given(st.lists(WORST_FIRST, min_size=1, max_size=4), WORST_FIRST)
def test_no_further_attempt_makes_a_row_or_a_run_better(verdicts: list[Verdict], more: Verdict) -> None:
    attempts = [finding("ENABLE-13", verdict) for verdict in verdicts]
    before, after = made_again(*attempts), made_again(*attempts, finding("ENABLE-13", more))
    assert ORDER.index(Verdict(row(after, "ENABLE-13")["verdict"])) <= ORDER.index(
        Verdict(row(before, "ENABLE-13")["verdict"])
    )
    assert not (before["exit"] != 0 and after["exit"] == 0)


def test_every_report_says_flaky() -> None:
    run = made_again(finding("ENABLE-13", FAIL), finding("ENABLE-13"))
    console = summary(run)
    assert "fail, flaky" in console
    assert "1 flaky · 12 s · exit 1" in console
    assert "attempts     fail, pass: flaky, the worst attempt decides" in console
    cases = ET.fromstring(junit.render(run)).iter("testcase")  # noqa: S314  our own output
    said = {case.get("name"): {one.get("name"): one.get("value") for one in case.iter("property")} for case in cases}
    assert said["test_enable_13_1"]["flaky"] == "true"
    assert said["test_enable_13_1"]["attempts"] == "fail, pass"
    assert said["test_enable_01_1"]["flaky"] == "false"
    results = b"".join(content for name, content in allure.render(run).items() if name.endswith("-result.json"))
    assert results.count(b'"flaky": true') == 1
