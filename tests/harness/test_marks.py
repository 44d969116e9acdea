"""A journal alone shows nothing to be ours: what a line names must carry a mark of the run on the host."""

from dataclasses import replace
from typing import Any

import pytest

from xencbt.harness.entries import Change, Header, Item, State
from xencbt.harness.marks import NO_MARK, Marks, printable, quoted, why_not_healed

HEADER = Header("run", sr="SR")
DISK = Item("t1", "VDI", "create", "SR", State.CREATED, "disk", "u1", sr="SR")
SNAPSHOT = Item("t2", "VDI", "snapshot", "u1", State.CREATED, "taken", "u2", sr="SR")
VM = Item("t3", "VM", "create", "", State.CREATED, "vm", "u3")
PART = Item("t4", "VDI", "revert", "u9", State.CREATED, "part", "u4", sr="SR")
VBD = Item("t5", "VBD", "create", "u3", State.CREATED, "vbd", "u5")
ITEMS = (DISK, SNAPSHOT, VM, PART, VBD)


def record(uuid: str, tag: str | None, **more: Any) -> dict[str, Any]:
    config = {} if tag is None else {"xencbt": tag}
    return {"uuid": uuid, "name_label": "n", "other_config": config, "snapshot_of": "OpaqueRef:NULL", **more}


def host(**vdis: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    known = {"disk": record("u1", "run/t1", SR="sr"), **vdis}
    return {
        "SR": {"sr": record("SR", None, name_label="Storage \x1b[2J"), "other": record("OTHER", None)},
        "VM": {"vm": record("u3", "run/t3"), "theirs": record("u8", None)},
        "VBD": {"vbd": record("u5", "run/t5", VM="vm", VDI="disk")},
        "VDI": known,
    }


def why(item: Item, records: dict[str, dict[str, dict[str, Any]]], *, items: tuple[Item, ...] = ITEMS) -> str:
    known = [item if each.token == item.token else each for each in items]
    return Marks(HEADER, known, records).why_not(item)


@pytest.mark.parametrize("item", [DISK, VM, VBD])
def test_its_own_token_shows_it(item: Item) -> None:
    assert why(item, host()) == ""


@pytest.mark.parametrize("cls", ["SR", "host", "pool", "PBD", "network", "VDI.x"])
def test_nothing_of_a_class_that_a_run_never_creates_is_ours(cls: str) -> None:
    assert "of which a run creates nothing" in why(replace(DISK, cls=cls, ref="sr", uuid="SR"), host())


def test_the_uuid_must_be_that_of_the_journal() -> None:
    assert "is not what its reference stands for" in why(replace(DISK, uuid="another"), host())
    assert "another reference" in why(replace(DISK, ref="nothing"), host())


@pytest.mark.parametrize("tag", [None, "run", "run/t9", "other/t1", "run/t3", "run/t5", "/t1"])
def test_another_token_or_none_is_no_mark(tag: str | None) -> None:
    assert why(DISK, host(disk=record("u1", tag, SR="sr"))) == NO_MARK


def test_a_disk_on_an_sr_that_the_journal_does_not_name_is_left() -> None:
    assert "SR that the journal does not name" in why(DISK, host(disk=record("u1", "run/t1", SR="other")))


def test_a_stranger_s_vm_that_is_put_in_is_left() -> None:
    assert why(replace(VM, ref="theirs", uuid="u8"), host()) == NO_MARK
    domain = host()
    domain["VM"]["vm"]["is_control_domain"] = True
    assert why(VM, domain) == "is a control domain"


def test_a_snapshot_may_carry_the_token_of_its_source_or_none_where_that_is_ours() -> None:
    assert why(SNAPSHOT, host(taken=record("u2", "run/t1", SR="sr"))) == ""
    assert why(SNAPSHOT, host(taken=record("u2", None, SR="sr", snapshot_of="disk"))) == ""
    assert why(SNAPSHOT, host(taken=record("u2", None, SR="sr"))) == NO_MARK
    foreign = host(taken=record("u2", None, SR="sr", snapshot_of="disk"), disk=record("u1", None, SR="sr"))
    assert why(SNAPSHOT, foreign) == NO_MARK
    assert why(replace(SNAPSHOT, origin="u7"), host(taken=record("u2", "run/t1", SR="sr"))) == NO_MARK


def test_a_disk_that_only_vms_of_ours_hold_may_carry_the_token_of_another() -> None:
    records = host(part=record("u4", "run/t1", SR="sr"))
    assert why(PART, records) == NO_MARK
    records["VBD"]["v1"] = record("u6", None, VM="vm", VDI="part")
    assert why(PART, records) == ""
    records["VBD"]["v2"] = record("u7", None, VM="theirs", VDI="part")
    assert why(PART, records) == NO_MARK


def test_a_token_lent_while_a_vm_is_exported_shows_it() -> None:
    lent = replace(DISK, token="t6", state=State.INTENDED, ref="", uuid="")
    records = host(disk=record("u1", "run/t6", SR="sr"))
    assert why(DISK, records, items=(*ITEMS, lent)) == ""
    used = replace(lent, state=State.CREATED, ref="x", uuid="ux")
    records["VBD"].clear()
    assert why(DISK, records, items=(*ITEMS, used)) == NO_MARK


def test_what_the_host_does_not_know_is_gone() -> None:
    marks = Marks(HEADER, ITEMS, host())
    assert (marks.gone(SNAPSHOT), marks.why_not(SNAPSHOT)) == (True, "")
    assert not marks.gone(DISK)
    assert not marks.gone(replace(SNAPSHOT, cls="SR"))


def test_it_is_shown_with_names_that_do_nothing_to_a_terminal() -> None:
    assert Marks(HEADER, ITEMS, host()).shown(DISK) == 'VDI u1 "n" on SR "Storage \\x1b[2J"'
    assert printable("a\u202eb\x07é\ud800") == "a\\u202eb\\x07é\\ud800"
    assert len(quoted("x" * 500)) < 100


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (Change("t", "PBD.currently_attached", "p", before=True), False),
        (Change("t", "PBD.currently_attached", "p", before=False), True),
        (Change("t", "VDI.cbt_enabled", "lent", before=True), False),
        (Change("t", "VDI.cbt_enabled", "lent", before=False), False),
        (Change("t", "VDI.cbt_enabled", "another", before=False), True),
        (Change("t", "network.nbd", "n", before=True), False),
        (Change("t", "network.insecure_nbd", "n", before=False), False),
    ],
)
def test_a_change_is_undone_only_where_a_run_can_have_made_it(change: Change, *, refused: bool) -> None:
    assert bool(why_not_healed(change, frozenset({"lent"}))) is refused
