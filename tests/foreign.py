"""Foreign programs that judge the emulated host: where they are missing a test is skipped aloud, or fails."""

import os
import shutil

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
