"""junit.xml, allure-results and the folder they are in."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.events import (
    FAILURE,
    Event,
    finding,
    id_of_test,
    ran,
    run_finished,
    run_started,
    selected,
    target,
    whole_run,
)
from xencbt.harness.errors import UsageError
from xencbt.harness.events import EventLog, UnreadableEvents
from xencbt.harness.findings import Evidence, Finding
from xencbt.harness.verdicts import Verdict
from xencbt.reports import allure, junit
from xencbt.reports.document import build
from xencbt.reports.folder import new_folder
from xencbt.reports.plain import xml_text
from xencbt.reports.run_json import Run
from xencbt.reports.write import write_all

ANYTHING = st.text(st.characters())  # lone surrogates included
FAILED, SKIPPED = "failure", "skipped"


def junit_cases(run: Run) -> dict[str, Any]:
    root = ElementTree.fromstring(junit.render(run))
    return {f"{case.get('classname')}::{case.get('name')}": case for case in root.iter("testcase")}


def allure_results(run: Run) -> dict[str, dict[str, Any]]:
    files = allure.render(run)
    results = [json.loads(body) for name, body in files.items() if name.endswith("-result.json")]
    return {result["fullName"]: result for result in results}


def properties(case: Any) -> dict[str, str]:
    return {one.get("name"): one.get("value") for one in case.iter("property")}


@pytest.mark.parametrize(
    ("verdict", "element", "status"),
    [
        (Verdict.ERROR, "error", "broken"),
        (Verdict.FAIL, FAILED, "failed"),
        (Verdict.STALE, FAILED, "failed"),
        (Verdict.BLOCKED, SKIPPED, "skipped"),
        (Verdict.NOT_EXERCISED, SKIPPED, "skipped"),
        (Verdict.KNOWN, SKIPPED, "skipped"),
        (Verdict.UNSUPPORTED, SKIPPED, "skipped"),
        (Verdict.NOT_RUN, SKIPPED, "skipped"),
        (Verdict.PASS, None, "passed"),
    ],
)
def test_each_verdict_has_its_word_in_other_tools(verdict: Verdict, element: str | None, status: str) -> None:
    run = build(whole_run(finding("ENABLE-02", verdict, reason="the reason")))
    (case,) = junit_cases(run).values()
    found = [child for child in case if child.tag != "properties"]
    assert [child.tag for child in found] == ([element] if element else [])
    assert all(child.get("message") == f"{verdict.value}: the reason" for child in found)
    (result,) = allure_results(run).values()
    assert result["status"] == status
    if verdict is not Verdict.PASS:
        assert result["statusDetails"]["message"] == f"{verdict.value}: the reason"


def test_junit_counts_what_it_holds() -> None:
    verdicts = (Verdict.ERROR, Verdict.FAIL, Verdict.FAIL, Verdict.KNOWN, Verdict.UNSUPPORTED, Verdict.PASS)
    findings = [finding("ENABLE-02", verdict, number) for number, verdict in enumerate(verdicts)]
    suite = ElementTree.fromstring(junit.render(build(whole_run(*findings)))).find("testsuite")
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": "2", "errors": "1", "skipped": "2"}
    assert len(suite.findall("testcase")) == 6


def test_a_junit_case_says_what_it_decides_and_under_what() -> None:
    case = junit_cases(build(whole_run(finding("ENABLE-12", deviations=("D-01",), sizes_not_run="disks above 1 GiB"))))[
        "suites.test_made_up::test_enable_12_1"
    ]
    assert properties(case) == {
        "requirement": "ENABLE-12",
        "level": "M",
        "verdict": "pass",
        "deviation": "D-01",
        "sizes not run": "disks above 1 GiB",
        "seed": "42",
        "target": "emulated host xencbt emulator 0.1.0",
        "examples": "5",
        "calls": "30",
        "attempts": "",
        "flaky": "false",
    }
    assert case.get("time") == "0.250"


def test_a_junit_failure_holds_what_the_console_shows() -> None:
    case = junit_cases(build(whole_run(FAILURE)))["suites.test_made_up::test_enable_13_1"]
    assert "again        xencbt run --requirement ENABLE-13 --seed 42" in case.find("failure").text


def test_a_failure_that_does_not_decide_says_so() -> None:
    run = build(whole_run(finding("ENABLE-19", Verdict.FAIL, reason="block 9")))
    (case,) = junit_cases(run).values()
    assert case.find("failure").get("message") == "fail (level S, does not decide): block 9"


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([{"event": "problem", "verdict": "error", "reason": "wrong password"}, run_finished()], "wrong password"),
        ([], "No verdict: the run ended before it was complete."),
    ],
)
def test_a_run_that_reached_no_test_is_not_empty_for_other_tools(events: list[Event], message: str) -> None:
    run = build([run_started(), *events])
    (case,) = junit_cases(run).values()
    assert case.find("error").get("message") == message
    (result,) = allure_results(run).values()
    assert (result["status"], result["statusDetails"]["message"]) == ("broken", message)


@given(ANYTHING, ANYTHING)
def test_xml_survives_whatever_a_target_says(said: str, name: str) -> None:
    bad = Finding(f"suites.x::{name}", ("ENABLE-02",), Verdict.FAIL, f"said {said}", evidence=Evidence(actual=said))
    events = whole_run(bad)
    events[1] = target(product=said)
    (case,) = junit_cases(build(events)).values()
    assert case.find("failure").get("message") == xml_text(f"fail: said {said}")
    assert [child.tag for child in case] == ["properties", "failure"]


@pytest.mark.parametrize("said", ["<script>&\"'</script>", "]]>", "\x00\x1b[31m\x07", "\ud800", "\ufffe", "a\nb\tc"])
def test_markup_and_control_characters_stay_text(said: str) -> None:
    run = build(whole_run(finding("ENABLE-02", Verdict.FAIL, reason=said)))
    (case,) = junit_cases(run).values()
    kept = "".join(char for char in said if char not in "\x00\x1b\x07\ud800\ufffe")
    assert case.find("failure").get("message") == f"fail: {kept}"


def test_allure_groups_by_chapter_and_requirement() -> None:
    result = allure_results(build(whole_run(FAILURE)))["suites.test_made_up#test_enable_13_1"]
    labels = {(label["name"], label["value"]) for label in result["labels"]}
    assert {("epic", "ENABLE: Enabling changed block tracking"), ("feature", "ENABLE-13")} <= labels
    assert ("severity", "critical") in labels
    assert [link["url"] for link in result["links"]] == [
        "https://docs.xenserver.com/en-us/xenserver/8/developer/changed-block-tracking/enable-cbt"
    ]
    assert result["parameters"] == [{"name": "seed", "value": "42", "excluded": True}]
    assert result["stop"] - result["start"] == 250


def test_a_test_of_several_chapters_is_found_under_each() -> None:
    both = Finding("suites.x::test_both", ("ENABLE-05", "DISABLE-02"), Verdict.PASS)
    (result,) = allure_results(build(whole_run(both))).values()
    names = [label["value"].partition(":")[0] for label in result["labels"] if label["name"] == "epic"]
    assert names == ["ENABLE", "DISABLE"]


def test_allure_shows_only_the_failing_examples_calls() -> None:
    results = allure_results(build(whole_run(FAILURE, finding("ENABLE-02", evidence=Evidence(steps=("a", "b"))))))
    steps = results["suites.test_made_up#test_enable_13_1"]["steps"]
    assert [step["status"] for step in steps] == ["passed", "passed", "failed"]
    assert steps[-1]["name"] == "VDI.list_changed_blocks(base, later)"
    assert "steps" not in results["suites.test_made_up#test_enable_02_1"]


def test_evidence_and_receipts_are_attached() -> None:
    faulty = finding(
        "FAULT-01", Verdict.FAIL, receipts=({"fault": "lost-answer", "fired": 1},), evidence=FAILURE.evidence
    )
    files = allure.render(build(whole_run(faulty)))
    (result,) = [json.loads(body) for name, body in files.items() if name.endswith("-result.json")]
    attached = {one["name"]: files[one["source"]] for one in result["attachments"]}
    assert json.loads(attached["receipts"]) == [{"fault": "lost-answer", "fired": 1}]
    assert json.loads(attached["exchange"])["number"] == 9
    assert b"expected     a bitmap that includes block 7" in attached["evidence"]


def test_a_pass_has_nothing_attached() -> None:
    files = allure.render(build(whole_run(finding("ENABLE-02"))))
    assert [name for name in files if "attachment" in name] == []


@given(st.permutations(list(range(4))), st.booleans())
def test_allures_history_depends_on_the_tests_id_alone(order: list[int], later: bool) -> None:
    findings = [finding("ENABLE-02", Verdict.PASS, number) for number in range(4)]
    reference = allure_results(build(whole_run(*findings)))
    events = whole_run(*[findings[number] for number in order])
    if later:
        events[0] = run_started(time="2026-04-01T10:00:00+00:00", seed=7)
    results = allure_results(build(events))
    for name, result in results.items():
        assert result["historyId"] == reference[name]["historyId"]
        assert result["testCaseId"] == reference[name]["testCaseId"]
        assert (result["uuid"] == reference[name]["uuid"]) is not later
    assert len({result["historyId"] for result in results.values()}) == 4


def test_the_parameters_of_one_test_are_no_retries_of_each_other() -> None:
    findings = [finding("ENABLE-06", id=f"suites.x::test_states[{state}]") for state in ("halted", "running")]
    results = allure_results(build(whole_run(*findings))).values()
    assert len({result["historyId"] for result in results}) == 2
    assert len({result["testCaseId"] for result in results}) == 2


def test_the_environment_names_the_emulator_and_escapes_what_it_said() -> None:
    events = whole_run(finding("ENABLE-02"))
    events[1] = target(product="Xen\nSeed=1\\ü😀")
    lines = allure.render(build(events))["environment.properties"].decode("ascii").splitlines()
    assert lines[0] == "Target=emulated host Xen Seed=1\\\\\\u00fc\\ud83d\\ude00 0.1.0"
    assert [line for line in lines if line.startswith("Seed=")] == ["Seed=42"]


@given(ANYTHING)
def test_allure_files_are_json_whatever_a_target_says(said: str) -> None:
    exchange = {"step": said, "response": said}
    bad = finding("ENABLE-02", Verdict.FAIL, reason=said, evidence=Evidence(steps=(said,), exchange=exchange))
    files = allure.render(build(whole_run(bad)))
    texts = [json.loads(body) for name, body in files.items() if name.endswith(".json")]
    assert {"step": said, "response": said} in texts


def write_events(folder: Path, events: list[Event]) -> Path:
    path = folder / "events.jsonl"
    with EventLog(path) as log:
        for event in events:
            log.write(event["event"], **{name: value for name, value in event.items() if name != "event"})
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_reports_are_written_and_made_again_the_same(tmp_path: Path) -> None:
    path = write_events(tmp_path, whole_run(FAILURE, finding("ENABLE-02")))
    run = write_all(path, tmp_path)
    first = content(tmp_path)
    assert json.loads(first["run.json"]) == run
    assert {"events.jsonl", "junit.xml", "allure-results/executor.json"} <= first.keys()
    assert not [name for name in first if ".tmp" in name]
    assert write_all(path, tmp_path) == run
    assert content(tmp_path) == first


def test_a_run_can_be_made_from_events_cut_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = write_events(tmp_path, whole_run(FAILURE))
    path.write_bytes(path.read_bytes()[:-40])
    run = write_all(path, tmp_path)
    assert (run["complete"], run["exit"]) == (False, 4)
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8")) == run


def test_a_reporter_that_breaks_costs_no_other_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(run: Run) -> bytes:
        raise KeyError(run["schema"])

    monkeypatch.setattr(junit, "render", broken)
    told: list[str] = []
    run = write_all(write_events(tmp_path, whole_run(FAILURE)), tmp_path, complain=told.append)
    assert told == ["junit.xml could not be written: KeyError: 'xencbt.run/1'"]
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8")) == run
    assert (tmp_path / "allure-results" / "executor.json").exists()
    assert not (tmp_path / "junit.xml").exists()


def test_a_reporter_that_cannot_write_is_told_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "junit.xml").mkdir()
    write_all(write_events(tmp_path, whole_run(FAILURE)), tmp_path)
    assert "xencbt: junit.xml could not be written: " in capsys.readouterr().err


def test_events_that_are_none_leave_an_older_run_json_alone(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("older", encoding="utf-8")
    path = write_events(tmp_path, [run_finished()])
    with pytest.raises(UnreadableEvents):
        write_all(path, tmp_path)
    assert (tmp_path / "run.json").read_text(encoding="utf-8") == "older"


def test_run_json_can_hold_what_utf8_cannot(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    said = "lone \ud800 surrogate"
    events = [run_started(), target(), selected("ENABLE-02"), *ran(finding("ENABLE-02", Verdict.FAIL, reason=said))]
    path.write_text("\n".join(json.dumps(event) for event in [*events, run_finished()]) + "\n", encoding="utf-8")
    complaints: list[str] = []
    write_all(path, tmp_path, complain=complaints.append)
    assert complaints == []
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["tests"][0]["reason"] == said


def test_an_existing_folder_is_never_used_again(tmp_path: Path) -> None:
    wanted = tmp_path / "deep" / "xencbt-out"
    assert [new_folder(wanted).name for _ in range(3)] == ["xencbt-out", "xencbt-out-2", "xencbt-out-3"]
    assert all((wanted.parent / name).is_dir() for name in ("xencbt-out", "xencbt-out-2", "xencbt-out-3"))


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    assert new_folder(tmp_path / "out").name == "out-2"
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


def test_runs_that_begin_together_share_no_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: new_folder(tmp_path / "out"), range(40)))
    assert len(set(folders)) == 40


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot create the output folder"):
        new_folder(tmp_path / "file" / "out")


def test_ids_in_these_tests_are_those_of_the_plugin() -> None:
    assert id_of_test("ENABLE-02", 1) == "suites.test_made_up::test_enable_02_1"
