"""The script of docs/ci, as a night runs it: at an emulated host, twice, the second night with a defect."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.run.command import environment

SCRIPT = Path(__file__).parents[2] / "docs" / "ci" / "nightly.sh"


def night(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the script in `folder`, with the command `xencbt` of this interpreter on its path."""
    commands = folder / "bin"
    if not commands.exists():
        commands.mkdir()
        (commands / "xencbt").write_text(f'#!/bin/sh\nexec {sys.executable} -m xencbt.harness.cli "$@"\n')
        (commands / "xencbt").chmod(0o755)
    known = environment(folder, settings)
    known["PATH"] = f"{commands}:{known['PATH']}"
    return subprocess.run(
        ["sh", SCRIPT],
        cwd=folder,
        env=known,
        capture_output=True,
        text=True,
        timeout=280,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[subprocess.CompletedProcess[str]]]:
    folder = tmp_path_factory.mktemp("nights")
    one = {"XENCBT_REQUIREMENT": "ENABLE-15", "XENCBT_SEED": "1"}
    first = night(folder, **one)
    return folder, [first, night(folder, **one, XENCBT_DEFECT="enable-takes-snapshots")]


def test_the_exit_code_is_that_of_the_run(nights: tuple[Path, list[subprocess.CompletedProcess[str]]]) -> None:
    _, (first, second) = nights
    assert first.returncode == 0, first.stdout + first.stderr
    assert second.returncode == 1, second.stdout + second.stderr


def test_what_failed_is_tried_again_and_compared_with_the_night_before(
    nights: tuple[Path, list[subprocess.CompletedProcess[str]]],
) -> None:
    folder, (first, second) = nights
    assert "Regression: ENABLE-15." not in first.stdout
    assert "verdict  Regression: ENABLE-15." in second.stdout
    assert "Regression: ENABLE" in (folder / "reports" / "compare.md").read_text().replace("\\", "")
    assert "1 regressed" in (folder / "reports" / "again" / "report.html").read_text()


def test_nights_are_kept_and_shown(nights: tuple[Path, list[subprocess.CompletedProcess[str]]]) -> None:
    folder, _ = nights
    assert len(list((folder / "history").iterdir())) == 2
    assert "2 runs" in (folder / "reports" / "trend.html").read_text()


def test_a_night_that_judged_nothing_leaves_no_history(tmp_path: Path) -> None:
    ran = night(tmp_path, XENCBT_SUITE="nonsense")
    assert ran.returncode == 3
    assert list((tmp_path / "history").iterdir()) == []
