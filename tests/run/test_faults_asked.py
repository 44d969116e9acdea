"""`xencbt run --faults`: a plan in a file, and one kind of fault."""

from pathlib import Path

import pytest

from tests.run.command import xencbt

PLAN = """
[[faults]]
fault = "answer-lost"
method = "VDI.snapshot"
nth = 2

[[faults]]
fault = "late-duplicate"
method = "VDI.snapshot"
nth = 3

[[faults]]
fault = "api-error"
method = "VDI.data_destroy"
phase = "after"
parameters = { code = "SR_BACKEND_FAILURE_46" }

[[faults]]
fault = "request-dropped"
method = "VDI.enable_cbt"
"""
LIFE = "test_a_life_with_the_faults_of_a_plan[plan.toml]"


def planned(folder: Path, text: str) -> tuple[str, ...]:
    (folder / "plan.toml").write_text(text)
    return ("run", "--seed", "1", "--faults", "plan.toml")


@pytest.mark.heavy
def test_a_plan_is_carried_out_and_its_receipts_lead_to_the_exchanges(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, *planned(tmp_path, PLAN))
    assert ran.exit == 0, ran.stdout + ran.stderr
    (test,) = ran.tests.values()
    assert [receipt["fired"] for receipt in test["receipts"]] == [True] * 4
    exchanges = [firing["exchange"] for receipt in test["receipts"] for firing in receipt["firings"]]
    assert all(isinstance(each, int) and 0 < each <= test["calls"] for each in exchanges)
    assert len(set(exchanges)) == 4
    assert "made a second VDI" in test["receipts"][1]["note"]
    assert ran.document["journal"]["left"] == []


@pytest.mark.heavy
def test_a_plan_that_does_not_fire_decides_nothing(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, *planned(tmp_path, '[[faults]]\nfault = "answer-lost"\nmethod = "VDI.copy"\n'))
    assert ran.exit == 2, ran.stdout + ran.stderr
    (test,) = ran.tests.values()
    assert test["verdict"] == "not exercised"
    assert "answer-lost at call 1 of VDI.copy did not fire" in test["reason"]


def test_a_plan_that_means_nothing_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    wrong = '[[faults]]\nfault = "answer-lost"\nmethod = "VDI.x"\nphase = "before"\n'
    ran = xencbt(tmp_path, *planned(tmp_path, wrong))
    assert ran.exit == 3
    assert "plan.toml: faults[0].phase: answer-lost strikes after, not before" in ran.stderr


@pytest.mark.heavy
def test_only_tests_of_the_named_kind_are_run(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, "run", "--seed", "1", "--faults", "late-duplicate")
    assert ran.exit == 0, ran.stdout + ran.stderr
    kinds = {receipt["fault"] for test in ran.tests.values() for receipt in test["receipts"]}
    assert kinds == {"late-duplicate"}


@pytest.mark.heavy
def test_a_kind_that_no_test_makes_decides_nothing(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, "run", "--seed", "1", "--faults", "lab-command")
    assert ran.exit == 2, ran.stdout + ran.stderr
