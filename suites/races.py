"""Sessions that race each other: what each calls, what came of it when, and whether a serial order explains it all.

Each session is a thread's own. What is drawn are their programs; how the calls interleave is the host's business.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from xencbt.harness.bitmap import BLOCK
from xencbt.harness.expectations import judge
from xencbt.harness.linearizing import Operation, final_states
from xencbt.harness.model import Destroy, Disable, Enable, Snapshot, State, Write
from xencbt.harness.model.allowing import allowed
from xencbt.harness.model.following import successors
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.session import clock
from xencbt.harness.verdicts import Violation
from xencbt.suites.play import Play
from xencbt.suites.wording import words

if TYPE_CHECKING:
    from xencbt.fixtures.disks import Disk
    from xencbt.fixtures.lab import Lab
    from xencbt.harness.profiles import Profile
    from xencbt.harness.session import Session

TOGETHER_S = 30.0
"""How long a session waits for the others before the race."""

BUSY = "OTHER_OPERATION_IN_PROGRESS"
"""What a host may answer that lets no calls wait: then nothing happened."""


class Verb(StrEnum):
    """What a session may do in a race."""

    ENABLE = "enable_cbt"
    DISABLE = "disable_cbt"
    SNAPSHOT = "snapshot"
    DESTROY = "destroy"
    """Destroy the disk's baseline, which only one session can."""
    DESTROY_OWN = "destroy own"
    """Destroy the snapshot that the session took last, where there is one."""
    READ = "get_cbt_enabled"


@dataclass(frozen=True, slots=True)
class Deed:
    """One call of a program: the verb, and the name of the disk that it is about."""

    verb: Verb
    disk: str


Program = Sequence[Deed]
"""What one session calls, one call after the other."""


@dataclass(frozen=True, slots=True)
class Reading:
    """VDI.get_cbt_enabled."""

    disk: str


Called = Enable | Disable | Snapshot | Destroy | Reading
"""What was called, about disks and snapshots by their names in the play."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A call with its outcome, as `explained` judges it."""

    called: Called
    outcome: Outcome

    def __str__(self) -> str:
        what = f"get_cbt_enabled({self.called.disk})" if isinstance(self.called, Reading) else words(self.called)
        value = self.outcome.value if isinstance(self.outcome, Ok) and isinstance(self.called, Reading) else ""
        return f"{what}: {self.outcome}{f' {value}' if value != '' else ''}"


History = Sequence[Operation[Answered]]


def explained(initial: Iterable[State], history: History, profile: Profile) -> tuple[State, ...]:
    """Return the states that the serial orders explaining `history` end in; none where it is no serial outcome.

    It began in one of the `initial` states.

    Disks that have nothing to do with each other are judged for themselves: one by one is as good as all at once, and
    far less work.
    """
    states = tuple(initial)
    for family in _families(history):
        states = tuple(
            after
            for state in states
            for after in final_states(state, family, lambda before, call: _following(before, call, profile))
        )
    return states


def _families(history: History) -> list[list[Operation[Answered]]]:
    """Part the calls by the disk that they are about, or whose snapshot it is: `a.…` is made of `a`."""
    found: dict[str, list[Operation[Answered]]] = {}
    for operation in history:
        found.setdefault(operation.what.called.disk.partition(".")[0], []).append(operation)
    return list(found.values())


def _following(state: State, call: Answered, profile: Profile) -> Iterable[State]:
    """Return the states that follow where the call has that outcome in `state`: none where it cannot have it."""
    called, outcome = call.called, call.outcome
    if isinstance(outcome, Failed) and outcome.code == BUSY:
        return (state,)
    if called.disk not in state.disks:
        gone = isinstance(outcome, Indeterminate) or (isinstance(outcome, Failed) and outcome.code == "HANDLE_INVALID")
        return (state,) if gone else ()
    if isinstance(called, Reading):
        right = isinstance(outcome, Indeterminate) or outcome == Ok(state.disk(called.disk).enabled)
        return (state,) if right else ()
    expectation = allowed(state, called)
    if isinstance(outcome, Failed):
        return (state,) if judge(outcome, expectation, profile).allowed else ()
    return successors(state, called) if expectation.succeeds else ()


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
        self._sessions: list[Session] = []
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


class Runner:
    """One session's part of a race, and what came of it."""

    def __init__(
        self, name: str, session: Session, disks: Mapping[str, Disk], together: threading.Barrier, program: Program
    ) -> None:
        self.history: list[Operation[Answered]] = []
        self.made: dict[str, Disk] = {}
        self._name = name
        self._session = session
        self._disks = dict(disks)
        self._together = together
        self._program = program
        self._intents = [disks[deed.disk].intend("snapshot") for deed in program if deed.verb is Verb.SNAPSHOT]

    def run(self) -> None:
        """Wait for the others, then call; to be run in a thread of its own."""
        try:
            self._together.wait(TOGETHER_S)
            for deed in self._program:
                self._do(deed)
        except BaseException:
            self._together.abort()
            raise

    def give_up_intents(self) -> None:
        """Journal that the snapshots which were never asked for are not there."""
        while self._intents:
            next(iter(self._disks.values())).lab.journal.refused(self._intents.pop())

    def _do(self, deed: Deed) -> None:
        match deed.verb:
            case Verb.ENABLE:
                self._call(Enable(deed.disk), "enable_cbt")
            case Verb.DISABLE:
                self._call(Disable(deed.disk), "disable_cbt")
            case Verb.READ:
                self._call(Reading(deed.disk), "get_cbt_enabled")
            case Verb.SNAPSHOT:
                self._snapshot(deed.disk)
            case Verb.DESTROY:
                self._destroy(f"{deed.disk}.0")
            case Verb.DESTROY_OWN:
                own = [name for name in self.made if name.startswith(f"{deed.disk}.")]
                if own:
                    self._destroy(own[-1])

    def _snapshot(self, source: str) -> None:
        name = f"{source}.{self._name}.{len(self.history)}"
        token, disk = self._intents.pop(), self._disks[source]
        outcome = self._call(Snapshot(source, name), "snapshot", {})
        made = disk.made_of(token, outcome, self._session)
        if made is not None:
            self._disks[name] = self.made[name] = made
            latest = self.history[-1]
            told = Answered(Snapshot(source, name, made.ref), outcome)
            self.history[-1] = replace(latest, what=told)

    def _destroy(self, name: str) -> None:
        if isinstance(self._call(Destroy(name), "destroy"), Ok):
            self._disks[name].lab.journal.removed_ref(self._disks[name].ref)
            self.made.pop(name, None)

    def _call(self, called: Called, operation: str, *params: object) -> Outcome:
        ref = self._disks[called.disk].ref
        invoked = clock()
        outcome = self._session.call(f"VDI.{operation}", ref, *params)
        returned = None if isinstance(outcome, Indeterminate) else clock()
        self.history.append(Operation(Answered(called, outcome), invoked, returned))
        return outcome
