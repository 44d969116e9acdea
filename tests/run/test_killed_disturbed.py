"""A run that is killed while the host is disturbed: `xencbt clean` puts back what was there before."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.command import xencbt
from tests.run.test_plan import as_host
from xencbt.fixtures.bench import Bench
from xencbt.fixtures.lab import Lab
from xencbt.fixtures.targets import Target, dial, start_emulator
from xencbt.harness.session import Session

KILLED = (
    "import os, signal\n"
    "from xencbt.harness.decides import decides\n"
    "@decides('ENABLE-07')\n"
    "def test_is_killed(lab):\n"
    "    lab.seeded_disk('no-pbd')\n"
    "    lab.seeded_disk('read-only').{switch}_cbt()\n"
    "    os.kill(os.getpid(), signal.SIGKILL)\n"
)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Target]:
    with start_emulator() as target:
        yield target


def plugged(session: Session, sr_uuid: str) -> bool:
    sr = session.value("SR.get_by_uuid", sr_uuid)
    return all(session.value("PBD.get_currently_attached", pbd) for pbd in session.value("SR.get_PBDs", sr))


@pytest.mark.heavy
@pytest.mark.parametrize("switch", ["enable", "disable"])
def test_a_pbd_is_plugged_and_a_status_restored_after_a_kill(emulator: Target, tmp_path: Path, switch: str) -> None:
    host = dial(emulator.url, emulator.user, emulator.password)
    owner = Bench.open(host, seed=1, run_id="owner", environment={}, journal_dir=tmp_path, sr=emulator.srs["unrounded"])
    with Lab(owner, "owner") as lab:
        theirs = lab.create_disk()
        if switch == "disable":
            theirs.enable_cbt()
        before = set(owner.session.value("VDI.get_all"))
        (tmp_path / "test_own.py").write_text(KILLED.format(switch=switch))
        # an SR that is said to be read-only and is not: so the disk on it can really be switched
        kinds = (f"no-pbd={emulator.srs['second']}", f"read-only={emulator.srs['unrounded']}/{theirs.uuid}")
        words = (*as_host(emulator), "--allow", "sr-unplug", *(f"--sr-kind={kind}" for kind in kinds))
        extra = {"XENCBT_PASSWORD": emulator.password}
        ran = xencbt(tmp_path, "run", *words, "--", "test_own.py", extra=extra)
        assert ran.exit == -signal.SIGKILL, ran.stdout + ran.stderr
        assert theirs.cbt_enabled is (switch == "enable")
        assert not plugged(owner.session, emulator.srs["second"])
        assert len(set(owner.session.value("VDI.get_all")) - before) == 1

        cleaned = xencbt(tmp_path, "clean", extra=extra)
        assert cleaned.exit == 0, cleaned.stdout + cleaned.stderr
        assert "1 removed, 2 restored, 0 left" in cleaned.stdout
        assert theirs.cbt_enabled is (switch == "disable")
        assert plugged(owner.session, emulator.srs["second"])
        assert set(owner.session.value("VDI.get_all")) == before
    owner.close()
