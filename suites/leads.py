"""How a rule of the state machine begins and ends: with something before it, and a look at everything after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xencbt.suites.machine import Machine

T = TypeVar("T")

PICKS = st.integers(0, 2**16)
"""Chooses among what there is; of one more or less, another."""

PLACES = st.integers(0, 2**20)
"""Chooses where to write."""


@dataclass(frozen=True, slots=True)
class Lead:
    """What comes before the thing a rule is about: a write to a disk, a snapshot of it, a scan, in this order."""

    write: bool = False
    snapshot: bool = False
    scan: bool = False
    pick: int = 0
    place: int = 0


LEADS = st.just(Lead()) | st.builds(
    Lead,
    write=st.sampled_from((True, True, False)),
    snapshot=st.booleans(),
    scan=st.sampled_from((False, False, False, True)),
    pick=PICKS,
    place=PLACES,
)
"""With no content in between nothing can be lost: so something comes before most rules, whichever are left out."""

Rule = Callable[..., None]
"""What a rule does: a method of the machine, whose other parameters are drawn."""


def act(**draws: Any) -> Callable[[Rule], Rule]:
    """Make a rule of what takes `draws` (strategies): with a lead before it, and a look at everything after it."""
    bind: Callable[[Rule], Rule] = rule(lead=LEADS, **draws)

    def decorate(deed: Rule) -> Rule:
        @wraps(deed)
        def led(machine: Machine, lead: Lead, **drawn: object) -> None:
            machine.lead(lead)
            deed(machine, **drawn)
            machine.world.look()

        return bind(led)

    return decorate


def chosen(among: Sequence[T], pick: int) -> T:
    """Return the one that `pick` chooses of at least one."""
    return among[pick % len(among)]
