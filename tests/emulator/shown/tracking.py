"""Writes that are marked wrongly, or not at all, and logs that forget what they knew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.emulator.laboratory import MIB
from tests.emulator.shown.showing import Shown, outcome, used_disk
from xencbt.fixtures.emulator.blocks import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.emulator.laboratory import Laboratory
    from xencbt.fixtures.emulator.values import Ref

GIB = 1024 * MIB


def changed_by(*writes: tuple[int, int], size: int = 4 * MIB) -> Callable[[Laboratory], set[int]]:
    """List what writes (offset, length) after a first one changed."""

    def scene(lab: Laboratory) -> set[int]:
        vdi = lab.tracked_disk(virtual_size=size)
        lab.write(vdi, 0)
        base = lab.snapshot(vdi)
        for offset, length in writes:
            lab.fill(vdi, offset, length)
        return lab.changed(base, lab.snapshot(vdi))

    return scene


def changed_by_the_first_write(lab: Laboratory) -> set[int]:
    vdi = lab.tracked_disk()
    base = lab.snapshot(vdi)
    lab.write(vdi, 3)
    lab.write(vdi, 4)
    return lab.changed(base, vdi)


def changed_in_use(lab: Laboratory) -> set[int]:
    vdi = used_disk(lab)
    base = lab.snapshot(vdi)
    lab.write(vdi, 2, 3)
    return lab.changed(base, lab.snapshot(vdi))


def restarted(lab: Laboratory, _: Ref) -> None:
    lab.run(lab.host.restart())
    lab.log_in()


def changed_on_the_second_disk(lab: Laboratory) -> set[int]:
    lab.plug_into_vm(lab.tracked_disk())
    vdi = lab.tracked_disk()
    lab.plug_into_vm(vdi)
    lab.call("VM.start", lab.vm, False, False)
    base = lab.snapshot(vdi)
    lab.write(vdi, 2, 3)
    lab.call("VM.hard_shutdown", lab.vm)
    return lab.changed(base, vdi)


def changed_before(event: Callable[[Laboratory, Ref], object]) -> Callable[[Laboratory], set[int]]:
    """List what a running VM wrote since a baseline and a snapshot; the event is given that snapshot."""

    def scene(lab: Laboratory) -> set[int]:
        vdi = used_disk(lab)
        base, middle = lab.snapshot(vdi), lab.snapshot(vdi)
        lab.write(vdi, 2, 3)
        event(lab, middle)
        return lab.changed(base, lab.snapshot(vdi))

    return scene


def changed_by_a_write_to_a_snapshot(lab: Laboratory) -> set[int]:
    vdi = lab.tracked_disk()
    base = lab.snapshot(vdi)
    lab.write(base, 5)
    return lab.changed(base, vdi)


def changed_twice(lab: Laboratory) -> set[int]:
    vdi = lab.tracked_disk()
    lab.write(vdi, 1)
    base = lab.snapshot(vdi)
    lab.write(vdi, 2)
    return lab.changed(base, lab.snapshot(vdi))


def changed_before_and_after_growth(lab: Laboratory) -> set[int]:
    vdi = lab.tracked_disk()
    base = lab.snapshot(vdi)
    lab.write(vdi, 1)
    lab.call("VDI.resize", vdi, 6 * MIB)
    lab.write(vdi, 70)
    return lab.changed(base, vdi)


def listed_after_growth(lab: Laboratory) -> str:
    vdi = lab.tracked_disk()
    base = lab.snapshot(vdi)
    lab.call("VDI.resize", vdi, 6 * MIB)
    return outcome(lab, "VDI.list_changed_blocks", base, vdi)


def listed_since_the_baseline(lab: Laboratory) -> str:
    vdi = lab.tracked_disk()
    return outcome(lab, "VDI.list_changed_blocks", lab.snapshot(vdi), lab.snapshot(vdi))


UNRELATED = "SR_BACKEND_FAILURE_460"

SHOWN = {
    "writes-mark-their-first-block": Shown(changed_by((BLOCK - 1, 2)), {0, 1}, {0}),
    "writes-mark-whole-blocks-only": Shown(changed_by((1, 2 * BLOCK)), {0, 1, 2}, {1}),
    "writes-mark-a-mebibyte": Shown(changed_by((17 * BLOCK, 1)), {17}, set(range(16, 32))),
    "long-writes-mark-their-first-mebibyte": Shown(changed_by((0, 2 << 20)), set(range(32)), set(range(16))),
    "offsets-wrap-at-4-gib": Shown(changed_by((4 * GIB, 1), size=5 * GIB), {4 * GIB // BLOCK}, {0}),
    "first-write-is-missed": Shown(changed_by_the_first_write, {3, 4}, {4}),
    "writes-in-use-are-missed": Shown(changed_in_use, {2, 3}, {2}),
    "writes-to-snapshots-miss-the-next-interval": Shown(changed_by_a_write_to_a_snapshot, {5}, set()),
    "roll-drops-bits": Shown(changed_twice, {2}, set()),
    "roll-keeps-bits": Shown(changed_twice, {2}, {1, 2}),
    "snapshots-start-a-set": Shown(listed_since_the_baseline, "ok", UNRELATED),
    "closing-forgets-what-is-in-memory": Shown(
        changed_before(lambda lab, _: lab.call("VM.hard_shutdown", lab.vm)), {2, 3}, set()
    ),
    "suspending-forgets-what-is-in-memory": Shown(
        changed_before(lambda lab, _: lab.call("VM.suspend", lab.vm)), {2, 3}, set()
    ),
    "pausing-forgets-what-is-in-memory": Shown(
        changed_before(lambda lab, _: lab.call("VM.pause", lab.vm)), {2, 3}, set()
    ),
    "moving-forgets-what-is-in-memory": Shown(
        changed_before(lambda lab, _: lab.call("VM.pool_migrate", lab.vm, lab.host.ref, {})), {2, 3}, set()
    ),
    "restarts-forget-what-is-in-memory": Shown(changed_before(restarted), {2, 3}, set()),
    "stopping-writes-out-the-first-disk-only": Shown(changed_on_the_second_disk, {2, 3}, set()),
    "destroying-data-forgets-what-is-in-memory": Shown(
        changed_before(lambda lab, middle: lab.call("VDI.data_destroy", middle)), {2, 3}, set()
    ),
    "growth-clears-the-log": Shown(changed_before_and_after_growth, {1, 70}, {70}),
    "growth-past-a-power-of-two-loses-changes": Shown(changed_before_and_after_growth, {1, 70}, {70}),
    "grown-parts-are-not-tracked": Shown(changed_before_and_after_growth, {1, 70}, {1}),
    "growth-starts-a-set": Shown(listed_after_growth, "ok", UNRELATED),
}
