"""Refusals are recognised by name or by telling words, whichever version wrote them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.emulator.cli_errors import REFERENCE
from xencbt.harness.outcome import Failed, Indeterminate, Ok
from xencbt.harness.xe_words import CODES, KEPT_TEXT, UNRECOGNISED, XeResult, recognised

UUID = "12345678-1234-1234-1234-123456789abc"
BOOT = "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"
TOLD: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "a sentence": (
        f"The uuid you supplied was invalid.\ntype: VDI\nuuid: {UUID}\n",
        "UUID_INVALID",
        ("VDI", UUID),
    ),
    "another version's sentence": ("You supplied an INVALID uuid\n", "UUID_INVALID", ()),
    "an object with its name": (
        f"The specified VDI is of an incompatible type (eg: x: y)\nvdi: {UUID} (my disk (old))\ntype: Ephemeral\n",
        "VDI_INCOMPATIBLE_TYPE",
        (UUID, "Ephemeral"),
    ),
    "a reason": (
        "You attempted an operation that was not allowed.\nreason: VDI is a snapshot: OpaqueRef:1\n",
        "OPERATION_NOT_ALLOWED",
        ("VDI is a snapshot: OpaqueRef:1",),
    ),
    "no parameters": ("This operation is not permitted on VDIs in the 'on-boot=reset' mode.\n", BOOT, ()),
    "a code": (
        "Error code: SR_BACKEND_FAILURE_457\nError parameters: , Unable [opterr=read-only], \n",
        "SR_BACKEND_FAILURE_457",
        ("", "Unable [opterr=read-only]", ""),
    ),
    "a code without parameters": ("Error code: WHATEVER\nError parameters: \n", "WHATEVER", ()),
    "a name": (f"Failed: VDI_IN_USE\nvdi: {UUID}\n", "VDI_IN_USE", (UUID,)),
    "another system's lines": (
        "Warning: Permanently added 'host' to the list of known hosts.\r\nThe SR has no attached PBDs\r\nsr: x\r\n",
        "SR_HAS_NO_PBDS",
        ("x",),
    ),
    "a special refusal before the general one": (
        (
            "The requested operation is not allowed because the specified VDI does not have changed block tracking "
            "metadata.\nvdi: x\n"
        ),
        "VDI_NO_CBT_METADATA",
        ("x",),
    ),
}


@pytest.mark.parametrize(("text", "code", "params"), TOLD.values(), ids=TOLD)
def test_a_refusal_is_recognised(text: str, code: str, params: tuple[str, ...]) -> None:
    assert recognised(text) == Failed(code, params)
    assert XeResult(1, "", text).outcome == Failed(code, params)


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_is_told_from_the_others_by_its_explanation(code: str) -> None:
    assert recognised(f"{REFERENCE[code].sentence}\n").code == code


@given(st.text())
def test_anything_else_is_a_refusal_that_nobody_knows(text: str) -> None:
    failed = recognised(text)
    if failed.code == UNRECOGNISED:
        assert failed.params == (text.strip()[:KEPT_TEXT],)
    else:
        assert failed.code in CODES or "SR_BACKEND_FAILURE" in text or "Error code:" in text


def test_success_is_what_was_printed() -> None:
    assert XeResult(0, "true\n", "a warning").outcome == Ok("true\n")


@pytest.mark.parametrize("exit_code", [-9, 126, 127, 255])
def test_what_xe_did_not_say_itself_decides_nothing(exit_code: int) -> None:
    outcome = XeResult(exit_code, "", "ssh: connect to host x: no route\n").outcome
    assert isinstance(outcome, Indeterminate)
    assert "no route" in outcome.why
