"""A run without one assertion of the suites: what it said is not said any more, and all else is."""

import json
from pathlib import Path

import pytest

from tests.proof.deletion import FOUND, Deletion, run
from tests.proof.sites import Site, sites
from tests.proof.source import SUITES
from xencbt.harness.errands import Ended, Errands

pytestmark = pytest.mark.heavy
TEST = "suites.test_enable::test_a_snapshot_is_refused[of a disabled disk]"


def carried_out(folder: Path, site: Site | None) -> dict[str, dict[str, object]]:
    words = ("--defect=enable-takes-snapshots", "--requirement=ENABLE-15", "--seed=1")
    ended: list[Ended] = []

    def take(one: Ended) -> tuple[()]:
        ended.append(one)
        return ()

    errand = Deletion("one", words, folder, site=site, only=frozenset({TEST}))
    Errands(1, deadline_s=120, ended=take, body=run).carry_out([errand])
    assert not ended[0].trouble
    tests: dict[str, dict[str, object]] = json.loads((folder / FOUND).read_text())
    assert set(tests) == {TEST}
    return tests


def test_without_the_assertion_that_noticed_it_a_defect_survives(tmp_path: Path) -> None:
    source = (SUITES / "test_enable.py").read_text(encoding="utf-8")
    (site, *_) = [each for each in sites("test_enable", source) if each.function == "test_a_snapshot_is_refused"]
    as_it_is = carried_out(tmp_path / "whole", None)[TEST]
    assert as_it_is["verdict"] == "fail"
    frames = as_it_is["frames"]
    assert isinstance(frames, list)
    assert any(name == "test_enable" and site.line <= line <= site.end for name, line in frames)
    assert carried_out(tmp_path / "without", site)[TEST]["verdict"] == "pass"
