"""One call on its way through the interceptor, as the carriers of faults see it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from xencbt.harness.faults import Call
from xencbt.harness.outcome import Outcome


class Delivery(Protocol):
    """What a carrier may do with a call; the addon that lets faults strike provides it.

    A carrier says `fired` at the moment when it disturbs something, and returns when nothing more is to be done. Bodies
    are bytes as they are on the wire, times are seconds.
    """

    @property
    def call(self) -> Call:
        """The call."""

    @property
    def answer(self) -> Outcome | None:
        """What the host answered; None before it did."""

    @property
    def body(self) -> bytes:
        """The body of the host's answer; empty before it answered."""

    @property
    def address(self) -> str:
        """The host and port that the client called."""

    def fired(self, answer: Outcome | None = None, byte: int | None = None) -> None:
        """Note the firing: with what only the fault saw of the host's answer, and where in the body it struck."""

    def failed(self, why: str) -> None:
        """Note why the fault cannot strike at this call."""

    def cut(self) -> None:
        """Close the client's connection without an answer; before the host saw the call it never will."""

    def reset(self) -> None:
        """Reset the client's connection without an answer; before the host saw the call it never will."""

    def reply(self, status: int, body: bytes, content_type: str = "text/xml") -> None:
        """Answer the client so; before the host saw the call it never will."""

    def rewrite(self, body: bytes, length: int | None = None) -> None:
        """Put `body` in place of the answer's, under a Content-Length of `length` (None: the right one)."""

    def close_afterwards(self, *, reset: bool = False) -> None:
        """Close the client's connection once the answer is out."""

    def drip(self, chunk: int, pause_s: float) -> None:
        """Let the answer go out `chunk` bytes at a time, with a pause in between; healing lets the rest go at once."""

    async def hold(self, seconds: float | None = None) -> bool:
        """Wait for `seconds` (None: for ever), or until the fault is healed or the client is gone.

        Return whether the time passed.
        """

    async def overtaken(self) -> bool:
        """Wait until the host has answered a later call over another connection; False where healing came first."""

    async def repeat(self) -> Outcome:
        """Give the host the same bytes once more, on a connection of its own, and return what it answers.

        Raises transport.NotConnected when nothing was sent; an answer that does not come in time is Indeterminate.
        """

    async def ask(self, method: str, *params: str | Sequence[str]) -> Outcome:
        """Make another call in the client's session, on a connection of its own, and return what the host answers."""

    def at_heal(self, undo: Callable[[], Awaitable[object]]) -> None:
        """Undo what outlasts the call when the plan is healed."""

    def repeat_after(self, calls: int) -> None:
        """Give the host the same bytes once more when it has answered `calls` further calls of the session."""

    async def refuse_connections(self, seconds: float | None) -> None:
        """Refuse every connection for `seconds` (None: until healed), and hang up those that are open."""

    async def show_certificate(self, certificate: str) -> None:
        """Hang up, and show whoever connects over TLS the certificate of that name, until healed."""
