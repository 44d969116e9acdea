"""Whether what several sessions' calls answered is what the same calls answer one after the other; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xencbt.harness.expectations import judge
from xencbt.harness.linearizing import Operation, final_states
from xencbt.harness.model import Destroy, Disable, Enable, Snapshot, State
from xencbt.harness.model.allowing import allowed
from xencbt.harness.model.following import successors
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.suites.wording import words

if TYPE_CHECKING:
    from xencbt.harness.profiles import Profile

BUSY = "OTHER_OPERATION_IN_PROGRESS"
"""What a host may answer that lets no calls wait: then nothing happened."""

GONE = frozenset({"VDI_MISSING", "HANDLE_INVALID"})
"""What is refused with: a disk that was destroyed, by the documentation, and by hosts (D-01)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """VDI.get_cbt_enabled."""

    disk: str


Called = Enable | Disable | Snapshot | Destroy | Reading
"""What was called, about disks and snapshots by their names in the play."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A call with its outcome, as `explained` judges it."""

    called: Called
    outcome: Outcome

    def __str__(self) -> str:
        what = f"get_cbt_enabled({self.called.disk})" if isinstance(self.called, Reading) else words(self.called)
        value = self.outcome.value if isinstance(self.outcome, Ok) and isinstance(self.called, Reading) else ""
        return f"{what}: {self.outcome}{f' {value}' if value != '' else ''}"


History = Sequence[Operation[Answered]]


def explained(initial: Iterable[State], history: History, profile: Profile) -> tuple[State, ...]:
    """Return the states that the serial orders explaining `history` end in; none where it is no serial outcome.

    It began in one of the `initial` states.

    Disks that have nothing to do with each other are judged for themselves: one by one is as good as all at once, and
    far less work.
    """
    states = tuple(initial)
    for family in _families(history):
        states = tuple(
            after
            for state in states
            for after in final_states(state, family, lambda before, call: _following(before, call, profile))
        )
    return states


def _families(history: History) -> list[list[Operation[Answered]]]:
    """Part the calls by the disk that they are about, or whose snapshot it is: `a.…` is made of `a`."""
    found: dict[str, list[Operation[Answered]]] = {}
    for operation in history:
        found.setdefault(operation.what.called.disk.partition(".")[0], []).append(operation)
    return list(found.values())


def _following(state: State, call: Answered, profile: Profile) -> Iterable[State]:
    """Return the states that follow where the call has that outcome in `state`: none where it cannot have it."""
    called, outcome = call.called, call.outcome
    if isinstance(outcome, Failed) and outcome.code == BUSY:
        return (state,)
    if called.disk not in state.disks:
        gone = isinstance(outcome, Indeterminate) or (isinstance(outcome, Failed) and outcome.code in GONE)
        return (state,) if gone else ()
    if isinstance(called, Reading):
        right = isinstance(outcome, Indeterminate) or outcome == Ok(state.disk(called.disk).enabled)
        return (state,) if right else ()
    expectation = allowed(state, called)
    if isinstance(outcome, Failed):
        return (state,) if judge(outcome, expectation, profile).allowed else ()
    return successors(state, called) if expectation.succeeds else ()
