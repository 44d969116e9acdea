import pytest

from xencbt.harness.expectations import (
    SUCCESS,
    Expectation,
    Refused,
    Succeeds,
    VdiType,
    expect,
    judge,
    mentioning,
    refusals,
    starting,
)
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.profiles import PROFILES

REF = "OpaqueRef:1"
XAPI, DOCUMENTED = PROFILES["xapi"], PROFILES["documented"]

REFUSALS: list[tuple[Expectation, Failed]] = [
    (refusals.unknown_vdi(REF), Failed("VDI_MISSING", ("sr", REF))),
    (refusals.unknown_uuid("u-1"), Failed("UUID_INVALID", ("VDI", "u-1"))),
    (refusals.wrong_type("ha_statefile", REF), Failed("VDI_INCOMPATIBLE_TYPE", (REF, "HA statefile"))),
    (refusals.wrong_type("ha_statefile", REF), Failed("VDI_INCOMPATIBLE_TYPE", (REF, "HA_STATEFILE"))),
    (refusals.on_boot_reset(), Failed("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION")),
    (refusals.is_a_snapshot(), Failed("OPERATION_NOT_ALLOWED", (f"VDI is a snapshot: {REF}",))),
    (refusals.sr_not_attached(), Failed("SR_HAS_NO_PBDS", ("sr",))),
    (refusals.sr_not_attached(), Failed("SR_NOT_ATTACHED", ("sr",))),
    (refusals.driver_without_cbt("sr"), Failed("SR_OPERATION_NOT_SUPPORTED", ("sr",))),
    (refusals.read_only_sr(), Failed("SR_BACKEND_FAILURE_457", ("", "Unable … [opterr=SR is read-only]", ""))),
    (refusals.full_sr(), Failed("SR_BACKEND_FAILURE_44", ("", "There is insufficient space", ""))),
    (refusals.full_sr(), Failed("SR_BACKEND_FAILURE_44", ("no volume can be made",))),
    (refusals.full_sr(), Failed("SR_BACKEND_FAILURE_457", ("", "Unable … [opterr=No space left]", ""))),
    (refusals.raw_vdi(), Failed("SR_BACKEND_FAILURE_66", ("", "Invalid VDI type", ""))),
    (refusals.unlicensed(), Failed("LICENCE_RESTRICTION", ("CBT",))),
    (refusals.cbt_enabled(REF), Failed("VDI_CBT_ENABLED", (REF,))),
    (
        refusals.unrelated(),
        Failed("SR_BACKEND_FAILURE_460", ("", "… [opterr=Source and target VDI are unrelated]", "")),
    ),
    (refusals.same_vdi(), Failed("SR_BACKEND_FAILURE_460", ("", "… [opterr=Source and target VDI are same]", ""))),
    (refusals.same_vdi(), Failed("SR_BACKEND_FAILURE_460", ("nothing lies between a disk and itself",))),
    (refusals.in_use(REF), Failed("VDI_IN_USE", (REF, "list_changed_blocks"))),
    (refusals.unknown_method("VDI.enable_cbt"), Failed("MESSAGE_METHOD_UNKNOWN", ("VDI.enable_cbt",))),
]

WRONG_PARAMETERS: list[tuple[Expectation, Failed]] = [
    (refusals.unknown_vdi(REF), Failed("HANDLE_INVALID", ("VDI", "OpaqueRef:2"))),
    (refusals.unknown_vdi(REF), Failed("HANDLE_INVALID", ("SR", REF))),
    (refusals.unknown_uuid("u-1"), Failed("UUID_INVALID", ("VDI",))),
    (refusals.wrong_type("ephemeral", REF), Failed("VDI_INCOMPATIBLE_TYPE", (REF, "User"))),
    (refusals.wrong_type("ephemeral", REF), Failed("VDI_INCOMPATIBLE_TYPE", ("OpaqueRef:2", "Ephemeral"))),
    (refusals.read_only_sr(), Failed("SR_BACKEND_FAILURE_457", ("", "Unable to activate changed block tracking.", ""))),
    (refusals.full_sr(), Failed("SR_BACKEND_FAILURE_457", ("", "Unable to activate changed block tracking.", ""))),
    (refusals.unrelated(), Failed("SR_BACKEND_FAILURE_460", ("", "… [opterr=Source and target VDI are same]", ""))),
]


