"""The pytest plugin: the hooks and fixtures through which a run is judged, each in the module of its time.

It sleeps until a collected test carries the mark that `decides` sets. Each process that runs tests (the only one, or an
xdist worker) has a `Judge`; the process that the user started writes the events, workers ship theirs to it.
"""

from xencbt.harness.plugin.closing import pytest_sessionfinish, pytest_terminal_summary
from xencbt.harness.plugin.collecting import (
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_generate_tests,
    pytest_runtestloop,
)
from xencbt.harness.plugin.configuring import pytest_addoption, pytest_configure
from xencbt.harness.plugin.hearing import pytest_configure_node, pytest_testnodedown
from xencbt.harness.plugin.lending import disk, faults, lab, search
from xencbt.harness.plugin.testing import pytest_runtest_call, pytest_runtest_makereport, pytest_runtest_setup

__all__ = [
    "disk",
    "faults",
    "lab",
    "pytest_addoption",
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_generate_tests",
    "pytest_runtest_call",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "pytest_runtestloop",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "search",
]
