"""What `--faults` asks for: kinds of fault by name, and plans in files; read and checked before anything is touched."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from xencbt.harness.errors import UsageError
from xencbt.harness.faults import KINDS, Delay, Layer, Plan, PlanError, Reordered, SlowDrip
from xencbt.harness.selection import check_names

CLIENT_DEADLINE_S = 5.0
"""How long the client of a plan waits for an answer: what holds an answer back must let go sooner."""

LONGEST_ANSWER = 4096
"""Bytes that an answer in the life of a plan's disk may have."""


@dataclass(frozen=True, slots=True)
class NamedPlan:
    """A plan and the file that it stands in."""

    path: Path
    plan: Plan

    def require_methods(self, methods: Collection[str]) -> None:
        """Raise UsageError, naming file and field, where a pattern means none of the target's calls."""
        try:
            self.plan.require_methods(methods)
        except PlanError as error:
            raise UsageError(f"--faults {self.path}: {error}") from error


@dataclass(frozen=True, slots=True)
class AskedFaults:
    """The kinds of fault that fault tests are restricted to (none: all kinds), and the plans to carry out."""

    kinds: frozenset[str] = frozenset()
    plans: tuple[NamedPlan, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether anything was asked for; then nothing else is run."""
        return bool(self.kinds or self.plans)


def asked_faults(named: Sequence[str]) -> AskedFaults:
    """Read what was named: the kinds that `xencbt faults` lists, everything else as files.

    Raises UsageError for a name that is neither, for a file that cannot be read, and for a plan that cannot be carried
    out in a run, naming the field.
    """
    kinds = frozenset(name for name in named if name in KINDS)
    paths = [name for name in dict.fromkeys(named) if name not in KINDS]
    return AskedFaults(kinds, tuple(_named_plan(name) for name in paths))


def _named_plan(name: str) -> NamedPlan:
    path = Path(name)
    if not path.exists():
        check_names([name], tuple(KINDS), "kind of fault, nor a file with a plan:")
    try:
        plan = Plan.from_toml(path.read_text(encoding="utf-8"))
        _require_livable(plan)
        plan.require_methods()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--faults: cannot read the plan {path}: {error}") from error
    except PlanError as error:
        raise UsageError(f"--faults {path}: {error}") from error
    return NamedPlan(path, plan)


def _require_livable(plan: Plan) -> None:
    """Raise PlanError for what cannot strike the calls of one client, one after the other, or takes too long."""
    for index, planned in enumerate(plan):
        place, fault = f"faults[{index}]", planned.fault
        if fault.layer is Layer.STORAGE:
            raise PlanError(
                f"{place}.fault", f"{fault.name} strikes no call on its way, and a run's plan is about those"
            )
        if isinstance(fault, Reordered):
            raise PlanError(f"{place}.fault", "reordered needs a second connection, and a plan's client has one")
        if isinstance(fault, Delay) and fault.seconds >= CLIENT_DEADLINE_S:
            raise PlanError(
                f"{place}.parameters.seconds", f"must be below {CLIENT_DEADLINE_S:g}: so long waits the client"
            )
        if isinstance(fault, SlowDrip) and LONGEST_ANSWER / fault.chunk * fault.pause_s >= CLIENT_DEADLINE_S:
            raise PlanError(
                f"{place}.parameters.pause_s", f"an answer of {LONGEST_ANSWER} bytes would take {CLIENT_DEADLINE_S:g} s"
            )
