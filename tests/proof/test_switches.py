"""Assertions behind switches: as they were while none is off, and one of them silent when it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.proof.sites import Site, sites
from tests.proof.switches import NAME, Switches, switched

SOURCE = """
def judged(value, unchanged, assert_right):
    '''Say what is wrong.'''
    assert value > 0
    if value > 1:
        assert_right(value)
    with unchanged("a"), open_for_all():
        value += 1
    return value
"""


@contextmanager
def open_for_all() -> Iterator[None]:
    yield


def assert_right(value: int) -> None:
    if value > 2:
        raise AssertionError("not right")


@contextmanager
def unchanged(what: str) -> Iterator[None]:
    yield
    raise AssertionError(f"{what} has changed")


def judged(off: int | None, value: int) -> tuple[str, list[tuple[int, bool]]]:
    """Return what came of it, and which assertions (by line) began and passed."""
    heard: list[tuple[int, bool]] = []
    switches = Switches(lambda site, begins: heard.append((site.line, begins)))
    found = sites("some", SOURCE)
    switches.sites += found
    if off is not None:
        switches.off = next(site for site in found if site.line == off)
    module: dict[str, Any] = {NAME: switches, "open_for_all": open_for_all}
    exec(compile(switched(SOURCE, found, 0), "some.py", "exec"), module)  # noqa: S102  what is tested
    try:
        return str(module["judged"](value, unchanged, assert_right)), heard
    except AssertionError as error:
        return str(error) or "asserted", heard


@pytest.mark.parametrize(
    ("off", "value", "came"),
    [
        (None, 0, "asserted"),
        (None, 1, "a has changed"),
        (None, 3, "not right"),
        (4, 0, "a has changed"),
        (6, 3, "a has changed"),
        (7, 1, "2"),
        (4, 3, "not right"),
    ],
)
def test_what_is_switched_off_is_not_asserted(off: int | None, value: int, came: str) -> None:
    assert judged(off, value)[0] == came


def test_each_tells_when_it_begins_and_when_it_has_passed() -> None:
    assert judged(None, 2)[1] == [(4, True), (4, False), (6, True), (6, False), (7, True), (7, False), (7, True)]
    assert judged(None, 3)[1] == [(4, True), (4, False), (6, True)]
    assert judged(7, 1)[1] == [(4, True), (4, False)]


def test_the_lines_stay_where_they_are() -> None:
    found = sites("some", SOURCE)
    assert sites("some", SOURCE) == found == tuple(sorted(found))
    assert [site.line for site in found] == [4, 6, 7]
    assert isinstance(found[0], Site)
