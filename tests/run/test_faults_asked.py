"""`xencbt run --faults`: a plan in a file, and one kind of fault."""

import json
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.run.command import xencbt
from xencbt.fixtures.targets import Target, start_emulator

PLAN = """
[[faults]]
fault = "answer-lost"
method = "VDI.snapshot"
nth = 2

[[faults]]
fault = "late-duplicate"
method = "VDI.snapshot"
nth = 3

[[faults]]
fault = "api-error"
method = "VDI.data_destroy"
phase = "after"
parameters = { code = "SR_BACKEND_FAILURE_46" }

[[faults]]
fault = "request-dropped"
method = "VDI.enable_cbt"
"""
LIFE = "test_a_life_with_the_faults_of_a_plan[plan.toml]"


def planned(folder: Path, text: str) -> tuple[str, ...]:
    (folder / "plan.toml").write_text(text)
    return ("run", "--seed", "1", "--faults", "plan.toml")


@pytest.mark.heavy
def test_a_plan_is_carried_out_and_its_receipts_lead_to_the_exchanges(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, *planned(tmp_path, PLAN))
    assert ran.exit == 0, ran.stdout + ran.stderr
    (test,) = ran.tests.values()
    assert [receipt["fired"] for receipt in test["receipts"]] == [True] * 4
    exchanges = [firing["exchange"] for receipt in test["receipts"] for firing in receipt["firings"]]
    assert all(isinstance(each, int) and 0 < each <= test["calls"] for each in exchanges)
    assert len(set(exchanges)) == 4
    assert "made a second VDI" in test["receipts"][1]["note"]
    assert ran.document["journal"]["left"] == []


@pytest.mark.heavy
def test_a_plan_that_does_not_fire_decides_nothing(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, *planned(tmp_path, '[[faults]]\nfault = "answer-lost"\nmethod = "VDI.copy"\n'))
    assert ran.exit == 2, ran.stdout + ran.stderr
    (test,) = ran.tests.values()
    assert test["verdict"] == "not exercised"
    assert "answer-lost at call 1 of VDI.copy did not fire" in test["reason"]


def test_a_plan_that_means_nothing_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    wrong = '[[faults]]\nfault = "answer-lost"\nmethod = "VDI.x"\nphase = "before"\n'
    ran = xencbt(tmp_path, *planned(tmp_path, wrong))
    assert ran.exit == 3
    assert "plan.toml: faults[0].phase: answer-lost strikes after, not before" in ran.stderr


@pytest.mark.heavy
def test_only_tests_of_the_named_kind_are_run(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, "run", "--seed", "1", "--faults", "late-duplicate")
    assert ran.exit == 0, ran.stdout + ran.stderr
    kinds = {receipt["fault"] for test in ran.tests.values() for receipt in test["receipts"]}
    assert kinds == {"late-duplicate"}


@pytest.mark.heavy
def test_a_kind_that_no_test_makes_decides_nothing(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, "run", "--seed", "1", "--faults", "lab-command")
    assert ran.exit == 2, ran.stdout + ran.stderr


SWITCH = """
import json, os, pathlib, signal, sys
pid, action, what = sys.argv[1:]
os.kill(int(pid), signal.SIGSTOP if action == "inject" else signal.SIGCONT)
with pathlib.Path("switch.log").open("a") as log:
    print(action, what, file=log)
print(json.dumps({"done": True, "detail": f"{what}: {action}"}))
"""

AT_THE_LAB = """
[[faults]]
fault = "lab-command"
method = "VDI.snapshot"
nth = 2
parameters = { argv = [PYTHON, "switch.py", "PID"], what = "frozen", timeout_s = 60.0 }

[[faults]]
fault = "answer-lost"
method = "VDI.destroy"
"""


@pytest.mark.heavy
def test_a_labs_own_switch_is_thrown_around_a_call_and_put_back(tmp_path: Path) -> None:
    """The host is one whose control interface nobody knows; the switch freezes it in the middle of a call."""
    with start_emulator() as target:
        (tmp_path / "switch.py").write_text(SWITCH)
        plan = AT_THE_LAB.replace("PYTHON", json.dumps(sys.executable)).replace("PID", str(process_of(target)))
        words = ("--target", target.url, "--sr", target.srs["lvm"], "--allow", "faults")
        ran = xencbt(tmp_path, *planned(tmp_path, plan), *words, extra={"XENCBT_PASSWORD": target.password})
    assert ran.exit == 0, ran.stdout + ran.stderr
    assert (tmp_path / "switch.log").read_text().splitlines() == ["inject frozen", "heal frozen"]
    (test,) = ran.tests.values()
    thrown = next(receipt for receipt in test["receipts"] if receipt["fault"] == "lab-command")
    assert thrown["armed_s"] <= thrown["firings"][0]["time_s"] <= thrown["healed_s"]
    assert thrown["firings"][0]["at"] == "frozen: inject"
    assert ran.document["journal"]["left"] == []


@pytest.mark.heavy
def test_a_switch_whose_call_never_comes_decides_nothing(tmp_path: Path) -> None:
    plan = '[[faults]]\nfault = "lab-command"\nmethod = "VDI.copy"\nparameters = { argv = ["/bin/false"] }\n'
    ran = xencbt(tmp_path, *planned(tmp_path, plan))
    assert ran.exit == 2, ran.stdout + ran.stderr
    (test,) = ran.tests.values()
    assert "lab-command at call 1 of VDI.copy did not fire" in test["reason"]
    assert [receipt["fired"] for receipt in test["receipts"]] == [False]


def process_of(target: Target) -> int:
    """Return the process that listens at the target's port."""
    port = target.endpoint.port
    at = f":{port:04X} 00000000:0000 0A"
    listening = {line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines() if at in line}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if any(f"socket:[{inode}]" == str(link.readlink()) for inode in listening):
                return int(link.parts[2])
    raise AssertionError("nobody listens there")
