"""The pytest plugin: options, marks, and the life of a judged run."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark that `decides` sets."""
    config.addinivalue_line("markers", "decides(*ids): the requirements of the catalogue that the test decides")
