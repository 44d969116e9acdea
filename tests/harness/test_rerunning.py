"""Which runs can be made again, and what is taken from them."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.reports.events import Event, finding, run_finished, run_started, target, whole_run
from tests.reports.folders import left_by
from xencbt.harness.catalogue import catalogue_hash
from xencbt.harness.errors import UsageError
from xencbt.harness.findings import CAPABILITY, Finding
from xencbt.harness.rerunning import adopted, missing, read_earlier
from xencbt.harness.settings import Settings
from xencbt.harness.verdicts import Verdict

SUITE = {"version": version("xencbt"), "catalogue_hash": catalogue_hash()}
FAILED = finding("ENABLE-13", Verdict.FAIL)
BESIDE = finding("ENABLE-13", number=2)
PASSED = finding("ENABLE-02")


def left(folder: Path, *findings: Finding, ends: Sequence[Event] = (run_finished(),), **started: object) -> Path:
    events = whole_run(*findings)[1:-1]
    return left_by([run_started(**({"suite": SUITE} | started)), *events, *ends], folder / "run")


def refusal(folder: Path) -> str:
    with pytest.raises(UsageError) as refused:
        read_earlier(folder)
    return str(refused.value)


def test_every_test_of_a_failed_row_runs_again_and_no_other(tmp_path: Path) -> None:
    earlier = read_earlier(left(tmp_path, FAILED, BESIDE, PASSED))
    assert earlier.tests == {FAILED.id, BESIDE.id}
    assert earlier.requirements == {"ENABLE-13", "ENABLE-02"}
    assert [event["event"] for event in earlier.findings] == ["attempted"] * 3


@pytest.mark.parametrize(
    ("verdict", "again"),
    [(one, one.value in {"error", "fail", "stale", "blocked", "not exercised"}) for one in Verdict],
)
def test_what_is_about_the_target_or_about_us_is_not_tried_again(tmp_path: Path, verdict: Verdict, again: bool) -> None:
    folder = left(tmp_path, FAILED, finding("ENABLE-01", verdict))
    assert (finding("ENABLE-01").id in read_earlier(folder).tests) is again


def test_an_absent_capability_is_no_test(tmp_path: Path) -> None:
    lacking = Finding(f"{CAPABILITY}nbd", (), Verdict.FAIL, "absent")
    assert "nothing failed there" in refusal(left(tmp_path, PASSED, lacking))


def test_a_run_without_failures_is_refused(tmp_path: Path) -> None:
    assert "nothing failed there" in refusal(left(tmp_path, PASSED))


@pytest.mark.parametrize("ends", [(), (run_finished(complete=False),), (run_finished(interrupted=True),)])
def test_a_run_that_did_not_come_to_its_end_is_refused(tmp_path: Path, ends: Sequence[Event]) -> None:
    assert "did not come to its end; run it again whole, --seed 42" in refusal(left(tmp_path, FAILED, ends=ends))


@pytest.mark.parametrize("change", [{"version": "0.0.9"}, {"catalogue_hash": "0" * 64}])
def test_a_run_by_another_suite_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    assert "with another catalogue" in refusal(left(tmp_path, FAILED, suite=SUITE | change))


def test_a_run_without_its_events_is_refused(tmp_path: Path) -> None:
    folder = left(tmp_path, FAILED)
    (folder / "events.jsonl").unlink()
    assert "events.jsonl is missing there" in refusal(folder)


def test_what_the_run_was_made_with_is_taken(tmp_path: Path) -> None:
    selection = {"suites": ["enable"], "requirements": [], "filtered": True}
    earlier = read_earlier(left(tmp_path, FAILED, speed="nightly", strict=True, selection=selection))
    taken = adopted(Settings(seed=1), earlier, {})
    assert (taken.seed, taken.speed, taken.profile, taken.strict) == (42, "nightly", "xapi", True)
    assert (taken.suites, taken.requirements) == (("enable",), ())
    assert adopted(Settings(seed=42), earlier, {"seed": "42", "profile": "auto"}).seed == 42


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"seed": "8"}, "the seed of that run, 42, not 8"),
        ({"speed": "nightly"}, "the speed of that run, quick, not nightly"),
        ({"profile": "documented"}, "the profile of that run, xapi, not documented"),
        ({"strict": True}, "the strict of that run, False, not True"),
        ({"suite": ["enable"]}, "--suite with --rerun"),
        ({"requirement": ["ENABLE-13"]}, "--requirement with --rerun"),
    ],
)
def test_what_would_make_it_another_run_is_refused(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    earlier = read_earlier(left(tmp_path, FAILED))
    with pytest.raises(UsageError, match=said):
        adopted(Settings(seed=1), earlier, given)


@pytest.mark.parametrize("name", ["kind", "product", "version", "build", "defects"])
def test_another_target_is_refused(tmp_path: Path, name: str) -> None:
    earlier = read_earlier(left(tmp_path, FAILED))
    earlier.refuse_other_target(target())
    with pytest.raises(UsageError, match=f"its {name} was"):
        earlier.refuse_other_target(target(**{name: "another"}))


def test_tests_that_are_gone_are_named(tmp_path: Path) -> None:
    earlier = read_earlier(left(tmp_path, FAILED, BESIDE))
    assert missing(earlier, frozenset({FAILED.id, BESIDE.id, "suites.test_x::test_more"})) is None
    assert BESIDE.id in str(missing(earlier, frozenset({FAILED.id})))
