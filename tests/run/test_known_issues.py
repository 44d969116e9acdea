"""Runs with a ledger of known issues, as its owner makes, uses and refreshes it."""

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.run.command import Ran, xencbt

DEFECT = "enable-takes-snapshots"
CHOSEN = ("--requirement", "ENABLE-15", "--requirement", "ENABLE-01", "--seed", "1")
FIXED_TESTS = ("--", "-k", "a_snapshot_is_refused or disabled")
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "run.schema.json").read_text())
WHO = ("--id", "XS-1", "--owner", "storage team", "--link", "https://example.org/XS-1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a ledger, whose one entry was made from a failed run's bundle."""
    folder = tmp_path_factory.mktemp("ledger")
    failed = xencbt(folder, "run", *CHOSEN, f"--defect={DEFECT}", "--out", "first", *FIXED_TESTS)
    assert failed.exit == 1, failed.stdout + failed.stderr
    bundle = next(path for path in (folder / "first" / "bundles").iterdir() if "of-an-enabled" in path.name)
    made = xencbt(folder, "issues", "add", "issues.toml", str(bundle), *WHO, "--expires", "2099-01-31")
    assert made.exit == 0, made.stderr
    return folder


def run(folder: Path, name: str, *words: str, ledger: str = "issues.toml") -> Ran:
    ran = xencbt(folder, "run", *CHOSEN, "--known-issues", ledger, "--out", name, *words, *FIXED_TESTS)
    ran = Ran(ran.exit, ran.stdout, ran.stderr, folder / name)
    jsonschema.Draft202012Validator(SCHEMA).validate(ran.document)
    return ran


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_the_same_failure_is_known_and_turns_nothing_red(folder: Path, workers: tuple[str, ...]) -> None:
    ran = run(folder, f"known{len(workers)}", f"--defect={DEFECT}", *workers)
    assert ran.exit == 0, ran.stdout + ran.stderr
    assert ran.verdicts == {"ENABLE-01": "pass", "ENABLE-15": "known"}
    known = {name: test["issue"] for name, test in ran.tests.items() if test["verdict"] == "known"}
    assert len(known) == 3
    assert known["XS-1"] == {
        "id": "XS-1",
        "link": "https://example.org/XS-1",
        "owner": "storage team",
        "expires": "2099-01-31",
    }
    assert ran.document["known_issues"] == {"judged": ["XS-1"], "expired": [], "ignored": []}
    said = " ".join(ran.stdout.split())
    assert "verdict Conforms, but for known issues: " in said
    assert "in ENABLE (a selection of its requirements), except ENABLE-15." in said
    assert "- known: ENABLE-15" in (ran.folder / "summary.md").read_text()
    allure = json.loads((ran.folder / "allure-known.json").read_text())
    assert [each["issues"][0]["name"] for each in allure] == ["XS-1"] * 3
    results = [json.loads(path.read_text()) for path in (ran.folder / "allure-results").glob("*-result.json")]
    assert {each["historyId"] for each in allure} <= {each["historyId"] for each in results}


def test_what_is_fixed_is_stale(folder: Path) -> None:
    ran = run(folder, "stale")
    assert ran.exit == 1
    assert ran.tests["XS-1"]["verdict"] == "stale"
    assert "no longer shows" in " ".join(ran.stdout.split())


def test_another_failure_fails_and_another_target_ignores_the_entry(folder: Path) -> None:
    text = (folder / "issues.toml").read_text()
    (folder / "other.toml").write_text(text.replace("==8.4.0", "<8"))
    ran = run(folder, "other", f"--defect={DEFECT}", ledger="other.toml")
    assert ran.exit == 1
    assert [each["id"] for each in ran.document["known_issues"]["ignored"]] == ["XS-1"]
    assert "1 ignored: XS-1: the version is 8.4.0, not <8" in " ".join(ran.stdout.split())


def test_what_cannot_be_replayed_is_blocked_and_what_is_expired_fails(folder: Path) -> None:
    text = (folder / "issues.toml").read_text()
    (folder / "blocked.toml").write_text(text.replace('sr = "sr:main"', 'sr = "sr:nowhere"'))
    ran = run(folder, "blocked", ledger="blocked.toml")
    assert (ran.exit, ran.tests["XS-1"]["verdict"]) == (2, "blocked")
    (folder / "expired.toml").write_text(text.replace("2099-01-31", "2020-01-31"))
    ran = run(folder, "expired", f"--defect={DEFECT}", ledger="expired.toml")
    assert (ran.exit, ran.tests["XS-1"]["verdict"]) == (1, "fail")
    assert ran.tests["XS-1"]["evidence"]["actual"] == "", "it was not tried"
    assert "0 of the ledger replayed, 0 ignored, 1 expired and not tried" in " ".join(ran.stdout.split())
    assert xencbt(folder, "issues", "check", "expired.toml").exit == 1


def test_a_plan_tells_what_would_be_replayed(folder: Path) -> None:
    ran = xencbt(folder, "plan", *CHOSEN, "--known-issues", "issues.toml")
    assert ran.exit == 0, ran.stderr
    assert "ledger replayed first, on disks of up to 4 MiB: known issues XS-1" in " ".join(ran.stdout.split())
    assert "ledger" not in xencbt(folder, "plan", *CHOSEN).stdout


def test_an_entry_is_written_where_the_ledger_really_is_and_for_whom_it_was(folder: Path) -> None:
    (folder / "real").mkdir()
    real, link = folder / "real" / "private.toml", folder / "link.toml"
    real.write_text('schema = "xencbt.issues/1"\n')
    real.chmod(0o600)
    link.symlink_to(real)
    bundle = next((folder / "first" / "bundles").iterdir())
    past = xencbt(folder, "issues", "add", "link.toml", str(bundle), *WHO, "--expires", "2020-01-31")
    assert past.exit == 3
    assert "is past" in past.stderr
    made = xencbt(folder, "issues", "add", "link.toml", str(bundle), *WHO, "--expires", "2099-01-31")
    assert made.exit == 0, made.stderr
    assert link.is_symlink()
    assert "XS-1" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["schema = 1\n", f"schema = {'9' * 5000}\n"], ids=["no ledger", "no number"])
