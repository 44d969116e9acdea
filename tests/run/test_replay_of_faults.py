"""What a host did wrong under a fault leaves a bundle like any other failure, and the fault is a step of it."""

from pathlib import Path

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
    test = next(test for name, test in failed.tests.items() if part in name)
    replay = test["evidence"]["replay"]
    assert replay is not None, test["evidence"]["unreplayable"]
    assert any(words.startswith("arm duplicate") for words in replay["steps"]) == armed, replay["steps"]
    assert any("in the background" in words for words in replay["steps"]) == ("async" in part), replay["steps"]
    bundle = str(failed.folder / replay["bundle"])
    fixed, again = xencbt(tmp_path, "replay", bundle), xencbt(tmp_path, "replay", bundle, DEFECT)
    assert (fixed.exit, fixed.stdout.splitlines()[-1].split(":")[0]) == (0, "FIXED"), fixed.stdout + fixed.stderr
    assert (again.exit, again.stdout.splitlines()[-1].split(":")[0]) == (1, "FAILED"), again.stdout + again.stderr
