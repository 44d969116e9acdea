"""The failed tests of another run again: what is taken from the folder it left, and what is not.

Seed, speed, profile and selection are taken, so that the tests make the same choices. How the target is reached is not:
a folder that somebody handed over must not say where a password goes or which command runs. It is named again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast

from xencbt.harness.attempts import AT_FAULT
from xencbt.harness.catalogue import catalogue_hash
from xencbt.harness.errors import UsageError
from xencbt.harness.events import read_events
from xencbt.harness.findings import CAPABILITY, ISSUE
from xencbt.harness.settings import Settings
from xencbt.harness.sinks import EVENTS_FILE
from xencbt.reports.run_json import Run
from xencbt.reports.saved import Saved, read_run

ATTEMPTED = "attempted"
"""The event by which a run holds a finding of the run that it makes again."""

SAME_TARGET = ("kind", "product", "version", "build", "defects")
"""What two attempts at a test must agree on to be about one target."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """The run that is made again in part: what it said, its findings as events, and the tests that run again."""

    run: Run
    findings: tuple[Mapping[str, Any], ...]
    tests: frozenset[str]

    @property
    def identity(self) -> dict[str, Any]:
        """What tells which run this was."""
        return {"started": self.run["started"], "exit": self.run["exit"]}

    @property
    def requirements(self) -> frozenset[str]:
        """The requirements it decided, all of which the two runs together decide."""
        return frozenset(row["id"] for row in self.run["requirements"])

    def refuse_other_target(self, target: Mapping[str, Any]) -> None:
        """Go on only with the target that was judged then, as the `target` event describes it; raises UsageError."""
        was = self.run["target"]
        if was is None:
            raise UsageError("--rerun: that run never reached its target")
        said = cast("Mapping[str, Any]", was)
        other = [f"its {name} was {said[name]!r}" for name in SAME_TARGET if said[name] != target[name]]
        if other:
            raise UsageError(
                f"--rerun: this is not the target of that run, {'; '.join(other)}: name it as it was named then "
                "(--target, --sr, …), a folder is not trusted to say where passwords go"
            )


def read_earlier(folder: Path) -> Earlier:
    """Read the run in `folder` whose tests are to run again; raises UsageError (UnreadableRun) saying why it cannot."""
    saved = read_run(folder)
    run = saved.run
    if not saved.checked:
        raise UsageError(f"--rerun {folder}: {EVENTS_FILE} is missing there, which holds every attempt")
    if not run["complete"]:
        raise UsageError(
            f"--rerun {folder}: that run did not come to its end; run it again whole, --seed {run['seed']}"
        )
    if (run["suite"]["version"], run["suite"]["catalogue_hash"]) != (version("xencbt"), catalogue_hash()):
        raise UsageError(f"--rerun {folder}: xencbt {run['suite']['version']} judged there, with another catalogue")
    tests = _at_fault(run)
    if not tests:
        raise UsageError(
            f"--rerun {folder}: nothing failed there or stayed undecided, so there is nothing to run again"
        )
    return Earlier(run, _findings(saved), tests)


def _at_fault(run: Run) -> frozenset[str]:
    """Return the tests of every requirement that failed or stayed undecided."""
    words = {verdict.value for verdict in AT_FAULT}
    tests = {name for row in run["requirements"] if row["verdict"] in words for name in row["tests"]}
    tests |= {test["id"] for test in run["tests"] if test["verdict"] in words}
    return frozenset(name for name in tests if not name.startswith((CAPABILITY, ISSUE)))


def _findings(saved: Saved) -> tuple[Mapping[str, Any], ...]:
    kinds = {ATTEMPTED, "test_finished"}
    told = read_events(saved.folder / EVENTS_FILE)
    return tuple({**event, "event": ATTEMPTED} for event in told if event["event"] in kinds)


def adopted(settings: Settings, earlier: Earlier, given: Mapping[str, Any]) -> Settings:
    """Return `settings` with what the earlier run was made with.

    Raises UsageError where the command line, `given` by option key, says something else.
    """
    run = earlier.run
    then = {"seed": run["seed"], "speed": run["speed"], "profile": run["profile"], "strict": run["strict"]}
    for name, value in then.items():
        asked = given.get(name)
        if asked not in (None, False, "auto") and str(asked) != str(value):
            raise UsageError(f"--rerun takes the {name} of that run, {value}, not {asked}")
    for name in ("suite", "requirement"):
        if given.get(name):
            raise UsageError(f"--{name} with --rerun: which tests run again is decided by what failed")
    return replace(
        settings,
        seed=run["seed"],
        speed=cast("Literal['quick', 'nightly']", run["speed"]),
        profile=run["profile"],
        strict=run["strict"],
        suites=tuple(run["selection"]["suites"]),
        requirements=tuple(run["selection"]["requirements"]),
    )


def missing(earlier: Earlier, collected: frozenset[str]) -> UsageError | None:
    """Return the complaint about tests that are to run again and are not here; None where all are."""
    lost = sorted(earlier.tests - collected)
    if not lost:
        return None
    return UsageError(
        f"--rerun: {len(lost)} of its tests are not here, the first is {lost[0]}: "
        "give --faults and what stood behind -- as they were then"
    )
