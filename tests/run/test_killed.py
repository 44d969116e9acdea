"""Runs are killed at random moments, and cleaning leaves no trace of them; the long form is `tests.soak.kill_runs`."""

import pytest

from tests.soak.busy_run import MODES
from tests.soak.kill_runs import Database, difference, prove


@pytest.mark.heavy
def test_cleaning_after_killed_runs_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XENCBT_PASSWORD", "")  # the proof sets it; put back afterwards
    tally = prove(len(MODES) + 2, seed=7, show=False)
    assert set(tally.modes) == set(MODES)
    assert tally.journalled > 0
    assert tally.left_objects > 0


def test_a_difference_is_seen() -> None:
    before: Database = {"VDI": {"a": {"x": 1}, "b": {"x": 1}}, "VM": {}}
    after: Database = {"VDI": {"a": {"x": 2}}, "VM": {"c": {}}}
    assert difference(before, after) == ["VDI a x: 1 → 2", "VDI b is gone: {'x': 1}", "VM c is new: {}"]
    assert difference(before, before) == []
