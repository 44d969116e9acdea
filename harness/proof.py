"""What a proof of the suites is made of: what each defect did to the run that hunted it, and what follows; pure.

A *kill* is a run that fails (exit code 1) because of the defect; one of level `must` has to die by design: at the tests
of the requirement that it is declared to break. Errors, crashes and time that ran out are no kills, whatever failed
beside them: the suites must have said what is wrong.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Protocol

from xencbt.harness.catalogue import CATALOGUE, Level
from xencbt.harness.verdicts import Exit, Verdict, chapter_of

SCHEMA = "xencbt.prove/1"
MUST = "must"


class Planted(Protocol):
    """What a proof must know of a defect of the emulated host; `breaks` begins with the requirement it declares."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def what(self) -> str: ...  # noqa: D102
    @property
    def breaks(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def level(self) -> str: ...  # noqa: D102
    @property
    def seen(self) -> str: ...  # noqa: D102
    @property
    def loudness(self) -> str: ...  # noqa: D102
    @property
    def layer(self) -> str: ...  # noqa: D102


class Fate(Enum):
    """What became of a defect, worst first."""

    TROUBLE = "trouble"
    SURVIVED = "survived"
    ELSEWHERE = "killed elsewhere"
    BY_DESIGN = "killed by design"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of the suites, as its run.json tells; `trouble` says why it decided nothing, where it did not.

    `failed` are the requirements that failed, `killers` the tests. `calls` and `seconds` are those of the whole run,
    which ends at the kill it was to find; `seconds` are of the process, with the start of the emulated host.
    """

    command: str
    exit: int
    failed: tuple[str, ...]
    killers: tuple[str, ...]
    passed: int
    calls: int
    seconds: float
    trouble: str = ""

    @property
    def kills(self) -> bool:
        """Whether the run failed, and by nothing else than what it judged."""
        return not self.trouble and self.exit == Exit.FAILED and bool(self.failed)


def attempt(document: Mapping[str, Any], seconds: float) -> Attempt:
    """Read an attempt from a run.json; raises KeyError, TypeError or ValueError for anything else."""
    failed = [row["id"] for row in document["requirements"] if row["deciding"] and row["verdict"] == "fail"]
    passed = sum(row["verdict"] == Verdict.PASS.value for row in document["requirements"])
    said = [problem["reason"] for problem in document["problems"]]
    said += [f"{test['id']}: {test['reason']}" for test in document["tests"] if test["verdict"] == Verdict.ERROR.value]
    broken = document["exit"] in {Exit.ERROR, Exit.INTERRUPTED}
    return Attempt(
        command=document["command"],
        exit=document["exit"],
        failed=tuple(failed),
        killers=tuple(test["id"] for test in document["tests"] if test["verdict"] == Verdict.FAIL.value),
        passed=passed,
        calls=sum(test["calls"] for test in document["tests"]),
        seconds=round(seconds, 2),
        trouble=(said or ["the run did not come to its end"])[0] if broken else "",
    )


def broken(command: str, trouble: str, seconds: float) -> Attempt:
    """Return the attempt of a run that left no run.json, or never ended."""
    return Attempt(command, Exit.ERROR, (), (), 0, 0, round(seconds, 2), trouble)


@dataclass(frozen=True, slots=True)
class Hunted:
    """A defect and the runs against it: `design` by the tests of the requirement it declares, `rest` by all others.

    The second is made only where the first killed nothing. Instead of both, `whole` tries every test to the end.
    """

    defect: Planted
    design: Attempt | None = None
    rest: Attempt | None = None
    whole: Attempt | None = None

    def after(self, kind: str, run: Attempt) -> "Hunted":
        """Return it with one more run: of the `kind` design, rest or whole."""
        return Hunted(self.defect, **({one: getattr(self, one) for one in ("design", "rest", "whole")} | {kind: run}))

    @property
    def declared(self) -> str:
        """The requirement whose tests must notice the defect."""
        return self.defect.breaks[0]

    @property
    def fate(self) -> Fate:
        """What became of the defect."""
        tried = self.attempts
        if self._by_design is not None:
            return Fate.BY_DESIGN
        if any(each.trouble for each in tried) or not tried:
            return Fate.TROUBLE
        return Fate.ELSEWHERE if any(each.kills for each in tried) else Fate.SURVIVED

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The runs against it, in order."""
        return tuple(each for each in (self.design, self.rest, self.whole) if each is not None)

    @property
    def kill(self) -> Attempt | None:
        """The run that killed it; None for a survivor."""
        return self._by_design or next((each for each in self.attempts if each.kills), None)

    @property
    def _by_design(self) -> Attempt | None:
        tried = [each for each in (self.design, self.whole) if each is not None]
        return next((each for each in tried if each.kills and self.declared in each.failed), None)

    def killers(self, deciding: Mapping[str, Collection[str]]) -> tuple[str, ...]:
        """Return the tests that killed it by design, or else any; `deciding` are the tests of each requirement."""
        if self.kill is None:
            return ()
        own = deciding.get(self.declared, ())
        named = tuple(test for test in self.kill.killers if test.partition("[")[0] in own)
        return named if self.fate is Fate.BY_DESIGN and named else self.kill.killers


@dataclass(frozen=True, slots=True)
class Clean:
    """The emulated host without a defect, judged in one profile."""

    profile: str
    run: Attempt

    @property
    def passes(self) -> bool:
        """Whether everything passed that was judged."""
        return self.run.exit == Exit.OK and not self.run.trouble


@dataclass(frozen=True, slots=True)
class Proof:
    """The defects that were hunted and the clean runs beside them.

    `deciding` are the tests of each requirement, `searching` those that draw what they do; `partial`: not all defects.
    """

    hunted: tuple[Hunted, ...]
    clean: tuple[Clean, ...]
    deciding: Mapping[str, Collection[str]]
    searching: frozenset[str]
    seed: int
    suite: Mapping[str, Any]
    started: str
    duration_s: float
    partial: bool
    full: bool = False

    @property
    def survivors(self) -> tuple[str, ...]:
        """Defects of level `must` that did not die by design."""
        return tuple(
            one.defect.name for one in self.hunted if one.defect.level == MUST and one.fate is not Fate.BY_DESIGN
        )

    @property
    def exit(self) -> Exit:
        """4 where anything could not be decided, else 1 for a survivor or a clean host that does not pass, else 0."""
        troubled = any(one.fate is Fate.TROUBLE for one in self.hunted) or any(one.run.trouble for one in self.clean)
        if troubled:
            return Exit.ERROR
        return Exit.FAILED if self.survivors or not all(one.passes for one in self.clean) else Exit.OK

    @property
    def score(self) -> dict[str, Any]:
        """The kill score: how many defects of level `must` died by design, and which did not."""
        must = [one for one in self.hunted if one.defect.level == MUST]
        return {"killed": len(must) - len(self.survivors), "of": len(must), "survivors": list(self.survivors)}

    @property
    def idle(self) -> tuple[str, ...]:
        """Requirements with tests, of a level that can fail, that failed in no run against a defect.

        Of a part they are looked for among the declared ones.
        """
        killing = {each for one in self.hunted for tried in one.attempts for each in tried.failed}
        wanted = {one.declared for one in self.hunted} if self.partial else self.deciding
        judged = [row.id for row in CATALOGUE if row.level != Level.INFORMATIONAL and row.id in wanted]
        return tuple(each for each in judged if each not in killing)

    @property
    def only_by_search(self) -> tuple[str, ...]:
        """Defects that no example killed, among the tests that were tried: only what draws its calls did."""
        return tuple(one.defect.name for one in self.hunted if self._only_searched(one))

    def _only_searched(self, one: Hunted) -> bool:
        killers = one.killers(self.deciding)
        return bool(killers) and all(test.partition("[")[0] in self.searching for test in killers)

    def as_json(self) -> dict[str, Any]:
        """Return what prove.json says; docs/prove.schema.json is its shape."""
        killed = sorted(one.kill.calls for one in self.hunted if one.kill is not None)
        return {
            "schema": SCHEMA,
            "exit": int(self.exit),
            "started": self.started,
            "duration_s": round(self.duration_s, 1),
            "seed": self.seed,
            "suite": dict(self.suite),
            "partial": self.partial,
            "full": self.full,
            "score": self.score,
            "median_calls": killed[len(killed) // 2] if killed else None,
            "clean": [{"profile": each.profile, "passes": each.passes, **_attempt(each.run)} for each in self.clean],
            "defects": [self._row(one) for one in self.hunted],
            "idle": list(self.idle),
            "only_by_search": list(self.only_by_search),
        }

    def _row(self, one: Hunted) -> dict[str, Any]:
        kill, defect = one.kill, one.defect
        tried = [each for each in one.attempts if each.trouble] or ([kill] if kill is not None else one.attempts[-1:])
        return {
            "name": defect.name,
            "what": defect.what,
            "level": defect.level,
            "layer": defect.layer,
            "chapter": chapter_of(one.declared),
            "breaks": list(defect.breaks),
            "seen": defect.seen,
            "loudness": defect.loudness,
            "fate": one.fate.value,
            "failed": list(kill.failed) if kill is not None else [],
            "killers": list(one.killers(self.deciding)),
            "by_search": self._only_searched(one),
            "calls": kill.calls if kill is not None else sum(each.calls for each in one.attempts),
            "seconds": kill.seconds if kill is not None else round(sum(each.seconds for each in one.attempts), 2),
            "trouble": tried[0].trouble if tried else "no run of it came to an end",
            "command": tried[0].command if tried else "",
        }


def _attempt(run: Attempt) -> dict[str, Any]:
    told = asdict(run)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


def part(defects: Sequence[Planted], number: int, of: int) -> tuple[Planted, ...]:
    """Return the `number`th of `of` parts, each with its share of every chapter and layer; raises ValueError.

    The parts share no defect, and together are all of them.
    """
    if not 1 <= number <= of:
        raise ValueError(f"there is no part {number} of {of}")
    strata = sorted(defects, key=lambda defect: (chapter_of(defect.breaks[0]), defect.layer, defect.name))
    return tuple(strata[number - 1 :: of])
