"""A module of the suites is lied to: what notices is found, and nothing that was not there."""

import json
from typing import Any

import pytest

from tests.proof.lied_to import FOUND, Lying, run
from tests.proof.lies import LIES
from xencbt.harness.errands import Ended, Errands

pytestmark = pytest.mark.heavy
AGREE = "test_records_agree_with_the_call"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("lied_to") / "status"
    ended: list[Ended] = []

    def take(one: Ended) -> tuple[()]:
        ended.append(one)
        return ()

    errand = Lying("status", ("--strict", "--seed=1"), folder, module="test_status")
    Errands(1, deadline_s=240, ended=take, body=run).carry_out([errand])
    assert not ended[0].trouble
    return [json.loads(line) for line in (folder / FOUND).read_text().splitlines()]


def test_every_test_passes_while_nobody_lies(rows: list[dict[str, Any]]) -> None:
    heard = [row for row in rows if row["kind"] == "heard"]
    assert {row["verdict"] for row in heard} == {"pass"}
    assert sum(AGREE in row["test"] for row in heard) == 1
    assert not [row for row in rows if row["kind"] == "spoilt"]


def test_an_assertion_that_alone_notices_a_lie_is_needed(rows: list[dict[str, Any]]) -> None:
    lies = [row for row in rows if row["kind"] == "lie"]
    came = {site for row in rows if row["kind"] == "heard" for site in row["sites"]}
    assert {row["lie"] for row in lies} <= {lie.name for lie in LIES}
    assert {row["site"] for row in lies} <= came
    assert len({row["site"] for row in lies}) == len(lies), "each is shown once"
    of_one = [row for row in lies if row["site"].endswith(f"in {AGREE}")]
    assert len(of_one) == 3
    methods = {row["question"].partition("(")[0] for row in of_one}
    assert methods <= {"VDI.get_cbt_enabled", "VDI.get_record", "VDI.get_all_records"}


def test_an_assertion_behind_which_another_one_notices_as_much_is_not(rows: list[dict[str, Any]]) -> None:
    came = {site for row in rows if row["kind"] == "heard" for site in row["sites"]}
    needed = {row["site"] for row in rows if row["kind"] == "lie"}
    assert came > needed
