"""Whether calls that overlapped had the effect of some serial order (Wing and Gong's search); pure.

A history is linearizable when its calls can be put in one order that keeps the order of those that did not overlap,
and in which each has the outcome that it had. The search remembers what it has tried: a set of calls that are left
and a state lead on the same way however they were reached.

>>> final_states(state, history, step)          # () where no serial order explains what was answered
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf, nextafter
from typing import Generic, Self, TypeVar

from xencbt.harness.errors import HarnessError

State = TypeVar("State")
What = TypeVar("What")

MOST_TRIED = 200_000
"""How many pairs of calls left and a state are tried at most: seconds of work."""


class TooManyOrders(HarnessError):
    """The search was given up: the calls overlap so much that nothing can be said."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[What]):
    """One call and its outcome: `what`, and when it was sent and answered, in seconds of one monotonic clock.

    `returned` is None where no answer came: it took effect at any time since, or takes it still, or never does.
    """

    what: What
    invoked: float
    returned: float | None

    def __post_init__(self) -> None:
        if self.returned is not None and self.returned < self.invoked:
            raise ValueError(f"answered {self.invoked - self.returned:g} s before it was sent: {self.what}")

    def after(self, moment: float) -> Self:
        """Return the operation as one that did not begin before `moment`, which is known from elsewhere.

        Its answer may have been taken before that: two that come at once are taken in any order.
        """
        invoked = nextafter(moment, inf)
        returned = None if self.returned is None else max(self.returned, nextafter(invoked, inf))
        return replace(self, invoked=invoked, returned=returned)

    @property
    def end(self) -> float:
        """When it had taken effect at the latest."""
        return inf if self.returned is None else self.returned


def final_states(
    initial: State,
    history: Sequence[Operation[What]],
    step: Callable[[State, What], Iterable[State]],
    *,
    most: int = MOST_TRIED,
) -> tuple[State, ...]:
    """Return the states in which the serial orders that explain `history` end; none where no order explains it.

    `step` gives the states that may follow where a call with that outcome takes effect in a state: none where it cannot
    have had that outcome there. States are compared by `==`. Raises TooManyOrders beyond `most`.
    """
    calls = sorted(history, key=lambda call: call.invoked)
    answered = sum(1 << index for index, call in enumerate(calls) if call.returned is not None)
    tried: dict[int, list[State]] = {}
    final: list[State] = []
    left = [((1 << len(calls)) - 1, initial)]
    count = 0
    while left:
        remaining, state = left.pop()
        known = tried.setdefault(remaining, [])
        if state in known:
            continue
        known.append(state)
        count += 1
        if count > most:
            raise TooManyOrders(f"{len(calls)} calls have too many orders: given up after {most}")
        if not remaining & answered and state not in final:
            final.append(state)
        for index in _next(calls, remaining):
            left += [(remaining & ~(1 << index), following) for following in step(state, calls[index].what)]
    return tuple(final)


def _next(calls: Sequence[Operation[What]], remaining: int) -> list[int]:
    """Return the calls that may be next: sent before any other that is left had ended. `calls` by when they were sent.

    Two moments that are the same count as overlapping: the clock may be too coarse to tell.
    """
    found: list[int] = []
    first_end = inf
    for index, call in enumerate(calls):
        if remaining >> index & 1:
            if call.invoked > first_end:
                break
            found.append(index)
            first_end = min(first_end, call.end)
    return found
