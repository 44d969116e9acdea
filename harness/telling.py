"""Standard output whose reader may go away before we are done: `xencbt plan | head`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO, cast


class Patient:
    """A text stream on a file that goes on when nobody reads it any more: what is written then is shown to nobody."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text`; returns its length."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._show_nobody()
            return len(text)

    def flush(self) -> None:
        """Write what is still buffered."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._show_nobody()

    def _show_nobody(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(
            nowhere, self._stream.fileno()
        )  # what is still buffered must go somewhere, at the process's end at last
        os.close(nowhere)


@contextmanager
def told_to_whoever_reads() -> Iterator[None]:
    """Inside, standard output is Patient: what is done, and what comes of it, never depend on how much was read."""
    patient = Patient(sys.stdout)
    with redirect_stdout(cast("TextIO", patient)):
        try:
            yield
        finally:
            patient.flush()
