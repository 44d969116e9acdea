"""Plans: estimates, scaling to a budget, and what is left out for which reason."""

import pytest

from xencbt.harness.asked import budget_s, consents_named, names_in, repositories_named
from xencbt.harness.capabilities import Capability
from xencbt.harness.errors import UsageError
from xencbt.harness.needs import OF_EVERY_TEST, Needs
from xencbt.harness.planning import Cost, Plan, PlannedTest, make_plan, typical
from xencbt.suites.costs import costs
from xencbt.suites.index import deciding_tests

PLAIN = PlannedTest("plain", ("ENABLE-02",), Needs(OF_EVERY_TEST))
DRAWN = PlannedTest("drawn", ("ENABLE-04",), Needs(OF_EVERY_TEST))
COSTS = {"plain": Cost(calls=10, created={"VDI": 3}), "drawn": Cost(calls=2000, examples=20, created={"VDI": 40})}
ALL = {name: Capability(name, present=True, detail="") for name in OF_EVERY_TEST}
SR, OTHER, VDI = (f"{number}" * 8 + "-0000-0000-0000-000000000000" for number in (1, 2, 3))


def plan(budget: float | None = None, examples: int = 20, latency_s: float = 0.1) -> Plan:
    return make_plan(
        (PLAIN, DRAWN),
        capabilities=ALL,
        consents=(),
        costs=COSTS,
        latency_s=latency_s,
        examples=examples,
        budget_s=budget,
    )


def test_calls_and_objects_scale_with_examples() -> None:
    assert (plan().calls, plan(examples=40).calls) == (2010, 4010)
    assert plan().made() == {"VDI": 43}
    assert plan().at_once() == {"VDI": 3}


def test_examples_are_scaled_to_the_budget() -> None:
    assert plan(budget=1000).examples == 20
    assert plan(budget=101).examples == 10
    assert plan(budget=101).duration_s <= 101


def test_never_below_what_decides_anything() -> None:
    assert plan(budget=1).examples == 5


def test_a_test_nobody_measured_is_taken_for_a_typical_one_of_its_kind_and_named() -> None:
    measured = {f"m{calls}": Cost(calls=calls) for calls in (1, 30, 900)}
    drawn = {f"d{calls}": Cost(calls=calls, examples=20) for calls in (200, 2000, 2001)}
    assert typical((measured | drawn).values(), property_based=False).calls == 30
    assert typical((measured | drawn).values(), property_based=True).calls == 2000
    assert typical((), property_based=True).calls == 0
    new = PlannedTest("new", ("ENABLE-02",), PLAIN.needs)
    with_new = make_plan(
        (new, DRAWN, PLAIN), capabilities=ALL, consents=(), costs=COSTS | drawn | measured, latency_s=0.1, examples=20
    )
    assert with_new.unmeasured == ("new",)
    assert with_new.as_json()["unmeasured"] == ["new"]


def test_what_was_measured_is_still_there() -> None:
    """New tests may come without costs, and a plan says so; costs of tests that are gone would be counted by nobody."""
    known = {test.partition("[")[0] for test in costs()}
    every = {test for tests in deciding_tests().values() for test in tests}
    assert known <= every, "measured tests that are gone: run benchmarks/costs.py"
    suites = {test.partition("::")[0] for test in every}
    assert {test.partition("::")[0] for test in known} == suites, "a suite nobody measured: run benchmarks/costs.py"


def test_lists_may_have_commas() -> None:
    assert names_in(["a, b", "c"]) == ("a", "b", "c")
    assert consents_named(["faults,migrate", "vm-power"]) == {"faults", "migrate", "vm-power"}


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400)])
def test_durations(text: str, seconds: float) -> None:
    assert budget_s(text) == seconds


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([f"second={SR}", f"second={OTHER}"], "named twice"),
        ([f"second={SR}", f"no-cbt={SR}"], "named twice"),
        ([f"second={SR}/{VDI}"], "name no VDI"),
        ([f"iso={SR}"], "name a VDI"),
        ([f"lvm={SR}"], "KIND one of"),
        ([f"read-only={SR}/x"], "no uuid"),
    ],
)
def test_special_srs_that_do_not_fit_are_refused(values: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        repositories_named(values, None)


def test_the_runs_own_sr_is_no_special_one() -> None:
    with pytest.raises(UsageError, match="named twice"):
        repositories_named([f"second={SR}"], SR)
