"""`xencbt run --rerun DIR`: what failed runs again as it ran, and a pass that comes late makes nothing green."""

from pathlib import Path

import pytest

from tests.run.command import Ran, xencbt
from xencbt.harness.events import read_events
from xencbt.reports.write import write_all

SUITE = """
from pathlib import Path

from xencbt.harness.decides import decides


@decides("ENABLE-13")
def test_until_it_heals(disk):
    disk.enable_cbt()
    assert Path("healed").exists(), "it is not healed"


@decides("ENABLE-13")
def test_beside(disk):
    disk.enable_cbt()


@decides("ENABLE-02")
def test_passes(lab):
    lab.create_disk().enable_cbt()
    with Path("ran").open("a") as file:
        file.write("x")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run that failed (`first`), and that run made again after the target healed (`again`)."""
    folder = tmp_path_factory.mktemp("rerun")
    (folder / "suite_of_mine.py").write_text(SUITE)
    first = xencbt(folder, "run", "--seed", "7", "--out", "first", "--", "suite_of_mine.py")
    assert first.exit == 1, first.stdout + first.stderr
    (folder / "healed").touch()
    again = xencbt(folder, "run", "--rerun", "first", "--out", "again", "--", "suite_of_mine.py")
    assert again.exit == 1, again.stdout + again.stderr
    (folder / "said").write_text(again.stdout)
    return folder


def document(folder: Path, name: str) -> Ran:
    return Ran(0, "", "", folder / name)


def test_a_row_that_passes_later_stays_failed_and_is_flaky(folder: Path) -> None:
    again = document(folder, "again").document
    rows = {row["id"]: (row["verdict"], row["flaky"]) for row in again["requirements"]}
    assert rows == {"ENABLE-02": ("pass", False), "ENABLE-13": ("fail", True)}
    assert "1 flaky" in (folder / "said").read_text()


def test_the_tests_of_a_failed_row_run_again_and_no_others(folder: Path) -> None:
    attempts = {name: len(test["attempts"]) for name, test in document(folder, "again").tests.items()}
    assert attempts == {"test_until_it_heals": 2, "test_beside": 2, "test_passes": 0}
    assert (folder / "ran").read_text() == "x"


def test_it_ran_as_the_first_one_did(folder: Path) -> None:
    first, again = document(folder, "first").document, document(folder, "again").document
    same = ("seed", "speed", "profile", "strict", "selection", "suite")
    assert {name: again[name] for name in same} == {name: first[name] for name in same}
    assert again["rerun_of"] == {"started": first["started"], "exit": 1}


def test_a_third_attempt_keeps_both_others_with_workers_too(folder: Path) -> None:
    third = xencbt(folder, "run", "--rerun", "again", "--out", "third", "-n", "2", "--", "suite_of_mine.py")
    assert third.exit == 1, third.stdout + third.stderr
    attempts = document(folder, "third").tests["test_until_it_heals"]["attempts"]
    assert [attempt["verdict"] for attempt in attempts] == ["fail", "pass", "pass"]
    events = [event["event"] for event in read_events(folder / "third" / "events.jsonl")]
    assert events.count("attempted") == 5


def test_another_target_is_refused(folder: Path) -> None:
    told = (folder / "first" / "events.jsonl").read_text()
    (folder / "other").mkdir()
    (folder / "other" / "events.jsonl").write_text(told.replace('"version": "8.4.0"', '"version": "8.2.1"'))
    write_all(folder / "other" / "events.jsonl", folder / "other")
    refused = xencbt(folder, "run", "--rerun", "other", "--", "suite_of_mine.py")
    assert (refused.exit, "not the target of that run, its version was '8.2.1'" in refused.stderr) == (3, True)


def test_what_would_make_it_another_run_is_refused(folder: Path) -> None:
    refused = xencbt(folder, "run", "--rerun", "first", "--seed", "8", "--", "suite_of_mine.py")
    assert (refused.exit, "--rerun takes the seed of that run, 7, not 8" in refused.stderr) == (3, True)


def test_tests_that_are_gone_are_refused(folder: Path) -> None:
    refused = xencbt(folder, "run", "--rerun", "first")
    assert (refused.exit, "2 of its tests are not here" in refused.stderr) == (3, True)
    assert "would run" not in refused.stdout


def test_what_is_new_is_said_at_the_end_and_on_the_page(folder: Path) -> None:
    words = ("run", "--requirement", "ENABLE-02", "--since", "first", "--out", "later", "--", "suite_of_mine.py")
    later = xencbt(folder, *words)
    assert (later.exit, "since    first: No regression." in later.stdout) == (0, True), later.stdout
    assert "Compared with <strong>first of " in (folder / "later" / "report.html").read_text()
    refused = xencbt(folder, "run", "--since", "nowhere")
    assert (refused.exit, "nowhere does not exist" in refused.stderr) == (3, True)
