"""A pass must be earned, and every other end of a test has its own verdict."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.run.command import DEADLINE_S, Ran, environment, xencbt

SUITE = """
import pytest
from hypothesis import given, strategies as st
from xencbt.harness.decides import decides
from xencbt.harness.faults import AnswerLost, Planned
from xencbt.harness.verdicts import Blocked, NotExercised, NotRun, Unsupported, Violation

@decides("ENABLE-01")
def test_passes(disk):
    assert not disk.cbt_enabled

@decides("ENABLE-02")
def test_calls_nothing(lab):
    pass

@decides("ENABLE-03")
def test_raises_violation(disk):
    raise Violation("bits lost <script>", expected=["all"], actual="none")

@decides("ENABLE-04")
def test_breaks(disk):
    raise ValueError("our own mistake")

@decides("ENABLE-05")
def test_blocked(disk):
    raise Blocked("no space")

@decides("ENABLE-06")
def test_skips(disk):
    pytest.skip("later")

@decides("ENABLE-07")
@pytest.mark.xfail(reason="known", strict=False)
def test_hides_behind_xfail(disk):
    raise Violation("bits lost")

@decides("ENABLE-08")
@given(st.integers())
def test_property_that_reaches_nothing(lab, number):
    lab.session.value("pool.get_all")

@decides("ENABLE-09")
@given(st.integers())
def test_property_that_reaches_its_point(lab, number):
    with lab.example():
        lab.session.value("pool.get_all")

@decides("ENABLE-10")
def test_fault_that_never_fires(disk, faults):
    session = faults.session()
    with faults.armed(session, Planned(AnswerLost(), "VDI.enable_cbt")):
        session.value("VDI.get_cbt_enabled", disk.ref)

@decides("ENABLE-11")
def test_needs_what_the_target_lacks(lab):
    raise Unsupported("no such device")

@decides("ENABLE-12")
def test_not_run(lab):
    raise NotRun("no consent")

@decides("ENABLE-13")
@given(st.integers(0, 50))
def test_property_that_fails(lab, number):
    with lab.example():
        disk = lab.create_disk()
        if number > 10:
            raise Violation(f"wrong for {number}")
        lab.session.value("pool.get_all")

@decides("ENABLE-15")
def test_broken_fixture(no_such_fixture):
    pass
"""

EXPECTED = {
    "ENABLE-01": "pass",
    "ENABLE-02": "not exercised",
    "ENABLE-03": "fail",
    "ENABLE-04": "error",
    "ENABLE-05": "blocked",
    "ENABLE-06": "not run",
    "ENABLE-07": "fail",
    "ENABLE-08": "not exercised",
    "ENABLE-09": "pass",
    "ENABLE-10": "not exercised",
    "ENABLE-11": "unsupported",
    "ENABLE-12": "not run",
    "ENABLE-13": "fail",
    "ENABLE-15": "error",
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("earned")
    (folder / "test_own.py").write_text(SUITE)
    return xencbt(folder, "run", "--seed", "3", "--", "test_own.py")


def test_every_end_of_a_test_has_its_verdict(ran: Ran) -> None:
    assert ran.verdicts == EXPECTED, ran.stdout + ran.stderr
    assert ran.exit == 4


def test_every_verdict_but_pass_has_a_reason(ran: Ran) -> None:
    assert all(bool(row["reason"]) is (row["verdict"] != "pass") for row in ran.document["requirements"])


def test_a_property_fails_with_its_minimal_example(ran: Ran) -> None:
    finding = ran.tests["test_property_that_fails"]
    assert finding["reason"] == "wrong for 11"
    created = [step for step in finding["evidence"]["steps"] if step.startswith("VDI.create")]
    assert len(created) == 1, "the steps are those of the minimal example alone"


def test_the_fault_that_did_not_fire_left_its_receipt(ran: Ran) -> None:
    (receipt,) = ran.tests["test_fault_that_never_fires"]["receipts"]
    assert receipt["fired"] is False
    assert receipt["healed"] is not None


def test_workers_come_to_the_same_verdicts(ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(SUITE)
    parallel = xencbt(tmp_path, "run", "--seed", "3", "-n", "2", "--", "test_own.py")
    assert parallel.verdicts == ran.verdicts, parallel.stdout + parallel.stderr
    assert parallel.exit == ran.exit
    assert parallel.document["command"] == "xencbt run --seed 3 -n 2 -- test_own.py"
    same = ("verdict", "reason", "examples")
    for name, finding in ran.tests.items():
        assert {key: parallel.tests[name][key] for key in same} == {key: finding[key] for key in same}


def test_plain_pytest_is_nonzero_and_shows_the_table(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "from xencbt.harness.decides import decides\n"
        "from xencbt.harness.verdicts import Unsupported\n"
        "@decides('ENABLE-11')\n"
        "def test_needs_what_the_target_lacks(lab):\n"
        "    raise Unsupported('no such device')\n"
    )
    ran = pytest_run(tmp_path, "test_own.py")
    assert ran.returncode == 1, ran.stdout
    assert "unsupported" in ran.stdout
    assert (tmp_path / "xencbt-out" / "run.json").is_file()


def test_a_project_that_judges_nothing_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_one():\n    pass\n")
    ran = pytest_run(tmp_path, "test_own.py")
    assert ran.returncode == 0
    assert not (tmp_path / "xencbt-out").exists()


def pytest_run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words],
        cwd=folder,
        env=environment(folder, {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
