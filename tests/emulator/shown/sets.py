"""Who belongs to whom, and what is left of it when snapshots go and hosts stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.emulator.laboratory import MIB
from tests.emulator.shown.showing import (
    Shown,
    blocks,
    content,
    enabled,
    outcome,
    two_steps,
    unclean_stop,
    used_disk,
)

if TYPE_CHECKING:
    from tests.emulator.laboratory import Laboratory

UNRELATED = "SR_BACKEND_FAILURE_460"


def over_two_steps(lab: Laboratory) -> Any:
    _, base, _, last = two_steps(lab)
    return blocks(lab, base, last)


def one_step(lab: Laboratory) -> Any:
    _, _, middle, last = two_steps(lab)
    return blocks(lab, middle, last)


def reversed_order(lab: Laboratory) -> Any:
    _, _, middle, last = two_steps(lab)
    return blocks(lab, last, middle)


def from_another_disk(lab: Laboratory) -> Any:
    _, base, _, _ = two_steps(lab)
    _, _, middle, _ = two_steps(lab)
    return blocks(lab, base, middle)


def from_an_untracked_disk(lab: Laboratory) -> Any:
    return blocks(lab, lab.snapshot(lab.disk()), lab.tracked_disk())


def why_unrelated(lab: Laboratory) -> str:
    _, _, middle, last = two_steps(lab)
    return lab.refusal("VDI.list_changed_blocks", last, middle)[2]


def length_after_growth(lab: Laboratory) -> int:
    vdi = lab.tracked_disk(virtual_size=2 * MIB)
    base = lab.snapshot(vdi)
    lab.call("VDI.resize", vdi, 4 * MIB)
    return len(lab.call("VDI.list_changed_blocks", base, vdi))


def listed_twice(lab: Laboratory) -> Any:
    _, _, middle, last = two_steps(lab)
    blocks(lab, middle, last)
    return blocks(lab, middle, last)


def beside_a_dead_set(lab: Laboratory) -> Any:
    lab.call("VDI.data_destroy", two_steps(lab)[3])
    vdi = lab.tracked_disk(virtual_size=2 * MIB)
    return blocks(lab, lab.snapshot(vdi), vdi)


def without_data(lab: Laboratory) -> Any:
    _, base, _, last = two_steps(lab)
    lab.call("VDI.data_destroy", base)
    return blocks(lab, base, last)


def over_two_sets(lab: Laboratory) -> Any:
    vdi, _, _, last = two_steps(lab)
    lab.call("VDI.disable_cbt", vdi)
    lab.write(vdi, 5)
    lab.call("VDI.enable_cbt", vdi)
    lab.write(vdi, 6)
    return blocks(lab, last, vdi)


def over_two_sets_by_the_host(lab: Laboratory) -> Any:
    vdi, _, _, last = two_steps(lab)
    with lab.lasting("no-space-for-log"):
        lab.call("VDI.resize", vdi, 8 * MIB)
    lab.call("VDI.enable_cbt", vdi)
    lab.write(vdi, 6)
    return blocks(lab, last, vdi)


def after_disabling(lab: Laboratory) -> Any:
    vdi, _, _, last = two_steps(lab)
    lab.call("VDI.disable_cbt", vdi)
    lab.write(vdi, 5)
    return blocks(lab, last, lab.snapshot(vdi))


def an_old_set(lab: Laboratory) -> Any:
    vdi, _, middle, last = two_steps(lab)
    lab.call("VDI.disable_cbt", vdi)
    return blocks(lab, middle, last)


def enabled_again(lab: Laboratory) -> str:
    vdi = lab.tracked_disk()
    lab.call("VDI.disable_cbt", vdi)
    return outcome(lab, "VDI.enable_cbt", vdi)


def without_the_middle(lab: Laboratory) -> Any:
    _, base, middle, last = two_steps(lab)
    lab.call("VDI.destroy", middle)
    return blocks(lab, base, last)


def in_a_row(lab: Laboratory, steps: int) -> list[Any]:
    """Take snapshots of a disk; before the nth but the first, block n is written."""
    vdi = lab.tracked_disk()
    row = [lab.snapshot(vdi)]
    for step in range(1, steps + 1):
        lab.write(vdi, step)
        row.append(lab.snapshot(vdi))
    return row


def over_many_steps(lab: Laboratory) -> Any:
    row = in_a_row(lab, 18)
    return blocks(lab, row[0], row[-1])


def without_any_between(lab: Laboratory) -> Any:
    first, *between, last = in_a_row(lab, 4)
    for snapshot in reversed(between):
        lab.call("VDI.destroy", snapshot)
    return blocks(lab, first, last)


def without_the_middle_of_three(lab: Laboratory) -> Any:
    vdi, base, middle, last = two_steps(lab)
    lab.write(vdi, 4)
    end = lab.snapshot(vdi)
    lab.call("VDI.destroy", middle)
    return blocks(lab, last, end) if base else None


def without_the_middle_in_use(lab: Laboratory) -> Any:
    vdi = used_disk(lab)
    base = lab.snapshot(vdi)
    lab.write(vdi, 1)
    middle = lab.snapshot(vdi)
    lab.write(vdi, 2)
    lab.call("VDI.destroy", middle)
    return blocks(lab, base, lab.snapshot(vdi))


def without_the_middle_and_a_pause(lab: Laboratory) -> Any:
    vdi = used_disk(lab)
    base = lab.snapshot(vdi)
    lab.write(vdi, 1)
    middle = lab.snapshot(vdi)
    lab.write(vdi, 2)
    with lab.lasting("pause-refused"):
        lab.call("VDI.destroy", middle)
    return blocks(lab, base, lab.snapshot(vdi))


def without_the_metadata_in_the_middle(lab: Laboratory) -> Any:
    _, base, middle, last = two_steps(lab)
    lab.call("VDI.data_destroy", middle)
    lab.call("VDI.destroy", middle)
    return blocks(lab, base, last)


def found_after_destruction(lab: Laboratory) -> int:
    _, _, middle, _ = two_steps(lab)
    before = len(lab.call("SR.get_VDIs", lab.sr()))
    lab.call("VDI.destroy", middle)
    lab.call("SR.scan", lab.sr())
    return len(lab.call("SR.get_VDIs", lab.sr())) - before


def snapshot_after_a_stop(lab: Laboratory) -> bool:
    return enabled(lab, lab.snapshot(unclean_stop(lab)))


def start_after_a_stop(lab: Laboratory) -> bool:
    vdi = unclean_stop(lab)
    lab.call("VM.start", lab.vm, False, False)
    return enabled(lab, vdi)


def read_after_a_stop(lab: Laboratory) -> bool:
    vdi = unclean_stop(lab)
    lab.read_by_control_domain(vdi, 0, 1)
    return enabled(lab, lab.snapshot(vdi))


def start_after_an_end(lab: Laboratory) -> bool:
    vdi = used_disk(lab)
    lab.call("VM.hard_shutdown", lab.vm)
    lab.call("VM.start", lab.vm, False, False)
    return enabled(lab, vdi)


def with_a_damaged_log(lab: Laboratory) -> Any:
    vdi, _, middle, last = two_steps(lab)
    lab.arm("log-damaged", vdi=lab.record(last)["uuid"], how="corrupt")
    return blocks(lab, middle, last) if vdi else None


TWO, MIDDLE = {1, 2, 3}, {2, 3}

SHOWN = {
    "only-the-last-log-is-listed": Shown(over_two_steps, TWO, MIDDLE),
    "listings-go-back-over-16-logs": Shown(over_many_steps, set(range(1, 19)), set(range(3, 19))),
    "logs-are-joined-by-exclusive-or": Shown(over_two_steps, TWO, {1, 3}),
    "joined-logs-are-coarser": Shown(over_two_steps, TWO, {0, *TWO}),
    "the-earlier-log-is-listed-too": Shown(one_step, MIDDLE, TWO),
    "any-order-is-listed": Shown(reversed_order, UNRELATED, MIDDLE),
    "unrelated-disks-list-their-writes": Shown(from_another_disk, UNRELATED, {1, 2}),
    "untracked-disks-list-nothing": Shown(from_an_untracked_disk, UNRELATED, set()),
    "unrelated-is-called-inconsistent": Shown(from_another_disk, UNRELATED, "SR_BACKEND_FAILURE_459"),
    "unrelated-is-not-said": Shown(
        why_unrelated,
        "Failed to calculate changed blocks for given VDIs. [opterr=Source and target VDI are unrelated]",
        "Failed to calculate changed blocks for given VDIs.",
    ),
    "bitmaps-have-the-earlier-size": Shown(length_after_growth, len("AAAAAAAAAAA="), len("AAAAAA==")),
    "listing-clears-the-log": Shown(listed_twice, MIDDLE, set()),
    "dead-sets-make-lists-full": Shown(beside_a_dead_set, set(), set(range(32))),
    "metadata-lists-nothing": Shown(without_data, TWO, set()),
    "metadata-is-unrelated": Shown(without_data, TWO, UNRELATED),
    "old-sets-lead-into-new-ones": Shown(over_two_sets, UNRELATED, {6}),
    "the-host-leaves-links-when-it-switches-off": Shown(over_two_sets_by_the_host, UNRELATED, {6}),
    "disabling-keeps-the-log": Shown(after_disabling, UNRELATED, {5}),
    "disabling-deletes-the-logs-of-the-set": Shown(an_old_set, MIDDLE, UNRELATED),
    "a-stale-log-hinders-the-next-set": Shown(enabled_again, "ok", "SR_BACKEND_FAILURE_457"),
    "merging-drops-bits": Shown(without_the_middle, TWO, MIDDLE),
    "merging-goes-backwards": Shown(without_the_middle, TWO, MIDDLE),
    "merging-replaces-bits": Shown(without_the_middle, TWO, {1, 2}),
    "logs-take-in-two-others": Shown(without_any_between, {1, 2, 3, 4}, {2, 3, 4}),
    "merging-forgets-what-is-in-memory": Shown(without_the_middle_in_use, {1, 2}, {1}),
    "deleting-cuts-the-chain": Shown(without_the_middle, TWO, UNRELATED),
    "refused-pauses-drop-bits": Shown(without_the_middle_and_a_pause, {1, 2}, {2}),
    "deleting-metadata-cuts-the-chain": Shown(without_the_metadata_in_the_middle, TWO, UNRELATED),
    "deleting-takes-the-next-log-along": Shown(without_the_middle_of_three, {4}, UNRELATED),
    "deleted-snapshots-come-back": Shown(found_after_destruction, -1, 0),
    "snapshots-trust-open-logs": Shown(snapshot_after_a_stop, False, True),
    "attaching-trusts-open-logs": Shown(start_after_a_stop, False, True),
    "reading-closes-open-logs": Shown(read_after_a_stop, False, True),
    "every-attach-ends-the-set": Shown(start_after_an_end, True, False),
    "unclean-stops-cost-data": Shown(lambda lab: content(lab, unclean_stop(lab), 0), 7, 0),
    "damaged-logs-read-as-empty": Shown(with_a_damaged_log, "SR_BACKEND_FAILURE_459", set()),
}
