"""One session's part of a race: what it calls, in a thread of its own, and what came of it when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from xencbt.harness.linearizing import Operation
from xencbt.harness.model import Destroy, Disable, Enable, Snapshot
from xencbt.harness.outcome import Indeterminate, Ok, Outcome
from xencbt.harness.session import clock
from xencbt.suites.serial import Answered, Called, Reading

if TYPE_CHECKING:
    import threading

    from xencbt.fixtures.disks import Disk
    from xencbt.harness.session import Session

TOGETHER_S = 30.0
"""How long a session waits for the others before the race."""


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

    @property
    def method(self) -> str:
        """The call's name on the wire."""
        return f"VDI.{self.value.partition(' ')[0]}"


@dataclass(frozen=True, slots=True)
class Deed:
    """One call of a program: the verb, and the name of the disk that it is about."""

    verb: Verb
    disk: str


Program = Sequence[Deed]
"""What one session calls, one call after the other."""


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
