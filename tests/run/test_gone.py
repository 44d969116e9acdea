"""A host that does not come back after a disaster is judged for that: it is its verdict, and no problem of ours."""

from pathlib import Path

import pytest

from tests.run.command import xencbt

pytestmark = pytest.mark.heavy


def test_a_host_that_does_not_come_back_fails(tmp_path: Path) -> None:
    words = ("--requirement", "FAULT-05", "--seed", "1", "--", "-k", "serves_again and PowerCut and create_log")
    ran = xencbt(tmp_path, "run", "--defect", "hosts-do-not-come-back", *words)
    assert ran.verdicts == {"FAULT-05": "fail"}, ran.stdout
    assert ran.document["problems"] == []
    assert ran.exit == 1
    (test,) = ran.tests.values()
    assert test["evidence"]["unreplayable"].startswith("nothing can be replayed any more: the target did not come back")
