"""VMs, calls that meet or end badly, the wire, and hosts that fool lax suites."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.emulator.laboratory import MIB
from tests.emulator.shown.showing import Shown, blocks, enabled, outcome, two_steps, used_disk
from xencbt.fixtures.emulator import xmlwriter
from xencbt.fixtures.emulator.blocks import BLOCK
from xencbt.fixtures.emulator.calls import Calls
from xencbt.fixtures.emulator.control import Control
from xencbt.fixtures.emulator.errors import Refusal
from xencbt.fixtures.emulator.server import Server

if TYPE_CHECKING:
    from tests.emulator.laboratory import Laboratory
    from xencbt.fixtures.emulator.values import Ref

SOON_S = 0.5
"""Seconds in which a call is answered that nothing stands in the way of: an emulated host takes a few milliseconds."""


def reverted(lab: Laboratory) -> Any:
    """List from the newest snapshot to a VM's disk that went back to an older one."""
    vdi = lab.vdi
    lab.call("VDI.enable_cbt", vdi)
    older = lab.call("VM.snapshot", lab.vm, "older", [])
    lab.write(vdi, 1)
    newest = lab.snapshot(vdi)
    lab.call("VM.revert", older)
    (vbd,) = lab.call("VM.get_VBDs", lab.vm)
    return blocks(lab, newest, lab.call("VBD.get_VDI", vbd))


def enabled_while_suspended(lab: Laboratory) -> str:
    lab.call("VM.start", lab.vm, False, False)
    lab.call("VM.suspend", lab.vm)
    return outcome(lab, "VDI.enable_cbt", lab.vdi)


def listed_in_use(lab: Laboratory) -> str:
    vdi = used_disk(lab)
    return outcome(lab, "VDI.list_changed_blocks", lab.snapshot(vdi), lab.snapshot(vdi))


def use_of_a_doubtful_log(lab: Laboratory) -> tuple[int, str]:
    """List over a damaged log; how many operations are current on the disk then, and what comes of destroying it."""
    _, _, middle, last = two_steps(lab)
    lab.arm("log-damaged", vdi=lab.record(last)["uuid"], how="corrupt")
    blocks(lab, middle, last)
    return len(lab.record(last)["current_operations"]), outcome(lab, "VDI.destroy", last)


def answered_in_use(lab: Laboratory) -> bool:
    """Tell whether enabling a disk that a VM uses is answered soon."""
    lab.call("VM.start", lab.vm, False, False)

    async def ask() -> bool:
        try:
            await asyncio.wait_for(lab.calling("VDI.enable_cbt", lab.vdi), SOON_S)
        except TimeoutError:
            return False
        return True

    return bool(lab.run(ask()))


def enabled_four_times_at_once(lab: Laboratory) -> bool:
    """Tell whether everybody who enabled a disk reads it as enabled."""
    vdi = lab.disk()

    async def enable_and_read() -> bool:
        await lab.calling("VDI.enable_cbt", vdi)
        read: bool = await lab.calling("VDI.get_cbt_enabled", vdi)
        return read

    async def all_at_once() -> list[bool]:
        return await asyncio.gather(*(enable_and_read() for _ in range(4)))

    return all(lab.run(all_at_once()))


def half_done(lab: Laboratory) -> bool:
    """Cut the power in the middle of destroying a snapshot; tell whether its image is still there."""
    taken = lab.snapshot(lab.tracked_disk())
    uuid = lab.record(taken)["uuid"]
    assert lab.crash_at("destroy", "delete_image", "VDI.destroy", taken)
    return uuid in lab.store().tracking


def login_after_a_stop(lab: Laboratory) -> str:
    lab.verb("crash")
    lab.verb("restart")
    try:
        lab.log_in()
    except Refusal as refusal:
        return refusal.code
    return "ok"


def enabled_after_a_failure(lab: Laboratory) -> str:
    vdi = lab.disk()
    with lab.lasting("sr-read-only"):
        outcome(lab, "VDI.enable_cbt", vdi)
    return outcome(lab, "VDI.enable_cbt", vdi)


def enabled_twice(lab: Laboratory) -> str:
    vdi = lab.disk()
    lab.call("VDI.enable_cbt", vdi)
    return outcome(lab, "VDI.enable_cbt", vdi)


def snapshot_after_a_background_call(lab: Laboratory) -> bool:
    vdi = lab.tracked_disk()
    taken = lab.snapshot(vdi)

    async def disable() -> bool:
        calls = Calls(lab.host)
        calls.begin("Async.VDI.disable_cbt", [lab.session, vdi])
        await asyncio.gather(*lab.host.running)
        read: bool = await calls.perform("VDI.get_cbt_enabled", lab.session, taken)
        return read

    return lab.run(disable())


def carries_the_session(lab: Laboratory) -> bool:
    return lab.session in lab.refusal("VDI.enable_cbt", "OpaqueRef:nothing")


def failure(lab: Laboratory) -> bool:
    told: bytes = lab.host.defects.context.run(xmlwriter.failure, ("VDI_IN_USE", "x"))
    return b"VDI_IN_USE" in told


