"""What tests of whole runs do at a target that was started separately: a look at it, secrets for it, an interrupt."""

import signal
import subprocess
import time
from pathlib import Path

from tests.run.command import Ran, finish
from xencbt.fixtures.targets import Target
from xencbt.harness.exchange import Recorder
from xencbt.harness.masking import Secrets
from xencbt.harness.session import Session


def secrets_of(target: Target) -> dict[str, str]:
    assert target.control is not None
    return {"XENCBT_PASSWORD": target.password, "XENCBT_CONTROL_TOKEN": target.control.token}


def disks(target: Target) -> set[str]:
    session = Session.login(target.endpoint, target.user, target.password, Recorder(Secrets()))
    try:
        return set(session.value("VDI.get_all"))
    finally:
        session.close()


WAITING = """
import pathlib, threading
import pytest
from xencbt.harness.decides import decides
from xencbt.harness.needs import needs
@decides('ENABLE-02')
@needs('raw-import')
@pytest.mark.parametrize('number', [1, 2])
def test_waits(disk, number):
    disk.enable_cbt()
    pathlib.Path(f'waiting-{disk.lab.sr().uuid}').touch()
    threading.Event().wait(60)
"""


def wait_for(folder: Path, count: int, process: subprocess.Popen[str], what: str = "waiting-*") -> None:
    end = time.monotonic() + 60
    while len(list(folder.glob(what))) < count:
        assert process.poll() is None, "the run ended early"
        assert time.monotonic() < end
        time.sleep(0.02)  # between two looks at a condition that has a deadline


def interrupted(process: subprocess.Popen[str], folder: Path, count: int, signum: signal.Signals) -> Ran:
    wait_for(folder, count, process)
    process.send_signal(signum)
    return finish(process, folder)
