"""Several workers at one target, as a user meets them: each on an SR of its own, in turns where the host is meant."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.at_target import WAITING, disks, interrupted, secrets_of
from tests.run.command import start, xencbt
from tests.run.test_earned import pytest_run
from xencbt.fixtures.targets import Target, start_emulator
from xencbt.harness.claim import Claim, claims_folder
from xencbt.harness.exchange import Recorder
from xencbt.harness.masking import Secrets
from xencbt.harness.session import Session

pytestmark = pytest.mark.heavy  # whole runs with workers


@pytest.fixture(scope="module")
def emulator() -> Iterator[Target]:
    with start_emulator() as target:
        yield target


@pytest.fixture
def nobody() -> Iterator[str]:
    """Return the URL of an address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def leasing(target: Target, *srs: str) -> list[str]:
    words = ["run", "--target", target.url, "-n", "2"]
    return words + [f"--sr={target.srs[kind]}" for kind in srs]


LEASED = """
import pathlib
import pytest
from xencbt.harness.decides import decides
from xencbt.harness.needs import needs

SEEN = pathlib.Path('seen')

@decides('ENABLE-02')
@needs('raw-import')
@pytest.mark.parametrize('number', range(6))
def test_own_sr(disk, number):
    disk.enable_cbt()
    SEEN.mkdir(exist_ok=True)
    (SEEN / f'{disk.lab.sr().uuid}').touch()

@decides('STATUS-04')
@needs('toolstack-restart', 'raw-import')
@pytest.mark.parametrize('number', range(2))
def test_whole_host(disk, number):
    disk.enable_cbt()
    disk.lab.conditions.restart_toolstack()
    assert disk.cbt_enabled

@decides('DISABLE-04')
@needs('sr:second')
def test_an_sr_that_is_leased(lab):
    raise AssertionError('nobody may come here')

@decides('ENABLE-16')
@needs('sr:no-cbt')
def test_an_sr_that_nobody_leased(lab):
    lab.create_disk(sr='no-cbt')
"""


def test_workers_at_one_target_lease_an_sr_each_and_take_turns_at_the_host(tmp_path: Path, emulator: Target) -> None:
    """A toolstack restart between ends the neighbour's session, and nobody judges by it."""
    before = disks(emulator)
    (tmp_path / "test_own.py").write_text(LEASED)
    words = [*leasing(emulator, "lvm", "second"), "--", str(tmp_path / "test_own.py")]
    ran = xencbt(tmp_path, *words, extra=secrets_of(emulator))
    run = ran.document
    verdicts = {row["id"]: row["verdict"] for row in run["requirements"]}
    assert verdicts.pop("DISABLE-04") == "not run"
    assert verdicts == dict.fromkeys(("ENABLE-02", "STATUS-04", "ENABLE-16"), "pass"), ran.stdout
    assert "is leased by a worker of this run" in ran.stdout
    assert {path.name for path in (tmp_path / "seen").iterdir()} == {emulator.srs["lvm"], emulator.srs["second"]}
    assert run["journal"]["left"] == []
    absent = {one["name"]: one["detail"] for one in run["target"]["capabilities"] if not one["present"]}
    assert absent.keys() >= {"sr:lvm", "sr:second"}
    assert disks(emulator) == before


