"""A pytest plugin for tests: tells the run what `xencbt run` cannot be told yet, and keeps its search short.

Loaded with `-p tests.odd_host.consenting`; the SRs by kind come as JSON in ODD_HOST_SRS. All suites are met, each with
few examples: searching long is not what an odd host is for.
"""

import json
import os
from functools import partial

import pytest

from xencbt.fixtures import targets
from xencbt.fixtures.bench import Bench
from xencbt.harness import judge, searching

CONSENTS = frozenset({"sr-unplug", "vm-power", "toolstack-restart", "special-vdi-types", "faults", "migrate"})

EXAMPLES = 5
"""The fewest that earn a pass."""


def pytest_configure(config: pytest.Config) -> None:
    """Give every judge of this process the consents, its target the SRs, and its properties few examples."""
    del config
    srs = json.loads(os.environ["ODD_HOST_SRS"])
    vars(judge)["dial"] = partial(targets.dial, srs=srs)
    vars(searching)["EXAMPLES"] = vars(searching)["MACHINES"] = {"quick": EXAMPLES}
    setattr(Bench, "open", partial(Bench.open, consents=CONSENTS))  # noqa: B010  a class of another room, for tests only
