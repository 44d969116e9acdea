"""Situations are brought about as drawn, and what suites look at shows each way in which a host could lie."""

import pytest

from xencbt.fixtures.lab import Lab
from xencbt.fixtures.vms import PowerState
from xencbt.harness.bitmap import Bitmap
from xencbt.harness.model import Enable, OnBoot, Storage, VdiType
from xencbt.harness.verdicts import Blocked, Unsupported, Violation
from xencbt.suites.scenarios import DISK, FURNISHED, Beside, Offer, Part, Situation, build, storage_of
from xencbt.suites.statuses import Events, assert_reads, only_status_becomes

EVERY_NEIGHBOUR = frozenset(Beside)


@pytest.mark.parametrize(
    "situation",
    [
        Situation(),
        Situation(type=VdiType.SYSTEM, sr="file", vm="Paused", enabled=True),
        Situation(type=VdiType.REDO_LOG, on_boot=OnBoot.RESET, sr="no-cbt", vm="Halted"),
        Situation(sr="unrounded", vm="Running", enabled=True, beside=EVERY_NEIGHBOUR),
        Situation(sr="second", vm="Suspended", snapshot=True, enabled=True, beside=EVERY_NEIGHBOUR),
        Situation(type=VdiType.SUSPEND, on_boot=OnBoot.RESET, snapshot=True),
        *(Situation(sr=sr) for sr in FURNISHED),
    ],
    ids=lambda situation: f"{situation.type}-on-{situation.sr}-{situation.vm}",
)
def test_the_disk_is_what_the_situation_says_and_the_model_agrees(lab: Lab, situation: Situation) -> None:
    scene = build(lab, situation)

    record = scene.disk.record()
    modelled = scene.model.disk(DISK)
    if situation.sr not in FURNISHED:
        assert (record["type"], record["on_boot"]) == (situation.type.value, situation.on_boot.value)
        assert record["cbt_enabled"] is situation.enabled
    assert record["is_a_snapshot"] is situation.snapshot is modelled.is_a_snapshot
    assert record["cbt_enabled"] is modelled.enabled
    assert record["SR"] == lab.sr(situation.sr).ref
    assert (record["type"], record["on_boot"], int(record["virtual_size"])) == (
        modelled.type.value,
        modelled.on_boot,
        modelled.size,
    )
    held = {record["VDI"] for record in scene.vm.vbds().values()} if scene.vm else set()
    assert (scene.vm.power_state if scene.vm else None) == situation.vm
    assert (scene.disk.ref in held) is (situation.vm is not None and not situation.snapshot)


def test_every_neighbour_is_there_and_tracked(lab: Lab) -> None:
    scene = build(lab, Situation(vm="Halted", enabled=True, beside=EVERY_NEIGHBOUR))
    marks = {part.name: scene.marks(part) for part in scene.others}
    assert {name: set(bitmap.blocks) for name, bitmap in marks.items() if bitmap is not None} == {
        beside.name: {beside.value} for beside in Beside
    }


def test_a_contradiction_is_not_built(lab: Lab) -> None:
    with pytest.raises(ValueError, match="cannot have been enabled"):
        build(lab, Situation(type=VdiType.SUSPEND, enabled=True))


def test_what_cannot_be_set_up_is_blocked(lab: Lab) -> None:
    with lab.conditions.free_bytes("main", 0), pytest.raises(Blocked):
        build(lab, Situation(enabled=True))


@pytest.mark.parametrize("vm", [None, "Running"])
def test_nothing_is_found_where_nothing_was_touched(lab: Lab, vm: PowerState | None) -> None:
    scene = build(lab, Situation(vm=vm, beside=EVERY_NEIGHBOUR - ({Beside.SAME_VM} if vm is None else set())))
    with scene.others_untouched():
        lab.check(scene.disk.attempt("enable_cbt"), scene.allowed(Enable(DISK)), "enabling")


@pytest.mark.parametrize(("sr", "vm"), [("main", None), ("file", "Running")])
def test_another_set_that_was_restarted_is_found(lab: Lab, sr: str, vm: PowerState | None) -> None:
    beside = Beside.SAME_SR if vm is None else Beside.SAME_VM
    scene = build(lab, Situation(sr=sr, vm=vm, beside=frozenset({beside})))
    (other,) = scene.others
    with pytest.raises(Violation), scene.others_untouched():
        other.disk.disable_cbt().enable_cbt()


