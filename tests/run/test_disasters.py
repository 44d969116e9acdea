"""A thorough run cuts the power at every step there is."""

from pathlib import Path

import pytest

from tests.run.command import xencbt
from xencbt.fixtures.emulator.disasters import PowerCut
from xencbt.suites.interrupting import DEEDS
from xencbt.suites.test_disasters import places

pytestmark = pytest.mark.heavy  # a nightly run of one suite


def test_every_step_of_every_operation_is_cut_short(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, "run", "--suite", "disasters", "--speed", "nightly", "--seed", "3")
    assert ran.exit == 0, ran.stdout
    assert ran.verdicts == {"FAULT-03": "pass", "FAULT-05": "pass", "FAULT-06": "pass"}
    steps = PowerCut.steps()
    name = "test_a_power_cut_at_any_step_loses_no_change"
    examples = {operation: ran.tests[f"{name}[{operation}]"]["examples"] for operation in DEEDS}
    assert examples == {operation: len(places(operation, steps[operation])) for operation in DEEDS}
    receipts = [receipt for test in ran.tests.values() for receipt in test["receipts"]]
    assert receipts
    assert all(receipt["fired"] and receipt["healed"] for receipt in receipts)
    struck = {firing["at"] for receipt in receipts for firing in receipt["firings"]}
    assert {f"{operation} {step}" for operation in DEEDS for step in steps[operation]} <= struck
