"""Sessions that race each other: what each calls, what came of it when, and whether a serial order explains it all.

What is drawn are their programs; how the calls interleave is the host's business, but where one call is made to
overtake another.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xencbt.harness.bitmap import BLOCK
from xencbt.harness.errors import HarnessError
from xencbt.harness.faults import Planned, Reordered
from xencbt.harness.model import Disable, Enable, Snapshot, State, Write
from xencbt.harness.outcome import Ok
from xencbt.harness.verdicts import Violation
from xencbt.suites.play import Play
from xencbt.suites.runners import Deed, Program, Runner
from xencbt.suites.serial import History, explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from xencbt.fixtures.disks import Disk
    from xencbt.fixtures.lab import Lab
    from xencbt.harness.disturbing import Faults

ARRIVING_S, ARRIVING_PAUSE_S = 30.0, 0.002
"""How long a call may take to the place where it is held back, and how often is looked whether it came."""


class Race:
    """Disks that are raced for: each tracked, with a baseline and one change since; `untracked` ones never enabled.

    >>> race = Race(lab, ["disk"])
    >>> race.run([[Deed(Verb.ENABLE, "disk")], [Deed(Verb.DISABLE, "disk")]])
    >>> race.judge()
    """

    def __init__(self, lab: Lab, disks: Sequence[str], *, untracked: Sequence[str] = ()) -> None:
        """Create the disks; raises Blocked where the host refuses."""
        self.lab = lab
        self.play = Play(lab)
        self._runs = 0
        with lab.precondition("disks with a baseline and a change"):
            for name in disks:
                self.play.create(name)
                if name not in untracked:
                    self.play.do(Enable(name))
                self.play.do(Snapshot(name, f"{name}.0"))
                self.play.do(Write(name, 3 * BLOCK, 1))

    def run(self, programs: Sequence[Program]) -> History:
        """Let each program run in a session of its own, all at once, and follow what came of them.

        Raises Violation of FAULT-07 where no serial order explains the outcomes.
        """
        sessions = [self.lab.open_session() for _ in programs]
        together = threading.Barrier(len(programs))
        runners = [
            Runner(f"s{number}", session, self.play.disks, together, program)
            for number, (session, program) in enumerate(zip(sessions, programs, strict=True))
        ]
        try:
            with ThreadPoolExecutor(len(runners)) as threads:
                running = [threads.submit(runner.run) for runner in runners]
            for each in running:
                each.result()
        finally:
            for runner in runners:
                runner.give_up_intents()
            for session in sessions:
                session.close()
        history = [operation for runner in runners for operation in runner.history]
        self._follow(history, [runner.made for runner in runners])
        return history

    def overtaken(self, faults: Faults, held: Deed, first: Deed) -> History:
        """Make two calls of one session over a connection each: `held` is overtaken by `first` on its way to the host.

        Follows what came of them: `first` and then `held`. Raises Violation of FAULT-07 where that does not explain it,
        NotExercised where nothing was overtaken.
        """
        self._runs += 1
        session = faults.session()
        beside = session.over_another_connection()
        alone = threading.Barrier(1)
        late = Runner(f"late {self._runs}", session, self.play.disks, alone, [held])
        early = Runner(f"early {self._runs}", beside, self.play.disks, alone, [first])
        planned = Planned(Reordered(), held.verb.method)
        try:
            with ThreadPoolExecutor(1) as threads, faults.armed(session, planned) as armed:
                running = threads.submit(late.run)
                self._held(lambda: armed.receipts[0].matched > 0)
                early.run()
                running.result()
        finally:
            late.give_up_intents()
            early.give_up_intents()
            beside.abandon()
        passed = max(operation.returned or operation.invoked for operation in early.history)
        history = [*early.history, *(operation.after(passed) for operation in late.history)]
        self._follow(history, [early.made, late.made])
        return history

    @staticmethod
    def _held(arrived: Callable[[], bool]) -> None:
        end = time.monotonic() + ARRIVING_S
        while not arrived():
            if time.monotonic() >= end:
                raise HarnessError("the call that was to be held back did not come to the interceptor")
            time.sleep(ARRIVING_PAUSE_S)  # between two looks at a condition that has a deadline

    def judge(self) -> None:
        """Expect one of the states that are possible: every status, every listing, and nothing locked.

        Then each disk is used as if nothing had been: what a race leaves locked or half done would show now.
        """
        self._read("the race")
        disks = [name for name in self.play.disks if "." not in name]
        with _of("FAULT-03"):
            for name in disks:
                self.play.do(Write(name, 5 * BLOCK, 1))
                self.play.do(Snapshot(name, f"{name}.after"))
            self.play.listings()
            for name in disks:
                self.play.do(Disable(name))
                self.play.do(Enable(name))

    def _follow(self, history: History, made: Iterable[Mapping[str, Disk]]) -> None:
        states = explained(self.play.model.states, history, self.lab.profile)
        if not states:
            raise Violation(
                "no serial order explains what the calls of several sessions answered",
                expected=("the outcomes of the same calls, one after the other in some order",),
                actual="; ".join(self._told(history)),
                requirements=("FAULT-07",),
            )
        for disks in made:
            self.play.disks.update(disks)
        for name in list(self.play.disks):
            states = self._decided(name, states)
        self.play.model.raced(states)

    def _decided(self, name: str, states: tuple[State, ...]) -> tuple[State, ...]:
        """Return the states that are left once it was looked whether the disk is still there, where that is open."""
        there = [name in state.disks for state in states]
        exists = there[0]
        if len(set(there)) > 1:
            exists = isinstance(self.lab.session.call("VDI.get_uuid", self.play.disks[name].ref), Ok)
        if not exists:
            self.lab.journal.removed_ref(self.play.disks.pop(name).ref)
        return tuple(state for state in states if (name in state.disks) is exists)

    def _told(self, history: History) -> list[str]:
        begun = min(operation.invoked for operation in history)
        return [
            self.lab.mask(
                f"{1000 * (one.invoked - begun):.1f} ms to "
                f"{'…' if one.returned is None else f'{1000 * (one.returned - begun):.1f} ms'}: {one.what}"
            )
            for one in sorted(history, key=lambda operation: operation.invoked)
        ]

    def _read(self, after: str) -> None:
        with _of("FAULT-07"):
            self.play.check_status(after)


@contextmanager
def _of(row: str) -> Iterator[None]:
    """Let a violation inside say that it breaks `row`: single calls would have been right."""
    try:
        yield
    except Violation as violation:
        violation.requirements = (row,)
        raise
