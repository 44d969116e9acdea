"""A pytest plugin for tests: keeps the search of a run short. Loaded with `-p tests.odd_host.brief`.

All suites are met, each with few examples: searching long is not what an odd host is for.
"""

import pytest

from xencbt.harness import searching
from xencbt.harness.gathering import FEWEST_EXAMPLES


def pytest_configure(config: pytest.Config) -> None:
    """Give every property of this process few examples."""
    del config
    vars(searching)["EXAMPLES"] = {"quick": FEWEST_EXAMPLES}
