"""What a run would do to a target, worked out from what was read of it and what its tests declare; pure."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from xencbt.harness.capabilities import Capability
from xencbt.harness.consents import CONSENTS, role_of
from xencbt.harness.errors import HarnessError
from xencbt.harness.gathering import FEWEST_EXAMPLES
from xencbt.harness.needs import Needs
from xencbt.harness.roles import LEAST_ROLE
from xencbt.harness.sizes import EMULATED_LIMITS, Limits, Reach, Reached, within
from xencbt.harness.verdicts import NotRun, Undecided, Verdict


@dataclass(frozen=True, slots=True)
class Cost:
    """What one test took when it was measured: calls, examples, objects by class, bytes of its largest disk."""

    calls: int
    examples: int = 0
    created: Mapping[str, int] = field(default_factory=dict)
    largest_disk: int = 0

    def of(self, number: int, examples: int) -> int:
        """Scale `number` of the measured run to one with so many examples; a test without examples stays as it is."""
        return number if self.examples == 0 else -(-number * examples // self.examples)

    def at_once(self, cls: str) -> int:
        """How many objects of that class exist at a time: an example's are removed before the next one."""
        return self.of(self.created.get(cls, 0), 1)


@dataclass(frozen=True, slots=True)
class PlannedTest:
    """A selected test: its id, what it decides, what it needs, and whether it draws examples."""

    id: str
    requirements: tuple[str, ...]
    needs: Needs
    property_based: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """What will become of a selected test: None as `left_out` where it runs, else why not.

    `measured` is False where the cost is that of a typical test, for want of a better one. `sizes_not_run` says which
    sizes it leaves out though it runs, and why.
    """

    test: PlannedTest
    cost: Cost
    measured: bool
    left_out: Undecided | None
    sizes_not_run: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a run with `examples` for each property, at `latency_s` for each call."""

    entries: tuple[Entry, ...]
    consents: frozenset[str]
    latency_s: float
    examples: int
    budget_s: float | None = None

    @property
    def running(self) -> tuple[Entry, ...]:
        """The tests that would run."""
        return tuple(entry for entry in self.entries if entry.left_out is None)

    @property
    def calls(self) -> int:
        """About how many calls the run makes."""
        return sum(entry.cost.of(entry.cost.calls, self.examples) for entry in self.running)

    def calls_by_test(self) -> dict[str, int]:
        """Return about how many calls each running test makes, by its id."""
        return {entry.test.id: entry.cost.of(entry.cost.calls, self.examples) for entry in self.running}

    @property
    def duration_s(self) -> float:
        """About how long the calls take; storage work on a real host comes on top."""
        return self.calls * self.latency_s

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """The running tests that nobody has measured: calls, time and objects are guessed for them."""
        return tuple(entry.test.id for entry in self.running if not entry.measured)

    def made(self) -> dict[str, int]:
        """About how many objects are made in all, by class."""
        total: Counter[str] = Counter()
        for entry in self.running:
            for cls, number in entry.cost.created.items():
                total[cls] += entry.cost.of(number, self.examples)
        return dict(sorted(total.items()))

    def at_once(self) -> dict[str, int]:
        """About how many of them exist at a time."""
        return {cls: max(entry.cost.at_once(cls) for entry in self.running) for cls in self.made()}

    @property
    def largest_disk(self) -> int:
        """Bytes of the largest disk."""
        return max((entry.cost.largest_disk for entry in self.running), default=0)

    def left_out(self, verdict: Verdict) -> dict[str, list[str]]:
        """Return the ids of the tests that would end with `verdict` without running, by reason."""
        reasons: dict[str, list[str]] = {}
        for entry in self.entries:
            if entry.left_out is not None and entry.left_out.verdict is verdict:
                reasons.setdefault(entry.left_out.reason, []).append(entry.test.id)
        return reasons

    def sizes_not_run(self) -> dict[str, list[str]]:
        """Return the ids of the running tests that leave sizes out, by which and why."""
        cut: dict[str, list[str]] = {}
        for entry in self.running:
            if entry.sizes_not_run:
                cut.setdefault(entry.sizes_not_run, []).append(entry.test.id)
        return cut

    def disturbing(self) -> dict[str, dict[str, Any]]:
        """Each disturbing step that a selected test takes: what it does, its role, who takes it, and whether it may."""
        steps = {}
        for name, does in CONSENTS.items():
            taking = [entry.test.id for entry in self.entries if name in entry.test.needs.declared]
            if taking:
                steps[name] = {"does": does, "role": role_of(name), "allowed": name in self.consents, "tests": taking}
        return steps

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "schema": "xencbt.plan/1",
            "run": [{"id": entry.test.id, "requirement": list(entry.test.requirements)} for entry in self.running],
            "unsupported": self.left_out(Verdict.UNSUPPORTED),
            "not_run": self.left_out(Verdict.NOT_RUN),
            "sizes_not_run": self.sizes_not_run(),
            "created": self.made(),
            "at_once": self.at_once(),
            "largest_disk": self.largest_disk,
            "role": LEAST_ROLE,
            "disturbing": self.disturbing(),
            "latency_s": round(self.latency_s, 6),
            "examples": self.examples,
            "calls": self.calls,
            "unmeasured": list(self.unmeasured),
            "duration_s": round(self.duration_s, 3),
            "budget_s": self.budget_s,
        }


def _everything(reach: Reach) -> Reached:
    return Reached(reach.size)


def make_plan(
    tests: Sequence[PlannedTest],
    *,
    capabilities: Mapping[str, Capability],
    consents: Collection[str],
    costs: Mapping[str, Cost],
    latency_s: float,
    examples: int,
    budget_s: float | None = None,
    limits: Limits = EMULATED_LIMITS,
    reached: Callable[[Reach], Reached] = _everything,
) -> Plan:
    """Plan a run of `tests` whose disks keep to `limits`, and go as far as `reached` says of each.

    Where there is a budget, `examples` are scaled down to it, but never below what decides.

    Raises HarnessError where a test needs what is neither a capability nor a consent.
    """
    entries = tuple(_sized(_entry(test, costs, capabilities, consents), limits, reached) for test in tests)
    plan = Plan(entries, frozenset(consents), latency_s, examples, budget_s)
    if budget_s is None:
        return plan
    return Plan(entries, frozenset(consents), latency_s, _affordable(plan, budget_s), budget_s)


def _entry(
    test: PlannedTest,
    costs: Mapping[str, Cost],
    capabilities: Mapping[str, Capability],
    consents: Collection[str],
) -> Entry:
    try:
        lacking = test.needs.lacking(capabilities, consents)
    except HarnessError as error:
        raise HarnessError(f"{test.id}: {error}") from error
    cost = costs.get(test.id) or typical(costs.values(), property_based=test.property_based)
    return Entry(test, cost, test.id in costs, lacking)


def _sized(entry: Entry, limits: Limits, reached: Callable[[Reach], Reached]) -> Entry:
    """Hold a test that would run against the sizes allowed: it is cut to them, or left out where it cannot be."""
    if entry.left_out is not None:
        return entry
    reach = entry.test.needs.reach
    largest = entry.cost.largest_disk if entry.measured else 0
    if reach is not None:
        cut = reached(reach)
        largest = cut.size
        cost = replace(entry.cost, largest_disk=min(entry.cost.largest_disk, cut.size))
        entry = replace(entry, sizes_not_run=cut.not_run, cost=cost)
    try:
        within(limits, largest, 0)
    except NotRun as refused:
        return replace(entry, left_out=refused)
    return entry


def typical(costs: Iterable[Cost], *, property_based: bool) -> Cost:
    """Return the cost in the middle of those of the same kind: what a test is taken for that nobody has measured."""
    alike = sorted((cost for cost in costs if bool(cost.examples) is property_based), key=lambda cost: cost.calls)
    return alike[len(alike) // 2] if alike else Cost(0)


def _affordable(plan: Plan, budget_s: float) -> int:
    """Return the most examples, of those between what decides and what was asked for, that the budget allows."""
    few = min(FEWEST_EXAMPLES, plan.examples)
    for examples in range(plan.examples, few, -1):
        tried = Plan(plan.entries, plan.consents, plan.latency_s, examples, budget_s)
        if tried.duration_s <= budget_s:
            return examples
    return few
