"""Foreign programs that judge the emulated host: where they are missing a test is skipped aloud, or fails."""

import os
import shutil
from pathlib import Path

import pytest

REQUIRED = "XENCBT_TESTS_REQUIRE"
"""Names the programs that must be there, joined by commas: the gate sets it after installing them."""


def require(*programs: str) -> None:
    """Skip the test where one of `programs` is not on PATH; fail it where the gate promised that it is."""
    missing = {program for program in programs if shutil.which(program) is None}
    promised = missing & set(os.environ.get(REQUIRED, "").split(","))
    if promised:
        pytest.fail(f"{REQUIRED} names {', '.join(sorted(promised))}, and it is not on PATH")
    if missing:
        pytest.skip(f"not installed: {', '.join(sorted(missing))}")


NODE_MODULES = "XENCBT_TESTS_NODE_MODULES"
"""Names the folder into which the packages of tests/clients/package.json were installed: its node_modules."""


def require_packages(*names: str) -> Path:
    """Give the folder with these npm packages; skip the test where it is not, fail it where the gate promised it."""
    require("node")
    promised = set(names) & set(os.environ.get(REQUIRED, "").split(","))
    folder = Path(os.environ.get(NODE_MODULES, "/nonexistent"))
    missing = ", ".join(name for name in names if not (folder / name / "package.json").is_file())
    if missing and promised:
        pytest.fail(f"{REQUIRED} names {', '.join(sorted(promised))}; {NODE_MODULES} has no {missing}")
    if missing:
        pytest.skip(f"{NODE_MODULES} names no folder with {missing}: npm ci in a copy of tests/clients makes one")
    return folder
