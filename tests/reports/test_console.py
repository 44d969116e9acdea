"""The texts that people read, word by word."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.events import (
    FAILURE,
    PROVEN,
    finding,
    journal,
    ran,
    run_finished,
    run_started,
    selected,
    target,
    whole_run,
)
from xencbt.harness.findings import Evidence
from xencbt.harness.verdicts import Verdict
from xencbt.reports.console import summary
from xencbt.reports.document import build
from xencbt.reports.failures import failure_blocks
from xencbt.reports.layout import WIDTH, Paint, colour_wanted
from xencbt.reports.tables import capability_table, requirement_table
from xencbt.reports.words import duration, last_line, verdict_sentence

ANYTHING = st.text(st.characters())  # lone surrogates included
NO_XE = "no xe access yet"
MIXED = (
    finding("SET-01", duration_s=75.0, examples=1200),
    finding("ENABLE-01"),
    finding("ENABLE-12", deviations=("D-01",)),
    FAILURE,
    finding("ENABLE-14", Verdict.UNSUPPORTED, reason=NO_XE, examples=0, duration_s=0.0),
    finding("ENABLE-19", Verdict.FAIL, reason="block 9 was marked"),
    finding("DISABLE-06", Verdict.UNSUPPORTED, reason=NO_XE, examples=0, duration_s=0.0),
)

TABLE = """\
requirement  verdict                  tests  examples        time
SET-01       pass                         1      1200  1 min 15 s
ENABLE-01    pass                         1         5       0.2 s
ENABLE-12    pass, by deviation D-01      1         5       0.2 s
ENABLE-13    fail                         1        17       0.2 s
ENABLE-14    unsupported                  1         0       0.0 s
ENABLE-19    fail (level S)               1         5       0.2 s
DISABLE-06   unsupported                  1         0       0.0 s

fail            ENABLE-13: enabling twice lost recorded changes
fail (level S)  ENABLE-19: block 9 was marked
unsupported     ENABLE-14, DISABLE-06: no xe access yet"""

BLOCK = """\
FAIL  suites.test_made_up::test_enable_13_1
  because      enabling twice lost recorded changes
  requirement  ENABLE-13: Enabling is idempotent: on an enabled VDI it raises no error, and neither
               restarts the set nor loses recorded changes.
  source       Using changed block tracking with a virtual disk image, “Enabling changed block
               tracking for a VDI”
               https://docs.xenserver.com/en-us/xenserver/8/developer/changed-block-tracking/enable-cbt
  expected     a bitmap that includes block 7
  or           SR_BACKEND_FAILURE_460 after a write to the host's log failed
  actual       a bitmap without block 7
  examples     17 tried, 204 calls
  calls        1. disk = VDI.create(user, 4 MiB)
               2. VDI.enable_cbt(disk)
               3. VDI.list_changed_blocks(base, later)
  exchange     VDI.list_changed_blocks(base, later) → ok (12 ms)
               > <methodCall>…</methodCall>
               < <methodResponse>AA==</methodResponse>
  again        xencbt run --requirement ENABLE-13 --seed 42"""

ENDING = """\
verdict  Does not conform: the emulated host xencbt emulator 0.1.0 breaks 1 requirement: ENABLE-13.
seed     42 (the same choices again: --seed 42)
reports  xencbt-out-2/
7 requirements: 3 pass (1 by deviation), 2 fail, 0 known, 2 unsupported, 0 not run · 12 s · exit 1"""

CAPABILITIES = """\
target   emulated host xencbt emulator 0.1.0
at       http://127.0.0.1:8080/
TLS      none (http)
profile  xapi

can, and will be judged
  cbt-calls  VDI.enable_cbt is known
  control    answers on loopback
