"""The house stands as ARCHITECTURE.md says."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def modules_of(room: str) -> set[str]:
    return {path.stem for path in (ROOT / room).iterdir() if not path.name.startswith("__")}


def test_the_import_rules_know_every_module_of_the_core() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    *tops, core = [
        {name.strip().removeprefix("xencbt.harness.") for name in re.split(r" [:|] ", row)} for row in layers
    ]
    assert core == modules_of("harness") - set().union(*tops)


def test_every_room_is_part_of_the_one_package() -> None:
    links = {path.name: path for path in (ROOT / "src" / "xencbt").iterdir() if path.is_symlink()}
    assert set(links) == {"harness", "suites", "fixtures", "proxies", "reports"}
    assert all(path.resolve() == ROOT / name for name, path in links.items())


def test_only_proxies_import_mitmproxy() -> None:
    importing = [
        path.relative_to(ROOT)
        for room in ("harness", "suites", "fixtures", "reports", "proxies")
        for path in (ROOT / room).rglob("*.py")
        if any(line.startswith(("import mitmproxy", "from mitmproxy")) for line in path.read_text().splitlines())
    ]
    assert importing
    assert {path.parts[0] for path in importing} == {"proxies"}
