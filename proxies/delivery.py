"""One call on its way through the interceptor, as the carriers of faults see it."""

from typing import Protocol

from xencbt.harness.outcome import Outcome


class Delivery(Protocol):
    """What a carrier may do with a call; the addon that lets faults strike provides it."""

    @property
    def answer(self) -> Outcome | None:
        """What the host answered; None before it did."""

    def cut(self) -> None:
        """Close the client's connection without an answer; before the host saw the call it never will."""

    async def repeat(self) -> Outcome:
        """Give the host the same bytes once more, on a connection of its own, and return what it answers.

        Raises transport.NotConnected when nothing was sent; an answer that does not come in time is Indeterminate.
        """
