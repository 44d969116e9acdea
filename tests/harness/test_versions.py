"""Ranges of versions."""

import pytest

from xencbt.harness.errors import UsageError
from xencbt.harness.versions import VersionRange


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("", ["8.4.0", "dev", ""], []),
        (">=8.2, <8.4", ["8.2", "8.2.0", "8.3.9.1"], ["8.1.99", "8.4", "8.4.0", "9", "dev"]),
        ("==8.4", ["8.4", "8.4.0", "8.4.0-rc1"], ["8.4.1", "8"]),
        (">8.9", ["8.10"], ["8.9.0", "8.9"]),
        ("!=8.4, <=9", ["9.0", "8"], ["8.4.0", "9.0.1"]),
    ],
)
def test_versions_are_compared_by_their_numbers(text: str, inside: list[str], outside: list[str]) -> None:
    versions = VersionRange.parse(text)
    assert [each for each in [*inside, *outside] if versions.holds(each)] == inside


@pytest.mark.parametrize("text", ["8.4", "=8", ">=8.x", ">=8,", "~=8", ">= "])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no range"):
        VersionRange.parse(text)
