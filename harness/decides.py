"""The mark that ties a test to the requirements it decides; public, so that a vendor's own suite can use it."""

import pytest


def decides(*requirements: str) -> pytest.MarkDecorator:
    """Mark a test as deciding `requirements` (catalogue ids).

    An id the catalogue does not know stops the run as a usage error.

    >>> @decides("ENABLE-13")
    ... def test_enabling_twice_keeps_recorded_changes(disk): ...
    """
    return pytest.mark.decides(*requirements)
