"""How much hypothesis searches in a judged run, and from which seed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis.internal.conjecture import providers
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from xencbt.harness.gathering import FEWEST_EXAMPLES
from xencbt.harness.seeds import derive
from xencbt.harness.spending import Budget

EXAMPLES = {"quick": 15, "nightly": 400}
"""Examples per property."""

MACHINES = {"quick": 10, "nightly": 1000}
"""Runs of a state machine, each of another subset of its rules."""

STEPS = {"quick": 12, "nightly": 40}
"""Calls of a generated sequence, at most; a state machine takes as many wherever it can go on."""


@dataclass(frozen=True, slots=True)
class Search:
    """A test's share of a run's search: its own seed, the run's settings, and how often a machine is run."""

    seed: int
    settings: hypothesis.settings
    machines: int
    budget: Budget = field(default_factory=Budget)
    tolerates: Callable[[AssertionError], bool] = lambda _: False

    def run(self, machine: Callable[[], RuleBasedStateMachine], *, share: int = 1) -> None:
        """Run a state machine, made anew for each run; with `share` only a share of the times, but five at least.

        Hypothesis draws for each run which rules it leaves out (swarm testing): rare combinations need others to be
        absent. Raises what the machine raises, where the target allows it after the shortest run that raises it. Over
        a failure that `tolerates` the search goes on with other choices, MOST_TOLERATED times.
        """
        for attempt in range(1 + MOST_TOLERATED):
            try:
                self._run(machine, share, self.seed + attempt)
            except AssertionError as failure:
                if not self.tolerates(failure):
                    raise
            else:
                return

    def _run(self, machine: Callable[[], RuleBasedStateMachine], share: int, seed: int) -> None:

        def made() -> RuleBasedStateMachine:
            return _Idle() if self.budget.spent else machine()

        hypothesis.seed(seed)(made)
        settings = hypothesis.settings(self.settings, max_examples=max(FEWEST_EXAMPLES, self.machines // share))
        run_state_machine_as_test(made, settings=settings)  # type: ignore[arg-type]  # a function that makes one will do


class _Idle(RuleBasedStateMachine):
    """Stands in for runs that no budget is left for: they do nothing, and do not count."""

    @rule()
    def rest(self) -> None:
        """Make no call."""


MOST_TOLERATED = 3
"""How often the search of a state machine begins anew because it met a known failure."""

WRAPPED = "_cbt_wrapped"


def profile(speed: str, *, shrink: bool, examples: int | None = None) -> hypothesis.settings:
    """Return the settings of a judged run, with `examples` a property (default: what `speed` says).

    There is no example database, so that nothing but the seed decides what is tried; no deadline per example, because a
    network is between; and no shrinking where every call costs a real host. Fixtures may be shared by the examples of a
    test: `Lab.example` separates them.
    """
    phases = {Phase.explicit, Phase.generate} | ({Phase.shrink} if shrink else set())
    return hypothesis.settings(
        max_examples=EXAMPLES[speed] if examples is None else examples,
        stateful_step_count=STEPS[speed],
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        print_blob=False,
        phases=[phase for phase in Phase if phase in phases],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@contextmanager
def by_seed_alone() -> Iterator[None]:
    """Have hypothesis take no number and no text, meanwhile, from the source of the modules that are imported.

    What it finds there depends on how xencbt is installed, and on what else is imported: the same seed would try other
    things elsewhere. There is no setting for it, so its inner function is put aside; versions without it find nothing.
    """
    inner, name = vars(providers), "_get_local_constants"
    if name not in inner:
        yield
        return
    found, nothing = inner[name], inner["Constants"]()
    inner[name] = lambda: nothing
    providers.CONSTANTS_CACHE.cache.clear()
    try:
        yield
    finally:
        inner[name] = found
        providers.CONSTANTS_CACHE.cache.clear()


def is_property(test: Callable[..., Any]) -> bool:
    """Return whether hypothesis draws the arguments of `test`."""
    return bool(getattr(test, "is_hypothesis_test", False))


def prepare(test: Callable[..., Any], run_seed: int, test_id: str, search: hypothesis.settings, budget: Budget) -> None:
    """Give a property its own seed and the run's settings, unless it brings settings of its own.

    Once `budget` is spent no more examples are tried: those that hypothesis still draws pass without being looked at,
    and do not count.

    To be called right before each run of it: the parameters of a parametrised test share one function.
    """
    hypothesis.seed(derive(run_seed, test_id))(test)
    handle: Any = test.hypothesis  # type: ignore[attr-defined]  # what hypothesis offers to those who wrap its tests
    handle.inner_test = _within(getattr(handle.inner_test, WRAPPED, handle.inner_test), budget)
    if not hasattr(test, "_hypothesis_internal_settings_applied"):
        search(test)


def _within(test: Callable[..., None], budget: Budget) -> Callable[..., None]:
    @wraps(test)
    def tried(*args: Any, **kwargs: Any) -> None:
        if not budget.spent:
            test(*args, **kwargs)

    setattr(tried, WRAPPED, test)
    return tried
