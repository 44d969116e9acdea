"""Each lie is told of some answer, and what it says of it is false."""

import base64

import pytest

from tests.proof.lies import ELSEWHERE, FIELDS, LIES, Lie
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.xe_words import XeResult

RECORD = dict.fromkeys(FIELDS, "something")
TRUTHS: tuple[Outcome, ...] = (
    *(Ok(value) for value in ("", "a", "4096", "OpaqueRef:a", True, 3, ["a"], {}, b"ab", [RECORD], RECORD)),
    Ok([(0, b"ab"), (65536, b"c")]),
    Ok({"OpaqueRef:a": RECORD}),
    *(Ok(base64.b64encode(bitmap).decode()) for bitmap in (b"\x0f\xf0", b"\0\0", b"\xff\xff")),
    *(Ok(XeResult(code, "true\n", "")) for code in (0, 1)),
    Failed("VDI_MISSING"),
    Failed("VDI_IN_USE", ("OpaqueRef:a", "destroy")),
)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_a_lie_is_told_of_something_and_is_none(lie: Lie) -> None:
    told = [(truth, lie.change(truth)) for truth in TRUTHS]
    assert any(false is not None for _, false in told)
    assert all(false is None or not lie.reaches or repr(false) != repr(truth) for truth, false in told)
    assert lie.change(Indeterminate("lost")) is None or lie.name.startswith("refused")


@pytest.mark.parametrize(
    ("name", "truth", "false"),
    [
        ("another value", Ok(True), Ok(False)),
        ("another cbt_enabled", Ok({"cbt_enabled": True, "x": 1}), Ok({"cbt_enabled": False, "x": 1})),
        ("another type", Ok({"a": {"type": "user"}}), Ok({"a": {"type": "userx"}})),
        ("another value", Ok([(0, b"\0"), (65536, b"\xf0a")]), Ok([(0, b"\0"), (65536, b"\x0fa")])),
        ("a bitmap with one bit less", Ok("Dw=="), Ok("Bw==")),
        ("a bitmap with a last bit more", Ok("DwA="), Ok("DwE=")),
        ("allowed", Failed("VDI_IN_USE"), Ok("")),
        ("other parameters", Failed("VDI_IN_USE", ("x",)), Failed("VDI_IN_USE", (ELSEWHERE, "a lie"))),
        ("no parameters", Failed("VDI_IN_USE", ("x",)), Failed("VDI_IN_USE")),
        ("refused", Ok("x"), Failed("INTERNAL_ERROR")),
    ],
)
def test_what_is_said_instead(name: str, truth: Outcome, false: Outcome) -> None:
    (lie,) = [lie for lie in LIES if lie.name == name]
    assert lie.change(truth) == false


def test_names_are_told_apart() -> None:
    assert len({lie.name for lie in LIES}) == len(LIES)
