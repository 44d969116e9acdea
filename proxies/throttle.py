"""A connection whose bytes go out slowly: what `slow-drip` puts in place of a client's writer."""

import asyncio
from collections.abc import Callable
from typing import Any


class Throttled:
    """Writes `chunk` bytes every `pause_s` seconds; has everything else from the writer it stands for.

    `done` is called when all that was written is out: from then on the writer may take its place again. `hurry` lets
    the rest go at once.
    """

    def __init__(self, writer: asyncio.StreamWriter, chunk: int, pause_s: float, done: Callable[[], None]) -> None:
        self._writer = writer
        self._chunk = chunk
        self._pause_s = pause_s
        self._done = done
        self._waiting = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    def write(self, data: bytes) -> None:
        """Take `data`, to be written by and by."""
        self._waiting += data
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._pause_s, self._next)

    def close(self) -> None:
        """Close the connection when everything is out."""
        self._closing = True
        if not self._waiting:
            self._finish()

    def is_closing(self) -> bool:
        """Whether nothing more is going to be written."""
        return self._closing or self._writer.is_closing()

    def hurry(self) -> None:
        """Write all that waits now."""
        self._chunk = max(1, len(self._waiting))
        if self._timer is not None:
            self._timer.cancel()
            self._next()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def _next(self) -> None:
        self._timer = None
        part = bytes(self._waiting[: self._chunk])
        del self._waiting[: self._chunk]
        self._writer.write(part)
        if self._waiting and not self._writer.is_closing():
            self._timer = asyncio.get_running_loop().call_later(self._pause_s, self._next)
        else:
            self._finish()

    def _finish(self) -> None:
        self._done()
        if self._closing:
            self._writer.close()
