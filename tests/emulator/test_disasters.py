"""Faults of the storage: each strikes where it says, is written down, and leaves a host that is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.emulator.laboratory import MIB, Laboratory, laboratory
from xencbt.fixtures.emulator.errors import VerbRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xencbt.fixtures.emulator.values import Ref

INCONSISTENT = "VDI_CBT_METADATA_INCONSISTENT"


@pytest.fixture
def lab() -> Iterator[Laboratory]:
    with laboratory() as made:
        yield made


def tracked(lab: Laboratory) -> tuple[Ref, Ref]:
    """Make a tracked disk with a snapshot, and a block written since."""
    vdi = lab.tracked_disk()
    base = lab.snapshot(vdi)
    lab.write(vdi, 1)
    return vdi, base


def used(lab: Laboratory) -> tuple[Ref, Ref]:
    """Make the same, in use by a running VM."""
    vdi, base = tracked(lab)
    lab.plug_into_vm(vdi)
    lab.call("VM.start", lab.vm, False, False)
    return vdi, base


def uuid_of(lab: Laboratory, vdi: Ref) -> str:
    uuid: str = lab.record(vdi)["uuid"]
    return uuid


@pytest.mark.parametrize(
    ("fault", "prepare", "call", "code"),
    [
        ("no-space-for-log", lambda lab: lab.disk(), "VDI.enable_cbt", "SR_BACKEND_FAILURE_457"),
        ("sr-read-only", lambda lab: lab.disk(), "VDI.enable_cbt", "SR_BACKEND_FAILURE_457"),
        ("sr-read-only", lambda lab: tracked(lab)[0], "VDI.disable_cbt", "SR_BACKEND_FAILURE_458"),
        ("sr-read-only", lambda lab: tracked(lab)[0], "VDI.snapshot", "SR_BACKEND_FAILURE_82"),
        ("sr-read-only", lambda lab: tracked(lab)[1], "VDI.data_destroy", "SR_BACKEND_FAILURE_80"),
        ("pause-refused", lambda lab: used(lab)[0], "VDI.disable_cbt", "SR_BACKEND_FAILURE_457"),
        ("pause-refused", lambda lab: used(lab)[0], "VDI.snapshot", "SR_BACKEND_FAILURE_82"),
    ],
)
def test_a_failure_of_the_storage_is_refused_once_and_changes_nothing(
    lab: Laboratory, fault: str, prepare: Callable[[Laboratory], Ref], call: str, code: str
) -> None:
    vdi = prepare(lab)
    before = lab.record(vdi)
    operation = call.partition(".")[2]
    number = lab.arm(fault, operation=operation)
    assert lab.refusal(call, vdi)[0] == code
    assert lab.record(vdi) == before
    lab.call(call, vdi)  # it was to strike once
    receipt = lab.heal(number)
    assert [(each["number"], each["operation"]) for each in receipt["firings"]] == [(1, operation)]
    assert receipt["armed"] <= receipt["firings"][0]["time"] <= receipt["healed"]


def test_no_space_for_the_next_log_at_a_snapshot_ends_the_tracking_loudly(lab: Laboratory) -> None:
    vdi, base = tracked(lab)
    number = lab.arm("no-space-for-log", operation="snapshot")
    last = lab.snapshot(vdi)
    assert lab.messages(vdi) == ["VDI_CBT_SNAPSHOT_FAILED"]
    assert not lab.record(vdi)["cbt_enabled"]
    assert lab.changed(base, last) == {1}
    assert len(lab.heal(number)["firings"]) == 1


def test_the_nth_time_and_only_so_often(lab: Laboratory) -> None:
    place = {"sr": lab.host.lab.srs["lvm"]}
    entry = {"fault": "sr-read-only", "parameters": {"operation": "create"}, "nth": 2, "times": 2, **place}
    (armed,) = lab.verb("faults", arm=[entry])["faults"]
    lab.disk()
    record = {"SR": lab.sr(), "virtual_size": MIB, "type": "user"}
    assert [lab.refusal("VDI.create", record)[0] for _ in range(2)] == ["SR_BACKEND_FAILURE_78"] * 2
    lab.disk()
    receipt = lab.heal(armed["id"])
    assert (receipt["met"], [each["number"] for each in receipt["firings"]]) == (4, [2, 3])


def test_a_fault_on_one_sr_leaves_the_others_alone(lab: Laboratory) -> None:
    number = lab.arm("sr-read-only", kind="file", operation="enable_cbt")
    lab.tracked_disk("lvm")
    assert lab.heal(number)["firings"] == []


def test_a_lasting_fault_ends_when_it_is_healed(lab: Laboratory) -> None:
    number = lab.arm("sr-read-only", times=None)
    vdi = lab.vdi
    assert [lab.refusal("VDI.enable_cbt", vdi)[0] for _ in range(3)] == ["SR_BACKEND_FAILURE_457"] * 3
    lab.heal(number)
    lab.call("VDI.enable_cbt", vdi)
    assert lab.verb("faults")["faults"] == []


@pytest.mark.parametrize("step", ["split_image", "rename_log", "link_predecessor", "create_log", "link_snapshot"])
def test_a_snapshot_during_which_the_sr_is_unplugged_did_not_happen(lab: Laboratory, step: str) -> None:
    vdi, base = tracked(lab)
    number = lab.arm("pbd-unplugged", operation="snapshot", step=step)
    assert lab.refusal("VDI.snapshot", vdi)[0] == "SR_NOT_ATTACHED"
    assert lab.refusal("VDI.snapshot", vdi)[0] == "SR_HAS_NO_PBDS"
    lab.heal(number)
    assert lab.record(vdi)["snapshots"] == [base]
    assert lab.record(vdi)["current_operations"] == {}
    assert lab.changed(base, lab.snapshot(vdi)) == {1}


def test_healing_an_unplugged_sr_twice_or_unstruck_does_nothing(lab: Laboratory) -> None:
    (pbd,) = lab.host.db.get("SR", lab.sr())["PBDs"]
    lab.call("PBD.unplug", pbd)
    lab.heal(lab.arm("pbd-unplugged", operation="snapshot", step="split_image"))
    assert not lab.host.db.get("PBD", pbd)["currently_attached"]
    with pytest.raises(VerbRefusedError, match="not armed"):
        lab.heal(1_000_000)


@pytest.mark.parametrize("how", ["lost", "truncated", "corrupt"])
@pytest.mark.parametrize("which", ["snapshot", "leaf"])
def test_a_damaged_log_is_never_listed_as_a_good_one(lab: Laboratory, how: str, which: str) -> None:
    vdi, base = tracked(lab)
    middle = lab.snapshot(vdi)
    lab.write(vdi, 2)
    last = lab.snapshot(vdi)
    lab.write(vdi, 3)
    damaged = vdi if which == "leaf" else middle
    receipt = lab.heal(lab.arm("log-damaged", vdi=uuid_of(lab, damaged), how=how))
    assert len(receipt["firings"]) == 1
    expected = "SR_BACKEND_FAILURE_460" if how == "lost" else "SR_BACKEND_FAILURE_459"
    earlier, later = (last, vdi) if which == "leaf" else (base, last)
    assert lab.refusal("VDI.list_changed_blocks", earlier, later)[0] == expected
    if which == "leaf":
        assert lab.changed(base, last) == {1, 2}
    else:
        assert lab.changed(last, vdi) == {3}


@pytest.mark.parametrize("how", ["lost", "truncated", "corrupt"])
def test_a_new_set_after_a_damaged_log_is_not_joined_to_the_old_one(lab: Laboratory, how: str) -> None:
    vdi, base = tracked(lab)
    lab.arm("log-damaged", vdi=uuid_of(lab, vdi), how=how)
    lab.call("SR.scan", lab.sr())
    if lab.record(vdi)["cbt_enabled"]:
        lab.call("VDI.disable_cbt", vdi)
    else:
        assert lab.messages(vdi) == [INCONSISTENT]
    lab.call("VDI.enable_cbt", vdi)
    lab.write(vdi, 5)
    for later in (vdi, lab.snapshot(vdi)):
        assert lab.refusal("VDI.list_changed_blocks", base, later)[0] == "SR_BACKEND_FAILURE_460"


@pytest.mark.parametrize("how", ["truncated", "corrupt"])
def test_a_damaged_log_ends_the_tracking_at_the_next_snapshot_attach_or_growth(lab: Laboratory, how: str) -> None:
    for call, message in (
        (lab.snapshot, INCONSISTENT),
        (lambda vdi: lab.call("VDI.resize", vdi, 8 * MIB), "VDI_CBT_RESIZE_FAILED"),
        (lab.plug_into_vm, INCONSISTENT),
    ):
        vdi, base = tracked(lab)
        lab.arm("log-damaged", vdi=uuid_of(lab, vdi), how=how)
        call(vdi)
        if lab.record(vdi)["VBDs"]:
            lab.call("VM.start", lab.vm, False, False)
            lab.call("VM.hard_shutdown", lab.vm)
        assert lab.messages(vdi) == [message]
        assert not lab.record(vdi)["cbt_enabled"]
        assert lab.refusal("VDI.list_changed_blocks", base, vdi)[0] == "SR_BACKEND_FAILURE_460"


@pytest.mark.parametrize("damaged", ["its own", "its successor's"])
def test_bits_that_cannot_be_merged_for_damage_are_not_skipped(lab: Laboratory, damaged: str) -> None:
    vdi, base = tracked(lab)
    middle = lab.snapshot(vdi)
    lab.write(vdi, 2)
    last = lab.snapshot(vdi)
    lab.arm("log-damaged", vdi=uuid_of(lab, middle if damaged == "its own" else last), how="corrupt")
    lab.call("VDI.destroy", middle)
    assert lab.refusal("VDI.list_changed_blocks", base, last)[0] == "SR_BACKEND_FAILURE_459"
    lab.call("SR.scan", lab.sr())
    kept = [ref for ref in lab.host.db.all("VDI") if lab.record(ref)["type"] == "cbt_metadata"]
    assert len(kept) == 1
    lab.call("VDI.destroy", kept[0])
    lab.call("SR.scan", lab.sr())
    gone = [ref for ref in lab.host.db.all("VDI") if lab.record(ref)["type"] == "cbt_metadata"]
    assert (gone == []) == (damaged == "its own")
    assert lab.refusal("VDI.list_changed_blocks", base, last)[0] in {
        *("SR_BACKEND_FAILURE_459", "SR_BACKEND_FAILURE_460")
    }


def test_healing_a_power_cut_starts_the_host(lab: Laboratory) -> None:
    number = lab.arm("power-cut", operation="enable_cbt", step="create_log")
    assert lab.crash_at("disable_cbt", "delete_log", "VDI.disable_cbt", lab.vdi) is False  # replaces what was armed
    with pytest.raises(VerbRefusedError, match="not armed"):
        lab.heal(number)
    number = lab.arm("power-cut", operation="enable_cbt", step="create_log")
    lab.lose_power("VDI.enable_cbt", lab.vdi)
    assert not lab.host.serving
    assert lab.heal(number)["firings"][0]["step"] == "create_log"
    assert lab.host.serving


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"fault": "earthquake"}, "no such fault; there are: no-space-for-log, "),
        ({"fault": "power-cut"}, "needs operation, step"),
        ({"fault": "power-cut", "parameters": {"operation": "enable_cbt", "step": "fly"}}, "create_log"),
        (
            {"fault": "power-cut", "parameters": {"operation": "fly", "step": "fly"}},
            "there are: create, destroy",
        ),
        ({"fault": "pbd-unplugged", "parameters": {"operation": "snapshot", "step": "update_record"}}, "no such step"),
        ({"fault": "no-space-for-log", "parameters": {"operation": "destroy"}}, "any, enable_cbt, snapshot, resize"),
        ({"fault": "log-damaged"}, "needs a vdi"),
        ({"fault": "log-damaged", "parameters": {"how": "burnt"}}, "lost, truncated, corrupt"),
        ({"fault": "nbd-disturbed", "parameters": {"how": 5}}, "how must be a string"),
        ({"fault": "sr-read-only", "times": 0}, "times must be an integer"),
        ({"fault": "sr-read-only", "nth": "first"}, "nth must be an integer"),
        ({"fault": "sr-read-only", "sr": "nowhere"}, "sr is no uuid"),
        ({"fault": "sr-read-only", "what": 1}, "unknown: what"),
    ],
)
def test_what_cannot_be_armed_is_refused_by_name(lab: Laboratory, entry: dict[str, object], problem: str) -> None:
    with pytest.raises(VerbRefusedError, match=problem) as refused:
        lab.verb("faults", arm=[entry])
    assert refused.value.status == 400
    assert lab.verb("faults")["faults"] == []


def test_a_disk_without_a_log_has_none_to_damage(lab: Laboratory) -> None:
    with pytest.raises(VerbRefusedError, match="no log") as refused:
        lab.arm("log-damaged", vdi=uuid_of(lab, lab.vdi))
    assert refused.value.status == 409


def test_arming_has_an_end(lab: Laboratory) -> None:
    for _ in range(100):
        lab.arm("sr-read-only")
    with pytest.raises(VerbRefusedError, match="100 faults are armed"):
        lab.arm("sr-read-only")
    assert len(lab.verb("faults", heal="all")["faults"]) == 100
