"""Whole runs are the same with every Python but for their ends: those are tried with each, the others once."""

from pathlib import Path

import pytest

WITH_EACH = frozenset({"test_exit_codes"})
"""Modules of this folder that are run with every Python."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.stem not in WITH_EACH:
            item.add_marker(pytest.mark.heavy)