def test_what_is_required_and_absent_is_told_once_and_by_name(tmp_path: Path, emulator: Target) -> None:
    (tmp_path / "test_own.py").write_text(
        "from xencbt.harness.decides import decides\n"
        "@decides('ENABLE-02')\n"
        "def test_own_sr(disk):\n"
        "    disk.enable_cbt()\n"
    )
    words = [*leasing(emulator, "lvm", "second"), "--require", "guest-write", "--", str(tmp_path / "test_own.py")]
    ran = xencbt(tmp_path, *words, extra={"XENCBT_PASSWORD": emulator.password})  # without its token it is any host
    assert ran.exit == 1, ran.stdout + ran.stderr
    assert " lacks what was required of it: guest-write." in " ".join(ran.stdout.split())
    events = [json.loads(line) for line in (ran.folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    finished = [event["id"] for event in events if event["event"] == "test_finished"]
    assert [test.rpartition("::")[0] for test in sorted(finished)] == ["capability", "test_own"]


def test_interrupted_workers_remove_what_they_created(tmp_path: Path, emulator: Target) -> None:
    before = disks(emulator)
    (tmp_path / "test_own.py").write_text(WAITING)
    words = [*leasing(emulator, "lvm", "second"), "--", str(tmp_path / "test_own.py")]
    process = start(tmp_path, *words, extra=secrets_of(emulator))
    ran = interrupted(process, tmp_path, 2, signal.SIGTERM)
    assert ran.exit == 130, ran.stdout + ran.stderr
    assert ran.document["complete"] is False
    assert (ran.document["journal"]["created"], ran.document["journal"]["left"]) == (2, [])
    assert disks(emulator) == before


def test_workers_never_begin_where_one_would_have_no_sr(tmp_path: Path, emulator: Target) -> None:
    words = ["run", "--target", emulator.url, "-n", "2", "--requirement", "ENABLE-02"]
    lvm, second = emulator.srs["lvm"], emulator.srs["second"]
    few = xencbt(tmp_path, *words, "--sr", lvm, extra=secrets_of(emulator))
    assert (few.exit, "needs an SR for each worker, and 1 is named" in few.stderr) == (3, True)
    unknown = xencbt(tmp_path, *words, "--sr", lvm, "--sr", "unknown", extra=secrets_of(emulator))
    assert (unknown.exit, "the target has no SR unknown" in unknown.stderr) == (3, True)
    session = Session.login(emulator.endpoint, emulator.user, emulator.password, Recorder(Secrets()))
    (pool,) = session.value("pool.get_all")
    folder = claims_folder({"XDG_STATE_HOME": str(tmp_path / "state")})
    with Claim(folder, str(session.value("pool.get_uuid", pool)), second, f"test, process {os.getpid()}"):
        taken = xencbt(tmp_path, *words, "--sr", lvm, "--sr", second, extra=secrets_of(emulator))
    session.close()
    assert (taken.exit, f"another run is at work on the SR {second}" in taken.stderr) == (3, True)
    assert not (tmp_path / "xencbt-out").exists()


def test_workers_at_a_target_that_is_not_there_are_4(tmp_path: Path, nobody: str) -> None:
    words = ("--requirement", "ENABLE-02", "--target", nobody, "-n", "2", "--sr", "a", "--sr", "b")
    ran = xencbt(tmp_path, "run", *words, extra={"XENCBT_PASSWORD": "x"})
    assert ran.exit == 4, ran.stdout + ran.stderr
    assert ran.verdicts == {"ENABLE-02": "not run"}
    assert "cannot connect" in ran.document["problems"][0]["reason"]


def test_workers_leave_nothing_behind_for_pytest_to_complain_about(tmp_path: Path) -> None:
    """Whoever has this plugin installed runs tests of their own with workers, and with warnings as errors."""
    (tmp_path / "test_other.py").write_text("def test_one(): pass\ndef test_two(): pass\n")
    ran = pytest_run(tmp_path, "-n", "2", "-W", "error", "test_other.py")
    assert ran.returncode == 0, ran.stdout
    assert "ResourceWarning" not in ran.stdout + ran.stderr


def test_a_vm_on_an_sr_that_a_worker_leases_is_refused_before_any_begins(tmp_path: Path, emulator: Target) -> None:
    """Each worker clones it, and the disks of a clone lie where those of the VM do: on one worker's own SR."""
    assert emulator.vm is not None
    words = ("--vm", emulator.vm, "--requirement", "ENABLE-02")
    for srs in (("lvm", "second"), ("second", "lvm")):
        ran = xencbt(tmp_path, *leasing(emulator, *srs), *words, extra=secrets_of(emulator))
        assert ran.exit == 3, ran.stdout + ran.stderr
        assert f"is on SR {emulator.srs['lvm']}, which a worker of this run leases for itself" in ran.stderr
    assert not (tmp_path / "xencbt-out").exists()


def test_a_vm_on_an_sr_of_a_special_kind_serves_all_workers(tmp_path: Path, emulator: Target) -> None:
    assert emulator.vm is not None
    (tmp_path / "test_own.py").write_text(
        "import pytest\n"
        "from xencbt.harness.decides import decides\n"
        "@decides('ENABLE-02')\n"
        "@pytest.mark.parametrize('number', range(4))\n"
        "def test_own_sr(lab, number):\n"
        "    lab.create_vm(lab.create_disk().enable_cbt())\n"
    )
    words = [*leasing(emulator, "file", "unrounded"), "--sr-kind", f"second={emulator.srs['lvm']}"]
    words += ["--vm", emulator.vm, "--", str(tmp_path / "test_own.py")]
    ran = xencbt(tmp_path, *words, extra={"XENCBT_PASSWORD": emulator.password})
    assert (ran.exit, ran.verdicts) == (0, {"ENABLE-02": "pass"}), ran.stdout + ran.stderr
    assert ran.document["journal"]["left"] == []
