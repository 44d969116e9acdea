"""What a run tells of its faults: a time line of each, which axis failed, what is worth knowing; healed at any end."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.at_target import disks, secrets_of, wait_for
from tests.run.command import Ran, finish, start, xencbt
from xencbt.fixtures.targets import Target, start_emulator

pytestmark = pytest.mark.heavy  # whole runs

SUITE = """
from xencbt.harness.decides import decides
from xencbt.harness.faults import AnswerLost, Duplicate, Planned
from xencbt.harness.verdicts import Axis, Violation, judging

def struck(disk, faults):
    session = faults.session()
    with faults.armed(session, Planned(AnswerLost(), "VDI.enable_cbt")):
        session.call("VDI.enable_cbt", disk.ref)

@decides("ENABLE-01")
def test_recovers(disk, faults):
    struck(disk, faults)

@decides("ENABLE-02")
def test_answers_wrongly(disk, faults):
    struck(disk, faults)
    with judging(Axis.ANSWER):
        raise Violation("answered too much")

@decides("ENABLE-03")
def test_leaves_something(disk, faults):
    struck(disk, faults)
    raise Violation("half done")

@decides("ENABLE-04")
def test_does_not_recover(disk, faults):
    struck(disk, faults)
    with judging(Axis.RECOVERY):
        raise Violation("does not answer")

@decides("ENABLE-05")
def test_meets_no_fault(disk):
    raise Violation("bits lost")

@decides("ENABLE-06")
def test_tells(disk, faults):
    struck(disk, faults)
    faults.note(AnswerLost(), "two snapshots were made")
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("told")
    (folder / "test_own.py").write_text(SUITE)
    return xencbt(folder, "run", "--seed", "3", "--", "test_own.py")


@pytest.mark.parametrize(
    ("test", "axis", "reason"),
    [
        ("test_answers_wrongly", "answer", "answer: answered too much"),
        ("test_leaves_something", "state", "state: half done"),
        ("test_does_not_recover", "recovery", "recovery: does not answer"),
        ("test_meets_no_fault", "", "bits lost"),
        ("test_recovers", "", ""),
    ],
)
def test_a_failed_fault_test_says_which_axis_failed(ran: Ran, test: str, axis: str, reason: str) -> None:
    finding = ran.tests[test]
    assert (finding["evidence"]["axis"], finding["reason"]) == (axis, reason)
    assert reason in ran.stdout


def test_receipts_make_a_time_line(ran: Ran) -> None:
    finding = ran.tests["test_recovers"]
    (receipt,) = finding["receipts"]
    (firing,) = receipt["firings"]
    assert 0 < receipt["armed_s"] <= firing["time_s"] <= receipt["healed_s"] <= finding["duration_s"]
    assert (firing["call"], firing["method"], firing["answer"]) == (1, "VDI.enable_cbt", "ok")
    assert 0 < firing["exchange"] <= finding["calls"]


def test_what_breaks_nothing_and_is_worth_knowing_is_told(ran: Ran) -> None:
    (receipt,) = ran.tests["test_tells"]["receipts"]
    assert receipt["note"] == "two snapshots were made"
    assert "two snapshots were made" in ran.stdout


IN_A_BLACKHOLE = """
import pathlib, threading
from xencbt.harness.decides import decides
from xencbt.harness.faults import Blackhole, NoSpaceForLog, PbdUnplugged, Planned

@decides("ENABLE-02")
def test_hangs(disk, faults):
    session = faults.session(deadline_s=600)
    planned = Planned(Blackhole(), "VDI.enable_cbt"), Planned(PbdUnplugged("snapshot", "create_log"))
    with faults.armed(session, *planned) as armed:
        disk.attempt("snapshot")
        def tell():
            while not armed.receipts[0].fired:
                threading.Event().wait(0.01)
            pathlib.Path("hanging").touch()
        threading.Thread(target=tell, daemon=True).start()
        session.call("VDI.enable_cbt", disk.ref)
"""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Target]:
    with start_emulator() as target:
        yield target


def test_an_interrupt_in_the_middle_of_a_blackhole_heals_everything(tmp_path: Path, emulator: Target) -> None:
    assert emulator.control is not None
    before = disks(emulator)
    (tmp_path / "test_own.py").write_text(IN_A_BLACKHOLE)
    words = ("--target", emulator.url, "--sr", emulator.srs["lvm"])
    process = start(tmp_path, "run", *words, "--", "test_own.py", extra=secrets_of(emulator))
    wait_for(tmp_path, 1, process, "hanging")
    assert [entry["fault"] for entry in emulator.control.armed()] == ["pbd-unplugged"]
    process.send_signal(signal.SIGINT)
    ran = finish(process, tmp_path)
    assert ran.exit == 130, ran.stdout + ran.stderr
    assert emulator.control.armed() == []
    assert disks(emulator) == before
    assert ran.document["journal"]["left"] == []
