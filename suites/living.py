"""The plain life of a disk under a plan: faults of the wire wait for its calls, those of the lab surround them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from xencbt.fixtures.lab import Lab
from xencbt.harness.asked_faults import CLIENT_DEADLINE_S
from xencbt.harness.disturbing import Faults, party_of
from xencbt.harness.faults import Call as Seen
from xencbt.harness.faults import Layer, Plan, Strike, Watch, require_fired
from xencbt.harness.model import Destroy, ListChanged, Snapshot, Write
from xencbt.harness.outcome import Failed, Ok, Outcome
from xencbt.suites import uncertain
from xencbt.suites.astray import Line
from xencbt.suites.play import Play
from xencbt.suites.struck import Call, laid_here, method_of, subject_of

TRIES = 3
"""How often the client makes a call that the host has not carried out."""


class Life:
    """Steps of one disk's life, as a client makes them that makes a call again where it has not happened."""

    def __init__(self, lab: Lab, faults: Faults, plan: Plan) -> None:
        """Open the sessions; raises Blocked where calls do not work undisturbed."""
        self._lab = lab
        self._faults = faults
        self._line = Line(lab, faults, hanging_s=CLIENT_DEADLINE_S)
        self._on_the_wire = [each for each in plan if party_of(each) is not Layer.LAB]
        self._of_the_lab = Watch(Plan.of(*(each for each in plan if party_of(each) is Layer.LAB)), None)

    @contextmanager
    def disturbed(self, play: Play) -> Iterator[None]:
        """Have the plan's faults strike the calls inside; raises NotExercised where one did not as often as planned."""
        if self._on_the_wire:
            with self._line.armed(play, *self._on_the_wire):
                yield
        else:
            yield
        self._of_the_lab.heal(0)
        missed = [receipt for receipt in self._of_the_lab.receipts if not receipt.fired]
        if missed:
            self._faults.missed(*missed)
            require_fired(missed)

    def live(self, play: Play, step: Call) -> None:
        """Do one step, and where it has not happened make the call again, as clients do; a refusal of the host's stays.

        A write is a guest's, and no call that could be struck.
        """
        if isinstance(step, Write):
            play.do(step)
            return
        for _ in range(TRIES):
            strike = self._of_the_lab.notice(self._seen(play, step))
            if strike is None:
                struck = self._line.call(play, step)
                if struck.happened or isinstance(struck.answer, Failed):
                    return
            elif isinstance(self._switched(play, step, strike), Ok) or _cannot_be_repeated(play, step):
                return

    def _seen(self, play: Play, step: Call) -> Seen:
        ref = play.disks[subject_of(step)].ref
        arguments = (ref, *map(str, play.parameters(step)))
        return Seen(method_of(step), method_of(step), references=frozenset({ref}), arguments=arguments)

    def _switched(self, play: Play, step: Call, strike: Strike) -> Outcome:
        """Make the call while the lab's command is at work, past the interceptor; whether it happened is read.

        The command may do anything to the host: whatever the client sees is right, and success must be true.
        """
        ref, method = play.disks[subject_of(step)].ref, method_of(step)
        session = self._lab.open_session(deadline_s=CLIENT_DEADLINE_S)
        session.disturbed = True

        def call() -> Outcome:
            with self._faults.armed(None, replace(strike.planned, nth=1, times=1)):
                strike.fire()
                return session.call(method, ref, *play.parameters(step))

        strike.begin()
        try:
            with laid_here():
                outcome = uncertain.make(play, step, call) if isinstance(step, uncertain.Uncertain) else call()
                if isinstance(step, ListChanged) and isinstance(outcome, Ok):
                    play.judge_bitmap(step, outcome.value)
        finally:
            strike.end()
        self._line.renew()
        return outcome


def _cannot_be_repeated(play: Play, step: Call) -> bool:
    """Tell whether a call that was not answered with success has happened, and would do more a second time."""
    match step:
        case Snapshot(_, name):
            return name in play.disks
        case Destroy(disk):
            return disk not in play.disks
        case _:
            return False
