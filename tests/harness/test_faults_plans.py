"""Plans: validated when made, with errors that name the field, the same from Python and from plain data."""

import tomllib
from typing import Any

import pytest

from xencbt.harness.errors import UsageError
from xencbt.harness.faults import (
    AnswerLost,
    Call,
    ConnectionReset,
    Duplicate,
    Fault,
    FaultError,
    PbdUnplugged,
    Phase,
    Plan,
    PlanError,
    Planned,
    PowerCut,
    RequestDropped,
    canonical,
)


def call(spelled: str) -> Call:
    return Call(canonical(spelled), spelled, "OpaqueRef:s")


@pytest.mark.parametrize(
    ("pattern", "spelled", "hit"),
    [
        ("VDI.enable_cbt", "VDI.enable_cbt", True),
        ("VDI.enable_cbt", "Async.VDI.enable_cbt", True),
        ("VDI.enable_cbt", "VDI_enable_cbt", True),
        ("VDI.enable_cbt", "VDI.disable_cbt", False),
        ("VDI.*_cbt", "VDI.disable_cbt", True),
        ("VDI.*", "VM.start", False),
        ("vdi.*", "VDI.snapshot", False),
        ("*.destroy", "VM_destroy", True),
        ("*", "system.listMethods", True),
    ],
)
def test_patterns(pattern: str, spelled: str, hit: bool) -> None:
    assert Planned(AnswerLost(), pattern).matches(call(spelled)) is hit


def test_arguments_are_patterns_for_the_first_parameters() -> None:
    one = Call("VDI.resize", "VDI.resize", "s", frozenset(), ("OpaqueRef:a", "1024"))
    assert Planned(AnswerLost(), "VDI.resize", arguments=("OpaqueRef:a",)).matches(one)
    assert Planned(AnswerLost(), "VDI.resize", arguments=("*", "10*")).matches(one)
    assert not Planned(AnswerLost(), "VDI.resize", arguments=("OpaqueRef:b",)).matches(one)
    assert not Planned(AnswerLost(), "VDI.resize", arguments=("*", "*", "*")).matches(one)


def test_a_phase_is_one_of_the_kinds_own() -> None:
    assert Planned(ConnectionReset(), "*").when is Phase.BEFORE
    assert Planned(ConnectionReset(), "*", phase=Phase.AFTER).when is Phase.AFTER
    with pytest.raises(PlanError, match="phase: answer-lost strikes after, not before"):
        Planned(AnswerLost(), "*", phase=Phase.BEFORE)


def test_a_pattern_that_means_no_call_of_the_target_is_refused() -> None:
    plan = Plan.of(Planned(AnswerLost(), "VDI.enable_cbt"), Planned(AnswerLost(), "VDI.frobnicate"))
    with pytest.raises(PlanError, match=r"faults\[1\]\.method: no call of the target is meant by 'VDI.frobnicate'"):
        plan.require_methods({"VDI.enable_cbt", "VM.start"})
    Plan.of(Planned(AnswerLost(), "V*.*")).require_methods({"VDI.enable_cbt"})


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("fault", {"fault": "answer-lost"}),
        ("fault", {"fault": Fault()}),
        ("method", {"method": ""}),
        ("method", {"method": "enable_cbt"}),
        ("method", {"method": "VDI.enable cbt"}),
        ("method", {"method": "Async.VDI.enable_cbt"}),
        ("method", {"method": None}),
        ("nth", {"nth": 0}),
        ("nth", {"nth": True}),
        ("nth", {"nth": "1"}),
        ("times", {"times": -1}),
        ("times", {"times": 1.0}),
    ],
)
def test_errors_name_the_field(field: str, changes: dict[str, Any]) -> None:
    good: dict[str, Any] = {"fault": AnswerLost(), "method": "VDI.enable_cbt"}
    with pytest.raises(PlanError) as caught:
        Planned(**good | changes)
    assert caught.value.field == field
    assert isinstance(caught.value, UsageError)


PLAN = """
[[faults]]
fault = "answer-lost"
method = "VDI.enable_cbt"

[[faults]]
fault = "duplicate"
method = "VDI.*"
nth = 3
times = 2
parameters = {}
"""


