"""Runs against an emulated host that is started with defects."""

from pathlib import Path

import pytest

from tests.run.command import xencbt

CHOSEN = ("--requirement", "ENABLE-15", "--seed", "1")
DEFECTS = ["enable-takes-snapshots", "roll-keeps-bits"]
SWITCHED = tuple(f"--defect={name}" for name in DEFECTS)


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_run_switches_the_host_it_starts_and_says_so(tmp_path: Path, workers: tuple[str, ...]) -> None:
    ran = xencbt(tmp_path, "run", *CHOSEN, *SWITCHED, *workers)
    assert ran.exit == 1, ran.stdout + ran.stderr
    assert {test["verdict"] for test in ran.tests.values() if "a_snapshot_is_refused" in test["id"]} == {"fail"}
    assert ran.document["target"]["defects"] == DEFECTS
    assert "with defects enable-takes-snapshots, roll-keeps-bits" in " ".join(ran.stdout.split())
    assert " ".join(SWITCHED) in ran.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--defect", "enable-takes-snapshot"), "did you mean enable-takes-snapshots"),
        (("--defect", DEFECTS[0], "--target", "https://127.0.0.1", "--sr", "x"), "names another one"),
    ],
)
def test_defects_that_cannot_be_shown_are_usage_errors(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    ran = xencbt(tmp_path, "run", *CHOSEN, *words)
    assert ran.exit == 3
    assert said in ran.stderr
