"""A run that is at work until it is killed: everything that a test may do to a host, drawn from a seed."""

from __future__ import annotations

import importlib
import signal
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from xencbt.fixtures.bench import Bench
from xencbt.fixtures.lab import Lab
from xencbt.harness.disturbing import Faults
from xencbt.harness.faults import AnswerLost, Duplicate, Fault, Planned
from xencbt.harness.verdicts import Undecided, Violation
from xencbt.proxies.interceptor import Interceptor

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from xencbt.fixtures.disks import Disk
    from xencbt.fixtures.targets import Target

PLAIN = "plain"
FAULTS: dict[str, tuple[Fault, str]] = {
    "lost create": (AnswerLost(), "VDI.create"),
    "lost snapshot": (AnswerLost(), "VDI.snapshot"),
    "lost clone": (AnswerLost(), "VDI.clone"),
    "repeated snapshot": (Duplicate(), "VDI.snapshot"),
    "repeated create": (Duplicate(), "VDI.create"),
}
MODES = (PLAIN, *FAULTS)


def work(
    target: Target, folder: Path, run_id: str, mode: str, draws: random.Random, tell: Callable[[], object]
) -> None:
    """Work until killed; `tell` is called when the kill may come."""
    if mode == PLAIN and draws.random() < 0.2:
        tell()  # it may even strike before the run has begun
    bench = Bench.open(target, seed=1, run_id=run_id, environment={}, journal_dir=folder)
    lab = Lab(bench, "busy")
    if mode == PLAIN:
        tell()
        while True:
            one_thing(lab, draws)
    with Interceptor(target.url) as interceptor:
        faults = Faults(lab, lambda: interceptor, [])
        bench.session = faults.session()
        disks = [lab.create_disk() for _ in range(draws.randint(1, 3))]
        fault, method = FAULTS[mode]
        with faults.armed(bench.session, Planned(fault, method)):
            tell()
            with suppress(Undecided, Violation):
                if method == "VDI.create":
                    lab.create_disk()
                else:
                    draws.choice(disks).attempt(method.removeprefix("VDI."))
            tell()
            signal.pause()  # killed here at the latest: while the answer is lost, or the copy unknown


def warm_up() -> None:
    """Import once what each run, forked from here, would import for itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("xencbt.proxies.engine")


def one_thing(lab: Lab, draws: random.Random) -> None:
    """Do one thing of those that tests do."""
    with suppress(Undecided, Violation):
        disk = lab.create_disk()
        for act in draws.sample(ACTS, 3):
            act(lab, disk)


def _snapshots(lab: Lab, disk: Disk) -> None:
    del lab
    disk.enable_cbt().snapshot().clone()
    disk.write(block=1).snapshot().data_destroy()


def _copies(lab: Lab, disk: Disk) -> None:
    del lab
    disk.clone().copy("second")
    disk.destroy()


def _machine(lab: Lab, disk: Disk) -> None:
    vm = lab.create_vm(disk, power_state="Running")
    vm.snapshot()
    vm.suspend().resume()


def _unplugged(lab: Lab, disk: Disk) -> None:
    del disk
    with lab.conditions.unplugged("second"):
        lab.session.value("SR.get_record", lab.sr("second").ref)


def _not_ours(lab: Lab, disk: Disk) -> None:
    del disk
    seeded = lab.seeded_disk("no-cbt")
    seeded.attempt("disable_cbt")
    lent = lab.disk_at(lab.session.value("VDI.get_by_uuid", lab.bench.target.vdi))
    lab.journal.borrow(lent.uuid)
    lent.enable_cbt()


def _removes(lab: Lab, disk: Disk) -> None:
    del disk
    lab.close()


ACTS = (_snapshots, _copies, _machine, _unplugged, _not_ours, _removes)
