"""Whether the package's files are those that were installed."""

import base64
import hashlib
import json
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from xencbt.harness.integrity import NAMED, digests, hash_of, integrity, own_integrity

FILES = {"__init__.py": b"", "suites/test_enable.py": b"assert True\n", "reports/run.schema.json": b"{}\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the package's folder of a site-packages with its record beside it."""
    package = tmp_path / "xencbt"
    for name, content in FILES.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    info = tmp_path / "xencbt-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: xencbt\nVersion: 0.1.0\n")
    lines = [f"xencbt/{name},sha256={_base64(content)},{len(content)}" for name, content in FILES.items()]
    lines += ["xencbt-0.1.0.dist-info/RECORD,,", "../../../bin/xencbt,sha256=AAAA,3"]
    (info / "RECORD").write_text("\n".join(lines) + "\n")
    return package


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def installed_beside(folder: Path) -> Distribution:
    return Distribution.at(folder.parent / "xencbt-0.1.0.dist-info")


def changed(folder: Path) -> tuple[str, ...]:
    return integrity(folder, installed_beside(folder)).changed


def test_what_was_installed_is_unmodified(folder: Path) -> None:
    found = integrity(folder, installed_beside(folder))
    assert (found.changed, found.modified) == ((), False)


def test_caches_are_none_of_its_files(folder: Path) -> None:
    before = integrity(folder, installed_beside(folder))
    (folder / "suites" / "__pycache__").mkdir()
    (folder / "suites" / "__pycache__" / "test_enable.cpython-312.pyc").write_bytes(b"x")
    assert integrity(folder, installed_beside(folder)) == before


def test_a_changed_a_missing_and_an_added_file_are_named(folder: Path) -> None:
    before = hash_of(digests(folder))
    (folder / "suites" / "test_enable.py").write_text("assert 1\n")
    (folder / "suites" / "test_mine.py").touch()
    (folder / "reports" / "run.schema.json").unlink()
    assert changed(folder) == (
        "reports/run.schema.json is missing",
        "suites/test_enable.py was changed",
        "suites/test_mine.py was not installed",
    )
    assert integrity(folder, installed_beside(folder)).files_hash != before


def test_many_changes_are_counted(folder: Path) -> None:
    for number in range(NAMED + 5):
        (folder / f"more{number:02}.py").touch()
    assert changed(folder)[-1] == "and 5 more"


def test_an_editable_installation_counts_as_modified(folder: Path) -> None:
    said = {"dir_info": {"editable": True}, "url": "file:///somewhere"}
    (folder.parent / "xencbt-0.1.0.dist-info" / "direct_url.json").write_text(json.dumps(said))
    assert changed(folder) == ("the installation is editable: nothing says how its files should be",)


def test_another_folder_than_the_installed_one_counts_as_modified(folder: Path, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow" / "xencbt"
    shadow.mkdir(parents=True)
    found = integrity(shadow, installed_beside(folder))
    assert found.changed == (f"{shadow} is imported instead of the files that were installed",)


def test_the_hash_is_what_sha256sum_gives_of_the_sorted_list(folder: Path) -> None:
    lines = "".join(f"{hashlib.sha256(FILES[name]).hexdigest()}  {name}\n" for name in sorted(FILES))
    assert hash_of(digests(folder)) == hashlib.sha256(lines.encode()).hexdigest()


def test_this_installation_has_a_hash_over_every_room() -> None:
    own = own_integrity()
    assert own is own_integrity()
    rooms = {path.partition("/")[0] for path in digests(Path(__file__).parents[2] / "src" / "xencbt")}
    assert rooms >= {"harness", "suites", "fixtures", "proxies", "reports"}
    assert len(own.files_hash) == 64
