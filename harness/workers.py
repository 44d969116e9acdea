"""The workers of a run: how they end when the run is interrupted. Nothing that they created may be left for it.

Left alone, xdist gives a worker some seconds and then kills it, whatever it has still to remove.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import pytest

ENDING_S = 90.0
"""How long workers may take to remove what they created."""

PLACE = "cbt_workers"
"""The key of a worker's input under which it finds the folder for its process id."""


class Workers:
    """What the process that the user started knows of its workers."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory()
        self._nodes: list[Any] = []

    def begin(self, node: Any) -> None:
        """Take up a worker that is about to be started: a node of xdist."""
        node.workerinput[PLACE] = self._folder.name
        self._nodes.append(node)

    def interrupt(self, config: pytest.Config, finished: Callable[[Any], None], deadline_s: float = ENDING_S) -> None:
        """Have every worker end as by Ctrl-C, and hear what they tell until the last is done, or the time is over.

        `finished` gets the node of each that came to its end.
        """
        living = [node for node in self._nodes if hasattr(node, "workerinfo") and not hasattr(node, "workeroutput")]
        pending = {node.gateway.id for node in living if self._signalled(node.gateway.id)}
        session = config.pluginmanager.getplugin("dsession")
        end = time.monotonic() + deadline_s
        while pending and time.monotonic() < end:
            try:
                name, told = session.queue.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                return
            if name == "testreport":
                config.hook.pytest_runtest_logreport(report=told["rep"])
            elif name in {"workerfinished", "errordown"}:
                pending.discard(told["node"].gateway.id)
                if name == "workerfinished":
                    finished(told["node"])

    def close(self) -> None:
        """Forget the workers, which have ended."""
        self._folder.cleanup()

    def _signalled(self, worker: str) -> bool:
        try:
            os.kill(int((Path(self._folder.name) / worker).read_text()), signal.SIGINT)
        except (OSError, ValueError):  # it has not begun, or has ended
            return False
        return True


def worker_begins(config: pytest.Config) -> None:
    """Tell the other process, from within a worker, where to send an interrupt, and be ready for one, and only one.

    At a terminal, Ctrl-C reaches a worker as well, and a second interrupt would break its cleaning up.
    """
    told: dict[str, Any] = config.workerinput  # type: ignore[attr-defined]  # xdist gives it to its workers
    signal.signal(signal.SIGINT, _once)
    (Path(told[PLACE]) / told["workerid"]).write_text(str(os.getpid()))


def _once(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  the signature of a signal handler
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
