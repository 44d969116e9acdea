"""A judge that is missing is never taken for one that was content."""

from pathlib import Path

import pytest

from tests.foreign import NODE_MODULES, REQUIRED, require, require_packages

ABSENT = "no-program-of-this-name"


def test_what_is_there_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "sh")
    require("sh")


def test_what_is_missing_is_a_skip_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match=ABSENT):
        require("sh", ABSENT)


def test_what_was_promised_and_is_missing_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, f"sh,{ABSENT}")
    with pytest.raises(pytest.fail.Exception, match=ABSENT):
        require(ABSENT)


@pytest.fixture
def with_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of packages, beside a node that is there."""
    (tmp_path / "bin").mkdir()
    node = tmp_path / "bin" / "node"
    node.touch(0o755)
    monkeypatch.setenv("PATH", str(node.parent))
    monkeypatch.delenv(REQUIRED, raising=False)
    monkeypatch.setenv(NODE_MODULES, str(tmp_path))
    return tmp_path


def test_packages_that_are_there_are_used(with_node: Path) -> None:
    (with_node / "@scope" / "a").mkdir(parents=True)
    (with_node / "@scope" / "a" / "package.json").touch()
    assert require_packages("@scope/a") == with_node


def test_a_missing_package_is_a_skip_that_names_it_or_a_broken_promise(
    with_node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert with_node.is_dir()
    with pytest.raises(pytest.skip.Exception, match=ABSENT):
        require_packages(ABSENT)
    monkeypatch.setenv(REQUIRED, ABSENT)
    with pytest.raises(pytest.fail.Exception, match=ABSENT):
        require_packages(ABSENT)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv(REQUIRED, "node")
    with pytest.raises(pytest.fail.Exception, match="node"):
        require_packages(ABSENT)
