"""Runs are killed at random moments, and cleaning leaves no trace of them; the long forms are in `tests.soak`."""

import pytest

from tests.soak import kill_commands
from tests.soak.busy_run import MODES
from tests.soak.kill_runs import Database, difference, prove


@pytest.mark.heavy
def test_cleaning_after_killed_runs_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XENCBT_PASSWORD", "")  # the proof sets it; put back afterwards
    tally = prove(len(MODES) + 2, seed=7, show=False)
    assert set(tally.modes) == set(MODES)
    assert tally.journalled > 0
    assert tally.left_objects > 0


@pytest.mark.heavy
def test_cleaning_after_killed_commands_leaves_no_trace() -> None:
    tally = kill_commands.prove(len(kill_commands.MOMENTS), seed=3, show=False)
    assert tally.keys() >= kill_commands.MOMENTS.keys()
    assert tally["left"] > 0


def test_a_difference_is_seen() -> None:
    before: Database = {"VDI": {"a": {"x": 1}, "b": {"x": 1}}, "VM": {}}
    after: Database = {"VDI": {"a": {"x": 2}}, "VM": {"c": {}}}
    assert difference(before, after) == ["VDI a x: 1 → 2", "VDI b is gone: {'x': 1}", "VM c is new: {}"]
    assert difference(before, before) == []
