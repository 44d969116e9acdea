"""Several sessions at once: whatever they call, the outcomes are those of some serial order of the same calls.

Which order is the host's business. Every call's outcome, every status and every listing afterwards must belong to one
and the same order, what was recorded before must still be listed, and nothing may stay locked.
"""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.lab import Lab
from xencbt.harness.decides import decides
from xencbt.harness.disturbing import Faults
from xencbt.harness.faults import Reordered
from xencbt.harness.needs import needs
from xencbt.suites.races import Race
from xencbt.suites.runners import Deed, Program, Verb

DISK, OTHER = "disk", "other"
MOST_SNAPSHOTS = 3
"""So many snapshots are taken in a drawn race at most: each costs a host space, and a place in a bounded chain."""

MOST_SESSIONS = 4
MOST_CALLS = 10
"""So many calls a session makes at most: 40 in all."""

ROUNDS = 3


def program(*verbs: Verb, disk: str = DISK) -> Program:
    """Return the program that does `verbs` to one disk, in this order."""
    return [Deed(verb, disk) for verb in verbs]


def named(programs: Sequence[Program]) -> list[str]:
    """Return the disks that the programs are about."""
    return sorted({deed.disk for calls in programs for deed in calls})


SEVERAL = {
    "enable_and_disable": [
        program(Verb.ENABLE, Verb.READ, Verb.ENABLE, Verb.READ),
        program(Verb.DISABLE, Verb.READ, Verb.DISABLE, Verb.READ),
    ],
    "all_enable": [program(Verb.ENABLE, Verb.READ)] * 4,
    "all_disable": [program(Verb.DISABLE, Verb.READ)] * 4,
    "all_snapshot": [program(Verb.SNAPSHOT, Verb.READ)] * 4,
    "snapshot_while_enabling": [program(Verb.ENABLE, Verb.SNAPSHOT)] * 3,
    "one_of_all": [
        program(Verb.ENABLE, Verb.READ),
        program(Verb.DISABLE, Verb.READ),
        program(Verb.SNAPSHOT, Verb.READ),
        program(Verb.DESTROY, Verb.READ),
    ],
    "all_destroy_the_same": [program(Verb.DESTROY, Verb.READ)] * 3,
    "different_disks": [
        program(Verb.DISABLE, Verb.ENABLE, Verb.READ),
        program(Verb.SNAPSHOT, Verb.DESTROY_OWN, Verb.READ, disk=OTHER),
        program(Verb.SNAPSHOT, Verb.READ, disk=OTHER),
    ],
}
"""Programs of sessions that race each other."""


@decides("FAULT-03", "FAULT-07")
@needs("raw-import")
@pytest.mark.parametrize("programs", SEVERAL.values(), ids=SEVERAL)
def test_sessions_at_once_end_in_a_serial_outcome(lab: Lab, programs: Sequence[Program]) -> None:
    """The sessions begin together, on disks that are tracked."""
    race = Race(lab, named(programs))
    race.run(programs)
    race.judge()


@decides("FAULT-03", "FAULT-07")
@needs("raw-import")
@pytest.mark.parametrize("name", ["enable_and_disable", "all_enable", "snapshot_while_enabling"])
def test_sessions_that_enable_at_once_begin_one_set(lab: Lab, name: str) -> None:
    """The disk is not tracked before."""
    race = Race(lab, [DISK], untracked=[DISK])
    race.run(SEVERAL[name])
    race.judge()


@decides("FAULT-03", "FAULT-07")
@needs("raw-import")
def test_what_one_race_leaves_the_next_can_begin_with(lab: Lab) -> None:
    """Enabling and disabling are raced for again and again, on one disk."""
    race = Race(lab, [DISK])
    for _ in range(ROUNDS):
        race.run(SEVERAL["enable_and_disable"])
        race.play.check_status("a race")
    race.judge()


@st.composite
def races(draw: st.DrawFn) -> list[Program]:
    """Draw the programs of two to four sessions from a subset of the verbs, on one disk or on two."""
    verbs = draw(st.lists(st.sampled_from(Verb), min_size=1, max_size=len(Verb), unique=True))
    disks = draw(st.sampled_from(((DISK,), (DISK, OTHER))))
    deeds = st.builds(Deed, st.sampled_from(verbs), st.sampled_from(disks))
    programs = draw(
        st.lists(st.lists(deeds, min_size=1, max_size=MOST_CALLS), min_size=2, max_size=MOST_SESSIONS),
    )
    snapshots = 0
    for calls in programs:
        for index, deed in enumerate(calls):
            snapshots += deed.verb is Verb.SNAPSHOT
            if deed.verb is Verb.SNAPSHOT and snapshots > MOST_SNAPSHOTS:
                calls[index] = Deed(Verb.READ, deed.disk)
    return [list(calls) for calls in programs]


@decides("FAULT-03", "FAULT-07")
@needs("raw-import")
@given(programs=races(), tracked=st.booleans())
def test_any_calls_of_any_sessions_end_in_a_serial_outcome(
    lab: Lab, programs: Sequence[Program], *, tracked: bool
) -> None:
    """Up to four sessions make up to ten calls each, on one disk or two."""
    with lab.example():
        race = Race(lab, named(programs), untracked=() if tracked else [DISK])
        race.run(programs)
        race.judge()


# --- one call overtakes another on its way ----------------------------------------------------------------------------

OVERTAKEN = {
    "enabling, by disabling": (Verb.ENABLE, Verb.DISABLE),
    "disabling, by enabling": (Verb.DISABLE, Verb.ENABLE),
    "a snapshot, by disabling": (Verb.SNAPSHOT, Verb.DISABLE),
    "disabling, by a snapshot": (Verb.DISABLE, Verb.SNAPSHOT),
    "destroying a snapshot, by another snapshot": (Verb.DESTROY, Verb.SNAPSHOT),
    "a snapshot, by destroying the one before": (Verb.SNAPSHOT, Verb.DESTROY),
    "destroying, by destroying the same": (Verb.DESTROY, Verb.DESTROY),
}
"""A call that is held back on its way, and the one that the host gets first."""


@decides("FAULT-03", "FAULT-07")
@needs("faults", "raw-import")
@pytest.mark.striking(Reordered.name)
@pytest.mark.parametrize(("held", "first"), OVERTAKEN.values(), ids=OVERTAKEN)
def test_calls_that_arrive_in_another_order_have_the_outcome_of_that_order(
    lab: Lab, faults: Faults, held: Verb, first: Verb
) -> None:
    """One session calls over two connections, and the host gets the second call before the first."""
    race = Race(lab, [DISK])
    race.overtaken(faults, Deed(held, DISK), Deed(first, DISK))
    race.judge()


SWITCHING_AND_TAKING = st.sampled_from((Verb.ENABLE, Verb.DISABLE, Verb.SNAPSHOT, Verb.DESTROY))


@decides("FAULT-03", "FAULT-07")
@needs("faults", "raw-import")
@pytest.mark.striking(Reordered.name)
@given(
    held=SWITCHING_AND_TAKING,
    first=SWITCHING_AND_TAKING,
    disk=st.sampled_from((DISK, DISK, OTHER)),
    tracked=st.booleans(),
)
def test_any_call_may_overtake_any_other(
    lab: Lab, faults: Faults, held: Verb, first: Verb, disk: str, *, tracked: bool
) -> None:
    """On a disk that is tracked or not, overtaken by a call about it or about another."""
    with lab.example():
        race = Race(lab, [DISK, OTHER], untracked=() if tracked else [DISK])
        race.overtaken(faults, Deed(held, DISK), Deed(first, disk))
        race.judge()
