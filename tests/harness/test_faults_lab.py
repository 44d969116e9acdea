"""The contract with a lab's own command: inject, heal for certain, and words for everything that goes wrong."""

import sys
from pathlib import Path

import pytest

from xencbt.harness.faults import FaultError, LabCommand, LabFailed, in_the_lab

SCRIPT = """
import json, pathlib, sys
log = pathlib.Path(sys.argv[1])
action, what = sys.argv[2:]
with log.open("a") as out:
    print(action, what, file=out)
count = log.read_text().split().count(action)
{extra}
print(json.dumps({{"done": True, "detail": "outlet 7"}}))
"""


def command(folder: Path, extra: str = "", timeout_s: float = 30.0) -> LabCommand:
    script = folder / "lab.py"
    script.write_text(SCRIPT.format(extra=extra))
    return LabCommand((sys.executable, str(script), str(folder / "log")), "power", timeout_s)


def log(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines()


def test_it_is_injected_and_healed(tmp_path: Path) -> None:
    with in_the_lab(command(tmp_path)) as detail:
        assert detail == "outlet 7"
        assert log(tmp_path) == ["inject power"]
    assert log(tmp_path) == ["inject power", "heal power"]


@pytest.mark.parametrize("broken", [RuntimeError, KeyboardInterrupt])
def test_it_is_healed_whatever_the_body_raises(tmp_path: Path, broken: type[BaseException]) -> None:
    with pytest.raises(broken), in_the_lab(command(tmp_path)):
        raise broken
    assert log(tmp_path) == ["inject power", "heal power"]


def test_a_heal_that_fails_once_is_tried_again(tmp_path: Path) -> None:
    with in_the_lab(command(tmp_path, "if action == 'heal' and count == 1: sys.exit(3)")):
        pass
    assert log(tmp_path) == ["inject power", "heal power", "heal power"]


def test_a_heal_that_keeps_failing_is_told(tmp_path: Path) -> None:
    failing = command(tmp_path, "if action == 'heal': sys.exit('no route to the outlet')")
    with pytest.raises(LabFailed, match=r"heal power ended with 1: no route to the outlet"), in_the_lab(failing):
        pass


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("sys.exit(2)", "ended with 2"),
        ("print('well'); sys.exit(0)", "did not print one JSON object"),
        ("print('[]'); sys.exit(0)", "did not answer"),
        ("print(json.dumps({'done': False})); sys.exit(0)", "did not answer"),
    ],
)
def test_an_injection_that_was_none_is_told_and_healed(tmp_path: Path, extra: str, words: str) -> None:
    failing = command(tmp_path, f"if action == 'inject':\n    {extra}")
    with pytest.raises(LabFailed, match=words), in_the_lab(failing):
        pytest.fail("the body must not run")
    assert log(tmp_path) == ["inject power", "heal power"]


def test_a_command_that_does_not_end_is_told(tmp_path: Path) -> None:
    hanging = command(tmp_path, "if action == 'inject': sys.stdin = open(0); __import__('signal').pause()", 2.0)
    with pytest.raises(LabFailed, match=r"did not end within 2\.0 s"), in_the_lab(hanging):
        pytest.fail("the body must not run")


def test_a_command_that_is_not_there_is_told() -> None:
    with pytest.raises(LabFailed, match="cannot be run"), in_the_lab(LabCommand(("/no/such/command",))):
        pytest.fail("the body must not run")


@pytest.mark.parametrize(
    ("argv", "what", "field"), [((), "power", "argv"), (("",), "power", "argv"), (("x",), "", "what")]
)
def test_a_command_without_words_is_refused(argv: tuple[str, ...], what: str, field: str) -> None:
    with pytest.raises(FaultError) as caught:
        LabCommand(argv, what)
    assert caught.value.field == field
