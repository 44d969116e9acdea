"""One seed draws the same for the state machine, whatever the hash seed, and however many workers there are."""

from pathlib import Path

import pytest

from tests.run.command import finish, start

pytestmark = pytest.mark.heavy  # two whole runs of the machine

WORDS = ("run", "--seed", "5", "--suite", "machine")
WAYS = {"1": (), "2": ("-n", "2")}


def test_a_state_machine_does_the_same_whatever_the_hash_seed_and_the_workers(tmp_path: Path) -> None:
    begun = {}
    for hash_seed, words in WAYS.items():
        folder = tmp_path / hash_seed
        folder.mkdir()
        begun[hash_seed] = start(folder, *WORDS, *words, extra={"PYTHONHASHSEED": hash_seed}), folder
    first, second = (finish(process, folder) for process, folder in begun.values())
    assert first.exit == second.exit == 0, first.stdout + second.stdout
    same = ("verdict", "examples", "calls")
    assert first.tests.keys() == second.tests.keys()
    for name, finding in first.tests.items():
        assert {key: finding[key] for key in same} == {key: second.tests[name][key] for key in same}
        assert finding["examples"] >= 5