def nothing_written(lab: Laboratory) -> Any:
    vdi = lab.tracked_disk(virtual_size=2 * MIB)
    return blocks(lab, lab.snapshot(vdi), vdi)


def random_blocks(lab: Laboratory) -> bool:
    """Tell whether a listing is of what was written."""
    _, _, middle, last = two_steps(lab)
    return blocks(lab, middle, last) == {2, 3}


def cleared(lab: Laboratory) -> Any:
    """List after a block was filled and another, before, was cleared."""
    vdi = lab.tracked_disk()
    lab.write(vdi, 1)
    base = lab.snapshot(vdi)
    lab.fill(vdi, 1 << 16, 1 << 16, 0)
    return blocks(lab, base, vdi)


def written_meanwhile(lab: Laboratory) -> Any:
    """List what was written right after a snapshot of the disk was asked for."""
    vdi = used_disk(lab)
    base = lab.snapshot(vdi)
    record = lab.record(vdi)

    async def snapshot_and_write() -> None:
        taking = asyncio.ensure_future(lab.calling("VDI.snapshot", vdi, {}))
        await asyncio.sleep(0)
        lab.host.storage[record["SR"]].write(record["uuid"], 2 * BLOCK, b"7")
        await taking

    lab.run(snapshot_and_write())
    return blocks(lab, base, lab.snapshot(vdi))


def one_step(lab: Laboratory) -> Any:
    _, _, middle, last = two_steps(lab)
    return blocks(lab, middle, last)


def other_answers(lab: Laboratory) -> Any:
    _, base, middle, last = two_steps(lab)
    return enabled(lab, last), blocks(lab, base, middle), enabled(lab, lab.disk()), blocks(lab, middle, last)


def of_other_disks(lab: Laboratory) -> Any:
    return blocks(lab, lab.tracked_disk(virtual_size=2 * MIB), lab.tracked_disk(virtual_size=2 * MIB))


def exposed(lab: Laboratory) -> bool:
    """Tell whether a connection with a request is kept after an unclean stop."""
    lab.verb("crash")
    lab.verb("restart")
    connection = _Connection(lab.host.ref)

    async def expose() -> bool:
        server = Server(lab.host, Control(lab.host, {}))
        return server.expose(connection)  # type: ignore[arg-type]  # as much of a connection as it looks at

    return lab.run(expose()) and not connection.is_cut


class _Connection:
    def __init__(self, entered: Ref) -> None:
        self.entered, self.is_cut = entered, False

    def cut(self) -> None:
        self.is_cut = True


UNRELATED = "SR_BACKEND_FAILURE_460"
ALL = set(range(32))

SHOWN = {
    "reverted-disks-stay-in-the-set": Shown(reverted, UNRELATED, set()),
    "suspended-vms-cannot-be-enabled": Shown(enabled_while_suspended, "ok", "VM_BAD_POWER_STATE"),
    "listing-needs-the-vm-offline": Shown(listed_in_use, "ok", "VDI_IN_USE"),
    "writes-during-a-snapshot-are-missed": Shown(written_meanwhile, {2}, set()),
    "calls-join-one-under-way": Shown(enabled_four_times_at_once, True, False),
    "doubtful-logs-leave-the-disk-locked": Shown(use_of_a_doubtful_log, (0, "ok"), (1, "VDI_IN_USE")),
    "interrupted-operations-are-not-undone": Shown(half_done, True, False),
    "hosts-do-not-come-back": Shown(login_after_a_stop, "ok", "HOST_STILL_BOOTING"),
    "media-that-failed-once-stay-read-only": Shown(enabled_after_a_failure, "ok", "SR_BACKEND_FAILURE_457"),
    "calls-repeated-at-once-are-refused": Shown(enabled_twice, "ok", "OTHER_OPERATION_IN_PROGRESS"),
    "background-calls-touch-the-snapshots": Shown(snapshot_after_a_background_call, True, False),
    "enabling-hangs-in-use": Shown(answered_in_use, True, False),
    "closes-every-connection": Shown(exposed, True, False),
    "refusals-carry-the-session": Shown(carries_the_session, False, True),
    "always-succeeds": Shown(failure, True, False),
    "always-fails": Shown(lambda lab: outcome(lab, "VDI.enable_cbt", lab.disk()), "ok", "OPERATION_NOT_ALLOWED"),
    "always-empty-bitmap": Shown(one_step, {2, 3}, set()),
    "all-ones-bitmap": Shown(nothing_written, set(), ALL),
    "all-ones-for-everything": Shown(of_other_disks, UNRELATED, ALL),
    "random-bitmap": Shown(random_blocks, True, False),
    "lists-what-holds-data": Shown(cleared, {1}, set()),
    "always-unrelated": Shown(one_step, {2, 3}, UNRELATED),
    "always-same-answer": Shown(other_answers, (True, {1, 2}, False, {2, 3}), (True, {1, 2}, True, {1, 2})),
    "always-enabled": Shown(lambda lab: enabled(lab, lab.disk()), False, True),
    "errors-are-all-alike": Shown(
        lambda lab: outcome(lab, "VDI.enable_cbt", lab.disk(type="suspend")),
        "VDI_INCOMPATIBLE_TYPE",
        "OPERATION_NOT_ALLOWED",
    ),
}
