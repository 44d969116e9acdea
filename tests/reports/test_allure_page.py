"""One page by the program `allure`: a stand-in for it here, the real one in test_in_browser."""

import json
import sys
from pathlib import Path

import pytest

from tests.reports.events import FAILURE, finding, run_started, whole_run
from tests.reports.folders import left_by
from xencbt.harness.catalogue import catalogue_hash
from xencbt.harness.cli import main
from xencbt.reports.allure_page import POLICY, NoAllure, without_tracking

TRACKED = """<!DOCTYPE html><html><head><title>x</title></head><body>
<script src="data:text/javascript;base64,AAAA"></script>
<script async src="https://tracker.invalid/gtag/js?id=G-1"></script>
<script>
  window.dataLayer = window.dataLayer || [];
  gtag('js', new Date());
</script>
<script defer>widgets("MINE")</script></body></html>"""

STAND_IN = f"""#!{sys.executable}
import json, os, pathlib, sys
if sys.argv[1:] == ["--version"]:
    print(os.environ.get("STAND_IN_VERSION", "3.18.0"))
    sys.exit()
if os.environ.get("STAND_IN_FAILS"):
    sys.exit("it broke")
folder = pathlib.Path(sys.argv[sys.argv.index("--cwd") + 1])
text = (folder / "allurerc.mjs").read_text()
told = json.loads(text.removeprefix("export default ").rstrip().rstrip(";"))
results = sorted(path.name for path in (folder / sys.argv[-1]).iterdir() if path.name.endswith("-result.json"))
history = pathlib.Path(told["historyPath"])
with history.open("a") as file:
    file.write(json.dumps({{"name": told["name"], "results": len(results)}}) + "\\n")
page = pathlib.Path(told["output"])
page.mkdir()
secrets = [name for name in os.environ if name.startswith("XENCBT_")]
(page / "index.html").write_text({TRACKED!r}.replace("MINE", f"{{len(results)}} {{secrets}}"))
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "allure").write_text(STAND_IN, encoding="utf-8")
    (folder / "allure").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XENCBT_PASSWORD", "hunter2")


def run_in(folder: Path, **changes: object) -> Path:
    suite = {"version": "0.1.0", "catalogue_hash": catalogue_hash()}
    return left_by([run_started(suite=suite, **changes), *whole_run(FAILURE, finding("ENABLE-02"))[1:]], folder)


def history(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "allure-history.jsonl").read_text().splitlines()]


@pytest.mark.usefixtures("program")
def test_the_page_is_made_without_what_tracks_its_readers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_in(tmp_path / "run")
    assert main(["allure", str(folder)]) == 0
    page = (folder / "allure.html").read_text(encoding="utf-8")
    assert "tracker.invalid" not in page
    assert "gtag" not in page
    assert 'widgets("2 []")' in page, "both results, and none of our secrets in the environment"
    assert f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}">' in page
    assert "allure.html" in capsys.readouterr().out


@pytest.mark.usefixtures("program")
def test_history_is_kept_over_runs_and_holds_each_once(tmp_path: Path) -> None:
    first, second = run_in(tmp_path / "1"), run_in(tmp_path / "2", time="2026-03-02T10:00:00+00:00")
    for folder in (first, second, second):
        assert main(["allure", str(folder)]) == 0
    names = [str(line["name"]) for line in history(tmp_path)]
    assert [name.partition(", ")[2] for name in names] == [
        "2026-03-01T10:00:00+00:00, seed 42",
        "2026-03-02T10:00:00+00:00, seed 42",
    ]


@pytest.mark.usefixtures("program")
def test_a_program_that_fails_leaves_page_and_history_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_in(tmp_path / "run")
    assert main(["allure", str(folder)]) == 0
    before = (folder / "allure.html").read_bytes(), history(tmp_path)
    monkeypatch.setenv("STAND_IN_FAILS", "1")
    assert main(["allure", str(folder)]) == 4
    assert "failed with exit code 1: it broke" in capsys.readouterr().err
    assert ((folder / "allure.html").read_bytes(), history(tmp_path)) == before


@pytest.mark.usefixtures("program")
def test_another_version_is_refused_with_the_way_to_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAND_IN_VERSION", "2.30.0")
    assert main(["allure", str(run_in(tmp_path / "run"))]) == 4
    assert "is version 2.30.0, this needs 3.18.0: npm install --global allure@3.18.0" in capsys.readouterr().err


def test_where_it_is_not_installed_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["allure", str(run_in(tmp_path / "run"))]) == 4
    assert "`allure` is not on PATH: npm install --global allure@3.18.0" in capsys.readouterr().err


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize("damage", ["cut", "foreign", "newer", "tampered"])
def test_a_run_that_cannot_be_believed_is_refused(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run_in(tmp_path / "run") / "run.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        {
            "cut": text[:300],
            "foreign": "{}",
            "newer": text.replace("xencbt.run/1", "xencbt.run/2"),
            "tampered": text.replace("enabling twice lost", "enabling twice kept"),
        }[damage],
        encoding="utf-8",
    )
    assert main(["allure", str(tmp_path / "run")]) == 3
    assert capsys.readouterr().err.startswith("xencbt: ")
    assert not (tmp_path / "run" / "allure.html").exists()


@pytest.mark.usefixtures("program")
def test_a_history_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("precious", encoding="utf-8")
    assert main(["allure", str(run_in(tmp_path / "run")), "--history", str(tmp_path / "mine")]) == 3
    assert "is no history of Allure" in capsys.readouterr().err
    assert (tmp_path / "mine").read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize(
    "page",
    [
        TRACKED.replace("<body>", '<body><link rel="stylesheet" href="https://fonts.invalid/x.css">'),
        TRACKED.replace("<body>", "<body><img src=//tracker.invalid/p.gif>"),
        TRACKED.replace("<head>", "<header>"),
    ],
)
def test_a_page_that_would_load_something_else_is_refused(page: str) -> None:
    with pytest.raises(NoAllure, match="not as version"):
        without_tracking(page)
