"""Defects that were seen on real hosts: the emulated one has none of them. Each test is the story of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.emulator.laboratory import MIB, Laboratory, laboratory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xencbt.fixtures.emulator.values import Ref

GIB = 1024 * MIB
BLOCKS_OF_A_GIB = 16 * 1024
UNRELATED = "Source and target VDI are unrelated"
WITH_CBT = ("lvm", "file", "unrounded")


@pytest.fixture
def lab() -> Iterator[Laboratory]:
    with laboratory() as made:
        yield made


def assert_unrelated(lab: Laboratory, source: Ref, target: Ref) -> None:
    code, *params = lab.refusal("VDI.list_changed_blocks", source, target)
    assert code == "SR_BACKEND_FAILURE_460"
    assert UNRELATED in "".join(params)


def used_disk(lab: Laboratory, kind: str = "lvm") -> Ref:
    """Make a tracked disk that a running VM has attached for writing."""
    vdi = lab.tracked_disk(kind)
    lab.plug_into_vm(vdi)
    lab.call("VM.start", lab.vm, False, False)
    return vdi


def unclean_stop(lab: Laboratory, vdi: Ref) -> None:
    lab.crash()
    assert lab.call("VM.get_power_state", lab.vm) == "Halted"
    assert lab.host.db.exists("VDI", vdi)


def failed_resize(lab: Laboratory, vdi: Ref, kind: str) -> None:
    with lab.lasting("no-space-for-log", kind):
        lab.call("VDI.resize", vdi, 8 * MIB)


def stop_and_attach(lab: Laboratory, vdi: Ref, _kind: str) -> None:
    lab.plug_into_vm(vdi)
    lab.call("VM.start", lab.vm, False, False)
    unclean_stop(lab, vdi)
    lab.call("VM.start", lab.vm, False, False)
    lab.call("VM.hard_shutdown", lab.vm)


@pytest.mark.parametrize("kind", WITH_CBT)
@pytest.mark.parametrize("switch_off", [failed_resize, stop_and_attach])
def test_f1_no_link_of_an_old_set_leads_into_a_new_one(
    lab: Laboratory, switch_off: Callable[[Laboratory, Ref, str], None], kind: str
) -> None:
    vdi = lab.tracked_disk(kind)
    old = lab.snapshot(vdi)
    lab.write(vdi, 1)
    switch_off(lab, vdi, kind)
    assert not lab.record(vdi)["cbt_enabled"]
    lab.write(vdi, 2)
    lab.call("VDI.enable_cbt", vdi)
    lab.write(vdi, 3)
    assert_unrelated(lab, old, vdi)
    assert_unrelated(lab, old, lab.snapshot(vdi))


def test_f2_a_log_left_open_is_not_taken_for_a_good_one_by_a_snapshot(lab: Laboratory) -> None:
    vdi = used_disk(lab)
    base = lab.snapshot(vdi)
    lab.write(vdi, 1)
    unclean_stop(lab, vdi)
    after = lab.snapshot(vdi)
    assert (lab.record(vdi)["cbt_enabled"], lab.record(after)["cbt_enabled"]) == (False, False)
    assert_unrelated(lab, base, after)
    assert_unrelated(lab, base, vdi)
    assert lab.messages(vdi) == ["VDI_CBT_METADATA_INCONSISTENT"]


@pytest.mark.parametrize("kind", WITH_CBT)
def test_f3_bits_that_cannot_be_merged_stay_in_the_chain(lab: Laboratory, kind: str) -> None:
    vdi = used_disk(lab, kind)
    base = lab.snapshot(vdi)
    lab.write(vdi, 1)
    middle = lab.snapshot(vdi)
    lab.write(vdi, 2)
    with lab.lasting("pause-refused", kind):
        lab.call("VDI.destroy", middle)
    lab.call("VM.hard_shutdown", lab.vm)
    assert lab.changed(base, vdi) == {1, 2}


@pytest.mark.parametrize("kind", WITH_CBT)
def test_f4_destroying_metadata_alone_keeps_the_chain(lab: Laboratory, kind: str) -> None:
    vdi = lab.tracked_disk(kind)
    base = lab.snapshot(vdi)
    lab.write(vdi, 1)
    middle = lab.snapshot(vdi)
    lab.write(vdi, 2)
    last = lab.snapshot(vdi)
    lab.call("VDI.data_destroy", middle)
    lab.call("VDI.destroy", middle)
    assert lab.changed(base, last) == {1, 2}
    assert lab.changed(base, vdi) == {1, 2}


@pytest.mark.parametrize(("kind", "edge"), [(kind, 4 * GIB) for kind in WITH_CBT] + [("lvm", 128 * GIB)])
def test_f5_growing_past_a_power_of_two_loses_no_change_on_either_side(lab: Laboratory, kind: str, edge: int) -> None:
    vdi = lab.tracked_disk(kind, virtual_size=edge - 2 * MIB)
    base = lab.snapshot(vdi)
    last_before = edge // GIB * BLOCKS_OF_A_GIB - 33
    lab.write(vdi, 0, last_before)
    lab.call("VDI.resize", vdi, edge + 2 * MIB)
    first_beyond = edge // GIB * BLOCKS_OF_A_GIB
    lab.write(vdi, first_beyond, first_beyond + 31)
    assert lab.changed(base, vdi) == {0, last_before, first_beyond, first_beyond + 31}
    middle = lab.snapshot(vdi)
    lab.write(vdi, first_beyond - 1)
    assert lab.changed(middle, vdi) == {first_beyond - 1}


@pytest.mark.parametrize("kind", WITH_CBT)
def test_f6_what_a_guest_writes_while_snapshots_go_is_kept(lab: Laboratory, kind: str) -> None:
    vdi = used_disk(lab, kind)
    base = lab.snapshot(vdi)
    uuid = lab.record(vdi)["uuid"]
    written = set[int]()
    taken = []
    for block in range(12):
        lab.verb("guest_write", vdi=uuid, writes=[{"offset": block * 65536, "length": 1, "fill": 7}])
        written.add(block)
        if block % 3 == 0:
            taken.append(lab.snapshot(vdi))
        if block % 3 == 2:
            lab.call("VDI.destroy", taken.pop(0))
    last = lab.snapshot(vdi)
    assert lab.changed(base, last) == written


def test_f7_a_revert_makes_no_listing_that_misses_a_block(lab: Laboratory) -> None:
    lab.call("VDI.enable_cbt", lab.vdi)
    lab.write(lab.vdi, 1)
    older = lab.call("VM.snapshot", lab.vm, "older", [])
    lab.write(lab.vdi, 2)
    newer = lab.call("VM.snapshot", lab.vm, "newer", [])
    lab.write(lab.vdi, 3)
    lab.call("VM.revert", older)
    back = lab.host.db.get("VBD", lab.host.db.get("VM", lab.vm)["VBDs"][0])["VDI"]
    assert not lab.record(back)["cbt_enabled"]
    members = [lab.host.db.get("VBD", lab.host.db.get("VM", vm)["VBDs"][0])["VDI"] for vm in (older, newer)]
    for member in members:
        assert_unrelated(lab, member, back)
    assert lab.changed(*members) == {2}
    lab.call("VDI.enable_cbt", back)
    for member in members:
        assert_unrelated(lab, member, back)


@pytest.mark.parametrize("kind", WITH_CBT)
def test_f8_disabling_leaves_nothing_behind_that_hinders_enabling(lab: Laboratory, kind: str) -> None:
    vdi = lab.tracked_disk(kind)
    pbd = lab.host.db.get("SR", lab.sr(kind))["PBDs"][0]
    lab.call("VDI.disable_cbt", vdi)
    lab.call("PBD.unplug", pbd)
    lab.call("PBD.plug", pbd)
    lab.call("VDI.enable_cbt", vdi)
    base = lab.snapshot(vdi)
    lab.write(vdi, 5)
    assert lab.changed(base, vdi) == {5}


def test_f9_an_export_that_is_over_does_not_hold_the_disk(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    taken = lab.snapshot(vdi)
    lab.read_by_control_domain(taken, 0, 4 * MIB)
    lab.call("VDI.data_destroy", taken)
    assert lab.record(taken)["type"] == "cbt_metadata"


def test_f10_metadata_of_a_dead_set_is_in_nobodys_way(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    leftovers = [lab.snapshot(vdi) for _ in range(3)]
    for taken in leftovers:
        lab.call("VDI.data_destroy", taken)
    lab.call("VDI.disable_cbt", vdi)
    lab.call("VDI.enable_cbt", vdi)
    base = lab.snapshot(vdi)
    lab.write(vdi, 9)
    assert lab.changed(base, lab.snapshot(vdi)) == {9}
    lab.call("SR.scan", lab.sr())
    lab.write(vdi, 10)
    assert lab.changed(base, vdi) == {9, 10}
    for taken in leftovers:
        assert_unrelated(lab, taken, vdi)


def test_f11_reading_a_disk_does_not_mend_its_log(lab: Laboratory) -> None:
    vdi = used_disk(lab)
    base = lab.snapshot(vdi)
    lab.write(vdi, 1)
    unclean_stop(lab, vdi)
    lab.call("VBD.destroy", lab.record(vdi)["VBDs"][0])
    reader = lab.plug_into_vm(vdi, "RO")
    lab.call("VM.start", lab.vm, False, False)
    lab.call("VM.hard_shutdown", lab.vm)
    assert lab.refusal("VDI.list_changed_blocks", base, vdi)[0] == "SR_BACKEND_FAILURE_459"
    lab.call("VBD.destroy", reader)
    lab.plug_into_vm(vdi)
    lab.call("VM.start", lab.vm, False, False)
    assert not lab.record(vdi)["cbt_enabled"]
    assert lab.messages(vdi) == ["VDI_CBT_METADATA_INCONSISTENT"]


@pytest.mark.parametrize("kind", WITH_CBT)
def test_f12_a_write_to_a_snapshot_differs_on_both_sides(lab: Laboratory, kind: str) -> None:
    vdi = lab.tracked_disk(kind)
    first = lab.snapshot(vdi)
    written = lab.snapshot(vdi)
    last = lab.snapshot(vdi)
    lab.plug_into_vm(written)
    lab.call("VM.start", lab.vm, False, False)
    lab.write(written, 4)
    lab.call("VM.hard_shutdown", lab.vm)
    assert lab.changed(first, written) == {4}
    assert lab.changed(written, last) == {4}
    assert lab.changed(first, last) == {4}