def test_another_disk_that_was_disabled_is_found(lab: Lab) -> None:
    scene = build(lab, Situation(beside=frozenset({Beside.CLONE})))
    with pytest.raises(Violation, match="cbt_enabled: True → False"), scene.others_untouched():
        scene.others[0].disk.disable_cbt()


def test_a_bitmap_that_marks_more_than_before_loses_nothing(lab: Lab) -> None:
    scene = build(lab, Situation(beside=frozenset({Beside.SAME_SR})))
    with scene.others_untouched():
        scene.others[0].disk.write(block=50)


def test_a_bitmap_that_was_emptied_is_found(lab: Lab) -> None:
    scene = build(lab, Situation())
    disk = lab.create_disk().enable_cbt()
    part = Part("other", disk, disk.snapshot())
    scene.assert_same_marks(part, Bitmap.of((), disk.size))
    with pytest.raises(Violation, match="bitmap of other changed"):
        scene.assert_same_marks(part, Bitmap.of({5}, disk.size))


def test_an_offer_is_what_the_target_has(lab: Lab) -> None:
    offer = Offer.of(lab)
    assert {"main", "no-cbt", "iso"} <= set(offer.srs)
    assert "iso" not in offer.resettable
    assert offer.narrowed(srs=("file",), on_boot=OnBoot.RESET).srs == ("file",)
    with pytest.raises(Unsupported, match="no SR of kind iso"):
        offer.narrowed(srs=("iso",), on_boot=OnBoot.RESET)


def test_the_model_learns_of_an_sr_what_its_driver_and_kind_promise(lab: Lab) -> None:
    assert storage_of(lab.sr("file")) == Storage(ref=lab.sr("file").ref)
    assert "enable_cbt" in storage_of(lab.sr("no-cbt")).lacks
    assert storage_of(lab.sr("no-pbd")).attached is False
    assert storage_of(lab.sr("read-only")).writable is False
    assert storage_of(lab.sr("full")).log_space is False


def test_a_wrong_status_is_named_wherever_it_is_read(lab: Lab) -> None:
    disk = lab.create_disk()
    assert_reads(disk, enabled=False)
    with pytest.raises(Violation, match="get_all_records"):
        assert_reads(disk, enabled=True)


def test_another_field_that_moved_is_named(lab: Lab) -> None:
    disk = lab.create_disk()
    with only_status_becomes(disk, enabled=True):
        disk.enable_cbt()
    with pytest.raises(Violation, match="name_label"), only_status_becomes(disk, enabled=True):
        lab.session.value("VDI.set_name_label", disk.ref, "renamed")
    with pytest.raises(Violation, match="cbt_enabled"), only_status_becomes(disk, enabled=False):
        disk.enable_cbt()


def test_an_event_is_awaited_and_its_absence_is_a_violation(lab: Lab) -> None:
    disk = lab.create_disk()
    events = Events(lab)
    disk.enable_cbt()
    events.wait_for(disk, enabled=True)
    with pytest.raises(Violation, match="no event showed the change"):
        events.wait_for(disk, enabled=False, deadline_s=0.2)


def test_events_from_before_do_not_count(lab: Lab) -> None:
    disk = lab.create_disk().enable_cbt()
    with pytest.raises(Violation, match="no event of the VDI"):
        Events(lab).wait_for(disk, enabled=True, deadline_s=0.2)


def test_pbds_are_plugged_again_whatever_happens_inside(lab: Lab) -> None:
    disk = lab.create_disk()
    with pytest.raises(Violation, match="inside"), lab.conditions.unplugged("main"):
        raise Violation("inside")
    disk.enable_cbt()


def test_a_pbd_that_cannot_be_plugged_again_is_reported_and_hides_nothing(lab: Lab) -> None:
    (pbd,) = lab.session.value("SR.get_PBDs", lab.sr("second").ref)
    record = lab.session.value("PBD.get_record", pbd)
    fields = {name: record[name] for name in ("host", "SR", "device_config", "other_config")}
    with pytest.raises(Violation, match="inside"), lab.conditions.unplugged("second"):
        _destroy_and_fail(lab, pbd)
    assert [trouble.partition(":")[0] for trouble in lab.troubles] == ["a PBD is left unplugged"]
    lab.troubles.clear()
    lab.bench.troubles.clear()
    lab.session.value("PBD.plug", lab.session.value("PBD.create", fields))


def _destroy_and_fail(lab: Lab, pbd: str) -> None:
    lab.session.value("PBD.destroy", pbd)
    raise Violation("inside")
