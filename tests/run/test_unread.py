"""Commands whose reader goes away early, as `xencbt plan | head` does."""

import json
from pathlib import Path

import pytest

from tests.run.command import DEADLINE_S, start


@pytest.mark.parametrize(
    "words",
    [("plan", "--suite", "status"), ("requirements",), ("faults", "--json"), ("run", "--requirement", "ENABLE-01")],
    ids=lambda words: words[0],
)
def test_nobody_reads_what_is_told_and_nothing_breaks(tmp_path: Path, words: tuple[str, ...]) -> None:
    process = start(tmp_path, *words)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as errors:
        said = errors.read()
    assert process.wait(DEADLINE_S) == 0, said
    assert said == ""
    if words[0] == "run":
        run = json.loads((tmp_path / "xencbt-out" / "run.json").read_text(encoding="utf-8"))
        assert (run["exit"], run["complete"]) == (0, True)
