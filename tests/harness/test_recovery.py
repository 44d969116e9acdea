"""What may be touched after a lost answer, decided without a host: exactly what the journal explains, and no more."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.harness.journal import Item, State
from xencbt.harness.recovery import Decision, Seen, decide, see

SOURCE = Item("t1", "VDI", "create", "SR", State.CREATED, "source", "u1", sr="SR")
SNAPSHOT = Item("t2", "VDI", "snapshot", "u1", sr="SR")
CLONE = Item("t3", "VDI", "clone", "u1", sr="SR")
VM = Item("v1", "VM", "create", "", State.CREATED, "vm", "uv")
VM_SNAPSHOT = Item("v2", "VM", "snapshot", "uv")
ORIGINAL = Seen("VDI", "source", "u1", "run/t1", sr="SR", name="n")
CLONED = Seen("VDI", "c", "uc", "run/t1", sr="SR", name="n")
TAKEN = replace(CLONED, ref="s", uuid="us", snapshot=True, snapshot_of="source")
OTHER = replace(TAKEN, ref="s2", uuid="us2")


def decided(items: list[Item], *seen: Seen) -> Decision:
    return decide("run", items, (ORIGINAL, *seen))


def touched(decision: Decision) -> set[str]:
    return {each.ref for found in decision.found.values() for each in found}


def test_a_lost_snapshot_and_a_lost_clone_are_told_apart() -> None:
    decision = decided([SOURCE, SNAPSHOT, CLONE], CLONED, TAKEN)
    assert decision.found == {"t2": [TAKEN], "t3": [CLONED]}


def test_a_snapshot_that_nothing_explains_is_somebody_else_s() -> None:
    answered = replace(SNAPSHOT, state=State.CREATED, ref="mine", uuid="um")
    assert touched(decided([SOURCE, answered], TAKEN)) == set()


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param((TAKEN, OTHER), id="one more than is explained"),
        pytest.param((replace(TAKEN, labelled=True),), id="tags"),
        pytest.param((replace(TAKEN, vms=frozenset({"theirs"})),), id="a VM that is not ours"),
        pytest.param((replace(TAKEN, name="nightly backup"),), id="another name"),
        pytest.param((replace(TAKEN, sr="other SR"),), id="another SR"),
    ],
)
def test_where_it_may_be_somebody_else_s_nothing_is_touched_and_it_is_told(seen: tuple[Seen, ...]) -> None:
    decision = decided([SOURCE, SNAPSHOT], *seen)
    assert touched(decision) == set()
    assert "us" in decision.unclear["t2"]


@pytest.mark.parametrize("how", ["revert", "migrate_send", "pool_migrate"])
def test_a_disk_that_took_the_place_of_another_is_found_by_what_it_was_made_from(how: str) -> None:
    held = Item("t5", "VDI", "snapshot", "uv2", State.CREATED, "held", "u5", sr="SR")
    replacing = Item("t6", "VDI", how, "u5", sr="SR")
    made = replace(CLONED, ref="new", tag="run/t5", vms=frozenset({"vm"}))
    decision = decided([SOURCE, VM, held, replacing], made)
    assert decision.found == {"t6": [made]}
    assert touched(decided([SOURCE, VM, held], made)) == set()


def test_a_snapshot_of_something_else_with_our_token_is_left() -> None:
    decision = decided([SOURCE, SNAPSHOT], replace(TAKEN, snapshot_of="clone of theirs"))
    assert touched(decision) == set()
    assert decision.never == {"t2"}


def test_a_repeated_call_explains_two() -> None:
    answered = replace(SNAPSHOT, state=State.CREATED, ref="s", uuid="us", twice=True)
    assert decided([SOURCE, answered], TAKEN, OTHER).found == {"t2": [OTHER]}
    lost = replace(SNAPSHOT, twice=True)
    assert decided([SOURCE, lost], TAKEN, OTHER).found == {"t2": [TAKEN, OTHER]}
    created = replace(SOURCE, state=State.INTENDED, ref="", uuid="", twice=True)
    pair = [CLONED, replace(CLONED, ref="c2", uuid="uc2")]
    assert decide("run", [created], pair).found == {"t1": pair}


def test_the_tag_must_be_exact() -> None:
    for tag in ("run/t1x", "run/", "other/t1", "xrun/t1", "t1"):
        assert touched(decided([SOURCE, SNAPSHOT, CLONE], replace(TAKEN, tag=tag), replace(CLONED, tag=tag))) == set()


def test_what_never_came_to_be_is_settled() -> None:
    lost = Item("t9", "VDI", "create", "SR", sr="SR")
    assert decided([SOURCE, SNAPSHOT, CLONE, lost]).never == {"t2", "t3", "t9"}


def test_the_disks_of_our_vm_snapshot_are_ours_and_no_others_in_it() -> None:
    known = replace(VM_SNAPSHOT, state=State.CREATED, ref="snap", uuid="usnap")
    part = replace(TAKEN, vms=frozenset({"snap"}))
    untagged = replace(part, ref="iso", tag="")
    elsewhere = replace(OTHER, vms=frozenset({"theirs"}))
    assert decided([SOURCE, VM, known], part, untagged, elsewhere).found == {"v2": [part]}


def test_a_lost_vm_snapshot_is_found_with_its_disks() -> None:
    vm = Seen("VM", "snap", "usnap", "run/v1", snapshot=True, snapshot_of="vm")
    part = replace(TAKEN, vms=frozenset({"snap"}))
    assert decided([SOURCE, VM, VM_SNAPSHOT], vm, part).found == {"v2": [vm, part]}


def test_a_lost_device_is_told_from_its_copy_in_a_snapshot() -> None:
    device = Item("b1", "VBD", "create", "uv")
    mine = Seen("VBD", "b", "ub", "run/b1", vms=frozenset({"vm"}))
    copy = replace(mine, ref="b2", vms=frozenset({"snap"}))
    assert decided([SOURCE, VM, device], mine, copy).found == {"b1": [mine]}


def test_records_without_our_key_are_not_even_looked_at() -> None:
    vdi = {"uuid": "u", "SR": "sr", "name_label": "n", "tags": ["t"], "is_a_snapshot": True, "snapshot_of": "x"}
    records: dict[str, dict[str, dict[str, Any]]] = {
        "VDI": {"a": {**vdi, "other_config": {"other": "run/t1"}}, "b": {**vdi, "other_config": {"xencbt": "run/t1"}}},
        "VBD": {"d": {"VDI": "b", "VM": "vm", "uuid": "ud", "other_config": {}}},
    }
    (only,) = see(records, {"sr": "SR"})
    assert only == Seen("VDI", "b", "u", "run/t1", "SR", "n", True, "x", frozenset({"vm"}), True)


DERIVED = st.builds(
    replace,
    st.sampled_from([CLONED, TAKEN, ORIGINAL]),
    ref=st.sampled_from("abcdef"),
    tag=st.sampled_from(["run/t1", "run/t2", "other/t1"]),
    labelled=st.booleans(),
    vms=st.sampled_from([frozenset(), frozenset({"theirs"})]),
)


@given(
    seen=st.lists(DERIVED, unique_by=lambda each: each.ref),
    states=st.tuples(*[st.sampled_from(list(State))] * 2),
    twice=st.tuples(st.booleans(), st.booleans()),
)
def test_never_more_than_the_journal_explains(
    seen: list[Seen], states: tuple[State, State], twice: tuple[bool, bool]
) -> None:
    items = [
        replace(item, state=state, twice=more, ref="" if state is State.INTENDED else f"known {item.token}")
        for item, state, more in zip((SNAPSHOT, CLONE), states, twice, strict=True)
    ]
    decision = decide("run", [SOURCE, *items], [ORIGINAL, *seen])
    explained = sum((item.state is State.INTENDED) + item.twice for item in items)
    assert len(touched(decision)) <= explained
    for found in decision.found.values():
        for each in found:
            assert each.tag == "run/t1"
            assert not each.labelled
            assert not each.vms
            assert each.ref != "source"
