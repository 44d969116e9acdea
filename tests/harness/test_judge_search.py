"""How a judge searches: a host pays for every call, so that nothing is shrunk on it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import Phase

from xencbt.fixtures.control import Control
from xencbt.fixtures.targets import Target
from xencbt.harness.judge import Judge
from xencbt.harness.settings import load


@pytest.mark.parametrize("controlled", [False, True])
def test_failures_are_shrunk_only_where_a_control_interface_proves_an_emulated_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, controlled: bool
) -> None:
    control = Control.at("http://127.0.0.1:1", "token") if controlled else None
    bench: Any = SimpleNamespace(target=Target("http://127.0.0.1:1", "root", "x", control=control))
    given = {"target": "http://127.0.0.1:1", "sr": "x"}
    judge = Judge(load(given, environment={}, folder=tmp_path))
    monkeypatch.setattr(judge, "_bench", bench)
    assert (Phase.shrink in judge.search.phases) is controlled
