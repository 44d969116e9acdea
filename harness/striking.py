"""Which tests make which faults: what `--faults` selects by."""

import pytest

from xencbt.harness.asked_faults import AskedFaults
from xencbt.harness.faults import Fault

PLAN_FIXTURE = "fault_plan"
"""The argument by which a test takes a plan of the user's."""


def is_wanted(item: pytest.Item, asked: AskedFaults) -> bool:
    """Tell whether a judged test belongs to a run that asks for these faults.

    One that carries out plans belongs where there are any; where anything is asked for, no other one does but those
    that make a fault of a kind that is named.
    """
    if item.get_closest_marker("planned_faults") is not None:
        return bool(asked.plans)
    return not asked.anything or bool(asked.kinds & kinds_of(item))


def kinds_of(item: pytest.Item) -> frozenset[str]:
    """Return the kinds of fault that a test makes: those of its mark, and those among its parameters."""
    marked = {kind for mark in item.iter_markers("striking") for kind in mark.args}
    call = getattr(item, "callspec", None)
    parameters = call.params.values() if call is not None else ()
    return frozenset(marked | {each.name for each in parameters if isinstance(each, Fault)})
