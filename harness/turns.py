"""Whose turn it is on a host that several workers or runs judge at once, each on an SR of its own.

Most of what a test does stays on its own SR. What does not (a toolstack restart, the licence, an SR of a special kind)
would be seen by the neighbours, and judged as if it were the host's doing: such a test has the host alone. The turns
are locks on two files beside the claims; the kernel lets go of them with the process that holds them.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from xencbt.harness.claim import pool_folder
from xencbt.harness.errors import HarnessError

TURN_DEADLINE_S = 3600.0
"""How long a test may wait for its turn: as long as the longest test of a neighbour takes."""

PAUSE_S = 0.02

OF_THE_WHOLE_HOST = frozenset({"toolstack-restart", "network-purpose", "migrate", "licence", "crash", "control"})
"""Needs of a test whose effects reach beyond its own SR."""

MARK_BYTES = 32
"""What who has the host alone writes into its file, so that neighbours see that somebody had."""

GATE, HOST = "host.gate", "host.turn"


def reaches_beyond(declared: Collection[str] | None) -> bool:
    """Return whether a test with these needs touches more than its own SR; one that declares none may.

    An SR of a special kind is the pool's, and every worker's.
    """
    if declared is None:
        return True
    return any(name in OF_THE_WHOLE_HOST or name.startswith("sr:") for name in declared)


class Turns:
    """The turns on the hosts of one pool, among all runs of this user on this machine."""

    def __init__(self, folder: Path, pool_uuid: str) -> None:
        self._folder = pool_folder(folder, pool_uuid)
        self._seen: bytes | None = None

    @contextmanager
    def taken(self, *, alone: bool, deadline_s: float = TURN_DEADLINE_S) -> Iterator[bool]:
        """Inside, the host is ours beside other tests that keep to their SR, or ours `alone`.

        Gives whether a neighbour had it alone since our last turn, so that nothing is as it was: sessions may have
        ended. Who waits for the host alone stands at the gate, so that neighbours do not go round in front of him for
        ever. Raises HarnessError when the turn does not come by the deadline.
        """
        end = time.monotonic() + deadline_s
        with ExitStack() as held:
            with ExitStack() as at_the_gate:
                at_the_gate.callback(os.close, self._locked(GATE, fcntl.LOCK_EX, end))
                host = self._locked(HOST, fcntl.LOCK_EX if alone else fcntl.LOCK_SH, end)
                held.callback(os.close, host)
            found = os.pread(host, MARK_BYTES, 0)
            disturbed, self._seen = found != self._seen, found
            if alone:
                self._seen = secrets.token_hex(MARK_BYTES // 2).encode()
                os.pwrite(host, self._seen, 0)
            yield disturbed

    def _locked(self, name: str, how: int, end: float) -> int:
        """Open and lock a file; returns its descriptor, whose closing unlocks it."""
        path = self._folder / name
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise HarnessError(f"cannot wait for a turn on the host: {path}: {error.strerror}") from error
        try:
            while True:
                try:
                    fcntl.flock(file, how | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() >= end:
                        raise HarnessError(f"no turn on the host came: {path} is held by a neighbour") from None
                    time.sleep(PAUSE_S)  # between two looks at a condition that has a deadline
                else:
                    return file
        except BaseException:
            os.close(file)
            raise
