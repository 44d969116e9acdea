"""Secrets are masked where they are recorded, before anything is written."""

import re
from collections.abc import Iterable

MASK = "•••"
_SESSION_IN_QUERY = re.compile(r"(session_id=)[^&\s\"'<]+")


class Secrets:
    """The strings of this run that must never be written: passwords, session references, tokens."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        self._longest_first: tuple[str, ...] = ()
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Remember `value` as a secret; the empty string is none."""
        if value and value not in self._values:
            self._values.add(value)
            self._longest_first = tuple(sorted(self._values, key=len, reverse=True))

    @property
    def longest(self) -> int:
        """The length of the longest secret, in characters."""
        return len(self._longest_first[0]) if self._longest_first else 0

    def mask(self, text: str) -> str:
        """Return `text` with every known secret replaced, longest first, and session tokens in URLs as well."""
        for value in self._longest_first:
            text = text.replace(value, MASK)
        return _SESSION_IN_QUERY.sub(rf"\1{MASK}", text)
