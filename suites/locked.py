"""That nothing is left locked by a call that went wrong (FAULT-03)."""

import time
from collections.abc import Iterable

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import Lab
from xencbt.harness.recovering import RECOVERY_DEADLINE_S, RECOVERY_PAUSE_S
from xencbt.harness.verdicts import Axis, Violation, judging

EMULATED_DEADLINE_S = 2.0
"""An emulated host has nothing else to do: what it marks as current then, stays so."""


def assert_nothing_locked(lab: Lab, disks: Iterable[Disk], when: str) -> None:
    """Expect that no operation is marked as current on any of `disks`, nor on the SR of the run, by the deadline."""
    deadline_s = RECOVERY_DEADLINE_S if lab.bench.target.control is None else EMULATED_DEADLINE_S
    asked, end = tuple(disks), time.monotonic() + deadline_s
    while locked := _locked(lab, asked):
        if time.monotonic() >= end:
            with judging(Axis.RECOVERY):
                raise Violation(
                    f"an object is locked {when}", expected=("no current operations",), actual="; ".join(locked)
                )
        time.sleep(RECOVERY_PAUSE_S)  # between two looks at a condition that has a deadline


def _locked(lab: Lab, disks: Iterable[Disk]) -> tuple[str, ...]:
    found = {str(disk): disk.record()["current_operations"] for disk in disks}
    found["the SR"] = lab.session.value("SR.get_current_operations", lab.sr().ref)
    return tuple(f"{name}: {', '.join(sorted(current.values()))}" for name, current in found.items() if current)
