"""Tracking through the dispatch table: what is listed, and that no known silent loss happens here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.emulator.laboratory import MIB, Laboratory, laboratory
from xencbt.fixtures.emulator.storage_operations import data_destroy

if TYPE_CHECKING:
    from collections.abc import Iterator

UNRELATED = "Failed to calculate changed blocks for given VDIs. [opterr=Source and target VDI are unrelated]"
REFUSED = ("SR_BACKEND_FAILURE_460", "", UNRELATED, "")


@pytest.fixture
def lab() -> Iterator[Laboratory]:
    with laboratory() as made:
        yield made


def test_a_later_write_is_listed(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    base = lab.snapshot(vdi)
    lab.write(vdi, 3, 17)
    assert lab.changed(base, lab.snapshot(vdi)) == {3, 17}


def test_enabling_twice_keeps_what_was_recorded(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    base = lab.snapshot(vdi)
    lab.write(vdi, 3)
    lab.call("VDI.enable_cbt", vdi)
    assert lab.changed(base, vdi) == {3}


def test_sets_do_not_join_over_a_gap(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    old = lab.snapshot(vdi)
    lab.call("VDI.disable_cbt", vdi)
    lab.write(vdi, 5)
    lab.call("VDI.enable_cbt", vdi)
    assert lab.refusal("VDI.list_changed_blocks", old, vdi) == REFUSED
    assert lab.refusal("VDI.list_changed_blocks", old, lab.snapshot(vdi)) == REFUSED
    assert lab.record(old)["cbt_enabled"]


def test_deleting_in_the_middle_keeps_changes(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    first = lab.snapshot(vdi)
    lab.write(vdi, 1)
    middle = lab.snapshot(vdi)
    lab.write(vdi, 2)
    last = lab.snapshot(vdi)
    lab.call("VDI.destroy", middle)
    assert lab.changed(first, last) == {1, 2}


def test_destroyed_data_changes_no_list(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    first = lab.snapshot(vdi)
    lab.write(vdi, 1)
    last = lab.snapshot(vdi)
    lab.call("VDI.data_destroy", first)
    lab.call("VDI.data_destroy", last)
    assert lab.changed(first, last) == {1}
    lab.call("VDI.data_destroy", first)
    assert lab.record(first)["type"] == "cbt_metadata"
    assert lab.record(first)["other_config"]["content_id"] == "/No content: this is a cbt_metadata VDI/"


def test_a_grown_disk_keeps_its_set(lab: Laboratory) -> None:
    vdi = lab.tracked_disk("unrounded", virtual_size=100_000)
    first = lab.snapshot(vdi)
    lab.write(vdi, 0)
    lab.call("VDI.resize", vdi, 700_000)
    lab.write(vdi, 9)
    assert lab.record(vdi)["virtual_size"] == 700_000
    assert lab.call("VDI.list_changed_blocks", first, vdi) == "gEA="


def test_a_snapshot_of_a_snapshot_sits_between_its_neighbours(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    first = lab.snapshot(vdi)
    lab.write(vdi, 1)
    second = lab.snapshot(vdi)
    lab.write(vdi, 2)
    inner = lab.snapshot(second)
    assert lab.record(inner)["snapshot_of"] == second
    assert lab.changed(first, inner) == {1}
    assert lab.changed(inner, second) == set()
    assert lab.changed(first, vdi) == {1, 2}


def test_clones_and_copies_start_untracked(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    base = lab.snapshot(vdi)
    lab.write(vdi, 4)
    for made in (lab.call("VDI.clone", base), lab.call("VDI.copy", vdi, lab.sr("file"))):
        assert not lab.record(made)["cbt_enabled"]
        assert lab.refusal("VDI.list_changed_blocks", base, made) == REFUSED
    assert lab.changed(base, vdi) == {4}


def running_with(lab: Laboratory) -> None:
    lab.call("VDI.enable_cbt", lab.vdi)
    lab.call("VM.start", lab.vm, False, False)


def test_an_unclean_stop_ends_the_set_at_the_next_attach(lab: Laboratory) -> None:
    """With its message, and without a link that would join the next set to it."""
    running_with(lab)
    old = lab.snapshot(lab.vdi)
    lab.write(lab.vdi, 5)
    lab.crash()
    assert lab.refusal("VDI.list_changed_blocks", old, lab.vdi)[0] == "SR_BACKEND_FAILURE_459"
    lab.call("VM.start", lab.vm, False, False)
    assert lab.messages(lab.vdi) == ["VDI_CBT_METADATA_INCONSISTENT"]
    assert not lab.record(lab.vdi)["cbt_enabled"]
    lab.call("VDI.enable_cbt", lab.vdi)
    lab.call("VM.clean_shutdown", lab.vm)
    assert lab.refusal("VDI.list_changed_blocks", old, lab.vdi) == REFUSED
    assert lab.store().read(lab.record(lab.vdi)["uuid"], 5 * 65536, 1) == b"\x07"


def test_an_inconsistent_log_is_not_rolled(lab: Laboratory) -> None:
    running_with(lab)
    old = lab.snapshot(lab.vdi)
    lab.write(lab.vdi, 5)
    lab.crash()
    taken = lab.snapshot(lab.vdi)
    assert lab.refusal("VDI.list_changed_blocks", old, taken) == REFUSED
    assert not lab.record(taken)["cbt_enabled"]
    assert not lab.record(lab.vdi)["cbt_enabled"]
    assert lab.messages(lab.vdi) == ["VDI_CBT_METADATA_INCONSISTENT"]


def test_reading_does_not_mend_a_log(lab: Laboratory) -> None:
    running_with(lab)
    old = lab.snapshot(lab.vdi)
    lab.write(lab.vdi, 5)
    lab.crash()
    for vbd in lab.record(lab.vdi)["VBDs"]:
        lab.call("VBD.set_mode", vbd, "RO")
    lab.call("VM.start", lab.vm, False, False)
    lab.call("VM.hard_shutdown", lab.vm)
    assert lab.refusal("VDI.list_changed_blocks", old, lab.vdi)[0] == "SR_BACKEND_FAILURE_459"
    assert lab.messages(lab.vdi) == []


def test_a_clean_restart_keeps_everything(lab: Laboratory) -> None:
    running_with(lab)
    old = lab.snapshot(lab.vdi)
    lab.write(lab.vdi, 5)
    lab.start()
    assert lab.host.db.get("VM", lab.vm)["power_state"] == "Running"
    lab.call("VM.clean_shutdown", lab.vm)
    assert lab.changed(old, lab.vdi) == {5}


def test_a_pause_that_is_refused_loses_no_bits(lab: Laboratory) -> None:
    running_with(lab)
    first = lab.snapshot(lab.vdi)
    lab.write(lab.vdi, 1)
    middle = lab.snapshot(lab.vdi)
    middle_uuid = lab.record(middle)["uuid"]
    lab.write(lab.vdi, 2)
    with lab.lasting("pause-refused"):
        lab.call("VDI.destroy", middle)
        assert lab.refusal("VDI.snapshot", lab.vdi)[0] == "SR_BACKEND_FAILURE_82"
        assert lab.refusal("VDI.disable_cbt", lab.vdi)[0] == "SR_BACKEND_FAILURE_457"
    lab.call("VM.clean_shutdown", lab.vm)
    assert lab.changed(first, lab.vdi) == {1, 2}
    lab.call("SR.scan", lab.sr())
    back = lab.record(lab.call("VDI.get_by_uuid", middle_uuid))
    assert (back["type"], back["cbt_enabled"], back["virtual_size"], back["is_a_snapshot"]) == (
        "cbt_metadata",
        True,
        0,
        False,
    )


def test_a_write_to_a_snapshot_is_on_both_sides(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    first = lab.snapshot(vdi)
    second = lab.snapshot(vdi)
    lab.write(second, 6)
    assert lab.changed(first, second) == {6}
    assert lab.changed(second, vdi) == {6}


def test_no_room_for_the_next_log_ends_tracking_not_the_snapshot(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    first = lab.snapshot(vdi)
    lab.write(vdi, 1)
    lab.verb("sr_state", sr=lab.host.lab.srs["lvm"], free_bytes=MIB)
    second = lab.snapshot(vdi)
    lab.verb("sr_state", sr=lab.host.lab.srs["lvm"], free_bytes=None)
    assert lab.messages(vdi) == ["VDI_CBT_SNAPSHOT_FAILED"]
    assert not lab.record(vdi)["cbt_enabled"]
    assert lab.changed(first, second) == {1}
    lab.call("VDI.enable_cbt", vdi)
    assert lab.refusal("VDI.list_changed_blocks", second, vdi) == REFUSED


def test_no_room_for_the_longer_log_ends_tracking_not_the_growth(lab: Laboratory) -> None:
    vdi = lab.tracked_disk()
    first = lab.snapshot(vdi)
    lab.verb("sr_state", sr=lab.host.lab.srs["lvm"], free_bytes=5 * MIB)
    lab.call("VDI.resize", vdi, 8 * MIB)
    assert lab.record(vdi)["virtual_size"] == 8 * MIB
    assert lab.messages(vdi) == ["VDI_CBT_RESIZE_FAILED"]
    lab.verb("sr_state", sr=lab.host.lab.srs["lvm"], free_bytes=None)
    lab.call("VDI.enable_cbt", vdi)
    assert lab.refusal("VDI.list_changed_blocks", first, vdi) == REFUSED


def test_reverting_leads_to_disks_that_are_new_to_tracking(lab: Laboratory) -> None:
    running_with(lab)
    taken = lab.call("VM.snapshot", lab.vm, "before", [])
    base = lab.host.db.get("VBD", lab.host.db.get("VM", taken)["VBDs"][0])["VDI"]
    lab.write(lab.vdi, 1)
    lab.call("VM.revert", taken)
    reverted = lab.host.db.get("VBD", lab.host.db.get("VM", lab.vm)["VBDs"][0])["VDI"]
    assert lab.refusal("VDI.list_changed_blocks", base, reverted) == REFUSED
    assert lab.store().read(lab.record(reverted)["uuid"], 65536, 1) == b"\x00"


def test_no_way_back_to_a_snapshot_without_data(lab: Laboratory) -> None:
    running_with(lab)
    taken = lab.call("VM.snapshot", lab.vm, "before", [])
    vbd = lab.host.db.get("VM", taken)["VBDs"][0]
    base = lab.host.db.get("VBD", vbd)["VDI"]
    assert lab.refusal("VDI.data_destroy", base) == ("VDI_IN_USE", base, "data_destroy")
    assert lab.record(base)["type"] == "system"
    lab.store().run("data_destroy", data_destroy(lab.store(), lab.record(base)["uuid"]))
    lab.call("SR.scan", lab.sr())
    assert lab.refusal("VM.revert", taken) == ("VDI_INCOMPATIBLE_TYPE", base, "CBT metadata")
