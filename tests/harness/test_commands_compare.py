"""`xencbt compare` as a user types it, in this process."""

import json
from pathlib import Path

import pytest

from tests.reports.events import finding, whole_run
from tests.reports.folders import left_by
from xencbt.harness.cli import main
from xencbt.harness.verdicts import Verdict


@pytest.fixture
def runs(tmp_path: Path) -> tuple[str, str]:
    good, bad = finding("ENABLE-13"), finding("ENABLE-13", Verdict.FAIL)
    return str(left_by(whole_run(good), tmp_path / "good")), str(left_by(whole_run(bad), tmp_path / "bad"))


def test_a_regression_is_1_and_the_other_way_round_0(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = runs
    assert main(["compare", good, bad]) == 1
    said = capsys.readouterr().out
    assert said.startswith("REGRESSED  ENABLE-13: pass → fail")
    assert said.rstrip().endswith("1 requirements compared: 1 regressed · exit 1")
    assert main(["compare", bad, good]) == 0
    assert "verdict  No regression." in capsys.readouterr().out


def test_what_was_asked_for_is_written(runs: tuple[str, str], tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("c.html", "c.md", "c.json")]
    assert main(["compare", *runs, "--html", names[0], "--markdown", names[1], "--json", names[2]]) == 1
    page, markdown, document = (Path(name).read_text(encoding="utf-8") for name in names)
    assert page.startswith("<!doctype html>")
    assert "## Regression: ENABLE-13." in markdown.replace("\\", "")
    assert json.loads(document)["exit"] == 1


def test_json_can_go_to_standard_output_alone(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *runs, "--json", "-"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "Regression: ENABLE-13."


def test_a_run_without_events_is_taken_at_its_word_and_that_is_said(
    runs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(runs[1]) / "events.jsonl").unlink()
    assert main(["compare", *runs]) == 1
    assert "is taken at its word" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["nowhere"], ["--slower", "1"], ["--slower", "nan"], ["--html", "no/such/folder/x"]])
def test_bad_input_is_3(runs: tuple[str, str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    given = [runs[0], words[0]] if words == ["nowhere"] else [*runs, *words]
    assert main(["compare", *given]) == 3
    assert capsys.readouterr().err


def test_a_tampered_run_is_3(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(runs[1]) / "run.json"
    path.write_text(path.read_text().replace('"exit": 1', '"exit": 0'))
    assert main(["compare", *runs]) == 3
    assert "does not say what events.jsonl beside it says, at exit" in capsys.readouterr().err
