from pathlib import Path

import pytest

from xencbt.harness.asked_faults import asked_faults
from xencbt.harness.errors import UsageError

PLAN = '[[faults]]\nfault = "{fault}"\nmethod = "{method}"\n{more}\n'


def written(folder: Path, fault: str = "answer-lost", method: str = "VDI.snapshot", more: str = "") -> str:
    file = folder / "plan.toml"
    file.write_text(PLAN.format(fault=fault, method=method, more=more))
    return str(file)


def test_nothing_named_asks_for_nothing() -> None:
    assert not asked_faults(()).anything


def test_names_of_kinds_and_files_are_told_apart(tmp_path: Path) -> None:
    plan = written(tmp_path)
    asked = asked_faults(("duplicate", plan, "answer-lost", plan))
    assert asked.kinds == {"duplicate", "answer-lost"}
    assert [(each.path, len(each.plan)) for each in asked.plans] == [(Path(plan), 1)]
    assert asked.anything


def test_a_name_that_is_neither_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="'anser-lost'; did you mean answer-lost"):
        asked_faults(("anser-lost",))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"more": "nth = 0"}, r"faults\[0\].nth: must be a whole number"),
        ({"fault": "gremlin"}, r"faults\[0\].fault: no such fault"),
        ({"method": "VDI.snapshoot"}, r"faults\[0\].method: no call of the API"),
        ({"fault": "reordered"}, r"faults\[0\].fault: reordered needs a second connection"),
        (
            {"fault": "power-cut", "more": 'parameters = { operation = "snapshot", step = "create_log" }'},
            r"faults\[0\].fault: power-cut strikes no call on its way",
        ),
        (
            {"fault": "delay", "more": "parameters = { seconds = 5 }"},
            r"faults\[0\].parameters.seconds: must",
        ),
        (
            {"fault": "slow-drip", "more": "parameters = { chunk = 1, pause_s = 1 }"},
            r"faults\[0\].parameters.pause_s",
        ),
        ({"more": "never"}, r"plan: is no TOML"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_naming_the_field(
    tmp_path: Path, given: dict[str, str], told: str
) -> None:
    with pytest.raises(UsageError, match=rf"--faults .*plan.toml: {told}"):
        asked_faults((written(tmp_path, **given),))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the plan"):
        asked_faults((str(tmp_path),))


def test_a_call_that_the_target_does_not_have_is_refused_naming_the_file(tmp_path: Path) -> None:
    (plan,) = asked_faults((written(tmp_path),)).plans
    plan.require_methods({"VDI.snapshot"})
    with pytest.raises(UsageError, match=r"plan.toml: faults\[0\].method: no call of the target"):
        plan.require_methods({"VDI.enable_cbt"})
