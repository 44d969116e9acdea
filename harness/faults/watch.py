"""Which call a planned fault hits: an armed plan counts the calls of its scope, hands out strikes, keeps receipts."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from xencbt.harness.faults.calls import Call
from xencbt.harness.faults.plans import Plan, Planned
from xencbt.harness.faults.receipts import Firing, Receipt
from xencbt.harness.outcome import Outcome


def now() -> datetime:
    """Return the time of day, UTC, as receipts note it."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that is due at one call.

    Whoever carries it out says `begin`, `fire` when it struck, and in any case `end` afterwards.
    """

    watch: "Watch"
    index: int
    planned: Planned
    call: Call
    number: int

    def begin(self) -> bool:
        """Ask leave to strike; False when the plan was healed meanwhile. Every True needs one `end`."""
        return self.watch.begin()

    def fire(self, answer: Outcome | None = None, byte: int | None = None) -> None:
        """Note that the fault struck, with what only it saw of the host's answer, and where in the body."""
        self.watch.fire(self, answer, byte)

    def end(self, why_not: str = "") -> None:
        """Say that nothing more comes of it, and where it did not strike, why."""
        self.watch.end(self, why_not)


class Watch:
    """An armed plan: pure bookkeeping, no I/O; may be used from several threads.

    `session` limits it to the calls of one session (a reference), so that parallel tests do not see each other's
    faults; None means every call. `foreign` returns a reference in a call to something that is not the run's: no
    fault strikes a call that has one, and its receipt says so; None means that nothing is fenced. `on_firing` is told
    of each firing, on whatever thread it happens.
    """

    def __init__(
        self,
        plan: Plan,
        session: str | None,
        clock: Callable[[], datetime] = now,
        foreign: Callable[[Call], str | None] | None = None,
        on_firing: Callable[[Receipt], None] | None = None,
    ) -> None:
        self._session = session
        self._foreign = foreign
        self._on_firing = on_firing
        self._clock = clock
        self._state = threading.Condition()
        self._calls = 0
        self._striking = 0
        self._healed = False
        self._at_heal: list[Callable[[], object]] = []
        armed = clock()
        self._receipts = [Receipt(planned, armed) for planned in plan]

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """One receipt per planned fault, in the order of the plan, as things stand now."""
        with self._state:
            return tuple(self._receipts)

    def notice(self, call: Call) -> Strike | None:
        """Count `call` if it is of this scope, and return the fault that is due at it, if any.

        Where two are due the first of the plan gets the call, and the other's receipt says so.
        """
        with self._state:
            if self._healed or (self._session is not None and call.session != self._session):
                return None
            self._calls += 1
            due: Strike | None = None
            for index, receipt in enumerate(self._receipts):
                planned = receipt.planned
                if not planned.matches(call):
                    continue
                matched = receipt.matched + 1
                note = receipt.note
                if planned.nth <= matched < planned.nth + planned.times:
                    foreign = self._foreign(call) if self._foreign is not None else None
                    if foreign:
                        note = f"{call.spelled} names {foreign[:14]}…, which this run did not create: no fault there"
                    elif due is None:
                        due = Strike(self, index, planned, call, self._calls)
                    else:
                        note = f"its call was taken by {due.planned}"
                self._receipts[index] = replace(receipt, matched=matched, note=note)
            return due

    def begin(self) -> bool:
        """See `Strike.begin`."""
        with self._state:
            if self._healed:
                return False
            self._striking += 1
            return True

    def at_heal(self, call: Callable[[], object]) -> None:
        """Call `call`, from whatever thread heals, when the plan is healed; at once where it is already."""
        with self._state:
            if not self._healed:
                self._at_heal.append(call)
                return
        call()

    def fire(self, strike: Strike, answer: Outcome | None, byte: int | None) -> None:
        """See `Strike.fire`."""
        with self._state:
            receipt = self._receipts[strike.index]
            firing = Firing(self._clock(), strike.number, strike.call.spelled, answer, byte)
            receipt = self._receipts[strike.index] = replace(receipt, firings=(*receipt.firings, firing))
        if self._on_firing is not None:
            self._on_firing(receipt)

    def end(self, strike: Strike, why_not: str) -> None:
        """See `Strike.end`."""
        with self._state:
            self._striking -= 1
            if why_not:
                self._receipts[strike.index] = replace(self._receipts[strike.index], note=why_not)
            self._state.notify_all()

    def heal(self, timeout_s: float) -> bool:
        """Stop striking, end what lasts, and wait for strikes under way.

        Return False when one still is after `timeout_s` seconds.
        """
        with self._state:
            self._healed = True
            waiting, self._at_heal = self._at_heal, []
        for call in waiting:
            call()
        with self._state:
            settled = self._state.wait_for(lambda: self._striking == 0, timeout_s)
            if settled:
                healed = self._clock()
                self._receipts = [
                    receipt if receipt.healed else replace(receipt, healed=healed) for receipt in self._receipts
                ]
            return settled
