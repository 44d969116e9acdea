"""summary.md: what a CI step shows."""

import pytest

from tests.reports.events import FAILURE, finding, journal, ran, run_finished, run_started, selected, target, whole_run
from xencbt.harness.verdicts import Verdict
from xencbt.reports.document import build
from xencbt.reports.markdown import MOST_ROWS, literal, render


def test_a_failed_run_is_a_table_of_what_it_broke() -> None:
    text = render(build(whole_run(FAILURE, finding("ENABLE-02"), finding("LIST-02", Verdict.BLOCKED)))).decode()
    lines = text.splitlines()
    assert lines[0].startswith("## ❌ Does not conform: the emulated host xencbt emulator 0.1.0 breaks 1 requirement")
    row = next(line for line in lines if line.startswith("| ENABLE-13 "))
    assert "](https://docs.xenserver.com/" in row
    assert row.endswith("| enabling twice lost recorded changes |")
    assert "- blocked: LIST-02" in lines
    assert "exit 1" in text


def test_a_good_run_has_no_table() -> None:
    text = render(build(whole_run(finding("ENABLE-02")))).decode()
    assert text.startswith("## ✅ Conforms")
    assert "|---" not in text


def test_what_was_left_and_what_broke_is_said() -> None:
    events = [run_started(), target(), selected("ENABLE-02"), *ran(finding("ENABLE-02")), journal(left=["a", "b"])]
    events += [{"event": "problem", "verdict": "error", "reason": "a worker died"}, run_finished()]
    text = render(build(events)).decode()
    assert text.startswith("## 💥 No verdict: a worker died")
    assert "- problem: a worker died" in text
    assert "- 2 objects were left on the target" in text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("<script>", r"\<script\>"),
        ("a|b\nc", r"a\|b c"),
        ("[x](https://e)", r"\[x\](https\://e)"),
        ("`*_~$", r"\`\*\_\~\$"),
        ("@all #1 &amp; www.e.com", r"\@all \#1 \&amp; www\.e.com"),
        ("\x1b[31m", r"\\x1b\[31m"),
    ],
)
def test_a_target_cannot_write_markdown(said: str, shown: str) -> None:
    assert literal(said) == shown
    text = render(build(whole_run(finding("ENABLE-02", Verdict.FAIL, reason=said)))).decode()
    assert f"| {shown} |" in text


def test_a_long_list_is_cut_and_says_so() -> None:
    from xencbt.harness.catalogue import CATALOGUE  # noqa: PLC0415  only here

    findings = [finding(row.id, Verdict.FAIL) for row in CATALOGUE]
    text = render(build(whole_run(*findings))).decode()
    assert f"and {len(findings) - MOST_ROWS} more: see report.html" in text
    assert len([line for line in text.splitlines() if line.startswith("| ") and "fail" in line]) == MOST_ROWS
