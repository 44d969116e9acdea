"""Where `cbt_enabled` can be read, and what a call that switches it may change beside it: nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import Lab
from xencbt.fixtures.unchanged import assert_unchanged
from xencbt.harness.session import clock
from xencbt.harness.verdicts import Violation

EVENT_DEADLINE_S = 10.0
"""How long a change may take until an event tells of it."""

LONGEST_WAIT_S = 5.0
"""How long one call waits for events; hosts cut longer waits."""


def assert_reads(disk: Disk, *, enabled: bool) -> None:
    """Expect that `cbt_enabled` reads so by getter, `get_record` and `get_all_records`; raises Violation (STATUS-02).

    Every reading must be a boolean, not something that counts as one.
    """
    session = disk.lab.session
    readings = {
        "VDI.get_cbt_enabled": session.value("VDI.get_cbt_enabled", disk.ref),
        "VDI.get_record": disk.record().get("cbt_enabled", "no such field"),
        "VDI.get_all_records": session.value("VDI.get_all_records").get(disk.ref, {}).get("cbt_enabled", "no record"),
    }
    wrong = [f"{where}: {read!r}" for where, read in readings.items() if read is not enabled]
    if wrong:
        raise Violation("cbt_enabled is wrong", expected=(f"{enabled} everywhere",), actual="; ".join(wrong))


@contextmanager
def only_status_becomes(disk: Disk, *, enabled: bool) -> Iterator[None]:
    """Expect that inside `cbt_enabled` becomes `enabled`, or is so already, and no other field of the record changes.

    Raises Violation with each field that moved.
    """
    before = disk.record()
    yield
    after = disk.record()
    assert_unchanged({**before, "cbt_enabled": enabled}, after, "switching its tracking (beside cbt_enabled)")


class Events:
    """Events of VDIs from now on, as `event.from` with one token tells them.

    >>> events = Events(lab)
    >>> disk.enable_cbt()
    >>> events.wait_for(disk, enabled=True)
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._token = ""
        self._next(wait_s=0.0)

    def wait_for(self, disk: Disk, *, enabled: bool, deadline_s: float = EVENT_DEADLINE_S) -> None:
        """Wait for an event whose record of `disk` has this `cbt_enabled`.

        Raises Violation with the values that were shown instead when none comes by the deadline.
        """
        end = clock() + deadline_s
        shown: list[object] = []
        while (left := end - clock()) > 0:
            for event in self._next(wait_s=min(left, LONGEST_WAIT_S)):
                if event["ref"] != disk.ref or event["operation"] == "del":
                    continue
                record: dict[str, Any] = event["snapshot"]
                if record["cbt_enabled"] is enabled:
                    return
                shown.append(record["cbt_enabled"])
        raise Violation(
            f"no event showed the change within {deadline_s:g} s",
            expected=(f"an event of the VDI with cbt_enabled {enabled}",),
            actual=f"events with {shown}" if shown else "no event of the VDI",
        )

    def _next(self, *, wait_s: float) -> list[dict[str, Any]]:
        batch = self._lab.session.value("event.from", ["VDI"], self._token, float(wait_s))
        self._token = batch["token"]
        events: list[dict[str, Any]] = batch["events"]
        return events