def test_a_ledger_that_cannot_be_read_is_a_usage_error(folder: Path, text: str) -> None:
    (folder / "bad.toml").write_text(text)
    bundle = next((folder / "first" / "bundles").iterdir())
    for words in (
        ("run", *CHOSEN, "--known-issues", "bad.toml"),
        ("issues", "check", "bad.toml"),
        ("issues", "add", "bad.toml", str(bundle), *WHO, "--expires", "2099-01-31"),
        ("issues", "refresh", "bad.toml", "first"),
    ):
        ran = xencbt(folder, *words)
        assert ran.exit == 3
        assert "bad.toml" in ran.stderr


def test_a_partial_run_refreshes_nothing(folder: Path) -> None:
    before = (folder / "issues.toml").read_text()
    run(folder, "partial", f"--defect={DEFECT}")
    ran = xencbt(folder, "issues", "refresh", "issues.toml", "partial")
    assert ran.exit == 3
    assert "partial" in ran.stderr
    assert (folder / "issues.toml").read_text() == before


def test_a_whole_run_refreshes(folder: Path) -> None:
    ran = run(folder, "whole", f"--defect={DEFECT}")
    document = ran.document
    document["selection"] = {"suites": [], "requirements": [], "filtered": False}
    (ran.folder / "events.jsonl").unlink()  # with them, a run.json that says something else is not believed
    (ran.folder / "run.json").write_text(json.dumps(document))
    (folder / "ours.toml").write_text("# ours\n" + (folder / "issues.toml").read_text())
    assert xencbt(folder, "issues", "refresh", "ours.toml", "whole").exit == 0
    assert "# ours" in (folder / "ours.toml").read_text()
    assert "XenServer 8.4.0" in (folder / "ours.toml").read_text().split("seen = ")[1]
    document["tests"] = [
        test | ({"verdict": "stale"} if test["id"] == "issue::XS-1" else {}) for test in document["tests"]
    ]
    (ran.folder / "run.json").write_text(json.dumps(document))
    refreshed = xencbt(folder, "issues", "refresh", "ours.toml", "whole")
    assert "fixed: taken out" in refreshed.stdout
    assert "[[issue]]" not in (folder / "ours.toml").read_text()
    assert xencbt(folder, "issues", "check", "ours.toml").exit == 0
