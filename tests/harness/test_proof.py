"""What a proof makes of the runs against defects: only a failure that was named in advance is a kill by design."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import pytest

from xencbt.harness.proof import Attempt, Clean, Fate, Hunted, Proof, attempt, broken, part


@dataclass(frozen=True)
class Made:
    """A made-up defect."""

    name: str = "drops-bits"
    breaks: tuple[str, ...] = ("LIST-02", "SET-02")
    what: str = "Bits are dropped."
    level: str = "must"
    seen: str = ""
    loudness: str = "silent"
    layer: str = "tracking"


KILL = Attempt("xencbt run", 1, ("LIST-02",), ("suites.test_listing::test_a[1]",), 0, 40, 2.0)
OTHER = replace(KILL, failed=("SET-02",), killers=("suites.test_backup_sets::test_b",))
PASS = replace(KILL, exit=0, failed=(), killers=(), passed=1)
UNDECIDED = replace(PASS, exit=2, passed=0)
ERROR = replace(KILL, exit=4, trouble="suites.test_listing::test_b: KeyError: 'x'")


def made_proof(*hunted: Hunted, clean: tuple[Clean, ...] = (Clean("xapi", PASS), Clean("documented", PASS))) -> Proof:
    return Proof(
        hunted=hunted,
        clean=clean,
        deciding={"LIST-02": ("suites.test_listing::test_a",), "SET-02": ("suites.test_backup_sets::test_b",)},
        searching=frozenset({"suites.test_listing::test_a"}),
        seed=1,
        suite={"version": "0.1.0"},
        started="2026-03-01T10:00:00+00:00",
        duration_s=12.0,
        partial=False,
    )


def document(code: int, verdicts: dict[str, str], tests: Collection[dict[str, Any]] = ()) -> dict[str, Any]:
    rows = [{"id": each, "verdict": verdict, "deciding": True} for each, verdict in verdicts.items()]
    return {"command": "xencbt run", "exit": code, "requirements": rows, "problems": [], "tests": list(tests)}


@pytest.mark.parametrize(
    ("hunted", "fate"),
    [
        (Hunted(Made(), design=KILL), Fate.BY_DESIGN),
        (Hunted(Made(), whole=KILL), Fate.BY_DESIGN),
        (Hunted(Made(), design=PASS, rest=PASS), Fate.SURVIVED),
        (Hunted(Made(), design=UNDECIDED, rest=UNDECIDED), Fate.SURVIVED),
        (Hunted(Made(), design=PASS, rest=OTHER), Fate.ELSEWHERE),
        (Hunted(Made(), whole=OTHER), Fate.ELSEWHERE),
        (Hunted(Made(), design=ERROR), Fate.TROUBLE),
        (Hunted(Made(), design=PASS, rest=ERROR), Fate.TROUBLE),
        (Hunted(Made(), design=broken("xencbt run", "it hung", 900)), Fate.TROUBLE),
        (Hunted(Made()), Fate.TROUBLE),
    ],
)
def test_only_a_failure_of_the_declared_requirement_is_a_kill_by_design(hunted: Hunted, fate: Fate) -> None:
    assert hunted.fate is fate


def test_a_failure_beside_an_error_is_no_kill() -> None:
    tests = [
        {"id": "suites.test_listing::test_a", "verdict": "fail", "reason": "a block is missed", "calls": 3},
        {"id": "suites.test_listing::test_b", "verdict": "error", "reason": "KeyError: 'x'", "calls": 4},
    ]
    came = attempt(document(4, {"LIST-02": "error"}, tests), 2.0)
    assert (came.kills, came.trouble, came.calls) == (False, "suites.test_listing::test_b: KeyError: 'x'", 7)


def test_an_interrupted_run_is_no_kill() -> None:
    came = attempt(document(130, {"LIST-02": "fail"}), 2.0)
    assert not came.kills
    assert came.trouble


def test_a_failure_that_does_not_decide_is_no_kill() -> None:
    told = document(0, {"LIST-03": "fail"})
    told["requirements"][0]["deciding"] = False
    assert not attempt(told, 2.0).kills


@pytest.mark.parametrize(
    ("hunted", "code", "survivors"),
    [
        ([Hunted(Made(), design=KILL)], 0, []),
        ([Hunted(Made(), design=PASS, rest=OTHER)], 1, ["drops-bits"]),
        ([Hunted(Made(), design=PASS, rest=PASS)], 1, ["drops-bits"]),
        ([Hunted(Made(level="should"), design=PASS, rest=PASS)], 0, []),
        ([Hunted(Made(), design=ERROR), Hunted(Made("other"), design=PASS, rest=PASS)], 4, ["drops-bits", "other"]),
        ([Hunted(Made(level="should"), design=ERROR)], 4, []),
    ],
)
def test_the_exit_is_0_only_when_every_must_dies_by_design(
    hunted: list[Hunted], code: int, survivors: list[str]
) -> None:
    told = made_proof(*hunted).as_json()
    assert (told["exit"], told["score"]["survivors"]) == (code, survivors)


@pytest.mark.parametrize(("run", "code"), [(KILL, 1), (UNDECIDED, 1), (ERROR, 4)])
def test_a_clean_host_that_does_not_pass_proves_nothing(run: Attempt, code: int) -> None:
    proof = made_proof(Hunted(Made(), design=KILL), clean=(Clean("xapi", PASS), Clean("documented", run)))
    assert proof.exit == code


def test_what_only_search_kills_is_told() -> None:
    example = replace(OTHER, failed=("LIST-02", "SET-02"))
    proof = made_proof(Hunted(Made(), design=KILL), Hunted(Made("other", ("SET-02",)), design=example))
    assert proof.only_by_search == ("drops-bits",)


def test_requirements_that_fail_for_no_defect_are_told() -> None:
    assert made_proof(Hunted(Made(), design=KILL)).idle == ("SET-02",)
    assert made_proof(Hunted(Made(), design=PASS, rest=OTHER)).idle == ("LIST-02",)


@pytest.mark.parametrize("of", [1, 3, 4])
def test_the_parts_are_all_defects_once_and_each_has_its_share(of: int) -> None:
    defects = [
        Made(f"{chapter}-{layer}-{number}", (f"{chapter}-01",), layer=layer)
        for chapter in ("SET", "LIST")
        for layer in ("rules", "tracking")
        for number in range(4)
    ]
    parts = [part(defects, number, of) for number in range(1, of + 1)]
    assert sorted(one.name for each in parts for one in each) == sorted(one.name for one in defects)
    assert all({one.breaks for one in each} == {("SET-01",), ("LIST-01",)} for each in parts)


@pytest.mark.parametrize(("number", "of"), [(0, 4), (5, 4), (1, 0)])
def test_there_is_no_part_outside(number: int, of: int) -> None:
    with pytest.raises(ValueError, match="no part"):
        part([Made()], number, of)
