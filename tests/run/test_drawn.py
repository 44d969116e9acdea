"""One seed draws the same for the state machine, whatever the hash seed, and however many workers there are."""

from pathlib import Path

import pytest

from tests.run.called import FOLDER
from tests.run.command import finding_tests, finish, start

pytestmark = pytest.mark.heavy  # two whole runs of the machine

WORDS = ("run", "--seed", "5", "--suite", "machine")
TOLD = ("--", "-p", "tests.run.called")
WAYS = {"1": (), "2": ("-n", "2")}


def test_a_state_machine_does_the_same_whatever_the_hash_seed_and_the_workers(tmp_path: Path) -> None:
    begun = {}
    for hash_seed, words in WAYS.items():
        folder = tmp_path / hash_seed
        (folder / "called").mkdir(parents=True)
        extra = {"PYTHONHASHSEED": hash_seed, FOLDER: str(folder / "called"), **finding_tests()}
        begun[hash_seed] = start(folder, *WORDS, *words, *TOLD, extra=extra), folder
    first, second = (finish(process, folder) for process, folder in begun.values())
    assert first.exit == second.exit == 0, first.stdout + second.stdout
    assert {name: finding["examples"] for name, finding in first.tests.items()} == {
        name: finding["examples"] for name, finding in second.tests.items()
    }
    assert all(finding["examples"] >= 5 for finding in first.tests.values())
    called = [{each.name: each.read_text() for each in (folder / "called").iterdir()} for _, folder in begun.values()]
    assert called[0].keys() == called[1].keys() == first.tests.keys()
    for name, methods in called[0].items():
        assert methods == called[1][name], name
        assert len(methods.splitlines()) > 500, name
