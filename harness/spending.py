"""The time a run may take, and the point at which it gives its target up."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

LOST_IN_A_ROW = 5
"""So many calls in a row without an answer, none of them disturbed by us, say that the host is dead."""


@dataclass(slots=True)
class Budget:
    """Seconds that may be spent from now on; None: as many as it takes."""

    seconds: float | None = None
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.seconds is not None and self.clock() - self._began >= self.seconds


@dataclass(slots=True)
class Breaker:
    """Counts calls that were not answered; trips for good at LOST_IN_A_ROW in a row. Threads may share one."""

    limit: int = LOST_IN_A_ROW
    reason: str | None = None
    _lost: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def tripped(self) -> bool:
        """Whether the host was given up."""
        return self.reason is not None

    def answered(self) -> None:
        """Take note of an answer, whatever it said."""
        with self._counting:
            self._lost = 0

    def lost(self, what: str) -> None:
        """Take note that `what` was not answered."""
        with self._counting:
            self._lost += 1
            if self._lost >= self.limit and self.reason is None:
                self.reason = f"the host looks dead: {self._lost} calls in a row were not answered, the last one {what}"
