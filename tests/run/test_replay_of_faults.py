"""What a host did wrong under a fault leaves a bundle like any other failure, and the fault is a step of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.run.command import Ran, xencbt

DEFECT = "--defect=enabling-twice-disables"
CHOSEN = (
    "--requirement",
    "FAULT-04",
    "--seed",
    "1",
    DEFECT,
    "--",
    "-k",
    "harmless and enable_cbt or good_as_one_delivery",
)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Deliver requests twice to a host that disables tracking when it is enabled again; by example, and by search."""
    ran = xencbt(tmp_path_factory.mktemp("failed"), "run", *CHOSEN)
    assert ran.exit == 1, ran.stdout + ran.stderr
    return ran


@pytest.mark.parametrize(
    ("part", "armed"),
    [
        pytest.param("good_as_one_delivery", True, id="delivered twice"),
        pytest.param("direct-enable_cbt", False, id="called twice, which is as wrong, and shorter"),
        pytest.param("async-enable_cbt", False, id="called in the background"),
    ],
)
def test_a_failure_under_a_fault_is_replayed(failed: Ran, tmp_path: Path, part: str, armed: bool) -> None:
    replay = replayed(failed, tmp_path, part, DEFECT)
    assert any(words.startswith("arm duplicate") for words in replay["steps"]) == armed, replay["steps"]
    assert any("in the background" in words for words in replay["steps"]) == ("async" in part), replay["steps"]
    if not armed:
        bundle = json.loads((failed.folder / replay["bundle"]).read_text(encoding="utf-8"))
        assert bundle["python"], "a script has no interceptor, and needs none"


def test_an_answer_that_only_the_fault_saw_is_replayed(tmp_path: Path) -> None:
    defect = "--defect=calls-repeated-at-once-are-refused"
    chosen = ("--requirement", "FAULT-04", "--seed", "1", defect, "--", "-k", "immediate_duplicate and enable_cbt")
    failed = xencbt(tmp_path, "run", *chosen)
    assert failed.exit == 1, failed.stdout + failed.stderr
    steps = replayed(failed, tmp_path, "[enable_cbt]", defect)["steps"]
    assert "arm duplicate" in steps[-3], steps
    assert "must give unseen answer 1 to enable = 'done'" in steps[-1], steps


def replayed(failed: Ran, folder: Path, part: str, defect: str) -> dict[str, Any]:
    """Have the bundle of a failed test replayed on the clean host, and on the one with the `defect`."""
    test = next(test for name, test in failed.tests.items() if part in name)
    replay = test["evidence"]["replay"]
    assert replay is not None, test["evidence"]["unreplayable"]
    bundle = str(failed.folder / replay["bundle"])
    fixed, again = xencbt(folder, "replay", bundle), xencbt(folder, "replay", bundle, defect)
    assert (fixed.exit, fixed.stdout.splitlines()[-1].split(":")[0]) == (0, "FIXED"), fixed.stdout + fixed.stderr
    assert (again.exit, again.stdout.splitlines()[-1].split(":")[0]) == (1, "FAILED"), again.stdout + again.stderr
    found: dict[str, Any] = replay
    return found
