"""What a test did at its target, kept while it runs: the raw material of a witness. It is never written anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from xencbt.harness.outcome import Outcome

MOST_EVENTS = 1500
"""A trace that grows longer is given up: nobody would read its witness."""

NOBODY = 0


@dataclass(frozen=True, slots=True)
class Called:
    """One call of the API. `line` is 0 for the run's own session, else a number for each other session.

    `user` is who was logged in, `disturbed` whether the call went through the interceptor; times as the recorder has
    them, in seconds. `background`: it was made in the background, and everything else tells of the call itself.
    """

    method: str
    params: tuple[object, ...]
    outcome: Outcome
    user: str = ""
    disturbed: bool = False
    line: int = NOBODY
    deadline_s: float | None = None
    began: float = 0.0
    ended: float = 0.0
    background: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """Content that was read in pieces, by its length in bytes and its SHA-256: all that a witness compares."""

    length: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Did:
    """One deed that is no call of the API: a transfer, a guest's write, a condition of the host, a fault armed."""

    what: str
    about: Mapping[str, object] = field(default_factory=dict)
    outcome: Outcome | None = None


Event = Called | Did


class Trace:
    """The events since the test began, without those of earlier examples."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._before_examples: int | None = None
        self.overflowed = False

    def note(self, event: Event) -> None:
        """Keep one event, unless there are too many."""
        if len(self._events) < MOST_EVENTS:
            self._events.append(event)
        else:
            self.overflowed = True

    def forget_example(self) -> None:
        """Drop what the last example did: a new one begins. What was done before the first stays."""
        if self._before_examples is None:
            self._before_examples = len(self._events)
        del self._events[self._before_examples :]
        self.overflowed = False

    def begin(self) -> None:
        """Drop everything: a new test begins."""
        self._events.clear()
        self._before_examples = None
        self.overflowed = False

    @property
    def events(self) -> tuple[Event, ...]:
        """The events, oldest first."""
        return tuple(self._events)
