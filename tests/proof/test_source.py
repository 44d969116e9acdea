"""What a result about a test depends on: its module of the suites, and all that it comes to import."""

from pathlib import Path

import pytest

from tests.proof import source


@pytest.fixture
def suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    texts = {
        "test_disks": "from xencbt.suites.disks import made\nfrom xencbt.harness.outcome import Ok\n",
        "disks": "import re\nfrom xencbt.suites import words\n",
        "words": "WORDS = 1\n",
        "other": "from xencbt.suites.words import WORDS\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(source, "SUITES", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "matters"), [("test_disks", True), ("disks", True), ("words", True), ("other", False)]
)
def test_what_is_imported_counts_and_nothing_else(suites: Path, changed: str, matters: bool) -> None:
    source.closure_hash.cache_clear()
    before = source.closure_hash("test_disks")
    with (suites / f"{changed}.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    source.closure_hash.cache_clear()
    assert (source.closure_hash("test_disks") != before) is matters
    source.closure_hash.cache_clear()
