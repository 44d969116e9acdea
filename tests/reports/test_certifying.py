"""Which runs can be certified, and what a certificate says of them."""

from typing import Any

import pytest

from tests.reports.certifiable import SUITE, full_run, known_issue
from tests.reports.events import Event, finding, run_finished
from xencbt.harness.catalogue import CATALOGUE, Level, catalogue, catalogue_hash
from xencbt.harness.catalogue.levels import certificate_levels, levels_from
from xencbt.harness.catalogue.requirement import UnknownRequirement
from xencbt.harness.verdicts import Verdict
from xencbt.reports.certifying import Asked, certificate, obstacles
from xencbt.reports.document import build

CORE, FULL = (certificate_levels()[name] for name in ("core", "full"))
ASKED = Asked("Acme", "Acme Store", FULL, "2026-03-02T00:00:00+00:00")


def why_not(events: list[Event], asked: Asked = ASKED, **said: Any) -> list[str]:
    known: dict[str, Any] = {"checked": True, "catalogue_hash": catalogue_hash()}
    return obstacles(build(events), asked, **(known | said))


def test_a_full_run_in_which_all_holds_can_be_certified() -> None:
    assert why_not(full_run()) == []


def test_what_levels_require() -> None:
    assert {name.partition("-")[0] for name in CORE.required} == {"SET", "ENABLE", "DISABLE", "STATUS", "LIST"}
    assert set(FULL.required) == {row.id for row in CATALOGUE if row.level == Level.MUST}
    assert set(CORE.required) < set(FULL.required)


def test_a_level_of_an_unknown_chapter_is_refused() -> None:
    with pytest.raises(UnknownRequirement):
        levels_from('[core]\ntitle = "x"\nchapters = ["SETT"]\n', catalogue())


REASONS: list[tuple[list[Event], str]] = [
    (full_run(finding("ENABLE-13", Verdict.FAIL)), "ENABLE-13 is required, and fail: ENABLE-13 came out fail"),
    (full_run(finding("FAULT-01", Verdict.UNSUPPORTED)), "FAULT-01 is required, and unsupported"),
    (full_run(finding("LIFE-06", Verdict.NOT_RUN)), "LIFE-06 is required, and not run"),
    (full_run(finding("SET-01", Verdict.BLOCKED)), "SET-01 is required, and blocked"),
    (full_run(known_issue("LIST-02")), "LIST-02 is required, and a known issue"),
    (full_run(without="SET-04"), "SET-04 is required, and missing"),
    (full_run(finding("ENABLE-13", Verdict.FAIL)), "the run ended with exit code 1"),
    (full_run(end=run_finished(complete=False)), "the run did not come to its end"),
    (full_run(end=run_finished(interrupted=True)), "the run did not come to its end"),
    (full_run(selection={"suites": ["enable"], "requirements": [], "filtered": True}), "the run was filtered"),
    (full_run(rerun_of={"started": "2026-03-01T09:00:00+00:00", "exit": 1}), "were run again"),
    (full_run(command="pytest --pyargs xencbt.suites"), "not made by `xencbt run` but by `pytest`"),
    (full_run(command="xencbt run 'x"), "not made by `xencbt run` but by"),
    (full_run(command="xencbt run -- -p evil"), "pytest was told more than the suites: -- -p evil"),
    (full_run(where={"kind": "emulator"}), "not asked to be marked so"),
    (full_run(where={"defects": ["loses-bits"]}), "switched to defects: loses-bits"),
    (full_run(suite=SUITE | {"modified": True, "changed": ["x.py was changed"]}), "modified: x.py was changed"),
    (full_run(suite={"version": "0.1.0", "catalogue_hash": catalogue_hash()}), "does not say whether its suite"),
    (full_run(suite=SUITE | {"catalogue_hash": "0"}), "judged by another catalogue"),
]


@pytest.mark.parametrize(("events", "why"), REASONS, ids=[why for _, why in REASONS])
def test_what_makes_a_run_not_certifiable(events: list[Event], why: str) -> None:
    assert any(why in reason for reason in why_not(events)), why_not(events)


def test_all_reasons_are_told() -> None:
    selection = {"suites": ["enable"], "requirements": [], "filtered": True}
    events = full_run(finding("SET-01", Verdict.FAIL), known_issue("LIST-02"), selection=selection)
    assert len(why_not(events, checked=False)) == 5


def test_a_run_without_its_events_is_not_certifiable() -> None:
    assert "events.jsonl is missing" in why_not(full_run(), checked=False)[0]


def test_a_flaky_row_of_any_level_is_not_certifiable() -> None:
    told = full_run()
    failed = finding("ENABLE-19", Verdict.FAIL).as_json()
    told.insert(3, {"event": "attempted", **failed})
    assert why_not(told) == ["ENABLE-19 is flaky: it passed in one attempt and not in another"]


def test_a_run_that_never_reached_its_target_is_not_certifiable() -> None:
    told = [event for event in full_run() if event["event"] != "target"]
    assert "the run never reached its target" in why_not(told)


def test_a_mark_of_an_emulated_host_on_a_real_one_is_refused() -> None:
    asked = Asked("Acme", "Acme Store", FULL, ASKED.issued, emulated=True)
    assert "the target was no emulated host" in why_not(full_run(), asked)[0]
    assert why_not(full_run(where={"kind": "emulator"}), asked) == []


def test_what_is_not_required_may_be_lacking_and_is_told() -> None:
    asked = Asked("Acme", "Acme Store", CORE, ASKED.issued)
    events = full_run(finding("EXPORT-02", Verdict.UNSUPPORTED), finding("ENABLE-19", Verdict.FAIL))
    assert why_not(events, asked) == []
    assert certificate(build(events), asked, {})["limits"] == [
        "ENABLE-19 is not required, and fail: ENABLE-19 came out fail",
        "EXPORT-02 is not required, and unsupported: EXPORT-02 came out unsupported",
    ]


def test_sizes_left_out_and_an_unverified_host_are_told() -> None:
    events = full_run(finding("LIST-02", sizes_not_run="above 1 GiB"), where={"tls": "not verified"})
    limits = certificate(build(events), ASKED, {})["limits"]
    assert limits == [
        "the host's certificate was not verified: only the network vouches for which host answered",
        "LIST-02 was judged without these sizes: above 1 GiB",
    ]


def test_a_certificate_says_what_the_run_said() -> None:
    run = build(full_run())
    said = certificate(run, ASKED, {"run.json": "a" * 64})
    assert (said["vendor"], said["product"], said["level"], said["emulated"]) == ("Acme", "Acme Store", "full", False)
    assert said["target"] == {
        "kind": "host",
        "product": "XenServer",
        "version": "8.4.0",
        "build": "b42",
        "api_version": "2.21",
        "driver": "lvm",
    }
    assert said["suite"] == {name: SUITE[name] for name in ("version", "catalogue_hash", "files_hash", "modified")}
    assert said["counts"] == {"pass": len(CATALOGUE)}
    assert said["required"] == list(FULL.required)
    assert (said["run"]["seed"], said["run"]["duration_s"], said["run"]["files"]) == (42, 12, {"run.json": "a" * 64})
    assert [row["id"] for row in said["requirements"] if not row["documented"]][:1] == ["FAULT-01"]
    assert said["reproduce"][1].startswith("xencbt run --seed 42 --speed quick --profile xapi --target URL")


def test_a_capability_counts_where_a_passed_test_needed_it_and_the_target_has_it() -> None:
    assert certificate(build(full_run()), ASKED, {})["capabilities"] == ["cbt-calls"]
