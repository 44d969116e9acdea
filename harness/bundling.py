"""From a failed test to the witness of its failure: derived, tried, shortened, and tried once more."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xencbt.harness.errors import XencbtError
from xencbt.harness.pairing import Pair
from xencbt.harness.standing import world_of
from xencbt.harness.witness.checking import Answer, last_difference
from xencbt.harness.witness.deriving import Inexpressible, steps_from
from xencbt.harness.witness.reducing import closed, reduced, undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xencbt.harness.standing import Stand
    from xencbt.harness.witness.checking import Alternative, Check
    from xencbt.harness.witness.steps import Step
    from xencbt.harness.witness.traces import Event
    from xencbt.harness.witness.witness import Witness

MOST_PROBES = 40
"""Shorter lists that are tried for one failure, each on two emulated hosts."""

MOST_DEFECTS = 30
"""Defects of which the nearest is sought, those of the broken requirement first."""

MOST_CALLS = 200
"""Calls that shortening one failure may make to a host that is no emulated one, its confirmation left out."""

MOST_SECONDS = 60.0
"""What all bundles of a run may take; then failures go without."""

SPENT = "the time for bundles of this run is spent"


@dataclass(slots=True)
class Bundler:
    """Makes witnesses of the failures of one run, as long as its time lasts.

    `right` stands on an emulated host without defects, `wrong` on the run's target, `studied` on an emulated host that
    can show defects in its place; `defects` are those there are, by name, with the requirements that they break.
    """

    right: Callable[[], Stand]
    wrong: Stand
    studied: Callable[[], Stand]
    defects: Callable[[], dict[str, tuple[str, ...]]]
    seconds: float = MOST_SECONDS

    def witness(
        self,
        test_id: str,
        events: Sequence[Event],
        requirements: Sequence[str],
        alternatives: Sequence[Alternative] = (),
    ) -> tuple[Witness, str]:
        """Return the witness of the failure in which `events` ended, and what is left to say of it, mostly nothing.

        `alternatives` are what the `requirements` allow where the failure was an outcome. Raises Inexpressible where
        there is no witness.
        """
        if self.seconds <= 0:
            raise Inexpressible(SPENT)
        began = time.monotonic()
        try:
            steps = steps_from(events, world_of(self.wrong.bench))
            making = _Making(self, test_id, requirements, alternatives, began + self.seconds)
            witness, note = making.on_emulator(steps) if self.wrong.emulated else making.on_host(steps)
            making.try_on_another(witness)
        except XencbtError as error:
            raise Inexpressible(f"replaying it did not work: {error}") from error
        else:
            return witness, note
        finally:
            self.seconds -= time.monotonic() - began


@dataclass(slots=True)
class _Making:
    bundler: Bundler
    test_id: str
    requirements: Sequence[str]
    alternatives: Sequence[Alternative]
    end: float

    def _pair(self, wrong: Stand | None, *, calls: int | None = None) -> Pair:
        return Pair(self.bundler.right(), wrong, self.test_id, self.end, calls)

    def on_emulator(self, steps: tuple[Step, ...]) -> tuple[Witness, str]:
        """Shorten on the very host that failed."""
        pair = self._pair(self.bundler.wrong)
        steps, check = self._cut(steps, pair)
        return pair.told(self._reduced(steps, check, pair), self.alternatives), ""

    def on_host(self, steps: tuple[Step, ...]) -> tuple[Witness, str]:
        """Shorten on an emulated host with the nearest defect, or within few calls on the host; confirm there once."""
        recorded = self._pair(None)
        steps, check = self._cut(steps, recorded)
        defect = self._nearest(steps, check)
        if defect:
            shorter = self._reduced(steps, check, self._pair(self.bundler.studied()))
            how = f"shortened on an emulated host with the defect {defect}"
        else:
            pair = self._pair(self.bundler.wrong, calls=MOST_CALLS)
            shorter = self._reduced(steps, check, pair)
            how = f"shortened on the target, which no defect is near, within {MOST_CALLS} calls"
        try:
            return self._pair(self.bundler.wrong).told(
                shorter, self.alternatives
            ), f"{how}; confirmed once on the target"
        except Inexpressible as why:
            note = f"as it was recorded: {how}, it was not confirmed on the target ({why})"
            return recorded.told(steps, self.alternatives), note

    def try_on_another(self, witness: Witness) -> None:
        """Try the witness on a right host that had no part in it; raises Inexpressible where that fails it, too."""
        another = self.bundler.studied()
        another.show()
        last = another.replay(witness.steps, self.test_id).saw[-1]
        if last is None or witness.check.decide(last) is not Answer.RIGHT:
            raise Inexpressible("another right host gives another answer: what differed is of one host alone")

    def _cut(self, steps: tuple[Step, ...], pair: Pair) -> tuple[tuple[Step, ...], Check]:
        """Return the steps up to the last at which the two hosts differ, and the check there."""
        right, wrong = pair.both(steps)
        at = last_difference(steps, right, wrong, self.alternatives)
        if at is None:
            raise Inexpressible("what was wrong does not show in the answers to its steps")
        steps = closed(steps[: at + 1], ())
        check = pair.check(steps, self.alternatives)
        if check is None:
            raise Inexpressible("the failure did not come back when its steps were replayed")
        return steps, check

    @staticmethod
    def _reduced(steps: tuple[Step, ...], check: Check, pair: Pair) -> tuple[Step, ...]:
        shorter = reduced(steps, lambda fewer: pair.same(fewer, check), most_probes=MOST_PROBES)
        plain = undisturbed(shorter)
        return plain if plain != shorter and pair.same(plain, check) else shorter

    def _nearest(self, steps: tuple[Step, ...], check: Check) -> str:
        """Have the studied host show the defect with which the steps fail in the same way; empty where none does."""
        declared = self.bundler.defects()
        near = [name for name, broken in declared.items() if set(broken) & set(self.requirements)]
        stand = self.bundler.studied()
        for name in [*near, *(each for each in declared if each not in near)][:MOST_DEFECTS]:
            stand.show(name)
            if self._pair(stand).same(steps, check):
                return name
        stand.show()
        return ""
