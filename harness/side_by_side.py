"""Processes side by side: each target of a lab is judged by one of its own, and all of them end, however they do."""

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from types import FrameType
from typing import IO

LOOK_S = 0.25
"""How long to wait for a line before looking at the processes themselves."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a process may say nothing, and how long it may take to clean up once it was told to end; seconds."""

    silent_s: float = 3600.0
    ending_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Job:
    """What judges one target: its name, and the command line."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended. `code` is the exit code, negative for a signal, None where it was never begun.

    `trouble` says why it was made to end, empty where it ended by itself; `said` is the last it said.
    """

    name: str
    code: int | None
    duration_s: float
    trouble: str = ""
    said: str = ""


@dataclass(slots=True, eq=False)
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    began: float
    heard: float
    said: str = ""
    trouble: str = ""
    told: float | None = None
    silent: bool = field(default=False)


class SideBySide:
    """Runs jobs, at most `at_once` at a time; `tell` gets each line they say, `ended` each one that ended.

    Every job has a process group of its own, so that a Ctrl-C reaches it once, from here.
    """

    def __init__(
        self,
        at_once: int,
        *,
        environment: Mapping[str, str],
        tell: Callable[[str, str], None],
        ended: Callable[[Ended], None],
        patience: Patience | None = None,
    ) -> None:
        self.interrupted = False
        self._at_once = at_once
        self._environment = dict(environment)
        self._tell = tell
        self._ended = ended
        self._patience = patience or Patience()
        self._running: dict[str, _Running] = {}
        self._heard: SimpleQueue[tuple[str, bytes] | None] = SimpleQueue()
        self._asked = 0

    def run(self, jobs: Sequence[Job]) -> None:
        """Run all of `jobs` to their end; SIGINT and SIGTERM end them early, and a second one at once."""
        waiting = deque(jobs)
        with self._interruptible():
            try:
                while waiting or self._running:
                    while waiting and len(self._running) < self._at_once and not self.interrupted:
                        self._begin(waiting.popleft())
                    while waiting and self.interrupted:
                        self._ended(Ended(waiting.popleft().name, None, 0.0, "interrupted before it began"))
                    self._listen()
                    for running in tuple(self._running.values()):
                        self._look_at(running)
            finally:
                for running in self._running.values():
                    self._kill(running)

    def _begin(self, job: Job) -> None:
        now = time.monotonic()
        process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            job.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            start_new_session=True,
        )
        assert process.stdout is not None
        self._running[job.name] = _Running(job, process, now, now)
        Thread(target=self._read, args=(job.name, process.stdout), daemon=True).start()

    def _read(self, name: str, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                self._heard.put((name, line))
        self._heard.put((name, b""))

    def _listen(self) -> None:
        """Take up what was said, for a moment; returns early after a signal."""
        try:
            heard = self._heard.get(timeout=LOOK_S)
        except Empty:
            return
        if heard is None:
            return
        name, line = heard
        running = self._running.get(name)
        if running is None:
            return
        if not line:
            running.silent = True
            return
        running.heard = time.monotonic()
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            running.said = text
            self._tell(name, text)

    def _look_at(self, running: _Running) -> None:
        """Take up the end of a process, or bring it about where it is overdue."""
        now = time.monotonic()
        if running.process.poll() is not None and (running.silent or now - running.heard > self._patience.ending_s):
            del self._running[running.job.name]
            self._ended(
                Ended(running.job.name, running.process.returncode, now - running.began, running.trouble, running.said)
            )
        elif running.told is not None:
            if now - running.told > self._patience.ending_s or self._asked > 1:
                running.trouble = f"{running.trouble}; it did not end by itself, and was killed"
                self._kill(running)
        elif self.interrupted:
            self._stop(running, "interrupted")
        elif now - running.heard > self._patience.silent_s:
            self._stop(running, f"it hung: nothing was heard of it for {self._patience.silent_s:g} s")

    def _stop(self, running: _Running, why: str) -> None:
        running.trouble, running.told = why, time.monotonic()
        running.process.terminate()

    def _kill(self, running: _Running) -> None:
        """End a process with all it started."""
        running.told = time.monotonic()
        if running.process.poll() is None:
            os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  a signal handler's signature
        self.interrupted = True
        self._asked += 1
        self._heard.put(None)  # a SimpleQueue may be fed from within a signal handler
