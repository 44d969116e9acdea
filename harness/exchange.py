"""What was said between the harness and the target, masked, bounded, and counted."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from xencbt.harness.masking import Secrets
from xencbt.harness.spending import Breaker

KEPT_EXCHANGES = 200
"""How many of the latest exchanges of a test (or of its latest example) are kept as evidence."""

KEPT_TEXT = 4096
"""How many characters of a request or an answer are kept; the rest is cut and said so."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call as it went: masked and cut, so that it can be written anywhere.

    `number` counts the calls of the test from 1; `step` is the call as a person would write it, `outcome` what came of
    it in words, `request` and `response` the bodies. Times in seconds, `started` since the recorder was made.
    """

    number: int
    method: str
    step: str
    outcome: str
    started: float
    duration_s: float
    request: str = ""
    response: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the exchange as plain JSON data."""
        return asdict(self)


class Recorder:
    """Keeps the latest exchanges and counts them all; everything passes through `secrets` first.

    Sessions in several threads may share one: each exchange has a number of its own, in the order of the answers.
    """

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets
        self.calls = 0
        self.breaker = Breaker()
        self._kept: deque[Exchange] = deque(maxlen=KEPT_EXCHANGES)
        self._aside = 0
        self._recording = threading.Lock()

    def record(
        self, *, method: str, step: str, outcome: str, started: float, duration_s: float, request: str, response: str
    ) -> Exchange:
        """Mask, cut, count and keep one exchange."""
        step, outcome, request, response = (
            _cut(self.secrets.mask(text)) for text in (step, outcome, request, response)
        )
        with self._recording:
            self.calls += 1
            exchange = Exchange(self.calls, method, step, outcome, started, duration_s, request, response)
            if not self._aside:
                self._kept.append(exchange)
            return exchange

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Count but do not keep what is exchanged meanwhile: cleaning up is no step of a failing example."""
        self._aside += 1
        try:
            yield
        finally:
            self._aside -= 1

    def forget(self) -> None:
        """Drop the kept exchanges (a new example begins); the count goes on."""
        self._kept.clear()

    def begin_test(self) -> None:
        """Drop everything: a new test begins, and its calls are counted from 1."""
        self._kept.clear()
        self.calls = 0

    @property
    def kept(self) -> tuple[Exchange, ...]:
        """The latest exchanges, oldest first."""
        return tuple(self._kept)


def _cut(text: str) -> str:
    return text if len(text) <= KEPT_TEXT else f"{text[:KEPT_TEXT]}… ({len(text)} characters in all)"
