"""Two runs side by side: what broke, what was mended, and whether they can be compared at all."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.events import Event, finding, journal, ran, run_finished, run_started, selected, target
from xencbt.harness.attempts import AT_FAULT
from xencbt.harness.findings import Evidence, Finding
from xencbt.harness.verdicts import Verdict
from xencbt.reports import comparison as comparing
from xencbt.reports.changes import Change, change_between
from xencbt.reports.compare_json import as_json
from xencbt.reports.compare_markdown import markdown
from xencbt.reports.compare_text import text
from xencbt.reports.comparison import Comparison
from xencbt.reports.document import build
from xencbt.reports.pages import comparison as comparison_page
from xencbt.reports.run_json import Run

PASS, FAIL = Verdict.PASS, Verdict.FAIL
SCHEMA = Path(__file__).parents[2] / "docs" / "comparison.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
NASTY = "<script>alert(1)</script>|`x`\n# \x1b[31m\u202e"


def run_of(*findings: Finding, where: Event | None = None, ends: Event | None = None, **started: object) -> Run:
    ids = dict.fromkeys(name for one in findings for name in one.requirement)
    events = [
        run_started(**started),
        where or target(),
        selected(*ids),
        *ran(*findings),
        journal(),
        ends or run_finished(),
    ]
    return build(events)


def compare(old: Run, new: Run, **given: float) -> Comparison:
    """Compare two runs; whatever comes of it is told to programs as the schema says."""
    comparison = comparing.compare(old, new, **given)
    VALIDATOR.validate(json.loads(as_json(comparison, "old", "new")))
    return comparison


def became(was: Finding, now: Finding) -> Change:
    (change,) = compare(run_of(was), run_of(now)).changes
    return change.change


@pytest.mark.parametrize(
    ("was", "now", "change"),
    [
        ("pass", "fail", Change.REGRESSED),
        ("pass", "stale", Change.REGRESSED),
        ("pass", "known", Change.REGRESSED),
        ("known", "fail", Change.REGRESSED),
        ("unsupported", "fail", Change.REGRESSED),
        ("not run", "fail", Change.REGRESSED),
        ("blocked", "fail", Change.REGRESSED),
        ("error", "fail", Change.REGRESSED),
        ("pass", "error", Change.NEWLY_UNDECIDED),
        ("pass", "blocked", Change.NEWLY_UNDECIDED),
        ("known", "not exercised", Change.NEWLY_UNDECIDED),
        ("fail", "blocked", Change.CHANGED_FAILURE),
        ("fail", "error", Change.CHANGED_FAILURE),
        ("fail", "stale", Change.CHANGED_FAILURE),
        ("fail", "known", Change.CHANGED_FAILURE),
        ("blocked", "not exercised", Change.CHANGED_FAILURE),
        ("fail", "pass", Change.FIXED),
        ("error", "pass", Change.FIXED),
        ("blocked", "pass", Change.FIXED),
        ("known", "pass", Change.FIXED),
        ("pass", "unsupported", Change.NEWLY_UNSUPPORTED),
        ("fail", "unsupported", Change.NEWLY_UNSUPPORTED),
        ("not run", "unsupported", Change.NEWLY_UNSUPPORTED),
        ("pass", "not run", Change.NEWLY_NOT_RUN),
        ("fail", "not run", Change.NEWLY_NOT_RUN),
        ("unsupported", "pass", Change.NEWLY_JUDGED),
        ("not run", "known", Change.NEWLY_JUDGED),
        ("blocked", "known", Change.NEWLY_JUDGED),
    ],
)
def test_what_two_verdicts_mean(was: str, now: str, change: Change) -> None:
    assert change_between(Verdict(was), Verdict(now), same_failure=True) is change


@given(st.sampled_from(Verdict), st.sampled_from(Verdict), st.booleans())
def test_nothing_that_fails_now_is_called_mended(was: Verdict, now: Verdict, same: bool) -> None:
    change = change_between(was, now, same_failure=same)
    if now in AT_FAULT:
        assert change not in {Change.FIXED, Change.NEWLY_JUDGED, Change.SAME}
    assert (change is Change.SAME) <= (was is now)


def test_the_same_failure_is_known_again_whatever_was_drawn() -> None:
    was = finding(
        "ENABLE-13", FAIL, reason="block 7 of OpaqueRef:12ab… is lost", evidence=Evidence(actual="blocks 1-2")
    )
    now = finding(
        "ENABLE-13", FAIL, reason="blocks 0-1, 9 of OpaqueRef:9f… is lost", evidence=Evidence(actual="no block")
    )
    assert became(was, now) is Change.SAME_FAILURE


@pytest.mark.parametrize(
    ("reason", "actual"), [("the bitmap is malformed", "ok"), ("must be refused", "VDI_IN_USE[x]")]
)
def test_another_failure_is_a_changed_one(reason: str, actual: str) -> None:
    was = finding("ENABLE-13", FAIL, reason="must be refused", evidence=Evidence(actual="ok"))
    assert became(was, finding("ENABLE-13", FAIL, reason=reason, evidence=Evidence(actual=actual))) is (
        Change.CHANGED_FAILURE
    )


def test_one_failure_less_is_still_the_same_failure_and_one_more_is_not() -> None:
    one, other = finding("ENABLE-13", FAIL, 1, reason="a"), finding("ENABLE-13", FAIL, 2, reason="b")
    mended = finding("ENABLE-13", PASS, 2)
    (less,) = compare(run_of(one, other), run_of(one, mended)).changes
    (more,) = compare(run_of(one, mended), run_of(one, other)).changes
    assert (less.change, more.change) == (Change.SAME_FAILURE, Change.CHANGED_FAILURE)


def test_worst_comes_first_and_the_exit_says_regression() -> None:
    old = run_of(finding("ENABLE-01", FAIL), finding("ENABLE-02"), finding("ENABLE-13"), finding("DESTROY-01"))
    new = run_of(
        finding("ENABLE-01"), finding("ENABLE-02"), finding("ENABLE-13", FAIL), finding("DESTROY-01", Verdict.BLOCKED)
    )
    comparison = compare(old, new)
    assert [(change.id, change.change.value) for change in comparison.changes] == [
        ("ENABLE-13", "regressed"),
        ("DESTROY-01", "newly undecided"),
        ("ENABLE-01", "fixed"),
        ("ENABLE-02", "same"),
    ]
    assert comparison.exit == 1


@pytest.mark.parametrize(
    ("was", "now", "code"),
    [
        (PASS, PASS, 0),
        (FAIL, FAIL, 0),
        (FAIL, PASS, 0),
        (PASS, FAIL, 1),
        (PASS, Verdict.UNSUPPORTED, 1),
        (FAIL, Verdict.UNSUPPORTED, 0),
        (PASS, Verdict.NOT_RUN, 0),
        (PASS, Verdict.ERROR, 2),
        (PASS, Verdict.BLOCKED, 2),
        (Verdict.BLOCKED, Verdict.BLOCKED, 0),
    ],
)
def test_the_exit_code(was: Verdict, now: Verdict, code: int) -> None:
    assert compare(run_of(finding("ENABLE-13", was)), run_of(finding("ENABLE-13", now))).exit == code


@pytest.mark.parametrize(("strict", "code"), [(False, 0), (True, 1)])
def test_a_level_that_does_not_decide_is_shown_and_does_not_decide(strict: bool, code: int) -> None:
    comparison = compare(run_of(finding("ENABLE-19"), strict=strict), run_of(finding("ENABLE-19", FAIL), strict=strict))
    assert ([change.id for change in comparison.of(Change.REGRESSED)], comparison.exit) == (["ENABLE-19"], code)


ONE = finding("ENABLE-13")
HOST = target(kind="host", product="XenServer")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (run_of(ONE), run_of(ONE, where=target(profile="documented")), "different profiles: xapi and documented"),
        (run_of(ONE), run_of(ONE, ends=run_finished(complete=False)), "the new run did not come to its end"),
        (run_of(ONE, ends=run_finished(interrupted=True)), run_of(ONE), "the old run did not come to its end"),
        (run_of(ONE), run_of(finding("ENABLE-02")), "no requirement in common"),
        (run_of(ONE), run_of(ONE, where=HOST), "one judged an emulated host"),
        (run_of(ONE), build([run_started(), {"event": "problem", "reason": "away"}]), "the new run never reached"),
        (
            run_of(ONE),
            build([run_started(), target(), selected("ENABLE-13"), {"event": "problem", "reason": "a worker died"},
                   *ran(ONE), run_finished()]),
            "broke outside its tests: a worker died",
        ),
    ],
)  # fmt: skip
def test_runs_that_cannot_be_compared_say_why(old: Run, new: Run, why: str) -> None:
    comparison = compare(old, new)
    assert comparison.exit == 2
    assert any(why in one for one in comparison.obstacles)
    assert comparison.changes == ()
    assert why in " ".join(text(comparison, "a", "b").split())


def test_what_else_differs_is_noted() -> None:
    new = run_of(
        ONE,
        where=target(build="9.9", defects=["loses-bits"]),
        seed=43,
        speed="nightly",
        strict=True,
        suite={"version": "0.2.0", "catalogue_hash": "def456", "modified": True, "changed": ["x.py was changed"]},
        selection={"suites": ["enable"], "requirements": [], "filtered": True},
    )
    notes = " / ".join(compare(run_of(ONE), new).notes)
    for said in (
        "build 9.9 with defects loses-bits",
        "seed: 42 → 43",
        "speed: quick → nightly",
        "strict: off → on",
        "suite: 0.1.0 → 0.2.0",
        "catalogue: abc123 → def456",
        "x.py was changed",
        "selection: everything → suite enable",
    ):
        assert said in notes


def test_the_same_again_notes_nothing() -> None:
    assert compare(run_of(ONE), run_of(ONE)).notes == ()


def test_capabilities_are_gained_and_lost() -> None:
    had = [{"name": "a", "present": True, "detail": ""}, {"name": "b", "present": False, "detail": ""}]
    has = [{"name": "b", "present": True, "detail": "now"}, {"name": "c", "present": False, "detail": ""}]
    comparison = compare(run_of(ONE, where=target(capabilities=had)), run_of(ONE, where=target(capabilities=has)))
    assert [one["name"] for one in comparison.gained] == ["b"]
    assert [one["name"] for one in comparison.lost] == ["a"]
    assert "capability a: the new run does not speak of it" in text(comparison, "x", "y")


def edited(run: Run, **changes: object) -> Run:
    """Return `run` as a version with another catalogue tells it; `changes` are those of its last requirement."""
    document: Any = json.loads(json.dumps(run))
    document["suite"]["catalogue_hash"] = "other"
    document["requirements"][-1] |= changes
    copied: Run = document
    return copied


def test_a_renamed_requirement_is_followed_by_its_statement() -> None:
    old = edited(run_of(finding("ENABLE-02"), ONE), id="ENABLE-99")
    comparison = compare(old, run_of(finding("ENABLE-02"), finding("ENABLE-13", FAIL)))
    assert comparison.renamed == (("ENABLE-99", "ENABLE-13"),)
    assert [(change.id, change.was["id"]) for change in comparison.regressions] == [("ENABLE-13", "ENABLE-99")]
    assert (comparison.added, comparison.removed) == ((), ())


def test_a_requirement_of_only_one_catalogue_was_added_or_removed() -> None:
    old = edited(run_of(finding("ENABLE-02"), ONE), id="ENABLE-99", statement="Something else.")
    comparison = compare(old, run_of(finding("ENABLE-02"), ONE))
    assert [row["id"] for row in comparison.added] == ["ENABLE-13"]
    assert [row["id"] for row in comparison.removed] == ["ENABLE-99"]


def test_a_requirement_that_was_not_selected_is_not_called_added() -> None:
    comparison = compare(run_of(ONE), run_of(ONE, finding("ENABLE-02")))
    assert (comparison.added, comparison.only_new, comparison.exit) == ((), ("ENABLE-02",), 0)


@pytest.mark.parametrize(
    ("was_s", "now_s", "ratio", "told"),
    [
        (2.0, 4.0, 2.0, True),
        (2.0, 3.9, 2.0, False),
        (0.1, 0.9, 2.0, False),
        (2.0, 4.0, 3.0, False),
        (0.0, 1.0, 2.0, True),
    ],
)
def test_slower_is_a_ratio_and_a_second_at_least(was_s: float, now_s: float, ratio: float, told: bool) -> None:
    old, new = run_of(finding("ENABLE-13", duration_s=was_s)), run_of(finding("ENABLE-13", duration_s=now_s))
    comparison = compare(old, new, slower=ratio)
    assert (bool(comparison.slower), comparison.exit) == (told, 0)


def test_more_search_is_not_slower() -> None:
    new = run_of(finding("ENABLE-13", duration_s=50.0), speed="nightly")
    assert compare(run_of(ONE), new).slower == ()


def nasty() -> Comparison:
    where = target(product=NASTY, capabilities=[{"name": NASTY, "present": True, "detail": NASTY}])
    failed = finding("ENABLE-13", FAIL, reason=NASTY, evidence=Evidence(rerun=f"xencbt run {NASTY}"))
    return compare(run_of(ONE), run_of(failed, where=where))


def test_the_page_escapes_what_a_target_said_and_loads_nothing() -> None:
    laid = comparison_page.render(nasty(), NASTY, "new").decode()
    assert "<script" not in laid
    assert "&lt;script&gt;" in laid
    assert "\x1b" not in laid
    assert "\u202e" not in laid
    assert re.findall(r"(?:src|href)=\"(?!https://docs\.|https://xapi-project)[^\"]*\"", laid) == []
    assert "default-src &#39;none&#39;" in laid


def test_only_a_page_of_the_web_becomes_a_link() -> None:
    source = {"page": "here", "section": "", "url": "javascript:alert(1)"}
    new = edited(run_of(finding("ENABLE-13", FAIL)), source=source)
    assert b"javascript:" not in comparison_page.render(compare(run_of(ONE), new), "old", "new")


def test_markdown_and_console_show_it_as_it_is() -> None:
    said = markdown(nasty(), NASTY, "new").decode()
    assert re.search(r"(?<!\\)<", said) is None
    assert all(line.count("|") == 5 + line.count("\\|") for line in said.splitlines() if line.startswith("| regressed"))
    assert not {"\x1b", "\u202e"} & set(said + text(nasty(), NASTY, "new"))


def test_the_json_says_everything() -> None:
    said = json.loads(as_json(nasty(), "old", "new"))
    assert (said["schema"], said["comparable"], said["exit"]) == ("xencbt.comparison/1", True, 1)
    assert said["counts"] == {"regressed": 1}
    (change,) = said["changes"]
    assert (change["id"], change["was"], change["now"], change["deciding"]) == ("ENABLE-13", "pass", "fail", True)
    assert len(change["fingerprints"][0]) == 16
    assert said["new"]["target"]["product"] == NASTY
    assert said["capabilities"]["lost"][0]["name"] == "cbt-calls"
