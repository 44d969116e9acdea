"""`xencbt prove` as its user meets it: what it calls a kill, and what not."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types

from tests.run.command import finish, start
from tests.run.errands import hang, say_so
from xencbt.fixtures.emulator.defects import DEFECTS, Defect
from xencbt.harness.errands import Ended, Errands
from xencbt.harness.hunting import Errand
from xencbt.harness.proof import Clean, Hunted
from xencbt.harness.proving import Prover, attempt_of

pytestmark = pytest.mark.heavy
SCHEMA = json.loads((Path(__file__).parent.parent.parent / "docs" / "prove.schema.json").read_text())


def test_defects_are_killed_by_the_requirements_they_declare(tmp_path: Path) -> None:
    words = ("--defect", "enable-takes-snapshots", "--defect", "reset-disks-are-of-wrong-type", "--seed", "1")
    ran = finish(start(tmp_path, "prove", *words, "--out", "proof", extra={"XENCBT_REQUIREMENT": "LIST-02"}), tmp_path)
    assert ran.exit == 0, ran.stdout + ran.stderr
    told: dict[str, Any] = json.loads((tmp_path / "proof" / "prove.json").read_text())
    Draft202012Validator(SCHEMA).validate(told)
    assert {row["name"]: (row["fate"], row["failed"]) for row in told["defects"]} == {
        "enable-takes-snapshots": ("killed by design", ["ENABLE-15"]),
        "reset-disks-are-of-wrong-type": ("killed by design", ["ENABLE-11"]),
    }
    assert [(one["profile"], one["passes"]) for one in told["clean"]] == [("xapi", True), ("documented", True)]
    assert told["score"] == {"killed": 2, "of": 2, "survivors": []}
    assert "2 of 2 defects of level must killed by design" in ran.stdout.splitlines()[-1]
    assert "| `enable-takes-snapshots` |" in (tmp_path / "proof" / "prove.md").read_text()
    assert 'title="ENABLE-15: killed by design"' in (tmp_path / "proof" / "prove.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--defect", "no-such"), "unknown defect"),
        (("--chapter", "NONE"), "unknown chapter"),
        (("--part", "5/4"), "no part 5 of 4"),
        (("--part", "x"), "--part takes K/N"),
        (("-n", "0"), "-n takes a number from 1"),
        (("--layer", "rules", "--defect", "roll-drops-bits"), "no defect is left"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    ran = finish(start(tmp_path, "prove", *words), tmp_path)
    assert (ran.exit, said in ran.stderr) == (3, True), ran.stderr
    assert list(tmp_path.glob("xencbt-*")) == []


def proven(folder: Path, *defects: Defect) -> dict[str, Hunted]:
    told: dict[str, Hunted] = {}

    def tell(decided: Hunted | Clean) -> None:
        if isinstance(decided, Hunted):
            told[decided.defect.name] = decided

    Prover(folder, 1, full=False, partial=True, tell=tell).prove(defects, workers=2, suite={})
    return told


def test_a_defect_that_other_requirements_notice_is_not_killed_by_design(tmp_path: Path) -> None:
    told = proven(tmp_path, Defect("enable-needs-no-licence", "It is declared wrongly.", ("STATUS-03",)))
    hunted = told["enable-needs-no-licence"]
    assert (hunted.fate.value, hunted.declared) == ("killed elsewhere", "STATUS-03")
    assert hunted.kill is not None
    assert hunted.kill.failed == ("ENABLE-17",)


def test_a_run_that_cannot_be_made_is_trouble_and_no_kill(tmp_path: Path) -> None:
    hunted = proven(tmp_path, Defect("no-such", "Nobody has it.", ("STATUS-03",)))["no-such"]
    assert hunted.fate.value == "trouble"
    assert hunted.design is not None
    assert "no such defect" in hunted.design.trouble


def carried_out(folder: Path, body: Any, *names: str, deadline_s: float) -> list[Ended]:
    ended: list[Ended] = []

    def take(one: Ended) -> tuple[Errand, ...]:
        ended.append(one)
        return (Errand("after", (), folder / "after"),) if one.errand.name == "first" else ()

    errands = [Errand(name, (), folder / name) for name in names]
    Errands(2, deadline_s=deadline_s, ended=take, body=body).carry_out(errands)
    return ended


def test_what_hangs_is_ended_and_told(tmp_path: Path) -> None:
    (ended,) = carried_out(tmp_path, hang, "one", deadline_s=1.0)
    assert ended.trouble == "it did not come to its end within 1 s"
    assert attempt_of(ended).trouble == ended.trouble


def test_errands_follow_from_errands_and_tell_their_exit_code(tmp_path: Path) -> None:
    ended = carried_out(tmp_path, say_so, "first", "second", "third", deadline_s=60.0)
    assert sorted(one.errand.name for one in ended) == ["after", "first", "second", "third"]
    assert {one.code for one in ended} == {7}
    came = attempt_of(ended[0])
    assert came.trouble == f"it left no run.json, and ended with exit code 7: I am {ended[0].errand.name}"


def test_every_defect_declares_what_the_catalogue_holds_and_a_test_decides() -> None:
    from xencbt.suites.index import deciding_tests  # noqa: PLC0415

    deciding = deciding_tests()
    assert {each.name: each.breaks for each in DEFECTS.values() if each.breaks[0] not in deciding} == {}
