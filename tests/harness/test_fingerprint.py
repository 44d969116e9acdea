"""The same failure is recognised whatever varies, and another one is not taken for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.harness.fingerprint import LENGTH, fingerprint, normalised

SAME = [
    ("written blocks are not listed: block 7", "written blocks are not listed: blocks 0-1, 7 and 3 more runs"),
    ("OpaqueRef:12ab… is locked", "OpaqueRef:5f0e3f7c-8f1c-4c0e-9d0a-2b6a0a6c1d11 is locked"),
    (
        "VDI 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0 changed",
        "VDI 9b2de7a1-3c44-4f4a-8a11-0c1d2e3f4a5b changed",
    ),
    ("no event showed the change within 2 s", "no event showed the change within 30.5 s"),
    ("at 127.0.0.1:8080 since 2026-03-01T10:00:00+00:00", "at 127.9.0.4:91 since 20261129T04:46:12Z"),
    ("the disk\n  lost  a block", "the disk lost a block"),
    ("token deadbeef0123 seen", "token 0123cafe99aa seen"),
]
OTHER = [
    ("refused with SR_BACKEND_FAILURE_460", "refused with SR_BACKEND_FAILURE_457"),
    ("the test ended at a violation of ENABLE-13", "the test ended at a violation of ENABLE-12"),
    ("HTTP 500 from the host", "HTTP 404 from the host"),
    ("the bitmap changed", "the bitmap is malformed"),
    ("pass, by deviation D-01", "pass, by deviation D-02"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_varies_makes_no_other_failure(one: str, other: str) -> None:
    assert fingerprint("ENABLE-13", "fail", one) == fingerprint("ENABLE-13", "fail", other)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_what_was_broken_makes_another_failure(one: str, other: str) -> None:
    assert fingerprint("ENABLE-13", "fail", one) != fingerprint("ENABLE-13", "fail", other)


def test_requirement_and_verdict_belong_to_it() -> None:
    names = {fingerprint(row, verdict, "x") for row in ("ENABLE-13", "ENABLE-12") for verdict in ("fail", "error")}
    assert len(names) == 4


def test_of_what_came_the_code_counts_and_its_values_do_not() -> None:
    def of(actual: str) -> str:
        return fingerprint("ENABLE-10", "fail", "must be refused", actual)

    assert of("VDI_IN_USE[OpaqueRef:12ab…, enable_cbt]") == of("VDI_IN_USE[OpaqueRef:9c0d…, destroy]")
    assert of("VDI_IN_USE[x]") != of("VDI_INCOMPATIBLE_TYPE[x]")
    assert len({of("ok"), of("VDI_IN_USE[x]"), of("no answer (closed)")}) == 3


@given(st.text())
def test_any_text_has_one_and_normalising_twice_changes_nothing(text: str) -> None:
    assert len(fingerprint("ENABLE-13", "fail", text, text)) == LENGTH
    assert normalised(normalised(text)) == normalised(text)
