"""Budget and breaker as a user meets them."""

import os
from pathlib import Path

import pytest

from tests.run.command import xencbt
from tests.run.test_plan import as_host
from xencbt.fixtures.targets import start_emulator


def test_what_the_budget_did_not_reach_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    with start_emulator() as target:
        words = ("--suite", "status", "--budget", "0.001s", "--seed", "1")
        ran = xencbt(tmp_path, "run", *as_host(target), *words, extra={"XENCBT_PASSWORD": target.password})
    assert ran.exit == 2
    wanted = [test for test in ran.document["tests"] if test["verdict"] == "not run"]
    assert {test["reason"] for test in wanted} >= {"over budget: the time for this run is spent"}
    assert all(test["calls"] <= 1 for test in wanted)  # one may just have begun
    assert "5 examples a property" in ran.stdout


def test_what_the_host_cannot_do_is_unsupported_also_when_the_budget_is_spent(tmp_path: Path) -> None:
    """Nobody would see it run with more time; and the plan says so before."""
    with start_emulator() as target:
        words = (*as_host(target), "--suite", "disasters", "--allow", "faults,network-purpose", "--budget", "0.001s")
        ran = xencbt(tmp_path, "run", *words, extra={"XENCBT_PASSWORD": target.password})
    assert {(test["verdict"], test["reason"]) for test in ran.document["tests"]} == {
        ("unsupported", "the target has no control interface")
    }
    assert "0 tests would run" in ran.stdout


@pytest.mark.heavy
def test_a_dead_host_ends_the_run_with_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "import os, signal\n"
        "import pytest\n"
        "from xencbt.harness.decides import decides\n"
        "@decides('ENABLE-01')\n"
        "def test_a_first(disk):\n"
        "    assert disk.cbt_enabled is False\n"
        "@decides('ENABLE-02')\n"
        "def test_b_dies(lab):\n"
        "    disk = lab.create_disk()\n"
        "    os.kill(int(os.environ['EMULATOR_PID']), signal.SIGKILL)\n"
        "    for _ in range(6):\n"
        "        disk.attempt('enable_cbt')\n"
        "    disk.enable_cbt()\n"
        "@decides('ENABLE-03')\n"
        "def test_c_never(disk):\n"
        "    pass\n"
    )
    others = _emulators()
    with start_emulator() as target:
        (pid,) = _emulators() - others
        extra = {"XENCBT_PASSWORD": target.password, "EMULATOR_PID": str(pid)}
        ran = xencbt(tmp_path, "run", *as_host(target), "--", "test_own.py", extra=extra)
    assert ran.exit == 4
    assert ran.tests["test_a_first"]["verdict"] == "pass"
    assert ran.tests["test_c_never"]["verdict"] == "not run"
    assert any("the host looks dead" in problem["reason"] for problem in ran.document["problems"])
    assert ran.document["complete"] is False


def _emulators() -> set[int]:
    """Return the emulators that this process started: its children, by the kernel's list of them."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    lines = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return {child for child, line in lines.items() if b"xencbt.fixtures.emulator" in line}
