"""How far a run is and how long it will still take, from its events; pure but for the clock it is given."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from xencbt.harness.verdicts import Verdict

LEAST_SHARE = 0.02
"""Part of the work that must be done before the time left is told; what is less says nothing of the pace."""

FEWEST_TESTS = 3
"""Tests that must have ended before that."""

WORTH_COUNTING = (Verdict.ERROR.value, Verdict.FAIL.value, Verdict.STALE.value)


class Progress:
    """Counts what the events of a run tell; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._first_test: float | None = None
        self._planned: dict[str, tuple[str, ...]] = {}
        self._costs: dict[str, float] = {}
        self._total = self._spent = 0.0
        self._budget_s: float | None = None
        self._running: dict[str, None] = {}
        self._ended: set[str] = set()
        self._verdicts: dict[str, int] = {}
        self._selected: frozenset[str] = frozenset()
        self.tests = 0
        self.examples = 0

    def take(self, event: Mapping[str, Any]) -> None:
        """Take one event of the run."""
        match event["event"]:
            case "selected":
                self.tests = event["tests"]
                self._selected = frozenset(event["requirements"])
                self._planned = {test["id"]: tuple(test["requirement"]) for test in event.get("planned", ())}
            case "planned":
                self._costs = {name: float(calls) for name, calls in event["calls"].items()}
                self._total = sum(self._costs.values())
                self._budget_s = event["budget_s"]
            case "test_started":
                if self._first_test is None:
                    self._first_test = self._clock()
                self._running[event["id"]] = None
            case "test_finished":
                self._running.pop(event["id"], None)
                if event["id"] not in self._ended:
                    self._ended.add(event["id"])
                    self._spent += self._costs.get(event["id"], 0.0)
                self.examples += event["examples"]
                self._verdicts[event["verdict"]] = self._verdicts.get(event["verdict"], 0) + 1

    @property
    def ended(self) -> int:
        """How many tests have ended."""
        return len(self._ended)

    @property
    def share(self) -> float:
        """The part of the planned work that is done, from 0 to 1; 0 where no costs were told."""
        return self._spent / self._total if self._total else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds that are left at the pace so far, within the budget; None while nothing can be said of that."""
        if self._first_test is None or self.ended < FEWEST_TESTS or not LEAST_SHARE <= self.share < 1:
            return None
        now = self._clock()
        left = (now - self._first_test) * (1 / self.share - 1)
        return left if self._budget_s is None else max(0.0, min(left, self._budget_s - (now - self._began)))

    def words(self) -> str:
        """Say how far the run is: `17/416 tests, 3/79 requirements, 512 examples, 1 fail, about 4 min left`."""
        known = [f"{self.ended}/{self.tests} tests", f"{self._decided()}/{len(self._selected)} requirements"]
        known.append(f"{self.examples} example{'' if self.examples == 1 else 's'}")
        known += [f"{self._verdicts[verdict]} {verdict}" for verdict in WORTH_COUNTING if verdict in self._verdicts]
        left = self.left_s
        return ", ".join(known if left is None else [*known, f"{roughly(left)} left"])

    @property
    def now(self) -> str:
        """The test that began last of those that run, empty where none does."""
        return next(reversed(self._running), "")

    def _decided(self) -> int:
        """Count the requirements whose tests have all ended."""
        waiting = {name for test, own in self._planned.items() if test not in self._ended for name in own}
        spoken_of = {name for own in self._planned.values() for name in own}
        return len((spoken_of - waiting) & self._selected)


def roughly(seconds: float) -> str:
    """Return a time to wait as one tells it: `less than a minute`, `about 4 min`, `about 2 h 10 min`."""
    if seconds < 60:
        return "less than a minute"
    minutes = math.ceil(seconds / 60)
    if minutes < 90:
        return f"about {minutes} min"
    hours, rest = divmod(10 * math.ceil(minutes / 10), 60)
    return f"about {hours} h {rest} min" if rest else f"about {hours} h"