def test_a_plan_from_toml_is_the_plan_from_python() -> None:
    plan = Plan.from_mapping(tomllib.loads(PLAN))
    assert plan == Plan.of(Planned(AnswerLost(), "VDI.enable_cbt"), Planned(Duplicate(), "VDI.*", nth=3, times=2))
    assert Plan.from_mapping(plan.as_json()).as_json() == plan.as_json()
    assert [str(each) for each in plan] == [
        *("answer-lost at call 1 of VDI.enable_cbt", "duplicate at calls 3 to 4 of VDI.*")
    ]
    assert len(plan) == 2


ENTRY: dict[str, Any] = {"fault": "answer-lost", "method": "VDI.enable_cbt"}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "faults"),
        ({"faults": []}, "faults"),
        ({"faults": "answer-lost"}, "faults"),
        ({"faults": [ENTRY], "seed": 1}, "seed"),
        ({"faults": [ENTRY, "answer-lost"]}, "faults[1]"),
        ({"faults": [{"method": "VDI.x"}]}, "faults[0].fault"),
        ({"faults": [{"fault": "answer-lost"}]}, "faults[0].method"),
        ({"faults": [ENTRY | {"fault": "earthquake"}]}, "faults[0].fault"),
        ({"faults": [ENTRY | {"fault": ["answer-lost"]}]}, "faults[0].fault"),
        ({"faults": [ENTRY, ENTRY | {"nth": 0}]}, "faults[1].nth"),
        ({"faults": [ENTRY | {"method": 7}]}, "faults[0].method"),
        ({"faults": [ENTRY | {"when": 7}]}, "faults[0].when"),
        ({"faults": [ENTRY | {"arguments": "OpaqueRef:a"}]}, "faults[0].arguments"),
        ({"faults": [ENTRY | {"arguments": [7]}]}, "faults[0].arguments"),
        ({"faults": [ENTRY | {"phase": "meanwhile"}]}, "faults[0].phase"),
        ({"faults": [ENTRY | {"phase": "before"}]}, "faults[0].phase"),
        ({"faults": [ENTRY | {"parameters": 7}]}, "faults[0].parameters"),
        ({"faults": [ENTRY | {"parameters": {"seconds": 7}}]}, "faults[0].parameters.seconds"),
    ],
)
def test_errors_in_plain_data_name_the_place(data: dict[str, object], field: str) -> None:
    with pytest.raises(PlanError) as caught:
        Plan.from_mapping(data)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


def test_an_unknown_fault_is_told_the_known_ones() -> None:
    with pytest.raises(PlanError, match=r"no such fault: 'earthquake'; known are .*answer-lost"):
        Plan.from_mapping({"faults": [ENTRY | {"fault": "earthquake"}]})


def test_the_empty_plan_of_python_is_a_plan() -> None:
    assert list(Plan()) == []
    assert Plan.of(Planned(RequestDropped(), "*")) != Plan()


def test_a_fault_of_the_storage_says_itself_where_it_strikes() -> None:
    plan = Plan.from_toml(
        '[[faults]]\nfault = "power-cut"\nnth = 2\nparameters = { operation = "snapshot", step = "rename_log" }'
    )
    assert plan == Plan.of(Planned(PowerCut("snapshot", "rename_log"), nth=2))
    (planned,) = plan
    assert (planned.method, planned.deliveries, planned.when) == ("*", 1, Phase.DURING)
    assert str(planned) == "power-cut (snapshot rename_log) at time 2"
    assert Plan.from_mapping(plan.as_json()).as_json() == plan.as_json()
    plan.require_methods()


@pytest.mark.parametrize("fault", [PowerCut, PbdUnplugged])
@pytest.mark.parametrize(
    ("operation", "step", "field"), [("", "a", "operation"), ("any", "a", "operation"), ("a", "", "step")]
)
def test_what_is_cut_short_has_to_be_named(
    fault: type[PowerCut | PbdUnplugged], operation: str, step: str, field: str
) -> None:
    with pytest.raises(FaultError, match=field):
        fault(operation, step)


def test_a_fault_of_the_wire_needs_a_method() -> None:
    with pytest.raises(PlanError, match="method"):
        Planned(AnswerLost())
    with pytest.raises(PlanError, match=r"faults\[0\]\.method: is missing"):
        Plan.from_mapping({"faults": [{"fault": "answer-lost"}]})
