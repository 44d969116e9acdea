"""run.json: what the events of a run add up to."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.events import (
    FAILURE,
    PROVEN,
    SCORE,
    Event,
    finding,
    id_of_test,
    journal,
    ran,
    run_finished,
    run_started,
    selected,
    target,
    whole_run,
)
from xencbt.harness.catalogue import CATALOGUE
from xencbt.harness.events import UnreadableEvents
from xencbt.harness.findings import Finding
from xencbt.harness.verdicts import ORDER, Verdict
from xencbt.reports.document import build
from xencbt.reports.failures import failure_blocks
from xencbt.reports.run_json import RequirementRow, Run

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "run.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
OF_LEVEL = {"M": "ENABLE-02", "S": "ENABLE-19", "I": "DESTROY-08"}
HEALTHY = (finding("ENABLE-01"), finding("DESTROY-01"))
"""Passes that every touched chapter needs, so that the finding under test alone decides."""


def built(events: Sequence[Event]) -> Run:
    run = build(events)
    VALIDATOR.validate(run)
    return run


def row(run: Run, name: str) -> RequirementRow:
    return next(one for one in run["requirements"] if one["id"] == name)


def test_a_wrong_listing_goes_along_as_it_was_seen() -> None:
    (test,) = built(whole_run(FAILURE))["tests"]
    assert test["evidence"]["bitmap"] == FAILURE.evidence.bitmap
    (test,) = built(whole_run(finding("ENABLE-02", Verdict.FAIL)))["tests"]
    assert test["evidence"]["bitmap"] is None


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    ("path", "damage"),
    [
        (("schema",), "xencbt.run/2"),
        (("exit",), 3),
        (("requirements", 0, "verdict"), "passed"),
        (("requirements", 0, "reason"), ""),
        (("tests", 0, "reason"), ""),
        (("target", "kind"), "production"),
        (("target", "url"), "http://root:secret@127.0.0.1/"),
        (("tests", 0, "evidence", "bitmap", "blocks"), -1),
        (("tests", 0, "evidence", "bitmap", "missing"), [[7]]),
        (("problems",), [{"verdict": "fail", "reason": "x"}]),
    ],
)
def test_the_schema_refuses_what_no_run_says(path: tuple[str | int, ...], damage: object) -> None:
    run: Any = built(whole_run(FAILURE))
    *way, last = path
    place = run
    for step in way:
        place = place[step]
    place[last] = damage
    assert not VALIDATOR.is_valid(run)


def test_a_run_says_what_was_asked_and_of_whom() -> None:
    run = built(whole_run(finding("ENABLE-02")))
    assert (run["schema"], run["complete"], run["exit"], run["seed"]) == ("xencbt.run/1", True, 0, 42)
    assert (run["profile"], run["speed"], run["duration_s"]) == ("xapi", "quick", 12.3)
    assert run["target"] is not None
    assert run["target"]["kind"] == "emulator"
    assert run["suite"] == {
        "version": "0.1.0",
        "catalogue_hash": "abc123",
        "files_hash": "",
        "modified": None,
        "changed": [],
        "suite_hash": "",
        "kill_score": None,
    }
    assert run["journal"] == {"created": 3, "removed": 3, "left": [], "troubles": [], "clean": []}


def test_a_run_says_how_good_its_suites_are_at_noticing() -> None:
    events = [run_started(suite=PROVEN), target(), selected("ENABLE-02"), *ran(HEALTHY[0]), run_finished()]
    run = built(events)
    assert run["suite"]["kill_score"] == SCORE
    VALIDATOR.validate(run)


@pytest.mark.parametrize("damage", [{"killed": "many"}, {"survivors": None}, {"of": None}])
def test_a_damaged_score_is_no_score(damage: dict[str, object]) -> None:
    events = [run_started(suite=PROVEN | {"kill_score": SCORE | damage}), run_finished()]
    with pytest.raises(UnreadableEvents, match="damaged"):
        built(events)


def test_a_named_profile_stays_the_named_one() -> None:
    events = [run_started(profile="documented"), target(), selected("ENABLE-02"), *ran(HEALTHY[0]), run_finished()]
    assert built(events)["profile"] == "documented"


def test_a_requirement_carries_its_statement_and_source() -> None:
    told, said = row(built(whole_run(FAILURE)), "ENABLE-13"), CATALOGUE["ENABLE-13"]
    assert told["statement"] == said.statement
    assert told["chapter_title"] == CATALOGUE.chapter("ENABLE").title
    assert told["source"] == {"page": said.page.title, "section": said.section, "url": said.page.url}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("level", list(OF_LEVEL))
@pytest.mark.parametrize("verdict", list(Verdict))
def test_what_one_requirement_decides(verdict: Verdict, level: str, strict: bool) -> None:
    name = OF_LEVEL[level]
    run = built(whole_run(*HEALTHY, finding(name, verdict), strict=strict))
    decides = level == "M" or (level == "S" and strict)
    expected = 0
    if verdict is Verdict.ERROR:
        expected = 4
    elif decides and verdict in {Verdict.FAIL, Verdict.STALE}:
        expected = 1
    elif decides and verdict in {Verdict.BLOCKED, Verdict.NOT_EXERCISED}:
        expected = 2
    assert run["exit"] == expected
    assert row(run, name)["deciding"] is decides
    assert row(run, name)["verdict"] == verdict.value


@pytest.mark.parametrize("worse", list(Verdict))
@pytest.mark.parametrize("better", list(Verdict))
def test_a_requirement_takes_the_worst_of_its_tests_and_keeps_the_counts(worse: Verdict, better: Verdict) -> None:
    if ORDER.index(worse) > ORDER.index(better):
        worse, better = better, worse
    told = row(built(whole_run(finding("ENABLE-02", better, 1), finding("ENABLE-02", worse, 2))), "ENABLE-02")
    assert told["verdict"] == worse.value
    assert told["counts"] == ({worse.value: 2} if worse is better else {worse.value: 1, better.value: 1})
    assert bool(told["reason"]) is (worse is not Verdict.PASS)
    assert told["tests"] == [id_of_test("ENABLE-02", 1), id_of_test("ENABLE-02", 2)]


def test_the_reason_is_the_worst_tests() -> None:
    unsupported = finding("ENABLE-02", Verdict.UNSUPPORTED, 1, reason="no xe access yet")
    failing = finding("ENABLE-02", Verdict.FAIL, 2, reason="reads as disabled")
    assert row(built(whole_run(unsupported, failing)), "ENABLE-02")["reason"] == "reads as disabled"


def test_a_verdict_that_came_without_a_reason_gets_one() -> None:
    silent = finding("ENABLE-02", Verdict.FAIL, reason="")
    run = built(whole_run(silent))
    assert row(run, "ENABLE-02")["reason"] == run["tests"][0]["reason"] == "the test gave no reason"


def test_a_test_of_two_requirements_counts_for_both() -> None:
    both = Finding("suites.test_x::test_both", ("ENABLE-05", "DISABLE-02"), Verdict.FAIL, "the VM stopped")
    run = built(whole_run(both))
    assert [one["verdict"] for one in run["requirements"]] == ["fail", "fail"]
    assert len(run["tests"]) == 1


def test_a_failure_that_names_what_it_broke_leaves_the_rest_undecided() -> None:
    named = Finding(
        "suites.test_x::test_both",
        ("ENABLE-05", "DISABLE-02", "LIST-11"),
        Verdict.FAIL,
        "bits are lost",
        violated=("LIST-11",),
    )
    passing = finding("ENABLE-05")
    run = built(whole_run(named, passing))
    assert {one["id"]: one["verdict"] for one in run["requirements"]} == {
        "ENABLE-05": "not exercised",
        "DISABLE-02": "not exercised",
        "LIST-11": "fail",
    }
    assert row(run, "DISABLE-02")["reason"] == "the test ended at a violation of LIST-11"
    assert row(run, "LIST-11")["reason"] == "bits are lost"
    assert row(run, "ENABLE-05")["counts"] == {"not exercised": 1, "pass": 1}
    assert [test["violated"] for test in run["tests"]] == [[], ["LIST-11"]]
    block = failure_blocks(run)
    assert "LIST-11: " in block
    assert "DISABLE-02: " not in block


def test_deviations_are_named_once_each() -> None:
    run = built(
        whole_run(
            finding("ENABLE-12", number=1, deviations=("D-02", "D-01")),
            finding("ENABLE-12", number=2, deviations=("D-01",)),
            finding("ENABLE-02"),
        )
    )
    assert row(run, "ENABLE-12")["deviation"] == "D-01, D-02"
    assert row(run, "ENABLE-02")["deviation"] is None


def test_nothing_selected_is_undecided() -> None:
    run = built([run_started(), target(), selected(), journal(), run_finished()])
    assert (run["exit"], run["complete"], run["requirements"]) == (2, True, [])


def test_a_chapter_without_a_pass_is_undecided() -> None:
    run = built(whole_run(finding("ENABLE-02"), finding("STATUS-01", Verdict.UNSUPPORTED)))
    assert run["exit"] == 2


def test_a_problem_is_an_error_and_its_reason_is_kept() -> None:
    problem = {"event": "problem", "verdict": "error", "reason": "no answer from 127.0.0.1:9"}
    run = built([run_started(), problem, run_finished(complete=False)])
    assert (run["exit"], run["complete"], run["target"]) == (4, False, None)
    assert run["problems"] == [{"verdict": "error", "reason": "no answer from 127.0.0.1:9"}]


def test_a_problem_outweighs_passing_tests() -> None:
    events = whole_run(finding("ENABLE-02"))
    events.insert(-1, {"event": "problem", "verdict": "error", "reason": "a worker was lost"})
    assert built(events)["exit"] == 4


def test_an_interrupted_run_is_130_and_not_complete() -> None:
    events = [*whole_run(finding("ENABLE-02"), FAILURE)[:-1], run_finished(interrupted=True, complete=False)]
    run = built(events)
    assert (run["exit"], run["complete"], run["interrupted"]) == (130, False, True)


def test_what_an_interrupted_run_did_not_reach_is_not_run() -> None:
    events = [run_started(), target(), selected("ENABLE-02", "ENABLE-03"), *ran(finding("ENABLE-02"))]
    run = built([*events, run_finished(interrupted=True, complete=False)])
    told = row(run, "ENABLE-03")
    assert (told["verdict"], told["tests"]) == ("not run", [])
    assert told["reason"] == "the run was interrupted before a test of it began"


def test_a_selected_requirement_without_a_test_is_not_run() -> None:
    events = whole_run(finding("ENABLE-02"))
    events[2] = selected("ENABLE-02", "ENABLE-03")
    told = row(built(events), "ENABLE-03")
    assert (told["verdict"], told["reason"]) == ("not run", "no test of this run decides it")


def test_planned_tests_that_never_began_keep_a_requirement_from_passing() -> None:
    planned = [{"id": id_of_test("ENABLE-02", number), "requirement": ["ENABLE-02"]} for number in (1, 2)]
    events = [run_started(), target(), selected("ENABLE-02", planned=planned), *ran(finding("ENABLE-02"))]
    told = row(built([*events, run_finished(interrupted=True, complete=False)]), "ENABLE-02")
    assert (told["verdict"], told["counts"]) == ("not run", {"not run": 1, "pass": 1})


def test_a_test_that_began_and_never_finished_is_an_error() -> None:
    events = [run_started(), target(), selected("ENABLE-02"), ran(finding("ENABLE-02"))[0], run_finished()]
    run = built(events)
    assert run["exit"] == 4
    assert row(run, "ENABLE-02")["reason"] == "did not finish: the run ended while the test ran"


@given(st.integers(min_value=0))
def test_a_run_cut_short_anywhere_is_neither_complete_nor_a_pass(cut: int) -> None:
    events = whole_run(finding("ENABLE-02"), finding("ENABLE-03"))
    run = built(events[: 1 + cut % (len(events) - 1)])
    assert (run["complete"], run["exit"], run["duration_s"]) == (False, 4, None)


def test_a_run_that_stopped_at_its_first_failure_has_decided() -> None:
    events = [*whole_run(FAILURE)[:-1], run_finished(complete=False)]
    assert built(events)["exit"] == 1


def test_a_run_that_stopped_without_cause_is_an_error() -> None:
    events = [*whole_run(finding("ENABLE-02"))[:-1], run_finished(complete=False)]
    assert built(events)["exit"] == 4


def test_a_test_that_failed_once_did_not_pass() -> None:
    first, second = finding("ENABLE-02", Verdict.FAIL), finding("ENABLE-02")
    for attempts in ((first, second), (second, first)):
        run = built(whole_run(*attempts))
        assert [test["verdict"] for test in run["tests"]] == ["fail"]


def test_an_error_of_a_test_that_decides_nothing_is_still_an_error() -> None:
    stray = Finding("vendor.test_x::test_y", (), Verdict.ERROR, "broke")
    assert built([*whole_run(finding("ENABLE-02"))[:-1], *ran(stray), run_finished()])["exit"] == 4


@given(st.permutations([finding("SET-01"), finding("ENABLE-02"), finding("ENABLE-03", Verdict.KNOWN), FAILURE]))
def test_the_order_in_which_tests_ran_changes_nothing(findings: list[Finding]) -> None:
    events = whole_run(*findings)
    events[2] = selected("SET-01", "ENABLE-02", "ENABLE-03", "ENABLE-13")
    reference = whole_run(*sorted(findings, key=lambda one: one.id))
    reference[2] = events[2]
    assert built(events) == built(reference)


def test_requirements_stand_in_the_catalogues_order() -> None:
    run = built(whole_run(finding("STATUS-01"), finding("SET-02"), finding("ENABLE-02")))
    assert [one["id"] for one in run["requirements"]] == ["SET-02", "ENABLE-02", "STATUS-01"]


def test_the_url_is_written_without_its_secrets() -> None:
    events = [run_started(), target(url="https://root:hunter2@127.0.0.1:8443/x?session_id=abc#frag"), run_finished()]
    run = built(events)
    assert run["target"] is not None
    assert run["target"]["url"] == "https://127.0.0.1:8443/x"
    assert "hunter2" not in json.dumps(run)


def test_the_journals_of_several_workers_are_added_up() -> None:
    events = whole_run(finding("ENABLE-02"))
    events.insert(-1, journal(created=2, removed=1, left=["VDI of worker 2"]))
    assert built(events)["journal"] == {
        "created": 5,
        "removed": 4,
        "left": ["VDI of worker 2"],
        "troubles": [],
        "clean": [],
    }


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "no run_started"),
        ([run_finished()], "begin with 'run_finished'"),
        ([run_started(schema="xencbt.events/2")], "xencbt.events/2"),
        ([{"event": "run_started"}], "run_started"),
        ([run_started(), {"event": "test_started"}], "'test_started' is damaged"),
        ([run_started(), {"event": "test_finished", "id": "x"}], "'test_finished' is damaged"),
        ([run_started(seed="many"), run_finished()], "damaged"),
        ([run_started(), selected("ENABLE-99")], "does not hold ENABLE-99: read the run with xencbt 0.1.0"),
    ],
)
def test_events_that_are_no_runs_are_refused(events: list[Event], message: str) -> None:
    with pytest.raises(UnreadableEvents, match=message):
        build(events)
