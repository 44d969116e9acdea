"""What a collected test says of itself: its id, what it decides, what it needs."""

import pytest

from xencbt.harness import searching
from xencbt.harness.needs import Needs
from xencbt.harness.planning import PlannedTest
from xencbt.harness.selection import id_of


def decided_by(item: pytest.Item) -> tuple[str, ...]:
    """Return the requirements that the item decides; none: it is no judged test."""
    return tuple(requirement for mark in item.iter_markers("decides") for requirement in mark.args)


def test_id(item: pytest.Item) -> str:
    """Return the item's id, with the classes it stands in."""
    return id_of(module_of(item), item.nodeid.partition("::")[2])


def to_plan(item: pytest.Item) -> PlannedTest:
    """Return what a plan wants to know of the item."""
    draws = isinstance(item, pytest.Function) and searching.is_property(item.obj)
    return PlannedTest(test_id(item), decided_by(item), needs_of(item), property_based=draws)


def needs_of(item: pytest.Item) -> Needs:
    """Return what the item, its module and its parameters say they need."""
    return Needs.of(item.iter_markers())


def is_held_to_its_needs(item: pytest.Item) -> bool:
    """Tell whether the test says what it needs: then it is held to its word."""
    return item.get_closest_marker("needs") is not None


def module_of(item: pytest.Item) -> str:
    """Return the dotted name of the module that the item stands in."""
    return item.module.__name__ if isinstance(item, pytest.Function) else item.nodeid.partition("::")[0]
