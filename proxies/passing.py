"""What is remembered of calls that passed, for faults that reach beyond their own call. Runs on the proxy's loop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from xencbt.harness.faults import Strike
from xencbt.harness.outcome import Outcome
from xencbt.harness.transport import NotConnected


@dataclass(slots=True)
class Late:
    """A second delivery that waits for `calls` further calls of `session` to be answered."""

    strike: Strike
    session: str | None
    deliver: Callable[[], Awaitable[Outcome]]
    calls: int


@dataclass(slots=True)
class Overtaking:
    """A call held back until another connection's call was answered."""

    connection: str
    session: str | None
    happened: asyncio.Event = field(default_factory=asyncio.Event)


class Passing:
    """What is remembered of calls that passed, for faults that reach beyond their own call."""

    def __init__(self) -> None:
        self._late: list[Late] = []
        self._overtakings: list[Overtaking] = []

    def add_late(self, late: Late) -> None:
        """Deliver `late` when its time has come; where healing comes first, say that it did not."""
        self._late.append(late)
        loop = asyncio.get_running_loop()
        late.strike.watch.at_heal(lambda: loop.call_soon_threadsafe(self._forget, late))

    @contextmanager
    def overtaking(self, connection: str, session: str | None) -> Iterator[Overtaking]:
        """Yield what learns of a call that another connection got an answer to."""
        waiting = Overtaking(connection, session)
        self._overtakings.append(waiting)
        try:
            yield waiting
        finally:
            self._overtakings.remove(waiting)

    async def answered(self, connection: str, session: str | None) -> None:
        """Learn that the host answered a call: those held back go on, and late deliveries that are due are made."""
        for waiting in self._overtakings:
            if waiting.connection != connection and waiting.session == session:
                waiting.happened.set()
        for late in [each for each in self._late if each.session == session]:
            late.calls -= 1
            if late.calls == 0:
                self._late.remove(late)
                why_not = ""
                try:
                    late.strike.fire(await late.deliver())
                except NotConnected as undelivered:
                    why_not = f"no second connection: {undelivered}"
                finally:
                    late.strike.end(why_not)

    def _forget(self, late: Late) -> None:
        if late in self._late:
            self._late.remove(late)
            late.strike.end(f"healed with {late.calls} more calls to be answered before the second delivery")
