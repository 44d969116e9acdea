"""Delta debugging over steps: what is left out takes along what needs it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from xencbt.harness.witness.reducing import closed, reduced, undisturbed
from xencbt.harness.witness.steps import Step


def create(name: str) -> Step:
    return Step("create", {"sr": "sr:main", "type": "user", "size": 1, "raw": False}, makes=name)


def on(verb: str, disk: str, makes: str = "") -> Step:
    return Step(verb, {"disk": disk}, makes=makes)


STEPS = (
    create("disk-1"),
    create("disk-2"),
    on("enable", "disk-1"),
    on("snapshot", "disk-2", "snapshot-1"),
    Step("begin", {"condition": "unlicensed"}),
    on("enable", "snapshot-1"),
    on("clone", "disk-1", "clone-1"),
    Step("end", {"condition": "unlicensed"}),
    on("disable", "disk-1"),
)


def test_leaving_out_a_maker_leaves_out_what_uses_it() -> None:
    assert closed(STEPS, {1}) == (STEPS[0], STEPS[2], STEPS[4], STEPS[6], STEPS[7], STEPS[8])


def test_leaving_out_a_beginning_leaves_out_the_end() -> None:
    assert closed(STEPS, {4}) == (*STEPS[:4], *STEPS[5:7], STEPS[8])


def test_what_does_not_matter_is_left_out() -> None:
    found = reduced(STEPS, lambda steps: STEPS[2] in steps, most_probes=100)
    assert found == (STEPS[0], STEPS[2], STEPS[8])


def test_the_budget_is_kept_and_the_best_so_far_returned() -> None:
    asked: list[tuple[Step, ...]] = []

    def probe(steps: tuple[Step, ...]) -> bool:
        asked.append(steps)
        return STEPS[2] in steps

    found = reduced(STEPS, probe, most_probes=2)
    assert len(asked) == 2
    assert found[-1] is STEPS[-1]
    assert STEPS[2] in found


def test_what_is_shortest_already_stays() -> None:
    steps = (STEPS[0], STEPS[8])
    assert reduced(steps, lambda _: False, most_probes=50) == steps


@settings(deadline=None)
@given(needed=st.sets(st.integers(0, 7)), probes=st.integers(0, 60))
def test_whatever_is_needed_stays_and_steps_stay_in_order(needed: set[int], probes: int) -> None:
    wanted = [STEPS[at] for at in needed]
    found = reduced(STEPS, lambda steps: all(one in steps for one in wanted), most_probes=probes)
    assert all(one in found for one in wanted)
    assert [STEPS.index(one) for one in found] == sorted(STEPS.index(one) for one in found)
    assert found[-1] is STEPS[-1]


def test_without_a_fault_nothing_needs_the_line_that_faults_strike() -> None:
    disturbed = (STEPS[0], Step("enable", {"disk": "disk-1"}, line="disturbed"), Step("record", {"of": "disk-1"}))
    assert undisturbed(disturbed) == (STEPS[0], STEPS[2], disturbed[2])
    assert undisturbed((Step("arm"), *disturbed)) == (Step("arm"), *disturbed)
    another = (Step("enable", {"disk": "disk-1"}, line="vm-admin"),)
    assert undisturbed(another) == another
