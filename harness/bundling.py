"""From a failed test to the bundle that shows its failure again: derived, tried, shortened, and tried once more."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from xencbt.fixtures.bench import Bench
from xencbt.fixtures.lab import Lab
from xencbt.fixtures.targets import start_emulator
from xencbt.harness.errors import XencbtError
from xencbt.harness.replaying import Replayed, replay
from xencbt.harness.witness.checking import Alternative, Answer, Check, Saw, check_of, last_difference
from xencbt.harness.witness.deriving import Inexpressible, World, steps_from
from xencbt.harness.witness.reducing import closed, reduced
from xencbt.harness.witness.renaming import numbered_anew
from xencbt.harness.witness.witness import Witness, read_witness
from xencbt.proxies.interceptor import Interceptor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    from xencbt.harness.witness.steps import Step
    from xencbt.harness.witness.traces import Event

MOST_PROBES = 40
"""Shorter lists that are tried for one failure, each on two emulated hosts."""

MOST_SECONDS = 60.0
"""What all shortening of a run may take; after it, witnesses stay as long as they came."""

SPENT = "the time for bundles of this run is spent"


class Stand:
    """A target to replay on: its bench, and an interceptor in front of it once a fault needs one."""

    def __init__(self, bench: Bench, interceptor: Callable[[], Interceptor] | None) -> None:
        self.bench = bench
        self._interceptor = interceptor

    def replay(self, steps: Sequence[Step], test_id: str) -> Replayed:
        """Carry out `steps`; what they made is removed again."""
        with Lab(self.bench, f"{test_id}::replay") as lab:
            return replay(lab, steps, self._interceptor)


def world_of(bench: Bench) -> World:
    """Return what is there before a test begins."""
    srs = {kind: (each.ref, each.uuid) for kind, each in bench.repositories.items()}
    return World(srs, bench.target.user, bench.product.host_ref)


def reference(opened: ExitStack, like: Bench, *, options: Sequence[str] = ()) -> Stand:
    """Start an emulated host with the profile of `like`, and stand on it; `options` as `xencbt emulator` takes them.

    Its run's SR is of the driver that the other's is of, where it has one. Raises HarnessError.
    """
    target = opened.enter_context(start_emulator(profile=like.profile.name, options=options))
    folder = Path(opened.enter_context(TemporaryDirectory(prefix="xencbt-replay-")))
    driver = like.repositories["main"].driver
    bench = _opened(target, like, folder / "look", None)
    kinds = [kind for kind, one in bench.repositories.items() if one.driver == driver]
    if kinds and bench.repositories["main"].driver != driver:
        sr = bench.repositories[kinds[0]].uuid
        bench.close()
        bench = _opened(target, like, folder / "there", sr)
    opened.callback(bench.close)
    return Stand(bench, lambda: opened.enter_context(Interceptor(target.url, target.trust)))


def _opened(target: object, like: Bench, folder: Path, sr: str | None) -> Bench:
    return Bench.open(
        target,  # type: ignore[arg-type]  # a Target
        seed=like.seed,
        run_id=token_hex(8),
        environment={},
        sr=sr,
        profile=like.profile.name,
        journal_dir=folder,
    )


@dataclass(slots=True)
class Bundler:
    """Makes witnesses of the failures of one run, as long as its time lasts.

    `right` stands on an emulated host without defects, `wrong` on the run's target.
    """

    right: Callable[[], Stand]
    wrong: Stand
    seconds: float = MOST_SECONDS

    def witness(self, test_id: str, events: Sequence[Event], alternatives: Sequence[Alternative] = ()) -> Witness:
        """Return the witness of the failure in which `events` ended; raises Inexpressible where there is none.

        `alternatives` are what the requirement allows where the failure was an outcome.
        """
        if self.seconds <= 0:
            raise Inexpressible(SPENT)
        began = time.monotonic()
        try:
            return self._witness(test_id, events, alternatives)
        except XencbtError as error:
            raise Inexpressible(f"replaying it did not work: {error}") from error
        finally:
            self.seconds -= time.monotonic() - began

    def _witness(self, test_id: str, events: Sequence[Event], alternatives: Sequence[Alternative]) -> Witness:
        steps = steps_from(events, world_of(self.wrong.bench))
        on_emulator = self.wrong.bench.target.control is not None
        pair = _Pair(self.right(), self.wrong if on_emulator else None, test_id, time.monotonic() + self.seconds)
        right, wrong = pair.both(steps)
        at = last_difference(steps, right, wrong)
        if at is None:
            raise Inexpressible("what was wrong does not show in the answers to its steps")
        steps = closed(steps[: at + 1], ())
        check = pair.check(steps, alternatives)
        if check is None:
            raise Inexpressible("the failure did not come back when its steps were replayed")
        if on_emulator:
            steps = reduced(steps, lambda fewer: pair.same(fewer, check), most_probes=MOST_PROBES)
        return pair.told(steps, alternatives)


@dataclass(slots=True)
class _Pair:
    """Steps tried on a right host and on a wrong one; without a wrong one, what was recorded stands for it."""

    right: Stand
    wrong: Stand | None
    test_id: str
    end: float

    def both(self, steps: Sequence[Step]) -> tuple[tuple[Saw | None, ...], tuple[Saw | None, ...]]:
        right = self.right.replay(steps, self.test_id)
        if right.ended is not None:
            raise Inexpressible(f"a right host cannot carry out its steps: {right.ended}")
        if self.wrong is None:
            return right.saw, tuple(step.saw for step in steps)
        return right.saw, self.wrong.replay(steps, self.test_id).saw

    def check(self, steps: Sequence[Step], alternatives: Sequence[Alternative] = ()) -> Check | None:
        right, wrong = self.both(steps)
        if right[-1] is None or wrong[-1] is None:
            return None
        return check_of(right[-1], wrong[-1], alternatives)

    def same(self, steps: tuple[Step, ...], as_before: Check) -> bool:
        if time.monotonic() > self.end:
            return False
        try:
            check = self.check(steps)
        except Inexpressible:
            return False
        return check is not None and check.way(check.saw) == as_before.way(as_before.saw)

    def told(self, steps: tuple[Step, ...], alternatives: Sequence[Alternative]) -> Witness:
        right, wrong = self.both(steps)
        check = None if right[-1] is None or wrong[-1] is None else check_of(right[-1], wrong[-1], alternatives)
        if check is None or check.decide(check.saw) is not Answer.SAME:
            raise Inexpressible("the failure did not come back when its steps were replayed")
        used = frozenset[str]().union(*(step.uses for step in steps))
        kept = [
            replace(step, saw=saw, names={alias: path for alias, path in step.names.items() if alias in used})
            for step, saw in zip(steps, wrong, strict=True)
        ]
        numbered, told = numbered_anew(kept, check.as_json())
        return read_witness({"steps": [step.as_json() for step in numbered], "check": told})
