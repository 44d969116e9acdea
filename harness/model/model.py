"""The model a test holds: every state of the world that what was done and answered leaves possible."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from xencbt.harness.expectations import Expectation, either
from xencbt.harness.model.allowing import allowed
from xencbt.harness.model.disk import Disk, Storage
from xencbt.harness.model.following import successors
from xencbt.harness.model.state import BackupSet, Bounds, OutsideModel, State
from xencbt.harness.model.steps import Step
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.verdicts import Violation

_Fact = TypeVar("_Fact")

MOST_STATES = 256
"""How many states may be possible at once; a test that leaves more open reads too little."""


class Model:
    """Follows what was done to disks; mutable, and pure but for itself.

    Most of the time one state is possible. A lost answer, or an event whose consequence the documentation leaves open,
    makes it several; reading `cbt_enabled` (`saw_enabled`) decides.

    >>> model = Model()
    >>> model.happened(Create("disk", size=4 << 20))
    >>> model.allowed(Enable("disk"))
    """

    def __init__(self, *, licensed: bool | None = True, ordered: bool = False) -> None:
        self._states: tuple[State, ...] = (State(licensed=licensed, ordered=ordered),)

    @property
    def states(self) -> tuple[State, ...]:
        """The states that are possible now, at least one."""
        return self._states

    def storage(self, storage: Storage, name: str = "main") -> None:
        """Describe (or describe anew) the storage called `name`; `main` is an ordinary one until described."""
        self._states = tuple(
            replace(state, storages=MappingProxyType({**state.storages, name: storage})) for state in self._states
        )

    def licence(self, *, licensed: bool | None) -> None:
        """Note whether enabling is licensed from now on (None: unknown)."""
        self._states = tuple(replace(state, licensed=licensed) for state in self._states)

    def allowed(self, step: Step) -> Expectation:
        """Return the outcomes the documentation allows for `step` now; raises OutsideModel where it says nothing."""
        return either(*(allowed(state, step) for state in self._states))

    def happened(self, step: Step, outcome: Outcome | None = None) -> None:
        """Follow `step`: with success (the default), a refusal (nothing changed), or a lost answer (either).

        Raises Violation when no possible state allows the outcome's kind, be it by a deviation: judge first.
        """
        outcome = Ok("") if outcome is None else outcome
        following: list[State] = []
        for state in self._states:
            expectation = allowed(state, step)
            if isinstance(outcome, Ok | Indeterminate) and expectation.succeeds:
                following += successors(state, step)
            if isinstance(outcome, Indeterminate):
                following.append(state)
            if isinstance(outcome, Failed) and any(one.allows(outcome) for one in expectation.alternatives):
                following.append(state)
        if not following:
            raise Violation(f"{step}: {outcome}", expected=self.allowed(step).words(), actual=str(outcome))
        self._states = _distinct(following)

    def raced(self, states: Iterable[State]) -> None:
        """Follow calls that overlapped: `states` are those in which the orders that explain them end, at least one."""
        self._states = _distinct(list(states))
        assert self._states, "no serial order explains what was answered"

    def saw(self, what: str, fact: Callable[[State], bool]) -> None:
        """Take in something else that was read: `fact` tells the states in which it is so.

        Raises Violation, saying `what` was read, when it is so in none.
        """
        agreeing = tuple(state for state in self._states if fact(state))
        if not agreeing:
            raise Violation("what was read is no possible state", expected=("another one",), actual=what)
        self._states = agreeing

    def enabled(self, name: str) -> bool | None:
        """Return what `cbt_enabled` of the VDI must read; None while both are possible."""
        return self._common(lambda state: state.disk(name).enabled)

    def saw_enabled(self, name: str, *, enabled: bool) -> None:
        """Take in what `cbt_enabled` of the VDI reads; raises Violation when no possible state has it so."""
        agreeing = tuple(state for state in self._states if state.disk(name).enabled is enabled)
        if not agreeing:
            raise Violation(
                f"cbt_enabled of {name} is wrong", expected=(str(not enabled).lower(),), actual=str(enabled).lower()
            )
        self._states = agreeing

    def expected_status(self) -> dict[str, bool | None]:
        """Return what `cbt_enabled` of every known VDI must read, by name; None while both are possible."""
        names = dict.fromkeys(name for state in self._states for name in state.disks)
        return {name: self.enabled(name) for name in names if all(name in state.disks for state in self._states)}

    def disk(self, name: str) -> Disk:
        """Return what is known of a VDI; raises OutsideModel while the possible states differ in it."""
        disk = self._common(lambda state: state.disk(name))
        if disk is None:
            raise OutsideModel(f"what became of {name} is open: read it first")
        return disk

    def backup_set(self, name: str) -> BackupSet | None:
        """Return the set the VDI belongs to, None while it has no CBT; raises OutsideModel while that is open."""
        sets = [state.backup_set(name) for state in self._states]
        if any(one != sets[0] for one in sets):
            raise OutsideModel(f"the set of {name} is open: read cbt_enabled first")
        return sets[0]

    def bounds(self, earlier: str, later: str) -> Bounds:
        """Return what the bitmap from `earlier` to `later` may say, in whichever of the possible states.

        Raises OutsideModel when they are related in none of them.
        """
        related = [state.bounds(earlier, later) for state in self._states if state.related(earlier, later) is not False]
        if not related:
            raise OutsideModel(f"{earlier} and {later} are unrelated: there is no bitmap between them")
        return Bounds(
            must=frozenset.intersection(*(bounds.must for bounds in related)),
            may=_union([bounds.may for bounds in related]),
            size=related[0].size,
        )

    def _common(self, fact: Callable[[State], _Fact]) -> _Fact | None:
        values = [fact(state) for state in self._states]
        return values[0] if all(value == values[0] for value in values) else None


def _union(sets: list[frozenset[int] | None]) -> frozenset[int] | None:
    known = [one for one in sets if one is not None]
    return frozenset[int]().union(*known) if len(known) == len(sets) else None


def _distinct(states: list[State]) -> tuple[State, ...]:
    distinct: list[State] = []
    for state in states:
        if state not in distinct:
            distinct.append(state)
    if len(distinct) > MOST_STATES:
        raise OutsideModel(f"more than {MOST_STATES} states are possible: read cbt_enabled in between")
    return tuple(distinct)
