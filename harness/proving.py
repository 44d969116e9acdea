"""`xencbt prove`: the suites against every defect of the emulated host, and against a host without any."""

import datetime as dt
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xencbt.harness.catalogue import CATALOGUE
from xencbt.harness.errands import Ended, Errands
from xencbt.harness.hunting import RAN, Errand
from xencbt.harness.proof import Attempt, Clean, Fate, Hunted, Planted, Proof, attempt, broken
from xencbt.suites.index import deciding_tests, searching_tests

PROFILES = ("xapi", "documented")
DEADLINE_S = 900.0
"""How long one run may take; a whole one takes two minutes of a core. One that takes longer decides nothing."""

RUN_FILE = "run.json"
DESIGN, REST, WHOLE, CLEAN = "design", "rest", "whole", "clean"


@dataclass(slots=True)
class Prover:
    """Sends out a run for each thing to be proven, and gathers what comes back.

    `folder` is for the runs; `tell` gets each Hunted and each Clean that is decided. With `full` every test is tried on
    every defect; with `only_design` none but those of the requirement it declares. `partial`: the clean host is judged
    only by what the defects declare.
    """

    folder: Path
    seed: int
    full: bool
    partial: bool
    tell: Callable[[Hunted | Clean], None]
    only_design: bool = False
    clean: dict[str, Clean] = field(default_factory=dict)
    hunted: dict[str, Hunted] = field(default_factory=dict)

    def prove(self, defects: Sequence[Planted], *, workers: int, suite: Mapping[str, Any]) -> Proof:
        """Run the suites against `defects` and without any, `workers` runs at a time; KeyboardInterrupt ends them."""
        started, began = dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), time.monotonic()
        self.hunted = {defect.name: Hunted(defect) for defect in defects}
        errands = [self._clean(profile, defects) for profile in PROFILES]
        errands += [self._whole(defect) if self.full else self._design(defect) for defect in defects]
        Errands(workers, deadline_s=DEADLINE_S, ended=self._ended).carry_out(errands)
        return Proof(
            hunted=tuple(self.hunted.values()),
            clean=tuple(self.clean[profile] for profile in PROFILES),
            deciding=deciding_tests(),
            searching=searching_tests(),
            seed=self.seed,
            suite=suite,
            started=started,
            duration_s=time.monotonic() - began,
            partial=self.partial,
            full=self.full,
        )

    def _clean(self, profile: str, defects: Sequence[Planted]) -> Errand:
        only = sorted({defect.breaks[0] for defect in defects}) if self.partial else []
        named = [f"--requirement={requirement}" for requirement in only]
        words = (f"--profile={profile}", "--strict", *named, *self._seeded)
        return Errand(f"{CLEAN}-{profile}", words, self.folder / CLEAN / profile)

    def _design(self, defect: Planted) -> Errand:
        declared = defect.breaks[0]
        words = (*self._against(defect), f"--requirement={declared}", *self._seeded)
        return self._errand(defect, DESIGN, words, until=frozenset({declared}))

    def _rest(self, defect: Planted) -> Errand:
        deciding = deciding_tests()
        tests = [frozenset(deciding.get(requirement, ())) for requirement in defect.breaks]
        every = frozenset(row.id for row in CATALOGUE)
        words = (*self._against(defect), *self._seeded)
        errand = self._errand(defect, REST, words, until=every)
        return replace(errand, without=tests[0], first=frozenset().union(*tests[1:]))

    def _whole(self, defect: Planted) -> Errand:
        return self._errand(defect, WHOLE, (*self._against(defect), *self._seeded))

    def _errand(
        self,
        defect: Planted,
        kind: str,
        words: tuple[str, ...],
        *,
        until: frozenset[str] | None = None,
    ) -> Errand:
        return Errand(f"{kind}-{defect.name}", words, self.folder / kind / defect.name, until)

    def _against(self, defect: Planted) -> tuple[str, ...]:
        return (f"--defect={defect.name}", "--strict")

    @property
    def _seeded(self) -> tuple[str, ...]:
        return (f"--seed={self.seed}",)

    def _ended(self, ended: Ended) -> Iterable[Errand]:
        kind, _, name = ended.errand.name.partition("-")
        came = attempt_of(ended)
        if kind == CLEAN:
            self.clean[name] = Clean(name, came)
            self.tell(self.clean[name])
            return ()
        hunted = self.hunted[name] = self.hunted[name].after(kind, came)
        if kind == DESIGN and hunted.kill is None and not came.trouble and not self.only_design:
            return (self._rest(hunted.defect),)
        self.tell(hunted)
        return ()

    def worth_keeping(self) -> tuple[Path, ...]:
        """Return the folders of the runs that did not do what is hoped for: to be looked at."""
        kept = [self.folder / CLEAN / one.profile for one in self.clean.values() if not one.passes]
        astray = [one for one in self.hunted.values() if one.fate is not Fate.BY_DESIGN]
        kept += [self.folder / kind / one.defect.name for one in astray for kind in (DESIGN, REST, WHOLE)]
        return tuple(place for place in kept if place.exists())


def attempt_of(ended: Ended) -> Attempt:
    """Read what a run has left; a run.json that is none, or says otherwise than the process, decides nothing."""
    command = ended.errand.command
    if ended.trouble:
        return broken(command, ended.trouble, ended.seconds)
    try:
        document = json.loads((ended.errand.folder / RAN / RUN_FILE).read_text(encoding="utf-8"))
        came = attempt(document, ended.seconds)
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = ended.said or f"{type(error).__name__}: {error}"
        return broken(command, f"it left no run.json, and ended with exit code {ended.code}: {said}", ended.seconds)
    if came.exit != ended.code:
        return broken(command, f"its run.json says exit {came.exit}, the process {ended.code}", ended.seconds)
    return came
