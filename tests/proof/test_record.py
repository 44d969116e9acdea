"""What is recorded of a proof, and what is added to it."""

import json
from pathlib import Path
from typing import Any

import pytest

from xencbt.suites import kill_score


def row(name: str, fate: str = "killed by design", level: str = "must", calls: int = 10) -> dict[str, Any]:
    failed = ["LIST-02"] if fate == "killed by design" else []
    return {
        "name": name,
        "level": level,
        "layer": "tracking",
        "breaks": ["LIST-02"],
        "fate": fate,
        "failed": failed,
        "killers": [],
        "by_search": False,
        "calls": calls,
        "seconds": 1.0,
        "command": "xencbt run",
    }


def told(*rows: dict[str, Any], partial: bool = False, suite_hash: str = "same") -> dict[str, Any]:
    clean = [{"profile": "xapi", "passes": True, "passed": 3, "calls": 9, "command": "xencbt run"}]
    return {
        "started": "2026-03-01T10:00:00+00:00",
        "suite": {"version": "0.1.0", "catalogue_hash": "abc", "suite_hash": suite_hash},
        "seed": 1,
        "partial": partial,
        "clean": [] if partial else clean,
        "defects": list(rows),
    }


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kill_score, "FOLDER", tmp_path)
    return tmp_path / kill_score.FILE


def test_nothing_recorded_is_no_score(place: Path) -> None:
    assert kill_score.kill_score() is None
    assert not kill_score.may_add({"suite_hash": "same"})
    assert not place.exists()


def test_only_defects_of_level_must_that_died_by_design_are_in_the_score(place: Path) -> None:
    elsewhere = row("a", "killed elsewhere")
    kill_score.record(told(row("b"), elsewhere, row("c", "survived", level="should"), row("d", "survived")))
    assert kill_score.kill_score() == {
        "killed": 1,
        "of": 3,
        "survivors": ["a", "d"],
        "date": "2026-03-01",
        "version": "0.1.0",
        "catalogue_hash": "abc",
        "suite_hash": "same",
    }
    assert [each["name"] for each in json.loads(place.read_text())["defects"]] == ["a", "b", "c", "d"]


def test_a_part_is_added_to_a_record_of_the_very_same_suites(place: Path) -> None:
    kill_score.record(told(row("a", "survived"), row("b")))
    assert kill_score.may_add({"suite_hash": "same"})
    assert not kill_score.may_add({"suite_hash": "other"})
    kill_score.record(told(row("a"), row("c"), partial=True))
    kept = json.loads(place.read_text())
    assert (kept["score"]["killed"], kept["score"]["of"], kept["clean"][0]["passed"]) == (3, 3, 3)
