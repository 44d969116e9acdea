"""Carries out errands side by side, each in a process forked from one that has imported everything."""

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from xencbt.harness.hunting import SAID, Errand, hunt

MOTHER = "xencbt.harness.hunting"
"""What the process that is forked for each errand imports once."""

ENDING_S = 20.0
"""How long a process that was told to end may take to clean up."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How an errand ended: the exit code (negative: a signal), seconds, and why it was made to end, if it was."""

    errand: Errand
    code: int
    seconds: float
    trouble: str = ""

    @property
    def said(self) -> str:
        """The last it said."""
        try:
            lines = (self.errand.folder / SAID).read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


@dataclass(slots=True, eq=False)
class _Running:
    errand: Errand
    process: BaseProcess
    began: float
    trouble: str = ""


class Errands:
    """Carries out errands, at most `at_once` at a time, each within `deadline_s`.

    `ended` gets each one that ended, and returns those that follow from it, which go first. `body` is what the process
    of an errand does.
    """

    def __init__(
        self,
        at_once: int,
        *,
        deadline_s: float,
        ended: Callable[[Ended], Iterable[Errand]],
        body: Callable[[Errand], None] = hunt,
    ) -> None:
        self._at_once = at_once
        self._deadline_s = deadline_s
        self._ended = ended
        self._body = body
        self._running: list[_Running] = []
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload([MOTHER])

    def carry_out(self, errands: Iterable[Errand]) -> None:
        """Carry out all of them and what follows; whatever is raised here ends those that run."""
        waiting = deque(errands)
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self._at_once:
                    self._begin(waiting.popleft())
                for ended in self._over():
                    waiting.extendleft(reversed(list(self._ended(ended))))
        finally:
            self._stop()

    def _begin(self, errand: Errand) -> None:
        process = self._forks.Process(target=self._body, args=(errand,), name=errand.name)
        process.start()
        self._running.append(_Running(errand, process, time.monotonic()))

    def _over(self) -> Iterable[Ended]:
        """Wait until one ends, or is overdue, which ends it."""
        now = time.monotonic()
        patience = min(one.began + self._deadline_s for one in self._running) - now
        wait([one.process.sentinel for one in self._running], timeout=max(0.0, patience))
        now = time.monotonic()
        for one in tuple(self._running):
            if one.process.is_alive() and now - one.began >= self._deadline_s:
                one.trouble = f"it did not come to its end within {self._deadline_s:g} s"
                _end(one.process)
            if not one.process.is_alive():
                self._running.remove(one)
                code = one.process.exitcode
                yield Ended(one.errand, -1 if code is None else code, now - one.began, one.trouble)
                one.process.close()

    def _stop(self) -> None:
        for one in self._running:
            if one.process.is_alive():
                one.process.terminate()
        for one in self._running:
            _end(one.process)
        self._running.clear()


def _end(process: BaseProcess) -> None:
    """End a process as Ctrl-C would, and for sure; an emulated host that it started ends with it."""
    process.terminate()
    process.join(ENDING_S)
    if process.is_alive():
        process.kill()
        process.join()
