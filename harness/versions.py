"""Ranges of versions: comparisons with commas, all of which must hold; pure."""

import re
from dataclasses import dataclass

from xencbt.harness.errors import UsageError

_COMPARISON = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(\d{1,9}(?:\.\d{1,9}){0,7})\s*", re.ASCII)
_NUMBERS = re.compile(r"\d{1,9}(?:\.\d{1,9})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class VersionRange:
    """For example `>=8.2, <8.4`; missing numbers count as 0. An empty one holds every version.

    >>> VersionRange.parse(">=8.2, <8.4").holds("8.3.0")
    True
    """

    comparisons: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "VersionRange":
        """Read a range; raises UsageError for what is none."""
        read = []
        for part in text.split(",") if text.strip() else []:
            found = _COMPARISON.fullmatch(part)
            if found is None:
                raise UsageError(f"{text[:80]!r} is no range of versions like '>=8.2, <8.4'")
            read.append((found[1], _numbers(found[2])))
        return cls(tuple(read))

    def holds(self, version: str) -> bool:
        """Tell whether `version` is in the range; one that begins with no number is in the empty range alone."""
        found = _NUMBERS.match(version)
        if found is None:
            return not self.comparisons
        return all(_compares(_numbers(found[0]), sign, wanted) for sign, wanted in self.comparisons)


def _numbers(text: str) -> tuple[int, ...]:
    numbers = [int(part) for part in text.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _compares(version: tuple[int, ...], sign: str, wanted: tuple[int, ...]) -> bool:
    match sign:
        case ">=":
            return version >= wanted
        case "<=":
            return version <= wanted
        case ">":
            return version > wanted
        case "<":
            return version < wanted
        case "==":
            return version == wanted
        case _:
            return version != wanted
