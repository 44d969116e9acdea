"""While a run goes on: what is told of how far it is, and where that is written."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.events import Event, finding, run_finished, run_started, target
from xencbt.harness.verdicts import Verdict
from xencbt.reports.live import Live
from xencbt.reports.progress import Progress, roughly
from xencbt.reports.terminal import REWRITE, Terminal

TESTS = [finding("ENABLE-02", number=number) for number in range(8)] + [finding("LIST-02"), finding("LIST-04")]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def selected() -> Event:
    planned = [{"id": one.id, "requirement": list(one.requirement)} for one in TESTS]
    return {
        "event": "selected",
        "requirements": ["ENABLE-02", "LIST-02", "LIST-04"],
        "chapters": ["ENABLE", "LIST"],
        "tests": len(TESTS),
        "planned": planned,
    }


def planned(budget_s: float | None = None, calls: int = 10) -> Event:
    return {"event": "planned", "calls": {one.id: calls for one in TESTS}, "budget_s": budget_s}


def started(number: int) -> Event:
    return {"event": "test_started", "id": TESTS[number].id, "requirement": list(TESTS[number].requirement)}


def finished(number: int, verdict: Verdict = Verdict.PASS) -> Event:
    return {"event": "test_finished", **TESTS[number].as_json(), "verdict": verdict.value}


def after(tests: int, *, each_s: float = 30.0, plan: Event | None = None) -> Progress:
    """Return the progress of a run whose first `tests` took `each_s` each."""
    clock = Clock()
    progress = Progress(clock)
    for event in [run_started(), target(), selected(), *([plan] if plan else [])]:
        progress.take(event)
    for number in range(tests):
        progress.take(started(number))
        clock.now += each_s
        progress.take(finished(number))
    return progress


def test_what_is_done_is_counted() -> None:
    assert after(0).words() == "0/10 tests, 0/3 requirements, 0 examples"
    assert after(8).words() == "8/10 tests, 1/3 requirements, 40 examples"
    assert after(10).words() == "10/10 tests, 3/3 requirements, 50 examples"


def test_what_went_wrong_is_counted_too() -> None:
    progress = after(1)
    progress.take(finished(1, Verdict.FAIL))
    progress.take(finished(2, Verdict.ERROR))
    assert progress.words() == "3/10 tests, 0/3 requirements, 15 examples, 1 error, 1 fail"


def test_the_time_left_follows_the_pace_so_far() -> None:
    assert after(5, plan=planned()).left_s == pytest.approx(150.0)
    assert after(5, each_s=60.0, plan=planned()).left_s == pytest.approx(300.0)
    assert after(5, each_s=60.0, plan=planned()).words().endswith(", about 5 min left")


def test_the_time_left_weighs_tests_by_what_they_cost() -> None:
    calls = planned()
    calls["calls"][TESTS[9].id] = 410
    assert after(5, plan=calls).left_s == pytest.approx(150.0 * 450 / 50)


@pytest.mark.parametrize("tests", [0, 1, 2, 10])
def test_no_time_is_told_that_nobody_knows(tests: int) -> None:
    assert after(tests, plan=planned()).left_s is None
    assert "left" not in after(tests, plan=planned()).words()


def test_without_costs_no_time_is_told() -> None:
    assert after(5).left_s is None
    assert after(5, plan=planned(calls=0)).left_s is None


def test_the_budget_ends_a_run_before_its_pace_does() -> None:
    assert after(5, plan=planned(budget_s=200.0)).left_s == pytest.approx(50.0)
    assert after(5, plan=planned(budget_s=100.0)).left_s == pytest.approx(0.0)


@given(st.lists(st.integers(0, 9), max_size=12), st.floats(0, 1e6), st.none() | st.floats(0, 1e6))
def test_the_time_left_is_never_negative(order: list[int], each_s: float, budget_s: float | None) -> None:
    clock = Clock()
    progress = Progress(clock)
    for event in (selected(), planned(budget_s)):
        progress.take(event)
    for number in order:
        progress.take(started(number))
        clock.now += each_s
        progress.take(finished(number))
        assert progress.left_s is None or progress.left_s >= 0
        assert 0 <= progress.share <= 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (59.9, "less than a minute"),
        (60, "about 1 min"),
        (61, "about 2 min"),
        (89 * 60, "about 89 min"),
        (90 * 60, "about 1 h 30 min"),
        (119 * 60, "about 2 h"),
    ],
)
def test_times_are_told_as_people_do(seconds: float, words: str) -> None:
    assert roughly(seconds) == words


def shown(stream: io.StringIO, *events: Any, quiet: bool = False) -> str:
    live = Live(Terminal(stream, {"TERM": "xterm"}), quiet=quiet, clock=Clock())
    for event in events:
        live.show(event)
        if event["event"] == "test_started":
            live.refresh()
    return stream.getvalue()


def everything() -> list[Event]:
    tests = [event for number in range(len(TESTS)) for event in (started(number), finished(number))]
    return [run_started(), selected(), target(), planned(), *tests, run_finished()]


def test_on_a_terminal_one_line_is_rewritten_and_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = shown(Screen(), *everything())
    assert f"{REWRITE}3/10 tests, 0/3 requirements, 15 examples, less than a minute left · enable_02_3" in text
    assert text.endswith(f"{REWRITE}\n")
    lines = text.split("\n")
    assert len([line for line in lines if "ENABLE-02" in line and "pass" in line]) == 8
    assert "progress" not in text


def test_the_line_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = shown(Screen(), *everything())
    drawn = [piece for line in text.split("\n") for piece in line.split(REWRITE)[1:]]
    assert all(len(piece) < 40 for piece in drawn if piece.startswith(("0/", "1/", "2/")))


def test_without_a_terminal_there_are_plain_lines_only() -> None:
    text = shown(io.StringIO(), *everything())
    assert not {"\r", "\x1b"} & set(text)
    assert "progress 5/10 tests, 0/3 requirements, 25 examples, less than a minute left" in text.splitlines()
    assert len([line for line in text.splitlines() if line.startswith("progress")]) == 9


@pytest.mark.parametrize("stream", [io.StringIO, Screen])
def test_quiet_leaves_out_what_goes_well(stream: type[io.StringIO]) -> None:
    events = everything()
    events.insert(-1, finished(3, Verdict.FAIL))
    lines = [line for line in shown(stream(), *events, quiet=True).split("\n") if not line.startswith("\r")]
    assert not [line for line in lines if "pass" in line or "progress" in line]
    assert "fail" in shown(io.StringIO(), *events, quiet=True)


def test_a_dumb_terminal_rewrites_nothing() -> None:
    assert not Terminal(Screen(), {"TERM": "dumb"}).live
    assert not Terminal(Screen(), {}).live
    assert Terminal(Screen(), {"TERM": "xterm"}).live
