"""`xencbt report`: what a run left becomes run.json and reports again, or is refused in words."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.reports.events import FAILURE, finding, run_started, whole_run
from tests.reports.test_files import content, write_events
from xencbt.harness.catalogue import catalogue_hash
from xencbt.harness.cli import main
from xencbt.harness.events import SCHEMA
from xencbt.reports import html
from xencbt.reports.run_json import Run
from xencbt.reports.write import write_all

ALL = {"run.json", "report.html", "summary.md", "junit.xml", "allure-results/executor.json"}


def folder_of(folder: Path) -> Path:
    """Leave in `folder` the events of a run of this version: what another catalogue said is not known here."""
    started = run_started(suite={"version": version("xencbt"), "catalogue_hash": catalogue_hash()})
    write_events(folder, [started, *whole_run(FAILURE, finding("ENABLE-02"))[1:]])
    return folder


def refused(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what `xencbt report` says when it refuses; it must have written nothing."""
    before = content(folder) if folder.is_dir() else {}
    assert main(["report", *words, str(folder)]) == 3
    assert (content(folder) if folder.is_dir() else {}) == before
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def rewritten(folder: Path, old: str, new: str, name: str = "events.jsonl") -> None:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_everything_is_made_from_the_events_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder_of(tmp_path))]) == 0
    assert content(tmp_path).keys() >= ALL
    assert "verdict  Does not conform" in capsys.readouterr().out
    first = content(tmp_path)
    assert main(["report", str(tmp_path)]) == 0
    assert content(tmp_path) == first


def test_a_killed_run_is_reported_as_one_that_did_not_end(tmp_path: Path) -> None:
    path = folder_of(tmp_path) / "events.jsonl"
    path.write_bytes(path.read_bytes()[:-90])
    assert main(["report", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["complete"] is False
    assert b"did not come to its end" in (tmp_path / "report.html").read_bytes()


def test_a_run_json_cut_off_by_a_crash_is_made_again(tmp_path: Path) -> None:
    write_all(folder_of(tmp_path) / "events.jsonl", tmp_path)
    whole = (tmp_path / "run.json").read_bytes()
    (tmp_path / "run.json").write_bytes(whole[:500])
    assert main(["report", str(tmp_path)]) == 0
    assert (tmp_path / "run.json").read_bytes() == whole


def test_a_reporter_that_breaks_is_told_and_costs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(run: Run, compared: object) -> bytes:  # noqa: ARG001  called as the reporter is
        raise KeyError(run["schema"])

    monkeypatch.setattr(html, "render", broken)
    assert main(["report", str(folder_of(tmp_path))]) == 4
    assert "report.html could not be written: KeyError" in capsys.readouterr().err
    assert content(tmp_path).keys() >= ALL - {"report.html"}
    monkeypatch.undo()
    assert main(["report", str(tmp_path)]) == 0
    assert content(tmp_path).keys() >= ALL


def test_what_is_no_folder_of_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is no folder" in refused(tmp_path / "none", capsys)
    assert "holds no events.jsonl" in refused(tmp_path, capsys)
    (tmp_path / "lab.json").write_text("{}", encoding="utf-8")
    assert "is the folder of a lab" in refused(tmp_path, capsys)


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (b'{"a": 1}\n', "not an event"),
        (b"\xff\xfe\n", "decode"),
        (b"", "there is no run_started"),
        (b'{"event": "x"}\n', "begin with 'x'"),
        (b"[" * 100_000 + b"\n\n", "deeper than any run"),
    ],
)
def test_foreign_events_are_refused(
    tmp_path: Path, events: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "events.jsonl").write_bytes(events)
    assert said in refused(tmp_path, capsys)


def test_events_cut_in_the_middle_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder_of(tmp_path) / "events.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[3] = lines[3][:50]
    path.write_bytes(b"\n".join(lines))
    assert "line 4" in refused(tmp_path, capsys)


def test_events_of_a_newer_version_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewritten(folder_of(tmp_path), SCHEMA, "xencbt.events/2")
    assert "xencbt.events/2" in refused(tmp_path, capsys)


def test_events_that_make_no_run_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewritten(folder_of(tmp_path), '"examples": 17', '"examples": -17')
    assert "is not as its schema says" in refused(tmp_path, capsys)


def test_another_catalogue_is_known_only_by_the_run_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewritten(folder_of(tmp_path), '"catalogue_hash": "', '"catalogue_hash": "0')
    assert "was judged by another catalogue" in refused(tmp_path, capsys)


@pytest.mark.parametrize("name", ["run.json", "events.jsonl"])
def test_a_folder_that_was_tampered_with_is_refused_unless_the_events_are_to_be_believed(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_all(folder_of(tmp_path) / "events.jsonl", tmp_path)
    rewritten(tmp_path, "enabling twice lost recorded changes", "nothing happened", name)
    said = refused(tmp_path, capsys)
    assert "was changed after the run" in said
    assert "--anew" in said
    assert main(["report", "--anew", str(tmp_path)]) == 0
    assert main(["report", str(tmp_path)]) == 0
