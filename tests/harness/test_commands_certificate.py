"""`xencbt certificate` and `xencbt verify` as a user types them, in this process."""

import json
from pathlib import Path

import pytest

from tests.reports.certifiable import SUITE, full_run
from tests.reports.events import finding
from tests.reports.folders import left_by
from xencbt.harness.cli import main
from xencbt.harness.commands import certificate
from xencbt.harness.integrity import Integrity
from xencbt.harness.verdicts import Verdict


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    is_installed(str(SUITE["files_hash"]), monkeypatch)
    assert main(["certificate", "--new-key", str(tmp_path / "key")]) == 0
    return tmp_path


def is_installed(files_hash: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the suite of that hash the one that is installed here, and as it was published."""
    monkeypatch.setattr(certificate, "own_integrity", lambda: Integrity(files_hash))


def words(folder: Path, run: Path, *more: str) -> list[str]:
    named = ["--vendor", "Acme", "--product", "Acme Store", "--level", "full", "--key", str(folder / "key")]
    return ["certificate", str(run), *named, *more]


def test_a_certificate_is_made_and_verified(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = left_by(full_run(), folder / "run")
    assert main(words(folder, run)) == 0
    file, public = str(run / "certificate.json"), str(folder / "key.pub")
    assert main(["verify", file, "--key", public]) == 0
    assert main(["verify", file]) == 2
    said = capsys.readouterr().out
    assert "Acme: Acme Store, level full" in said
    assert "whose key that is was not checked" in " ".join(said.split())
    secret = (folder / "key").read_text().splitlines()[1]
    artefacts = [path.read_text() for path in run.iterdir() if path.is_file()]
    assert not any(secret in text for text in [*artefacts, said])


def test_a_key_of_somebody_else_is_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = left_by(full_run(), folder / "run")
    assert main(words(folder, run)) == 0
    assert main(["certificate", "--new-key", str(folder / "other")]) == 0
    assert main(["verify", str(run / "certificate.json"), "--key", str(folder / "other.pub")]) == 1
    assert "signed with another key" in capsys.readouterr().out


def test_a_changed_certificate_is_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = left_by(full_run(), folder / "run")
    assert main(words(folder, run)) == 0
    path = run / "certificate.json"
    document = json.loads(path.read_text())
    document["certificate"]["target"]["build"] = "b43"
    path.write_text(json.dumps(document))
    assert main(["verify", str(path), "--key", str(folder / "key.pub")]) == 1
    assert "the signature is not that of these statements" in capsys.readouterr().out


def test_what_cannot_be_certified_is_1_with_all_reasons(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = left_by(full_run(finding("SET-01", Verdict.FAIL), finding("LIST-02", Verdict.KNOWN)), folder / "run")
    assert main(words(folder, run)) == 1
    said = capsys.readouterr().out
    assert "Not certifiable, for 3 reasons:" in said
    assert not (run / "certificate.json").exists()


def test_a_tampered_run_is_3(folder: Path) -> None:
    run = left_by(full_run(finding("SET-01", Verdict.FAIL)), folder / "run")
    path = run / "run.json"
    path.write_text(path.read_text().replace('"exit": 1', '"exit": 0'))
    assert main(words(folder, run)) == 3


@pytest.mark.parametrize("more", [["--vendor", ""], ["--product", "a\n"], ["--vendor", "x" * 201], ["--level", "gold"]])
def test_names_that_are_none_are_3(folder: Path, more: list[str]) -> None:
    assert main(words(folder, left_by(full_run(), folder / "run"), *more)) == 3


def test_what_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certificate", "somewhere"]) == 3
    assert "certificate needs --vendor, --product, --level, --key" in capsys.readouterr().err
    assert main(["verify", "nowhere.json"]) == 3


def test_a_specimen_says_whom_it_is_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = left_by(full_run(where={"kind": "emulator"}), folder / "run")
    assert main(words(folder, run)) == 1
    assert main(words(folder, run, "--emulated")) == 0
    assert main(["verify", str(run / "certificate.json"), "--key", str(folder / "key.pub")]) == 0
    assert "an EMULATED host (a specimen)" in capsys.readouterr().out


def test_a_suite_with_other_files_than_the_installed_one_is_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = left_by(full_run(), folder / "run")
    assert main(words(folder, run)) == 0
    is_installed("0" * 64, monkeypatch)
    assert main(["verify", str(run / "certificate.json"), "--key", str(folder / "key.pub")]) == 1
    assert "has other files than xencbt" in capsys.readouterr().out
