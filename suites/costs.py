"""What each test took when it was measured: `costs.json`, made from a run.json by `benchmarks/costs.py`."""

import json
from importlib.resources import files

import xencbt.suites
from xencbt.harness.planning import Cost

FILE = "costs.json"


def costs() -> dict[str, Cost]:
    """Return the measured costs by test id."""
    table = json.loads(files(xencbt.suites).joinpath(FILE).read_text(encoding="utf-8"))
    return {test: Cost(**cost) for test, cost in table.items()}
