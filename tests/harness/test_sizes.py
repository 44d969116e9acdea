"""How far a test goes: as far as it declared, or as the user and the SR let it, and it says what it left out."""

import pytest

from xencbt.harness.capabilities import Capability
from xencbt.harness.needs import OF_EVERY_TEST, Needs, needs
from xencbt.harness.planning import Cost, Plan, PlannedTest, make_plan
from xencbt.harness.sizes import (
    EMULATED_LIMITS,
    GIB,
    GRAIN,
    MIB,
    SMALLEST,
    SPARE,
    TIB,
    Limits,
    Reach,
    Reached,
    in_words,
)

FAR = Reach(2040 * GIB, disks=4)
ALL = {name: Capability(name, present=True, detail="") for name in OF_EVERY_TEST}


@pytest.mark.parametrize(
    ("limits", "free", "reached"),
    [
        (EMULATED_LIMITS, 64 * TIB, Reached(2040 * GIB)),
        (Limits(2040 * GIB, 8160 * GIB), 8160 * GIB + SPARE, Reached(2040 * GIB)),
        (Limits(), 64 * TIB, Reached(GIB, "disks above 1 GiB (--max-size 1 GiB)")),
        (Limits(size=4 * TIB), 64 * TIB, Reached(5 * GIB // 2, "disks above 2.5 GiB (--max-total 10 GiB)")),
        (Limits(), 2 * GIB, Reached(496 * MIB, "disks above 496 MiB (2 GiB free on the SR)")),
        (Limits(), 0, Reached(SMALLEST, "disks above 16 MiB (0 bytes free on the SR)")),
        (Limits(size=MIB), TIB, Reached(SMALLEST, "disks above 16 MiB (--max-size 1 MiB)")),
    ],
)
def test_a_test_goes_as_far_as_it_may(limits: Limits, free: int, reached: Reached) -> None:
    assert FAR.within(limits, free) == reached


def test_what_is_cut_is_not_rounded_up_beyond_what_is_allowed() -> None:
    assert FAR.within(Limits(size=GIB + 1), 64 * TIB).size == GIB
    assert FAR.within(Limits(size=GIB - 1), 64 * TIB).size == GIB - GRAIN


@pytest.mark.parametrize(("size", "said"), [(512, "512 bytes"), (16 * MIB, "16 MiB"), (5 * GIB // 2, "2.5 GiB")])
def test_sizes_in_words(size: int, said: str) -> None:
    assert in_words(size) == said


def test_the_nearest_mark_says_how_far_a_test_goes() -> None:
    near, far = needs(reach=Reach(GIB, disks=1)).mark, needs("vm-power", reach=FAR).mark
    assert Needs.of([near, far]).reach == Reach(GIB, disks=1)
    assert Needs.of([needs("vm-power").mark, far]).reach == FAR
    assert Needs.of([needs("vm-power").mark]).reach is None


def planned(limits: Limits, **costs: Cost) -> Plan:
    tests = [
        PlannedTest(name, ("LIST-02",), Needs(OF_EVERY_TEST, reach=FAR if name == "far" else None)) for name in costs
    ]
    return make_plan(
        tests,
        capabilities=ALL,
        consents=(),
        costs=costs,
        latency_s=0,
        examples=1,
        limits=limits,
        reached=lambda reach: reach.within(limits, 64 * TIB),
    )


def test_a_plan_says_which_sizes_are_not_run() -> None:
    plan = planned(Limits(), far=Cost(1, largest_disk=2040 * GIB), near=Cost(1, largest_disk=MIB))
    assert [entry.test.id for entry in plan.running] == ["far", "near"]
    assert plan.as_json()["sizes_not_run"] == {"disks above 1 GiB (--max-size 1 GiB)": ["far"]}
    assert plan.as_json()["largest_disk"] == GIB
    assert planned(EMULATED_LIMITS, far=Cost(1)).as_json()["sizes_not_run"] == {}


def test_a_test_whose_disks_are_all_too_large_is_not_run() -> None:
    plan = planned(Limits(size=MIB), far=Cost(1), near=Cost(1, largest_disk=MIB), wide=Cost(1, largest_disk=MIB + 1))
    assert [entry.test.id for entry in plan.running] == ["near"]
    assert plan.as_json()["not_run"] == {
        "a disk of 16777216 bytes is larger than --max-size 1048576": ["far"],
        "a disk of 1048577 bytes is larger than --max-size 1048576": ["wide"],
    }
    assert plan.as_json()["sizes_not_run"] == {}
