"""What was said between the harness and the target, masked, bounded, and counted."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from xencbt.harness.masking import Secrets
from xencbt.harness.spending import Breaker
from xencbt.harness.witness.traces import Event, Trace

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


KEPT_RAW = 4 * KEPT_TEXT
"""Of a longer text only the beginning is kept, masked at once."""

Text = str | Callable[[], str]
"""A text, or what makes it: most exchanges are never read, and need none."""


@dataclass(frozen=True, slots=True)
class _Unread:
    """An exchange as it was recorded: nobody reads it but through `told`, which masks it."""

    number: int
    method: str
    step: Text
    outcome: Text
    started: float
    duration_s: float
    request: "_Body"
    response: "_Body"

    def __repr__(self) -> str:
        return f"_Unread({self.number}, {self.method})"

    def told(self, mask: Callable[[str], str]) -> Exchange:
        return Exchange(
            number=self.number,
            method=self.method,
            step=_cut(mask(_text(self.step))),
            outcome=_cut(mask(_text(self.outcome))),
            started=self.started,
            duration_s=self.duration_s,
            request=self.request.told(mask),
            response=self.response.told(mask),
        )


@dataclass(frozen=True, slots=True)
class _Body:
    """A text, or its masked beginning, that had `length` characters in all."""

    text: str
    length: int

    @classmethod
    def of(cls, text: str, secrets: Secrets) -> "_Body":
        if len(text) <= KEPT_RAW:
            return cls(text, len(text))
        masked = secrets.mask(text[:KEPT_RAW])
        return cls(masked[: max(0, len(masked) - secrets.longest)], len(text))  # half a secret may stand at the end

    def told(self, mask: Callable[[str], str]) -> str:
        masked = mask(self.text)
        if self.length <= KEPT_RAW:
            return _cut(masked)
        return f"{masked[:KEPT_TEXT]}… ({self.length} characters in all)"


class Recorder:
    """Keeps the latest exchanges and counts them all; they are given through `secrets` only.

    They are masked when they are read, which few ever are: then with what has become known as a secret since as well.

    Sessions in several threads may share one: each exchange has a number of its own, in the order of the answers.
    """

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets
        self.calls = 0
        self.breaker = Breaker()
        self.trace = Trace()
        self._kept: deque[_Unread] = deque(maxlen=KEPT_EXCHANGES)
        self._aside = 0
        self._untraced = 0
        self._recording = threading.Lock()

    def record(
        self, *, method: str, step: Text, outcome: Text, started: float, duration_s: float, request: str, response: str
    ) -> int:
        """Count and keep one exchange; returns its number."""
        sent, received = _Body.of(request, self.secrets), _Body.of(response, self.secrets)
        with self._recording:
            self.calls += 1
            if not self._aside:
                self._kept.append(_Unread(self.calls, method, step, outcome, started, duration_s, sent, received))
            return self.calls

    def note(self, event: Event) -> None:
        """Keep, unmasked and in memory alone, what a witness of a failure is made from."""
        with self._recording:
            if not self._aside and not self._untraced:
                self.trace.note(event)

    @contextmanager
    def untraced(self) -> Iterator[None]:
        """Record what is exchanged meanwhile, but keep none of it for a witness: it is told there in another way."""
        self._untraced += 1
        try:
            yield
        finally:
            self._untraced -= 1

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
        self.trace.forget_example()

    def begin_test(self) -> None:
        """Drop everything: a new test begins, and its calls are counted from 1."""
        self._kept.clear()
        self.trace.begin()
        self.calls = 0

    @property
    def kept(self) -> tuple[Exchange, ...]:
        """The latest exchanges, oldest first."""
        return tuple(exchange.told(self.secrets.mask) for exchange in self._kept)


def _text(text: Text) -> str:
    return text if isinstance(text, str) else text()


def _cut(text: str) -> str:
    return text if len(text) <= KEPT_TEXT else f"{text[:KEPT_TEXT]}… ({len(text)} characters in all)"
