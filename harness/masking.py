"""Secrets are masked where they are recorded, before anything is written."""

import re
import threading
from collections.abc import Iterable

MASK = "•••"
_SESSION_IN_QUERY = re.compile(r"(session_id=)[^&\s\"'<]+")


class Secrets:
    """The strings of this run that must never be written: passwords, session references, tokens.

    Threads may share one.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._longest_first: tuple[str, ...] = ()
        self._adding = threading.Lock()
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Remember `value` as a secret; the empty string is none."""
        with self._adding:  # who masks meanwhile walks over the texts as they were
            if value and value not in self._longest_first:
                self._longest_first = tuple(sorted((*self._longest_first, value), key=len, reverse=True))

    @property
    def longest(self) -> int:
        """The length of the longest secret, in characters."""
        longest_first = self._longest_first
        return len(longest_first[0]) if longest_first else 0

    def mask(self, text: str) -> str:
        """Return `text` with every known secret replaced, longest first, and session tokens in URLs as well."""
        for value in self._longest_first:
            text = text.replace(value, MASK)
        return _SESSION_IN_QUERY.sub(rf"\1{MASK}", text)
