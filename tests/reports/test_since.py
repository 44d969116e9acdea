"""Is it new? The page of a run says what became of each requirement since an older run."""

import re
from pathlib import Path

import pytest

from tests.reports.events import finding, run_finished, whole_run
from tests.reports.folders import left_by
from tests.reports.test_comparison import run_of
from xencbt.harness.cli import main
from xencbt.harness.verdicts import Verdict
from xencbt.reports import html
from xencbt.reports.since import compared_with

GOOD, BAD = finding("ENABLE-13"), finding("ENABLE-13", Verdict.FAIL)


def said_by(page: str) -> str:
    """Return the words of the answer to "Is it new?"."""
    answer = re.search(r"<h3>Is it new\?</h3>(.*?)</div>", page, re.DOTALL)
    assert answer is not None
    return " ".join(re.sub(r"<[^>]+>", " ", answer[1]).split())


def test_what_moved_and_what_is_still_broken_is_told() -> None:
    compared = compared_with(run_of(BAD, finding("ENABLE-02")), ("yesterday", run_of(GOOD, finding("ENABLE-02"))))
    assert compared is not None
    assert (compared["rows"], compared["why_not"]) == ({"ENABLE-13": "regressed"}, "")
    again = compared_with(run_of(BAD), ("yesterday", run_of(BAD)))
    assert again is not None
    assert again["rows"] == {"ENABLE-13": "same failure"}


def test_the_page_answers_alone() -> None:
    run = run_of(BAD)
    page = html.render(run, compared_with(run, ("yesterday", run_of(GOOD)))).decode()
    assert "1 regressed" in said_by(page)
    assert "since-regressed" in page


def test_runs_that_cannot_be_compared_are_not_called_unchanged() -> None:
    run = run_of(BAD)
    compared = compared_with(run, ("<script>", run_of(GOOD, ends=run_finished(complete=False))))
    page = html.render(run, compared).decode()
    assert "the old run did not come to its end" in said_by(page)
    assert "<script>:" not in page
    assert "no requirement changed" not in page


def test_report_since_puts_it_into_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = left_by(whole_run(GOOD), tmp_path / "old"), left_by(whole_run(BAD), tmp_path / "new")
    assert "was not compared" in said_by((new / "report.html").read_text())
    before = (new / "run.json").read_bytes()
    assert main(["report", str(new), "--since", str(old)]) == 0
    assert "1 regressed" in said_by((new / "report.html").read_text())
    assert (new / "run.json").read_bytes() == before
    assert main(["report", str(new), "--since", str(tmp_path / "nowhere")]) == 3
    assert "does not exist" in capsys.readouterr().err
