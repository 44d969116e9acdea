"""A second delivery of a request that was already delivered: the same bytes and headers on a connection of its own."""

import asyncio
from contextlib import closing
from dataclasses import dataclass

from xencbt.harness.endpoint import Endpoint
from xencbt.harness.outcome import Indeterminate, Outcome
from xencbt.harness.transport import Channel, Deadline, NoAnswer, NotConnected, read_all, receive, send
from xencbt.proxies.answers import outcome_of


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP/1 request as it went to the host; `headers` in their order, `body` without transfer framing."""

    method: str
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def as_bytes(self) -> bytes:
        """Return what goes over the wire; a body of chunks goes as one chunk."""
        fields = b"".join(name + b": " + value + b"\r\n" for name, value in self.headers)
        body = self.body
        if any(name.lower() == b"transfer-encoding" and b"chunked" in value.lower() for name, value in self.headers):
            body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        return f"{self.method} {self.path} HTTP/1.1\r\n".encode("latin-1") + fields + b"\r\n" + body


def deliver(request: Request, upstream: Endpoint, timeout_s: float) -> Outcome:
    """Send `request` on a new connection, once, and read the answer; no usable one is Indeterminate. Blocks.

    Raises NotConnected when nothing was sent, for example because the host's certificate does not verify.
    """
    deadline = Deadline(timeout_s)
    with closing(Channel(upstream)) as channel:
        try:
            with channel.exchange(request.method, deadline) as sock:
                send(sock, [request.as_bytes()], deadline)
                with receive(sock, request.method, deadline) as response:
                    return outcome_of(response.status, read_all(response))
        except NotConnected:
            raise
        except NoAnswer as lost:
            return Indeterminate(str(lost))


async def deliver_again(request: Request, upstream: Endpoint, timeout_s: float) -> Outcome:
    """Do as `deliver` does, without blocking the loop."""
    return await asyncio.to_thread(deliver, request, upstream, timeout_s)
