import pytest

from xencbt.harness.faults import (
    KINDS,
    AnswerLost,
    ApiError,
    Blackhole,
    Delay,
    Duplicate,
    FaultError,
    HostIsSlave,
    LabCommand,
    LateDuplicate,
    Layer,
    PowerCut,
    Reordered,
    RequestDropped,
    Seen,
    SessionInvalid,
    SlowDrip,
    TaskFailed,
    TaskNeverEnds,
    TruncatedAnswer,
    hangs,
    hides,
    seen,
    shown_code,
)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.layer in {Layer.TRANSPORT, Layer.API}])
def test_of_every_kind_that_strikes_calls_it_is_known_what_the_client_sees(name: str) -> None:
    assert seen(KINDS[name].fault()) in Seen


def test_what_strikes_no_call_lets_nothing_be_said() -> None:
    with pytest.raises(FaultError, match="lab-command does not strike calls"):
        seen(LabCommand(("switch",)))


def test_each_fault_shows_what_it_does_to_the_client() -> None:
    assert [seen(fault) for fault in (AnswerLost(), ApiError(), Duplicate(), TaskFailed())] == [
        Seen.NOTHING,
        Seen.REFUSAL,
        Seen.ANSWER,
        Seen.REFUSAL,
    ]


def test_a_refusal_in_place_of_the_answer_has_the_code_that_the_fault_names() -> None:
    faults = (ApiError("VDI_IN_USE"), SessionInvalid(), HostIsSlave(), TaskFailed(), SlowDrip())
    assert [shown_code(fault) for fault in faults] == [
        *("VDI_IN_USE", "SESSION_INVALID", "HOST_IS_SLAVE", "INTERNAL_ERROR", None)
    ]


def test_only_what_never_ends_hangs() -> None:
    faults = (Blackhole(), TruncatedAnswer(ending="hanging"), TruncatedAnswer(), AnswerLost(), TaskNeverEnds())
    assert [hangs(fault) for fault in faults] == [True, True, False, False, False]


def test_only_what_a_client_does_not_see_is_hidden() -> None:
    hiding = (AnswerLost(), RequestDropped(), ApiError("VDI_IN_USE"), TaskNeverEnds(), Duplicate(), LateDuplicate(1))
    assert [hides(fault) for fault in hiding] == [True] * 6
    assert [hides(fault) for fault in (Delay(0.1), SlowDrip(), Reordered(), PowerCut("enable_cbt", "create_log"))] == [
        False
    ] * 4