cannot, and will not be judged
  xe         no xe access yet (not judged: ENABLE-14, DISABLE-06)"""


def test_the_table_shows_every_requirement_and_why_it_did_not_pass() -> None:
    assert requirement_table(build(whole_run(*MIXED))) == TABLE


def test_a_failure_shows_what_must_hold_what_came_and_how_to_see_it_again() -> None:
    assert failure_blocks(build(whole_run(FAILURE))) == BLOCK


def test_the_summary_ends_with_the_verdict_and_the_counts() -> None:
    text = summary(build(whole_run(*MIXED)), Path("xencbt-out-2"))
    assert text.startswith(BLOCK + "\n\nFAIL  suites.test_made_up::test_enable_19_1  (level S, does not decide)\n")
    assert text.endswith(f"\n\n{TABLE}\n\n{ENDING}")


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        (PROVEN, "proof    these tests noticed 3 of 4 planted defects, not drops-bits (2026-02-28)"),
        (PROVEN | {"suite_hash": "other"}, "proof    an earlier state of these tests noticed 3 of 4 planted defects,"),
    ],
)
def test_the_summary_says_how_good_the_suites_are_at_noticing(suite: dict[str, object], said: str) -> None:
    events = [event | {"suite": suite} if event["event"] == "run_started" else event for event in whole_run(FAILURE)]
    assert said in summary(build(events))


def test_the_capability_table_says_what_will_run_and_what_not() -> None:
    run = build(whole_run(finding("ENABLE-02")))
    assert run["target"] is not None
    assert capability_table(run["target"], {"xe": ["ENABLE-14", "DISABLE-06"]}) == CAPABILITIES


def test_a_target_that_is_not_verified_is_said_loudly() -> None:
    def shown(tls: str) -> str:
        run = build([event | {"tls": tls} if event["event"] == "target" else event for event in whole_run()])
        assert run["target"] is not None
        assert run["target"]["tls"] == tls
        return capability_table(run["target"])

    assert "NOT VERIFIED (--insecure)" in shown("not verified")
    assert "TLS      pinned" in shown("pinned")


def test_defects_are_part_of_the_targets_name() -> None:
    events = whole_run(finding("ENABLE-02"))
    events[1] = target(kind="host", product="XenServer", version="8.4.0", build="cloud/1", defects=["loses-writes"])
    said = verdict_sentence(build(events))
    expected = "the host XenServer 8.4.0 build cloud/1 with defects loses-writes does what the documentation requires"
    assert said == f"Conforms: {expected} in ENABLE."


def test_a_good_run_of_an_emulator_says_that_it_was_one() -> None:
    run = build(whole_run(finding("SET-01"), finding("ENABLE-02"), finding("STATUS-01")))
    assert verdict_sentence(run) == (
        "Conforms: the emulated host xencbt emulator 0.1.0 does what the documentation requires "
        "in SET, ENABLE and STATUS."
    )
    assert last_line(run) == "3 requirements: 3 pass, 0 known, 0 unsupported, 0 not run · 12 s · exit 0"


def test_a_selection_is_no_judgement_of_the_whole() -> None:
    events = whole_run(finding("ENABLE-02"))
    chosen = {"suites": [], "requirements": ["ENABLE-02"], "filtered": True}
    events[0] = run_started(selection=chosen)
    assert verdict_sentence(build(events)).endswith("requires in ENABLE (a selection of its requirements).")


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (Verdict.STALE, "Does not conform: the {} no longer shows what the ledger of known issues says of ENABLE-02."),
        (Verdict.BLOCKED, "Undecided: ENABLE-02 could not be decided. Nothing is said of the {}."),
        (Verdict.NOT_RUN, "Undecided: nothing that must hold was seen to hold in ENABLE. Nothing is said of the {}."),
        (Verdict.ERROR, "No verdict: the harness or the lab broke in suites.test_made_up::test_enable_02_1."),
    ],
)
def test_a_run_that_did_not_pass_says_why(verdict: Verdict, sentence: str) -> None:
    run = build(whole_run(finding("ENABLE-02", verdict)))
    assert verdict_sentence(run) == sentence.format("emulated host xencbt emulator 0.1.0")


def test_an_empty_selection_says_so() -> None:
    run = build([run_started(), target(), selected(), run_finished()])
    assert verdict_sentence(run).startswith("Undecided: no test was selected.")
    assert requirement_table(run) == "no requirement was judged"


def test_an_unreachable_target_says_so() -> None:
    reason = "no answer from https://127.0.0.1:9/ within 60 s"
    run = build([run_started(), {"event": "problem", "verdict": "error", "reason": reason}, run_finished()])
    assert verdict_sentence(run) == f"No verdict: {reason}."
    assert summary(run).endswith("0 requirements: 0 pass, 0 known, 0 unsupported, 0 not run · 12 s · exit 4")


def test_an_interrupted_run_gives_no_verdict_but_what_failed_so_far() -> None:
    events = [*whole_run(FAILURE)[:-1], run_finished(interrupted=True, complete=False)]
    assert verdict_sentence(build(events)) == "No verdict: the run was interrupted; failed so far: ENABLE-13."


def test_a_run_that_died_gives_no_verdict() -> None:
    events = [run_started(), target(), selected("ENABLE-02"), *ran(finding("ENABLE-02"))]
    assert verdict_sentence(build(events)) == "No verdict: the run ended before it was complete."


def test_what_was_left_behind_is_said_beside_the_verdict() -> None:
    events = whole_run(finding("ENABLE-02"))
    events[-2] = journal(created=2, removed=1, left=["VDI 7f3c: VDI_IN_USE"])
    text = summary(build(events))
    assert "left     1 created on the target and not removed: VDI 7f3c: VDI_IN_USE" in text


def test_trouble_in_cleaning_up_is_said_for_itself() -> None:
    events = whole_run(finding("ENABLE-02"))
    events[-2] = journal(troubles=["VBD.unplug: DEVICE_DETACH_REJECTED"])
    text = summary(build(events))
    assert "cleanup  1 failures, which change no verdict: VBD.unplug: DEVICE_DETACH_REJECTED" in text
    assert "Conforms" in text


def test_an_error_shows_where_it_broke() -> None:
    trace = "\n".join(f"frame {number}" for number in range(20))
    broken = finding("ENABLE-02", Verdict.ERROR, evidence=Evidence(traceback=trace))
    block = failure_blocks(build(whole_run(broken)))
    assert "  traceback    …\n               frame 8\n" in block
    assert block.endswith("frame 19")


def test_long_histories_are_shown_from_their_end() -> None:
    steps = tuple(f"call {number}" for number in range(1, 61))
    block = failure_blocks(build(whole_run(finding("ENABLE-02", Verdict.FAIL, evidence=Evidence(steps=steps)))))
    assert "  calls        (20 earlier calls are in run.json)\n" in block
    assert "21. call 21" in block
    assert block.endswith("60. call 60")


def test_a_long_answer_is_cut() -> None:
    exchange = {"method": "VDI.get_record", "outcome": "ok", "duration_s": 0.5, "response": "x" * 5000}
    block = failure_blocks(build(whole_run(finding("ENABLE-02", Verdict.FAIL, evidence=Evidence(exchange=exchange)))))
    assert block.count("x") < 1300
    assert block.endswith("(cut here; run.json has more)")


def test_unsupported_tests_get_no_block() -> None:
    assert failure_blocks(build(whole_run(finding("ENABLE-14", Verdict.UNSUPPORTED, reason=NO_XE)))) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0 s"), (9.94, "9.9 s"), (9.97, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3725, "62 min 05 s")],
)
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert duration(seconds) == text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "wanted"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_colour_is_for_terminals(stream: io.StringIO, environment: dict[str, str], wanted: bool) -> None:
    assert colour_wanted(stream, environment) is wanted


def test_colour_changes_no_word() -> None:
    run = build(whole_run(*MIXED))
    coloured = summary(run, paint=Paint(colour=True))
    assert "\x1b[31;1mfail\x1b[0m" in coloured
    for code in ("35;1", "31;1", "33", "36", "32", "1", "2", "0"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == summary(run)


@given(ANYTHING, ANYTHING)
def test_nothing_a_target_says_moves_the_terminal_or_breaks_the_table(said: str, answer: str) -> None:
    evidence = Evidence(
        expected=(said,),
        actual=answer,
        steps=(said, answer),
        exchange={"step": said, "outcome": answer, "request": said, "response": answer, "duration_s": 0.0},
        rerun=said,
        traceback=answer,
    )
    findings = (finding("ENABLE-02", Verdict.FAIL, reason=said, evidence=evidence), finding("ENABLE-03"))
    events = whole_run(*findings)
    events[1] = target(product=said, build=answer)
    run = build(events)
    text = summary(run)
    assert all(char == "\n" or char.isprintable() for char in text)
    assert text.endswith("exit 1")
    for line in requirement_table(run).splitlines():
        assert len(line) <= WIDTH
