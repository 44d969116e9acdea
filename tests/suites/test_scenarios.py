"""Generated situations contradict nothing, keep to what the target offers, and reach every corner."""

from collections.abc import Callable

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from xencbt.harness.capabilities import MAIN
from xencbt.harness.model import OnBoot, VdiType
from xencbt.suites.situations import EVERYTHING, FURNISHED, Beside, Offer, Situation, situations

POOR = Offer(
    srs=(MAIN,), resettable=frozenset(), types=(VdiType.USER, VdiType.SYSTEM, VdiType.SUSPEND), power_states=("Halted",)
)


WITHOUT_SHRINKING = settings(database=None, max_examples=5000, phases=[Phase.generate])


@given(situations())
def test_no_situation_contradicts_itself(situation: Situation) -> None:
    assert situation.contradiction is None


@given(situations(POOR))
def test_situations_keep_to_what_is_offered(situation: Situation) -> None:
    assert situation.sr == MAIN
    assert situation.on_boot is OnBoot.PERSIST
    assert situation.type in POOR.types
    assert situation.vm in {None, "Halted"}


@pytest.mark.parametrize(
    "corner",
    [
        lambda s: s.sr == "no-cbt" and s.type is VdiType.EPHEMERAL,
        lambda s: s.snapshot and s.on_boot is OnBoot.RESET and not s.type.eligible,
        lambda s: s.enabled and s.vm == "Running" and len(s.beside) == 2,
        lambda s: s.enabled and s.snapshot and Beside.SNAPSHOT in s.beside,
        lambda s: s.vm == "Suspended" and Beside.SAME_VM in s.beside,
        *((lambda s, sr=sr: s.sr == sr) for sr in FURNISHED),
        *((lambda s, kind=kind: s.type is kind) for kind in EVERYTHING.types),
    ],
)
def test_every_corner_is_reached(corner: Callable[[Situation], bool]) -> None:
    assert corner(find(situations(), corner, settings=WITHOUT_SHRINKING))


def test_types_that_cannot_be_removed_again_are_never_drawn() -> None:
    assert VdiType.RRD not in EVERYTHING.types
    assert VdiType.CBT_METADATA not in EVERYTHING.types


@pytest.mark.parametrize(
    "impossible",
    [
        Situation(sr="full", snapshot=True),
        Situation(type=VdiType.SUSPEND, enabled=True),
        Situation(on_boot=OnBoot.RESET, enabled=True),
        Situation(sr="no-cbt", enabled=True),
        Situation(beside=frozenset({Beside.SAME_VM})),
        Situation(on_boot=OnBoot.RESET, beside=frozenset({Beside.SNAPSHOT})),
    ],
)
def test_a_contradiction_is_named(impossible: Situation) -> None:
    assert impossible.contradiction


@given(st.sampled_from(VdiType), st.sampled_from(OnBoot))
def test_only_persistent_user_and_system_disks_are_eligible(kind: VdiType, on_boot: OnBoot) -> None:
    expected = kind in {VdiType.USER, VdiType.SYSTEM} and on_boot is OnBoot.PERSIST
    assert Situation(type=kind, on_boot=on_boot).eligible is expected
