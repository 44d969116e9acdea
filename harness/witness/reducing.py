"""Delta debugging over the steps of a witness: what is left out takes along what needs it; pure."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from xencbt.harness.witness.steps import DISTURBED, Step

Probe = Callable[[tuple[Step, ...]], bool]
"""Tells whether these steps still show the same failure, at their last step."""

PAIRS = {"begin": "end", "arm": "heal"}


def closed(steps: Sequence[Step], dropped: Collection[int]) -> tuple[Step, ...]:
    """Return `steps` without those at `dropped`, nor those that then lack an object, or the other half of a pair.

    What an answer names is kept in a step only as far as a later one uses it.
    """
    kept: list[Step] = []
    known: set[str] = set()
    begun: list[str] = []
    for at, step in enumerate(steps):
        if at in dropped or not step.uses <= known:
            continue
        if step.do in PAIRS:
            begun.append(PAIRS[step.do])
        elif step.do in PAIRS.values():
            if step.do not in begun:
                continue
            begun.remove(step.do)
        kept.append(step)
        known |= step.defines
    return tuple(kept)


def undisturbed(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return `steps` without the line that faults strike where no fault is armed: then any script can do them."""
    if any(step.do == "arm" for step in steps):
        return steps
    return tuple(replace(step, line="") if step.line == DISTURBED else step for step in steps)


def reduced(steps: tuple[Step, ...], probe: Probe, *, most_probes: int) -> tuple[Step, ...]:
    """Return the shortest steps found, of which none can be left out as far as `most_probes` allowed to try.

    The last step, which looks, stays. `probe` is asked about nothing twice; `steps` themselves are taken to fail.
    """
    best, left = steps, most_probes
    asked: set[tuple[int, ...]] = set()
    size = max(1, len(best) // 2)
    while left > 0:
        shorter = None
        for start in reversed(range(0, len(best) - 1, size)):
            candidate = closed(best, range(start, min(start + size, len(best) - 1)))
            key = tuple(map(id, candidate))
            if key in asked or not candidate or candidate[-1] is not best[-1] or len(candidate) == len(best):
                continue
            if left <= 0:
                return best
            asked.add(key)
            left -= 1
            if probe(candidate):
                shorter = candidate
                break
        if shorter is not None:
            best = shorter
            size = min(size, max(1, len(best) // 2))
        elif size > 1:
            size //= 2
        else:
            return best
    return best
