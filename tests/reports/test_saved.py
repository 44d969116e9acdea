"""A run directory is read, or refused in words: whoever wrote it is not trusted."""

import json
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reports.events import FAILURE, Event, finding, run_started, whole_run
from tests.reports.folders import left_by
from xencbt.harness.catalogue import catalogue_hash
from xencbt.harness.verdicts import Verdict
from xencbt.reports import saved
from xencbt.reports.saved import UnreadableRun, read_run

FINDINGS = (finding("ENABLE-01"), FAILURE, finding("DESTROY-01", Verdict.BLOCKED))


def events() -> list[Event]:
    """Return a run of this version: what another catalogue said is not known here."""
    started = run_started(suite={"version": version("xencbt"), "catalogue_hash": catalogue_hash()})
    return [started, *whole_run(*FINDINGS)[1:]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return left_by(events(), tmp_path / "run")


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "run.json"
    run = json.loads(path.read_text(encoding="utf-8"))
    change(run)
    path.write_text(json.dumps(run), encoding="utf-8")


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableRun) as refused:
        read_run(path)
    return str(refused.value)


def test_a_folder_is_read_and_checked_against_its_events(folder: Path) -> None:
    read = read_run(folder)
    assert (read.run["exit"], read.folder, read.checked) == (1, folder, True)


def test_the_file_itself_may_be_named(folder: Path) -> None:
    assert read_run(folder / "run.json") == read_run(folder)


def test_without_events_nothing_was_checked(folder: Path) -> None:
    (folder / "events.jsonl").unlink()
    assert not read_run(folder).checked


def test_a_truncated_file_is_refused(folder: Path) -> None:
    path = folder / "run.json"
    path.write_bytes(path.read_bytes()[:-100])
    assert "is cut off or damaged" in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"NaN", b"\xff\xfe", b'{"schema": NaN}'])
def test_what_is_no_json_is_refused(folder: Path, content: bytes) -> None:
    (folder / "run.json").write_bytes(content)
    assert "is cut off or damaged" in refusal(folder)


def test_deep_nesting_is_refused(folder: Path) -> None:
    (folder / "run.json").write_text("[" * 200_000)
    assert "nested deeper than any run" in refusal(folder)


@pytest.mark.parametrize("content", ["[]", "{}", "3", '{"schema": 1}', '"xencbt.run/1"'])
def test_what_names_no_schema_is_foreign(folder: Path, content: str) -> None:
    (folder / "run.json").write_text(content)
    assert "is not from xencbt" in refusal(folder)


def test_a_newer_schema_asks_for_a_newer_version(folder: Path) -> None:
    rewrite(folder, lambda run: run.update(schema="xencbt.run/2"))
    assert "xencbt.run/2, this version reads xencbt.run/1: use a newer xencbt" in refusal(folder)


@pytest.mark.parametrize("schema", ["xencbt.lab/1", "xencbt.run/0", "xencbt.run/x", "<script>" * 100])
def test_another_schema_is_no_run(folder: Path, schema: str) -> None:
    rewrite(folder, lambda run: run.update(schema=schema))
    said = refusal(folder)
    assert "is no run" in said
    assert len(said) < 500


def test_what_the_schema_refuses_is_named_with_its_place(folder: Path) -> None:
    rewrite(folder, lambda run: run["requirements"][1].update(verdict="passed"))
    assert "requirements[1].verdict: 'passed' is not one of" in refusal(folder)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda run: run.update(exit=0), "exit"),
        (lambda run: run["requirements"][1].update(verdict="pass", reason=""), "requirements[1].verdict"),
        (lambda run: run["requirements"][0].update(statement="anything goes"), "requirements[0].statement"),
        (lambda run: run["target"].update(kind="host"), "target.kind"),
        (lambda run: run["tests"][0].update(calls=31), "tests[0].calls"),
        (lambda run: run["problems"].append({"verdict": "error", "reason": "x"}), "problems"),
        (lambda run: run.update(made_up=True), "made_up"),
        (lambda run: run["tests"][1].pop("examples", None), "tests[1]: 'examples' is a required property"),
        (lambda run: run["suite"].update(catalogue_hash="0" * 64), "suite.catalogue_hash"),
    ],
)
def test_a_change_after_the_run_is_seen(folder: Path, change: Callable[[dict[str, Any]], object], place: str) -> None:
    rewrite(folder, change)
    assert place in refusal(folder)


def test_events_that_were_changed_are_seen_as_well(folder: Path) -> None:
    told = folder / "events.jsonl"
    told.write_text(told.read_text().replace('"calls": 204', '"calls": 205'))
    assert "tests[2].calls" in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"garbage\n{}\n", b"\xff", b'{"event": "target"}\n'])
def test_events_that_are_none_are_refused(folder: Path, content: bytes) -> None:
    (folder / "events.jsonl").write_bytes(content)
    assert "cannot be checked" in refusal(folder)


def test_a_field_that_an_older_version_did_not_write_yet_is_no_change(folder: Path) -> None:
    rewrite(folder, lambda run: [test.pop("violated") for test in run["tests"]])
    assert read_run(folder).checked


def test_a_run_of_another_catalogue_is_checked_by_what_it_says_of_it(tmp_path: Path) -> None:
    started = run_started(suite={"version": "0.0.9", "catalogue_hash": "0" * 64})
    folder = left_by([started, *whole_run(*FINDINGS)[1:]], tmp_path / "run")

    def older(run: dict[str, Any]) -> None:
        run["requirements"][1]["statement"] = "How an older catalogue said it."

    rewrite(folder, older)
    assert read_run(folder).run["requirements"][1]["statement"] == "How an older catalogue said it."
    rewrite(folder, lambda run: run["requirements"][1].update(verdict="pass", reason=""))
    assert "requirements[1].verdict" in refusal(folder)


@pytest.mark.parametrize("what", ["tests", "requirements"])
def test_an_id_told_twice_is_refused(folder: Path, what: str) -> None:
    (folder / "events.jsonl").unlink()
    rewrite(folder, lambda run: run[what].append(run[what][0]))
    assert "twice" in refusal(folder)


def test_a_requirement_that_leans_on_an_untold_test_is_refused(folder: Path) -> None:
    (folder / "events.jsonl").unlink()
    rewrite(folder, lambda run: run["requirements"][0]["tests"].append("suites.test_nowhere::test_it"))
    assert "does not tell of it" in refusal(folder)


def test_a_folder_without_a_run_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nowhere")
    assert "holds no run.json: it is not a folder" in refusal(tmp_path)
    (tmp_path / "events.jsonl").touch()
    assert f"`xencbt report {tmp_path}` makes it" in refusal(tmp_path)
    (tmp_path / "events.jsonl").unlink()
    (tmp_path / "lab.json").touch()
    assert "the folder of a lab" in refusal(tmp_path)


def test_an_enormous_file_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "MOST_BYTES", 100)
    assert "is larger than 100 bytes" in refusal(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_refused(folder: Path) -> None:
    (folder / "run.json").chmod(0)
    assert "cannot be read" in refusal(folder)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    assert "is no file" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["run.json", "events.jsonl"])
def test_a_pipe_or_a_device_is_not_read(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    assert "is no file" in refusal(folder)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_no_damage_to_the_file_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damaged") / "run"
    left_by(events(), folder)
    content = bytearray((folder / "run.json").read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + data.draw(st.integers(1, 200))] = data.draw(st.binary(max_size=20))
    before = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_bytes(content)
    try:
        assert read_run(folder).run == before
    except UnreadableRun as refused:
        assert str(refused)  # noqa: PT017  either outcome is right, a third one is not