@pytest.mark.parametrize(("expectation", "outcome"), REFUSALS, ids=str)
def test_a_documented_refusal_needs_no_deviation(expectation: Expectation, outcome: Failed) -> None:
    for profile in (DOCUMENTED, XAPI):
        judgement = judge(outcome, expectation, profile)
        assert judgement.allowed, judgement.reason
        assert judgement.deviation is None


@pytest.mark.parametrize(("expectation", "outcome"), WRONG_PARAMETERS, ids=str)
def test_the_right_code_with_the_wrong_parameters_is_not_allowed(expectation: Expectation, outcome: Failed) -> None:
    judgement = judge(outcome, expectation, XAPI)
    assert not judgement.allowed
    assert judgement.reason == f"{outcome.code} is right, but not with these parameters"


@pytest.mark.parametrize(
    "outcome", [Ok(""), Failed("INTERNAL_ERROR", ("x",)), Indeterminate("connection closed")], ids=str
)
@pytest.mark.parametrize("expectation", [expectation for expectation, _ in REFUSALS], ids=str)
def test_nothing_else_passes_for_a_refusal(expectation: Expectation, outcome: Outcome) -> None:
    judgement = judge(outcome, expectation, XAPI)
    assert not judgement.allowed
    assert judgement.reason


def test_a_deviation_counts_only_for_a_profile_that_accepts_it() -> None:
    outcome = Failed("HANDLE_INVALID", ("VDI", REF))
    assert judge(outcome, refusals.unknown_vdi(REF), XAPI).deviation == "D-01"
    refused = judge(outcome, refusals.unknown_vdi(REF), DOCUMENTED)
    assert not refused.allowed
    assert refused.reason == "needs deviation D-01, which profile documented does not accept"


def test_the_documented_alternative_ranks_above_the_deviating_one() -> None:
    deviating, documented = Refused("X", deviation="D-02"), Refused("X")
    assert judge(Failed("X"), expect(deviating, documented), XAPI).deviation is None
    assert expect(deviating, documented).alternatives == (documented, deviating)


def test_a_lost_answer_satisfies_nothing() -> None:
    lost = Indeterminate("connection closed")
    for expectation in (SUCCESS, SUCCESS | refusals.unlicensed()):
        judgement = judge(lost, expectation, XAPI)
        assert not judgement.allowed
        assert "a lost answer decides nothing" in judgement.reason


def test_success_is_success_only() -> None:
    assert judge(Ok(""), SUCCESS, DOCUMENTED).allowed
    assert not judge(Failed("VDI_MISSING"), SUCCESS, DOCUMENTED).allowed


def test_expectations_say_themselves_in_words() -> None:
    assert refusals.unknown_vdi(REF).words(DOCUMENTED) == ("VDI_MISSING",)
    assert refusals.unknown_vdi(REF).words(XAPI) == ("VDI_MISSING", f"HANDLE_INVALID[VDI, {REF}] (deviation D-01)")
    assert str(SUCCESS | refusals.unrelated()) == (
        "success or SR_BACKEND_FAILURE_460 mentioning “Source and target VDI are unrelated”"
    )
    assert str(refusals.wrong_type("rrd")) == "VDI_INCOMPATIBLE_TYPE[<reference>, “rrd” or “rrd”]"


def test_or_keeps_each_alternative_once() -> None:
    both = SUCCESS | refusals.full_sr() | SUCCESS
    assert len(both.alternatives) == 3
    assert both.succeeds
    assert both.codes == {"SR_BACKEND_FAILURE_457", "SR_BACKEND_FAILURE_44"}
    assert not refusals.full_sr().succeeds


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one alternative"):
        expect()
    with pytest.raises(ValueError, match="D-99 is no known deviation"):
        Refused("X", deviation="D-99")


def test_matchers() -> None:
    assert starting("a").matches(("a", "more"))
    assert not starting("a", "b").matches(("a",))
    assert mentioning("one", "TWO").matches(("", "it says two"))
    assert not mentioning("one").matches(())
    assert Succeeds().allows(Ok(None))


def test_only_user_and_system_are_eligible_and_every_type_has_a_name() -> None:
    assert {kind for kind in VdiType if kind.eligible} == {VdiType.USER, VdiType.SYSTEM}
    assert len({kind.display_name for kind in VdiType}) == len(VdiType) == 11
