"""Faults for a test: plans armed on the wire, in the storage or in the lab, their receipts kept for the finding."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Protocol

from xencbt.fixtures.disasters import in_storage
from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import Lab
from xencbt.harness.endpoint import Endpoint
from xencbt.harness.errors import HarnessError, NeverCameBack
from xencbt.harness.faults import (
    Call,
    Duplicate,
    Fault,
    Firing,
    LabCommand,
    LateDuplicate,
    Layer,
    Plan,
    Planned,
    Receipt,
    in_the_lab,
    require_fired,
)
from xencbt.harness.faults.watch import now
from xencbt.harness.outcome import Ok, Outcome
from xencbt.harness.recovering import QUIET_WINDOW_S, RECOVERY_DEADLINE_S, recovered
from xencbt.harness.session import Session
from xencbt.harness.verdicts import Axis, Violation, judging
from xencbt.proxies.interceptor import Interceptor

NEVER_ENDING_S = 0.1
"""How long a client looks at a task that a fault leaves without an end; the host has no part in that."""

ON_THE_WIRE = frozenset({Layer.TRANSPORT, Layer.API})


class AtWork(Protocol):
    """Faults that are armed, whoever carries them out, and afterwards what became of them."""

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """One receipt per planned fault, in order."""


class Armed:
    """All faults of one plan at work: those of each layer with who carries them out."""

    def __init__(self, planned: Sequence[Planned]) -> None:
        self._planned = planned
        self.parts: dict[Layer, AtWork] = {}

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """One receipt per planned fault, in the order of the plan, as things stand now; of those that were armed."""
        told = {party: iter(part.receipts) for party, part in self.parts.items()}
        return tuple(
            receipt for each in self._planned if (receipt := next(told.get(party_of(each), iter(())), None)) is not None
        )

    def require_fired(self) -> None:
        """Raise NotExercised unless every planned fault fired as often as planned."""
        require_fired(self.receipts)


def party_of(planned: Planned) -> Layer:
    """Return the layer of a fault; the two of the interceptor count as one."""
    return Layer.TRANSPORT if planned.fault.layer in ON_THE_WIRE else planned.fault.layer


class Faults:
    """What the `faults` fixture gives a test. Judging the host is the test's business, proving the fault is ours.

    `interceptor` gives the one of this process, when first asked for: not every fault needs it. `kinds` are those
    that were asked for (`--faults`); none means all.
    """

    def __init__(
        self,
        lab: Lab,
        interceptor: Callable[[], Interceptor],
        receipts: list[Receipt],
        kinds: frozenset[str] = frozenset(),
    ) -> None:
        self._lab = lab
        self._interceptor = interceptor
        self._receipts = receipts
        self._kinds = kinds

    def among(self, *faults: Fault) -> tuple[Fault, ...]:
        """Return those of `faults` that are of a kind which the run is restricted to; all where it is not."""
        return tuple(fault for fault in faults if not self._kinds or fault.name in self._kinds)

    def session(self, *, deadline_s: float | None = None) -> Session:
        """Open a session whose calls pass the interceptor; closed at the end of the test."""
        target = self._lab.bench.target
        served = self._interceptor().add_upstream(target.url, target.trust)
        return self._lab.open_session(via=Endpoint.parse(served), deadline_s=deadline_s)

    @contextmanager
    def armed(self, session: Session | None, *planned: Planned, on: Disk | None = None) -> Iterator[Armed]:
        """Let `planned` faults strike inside the `with`, wherever they belong.

        Those on the wire strike the calls of `session` (from `session()`), and none that names an object which the run
        did not create (its SRs excepted, where it creates on them). Those of the storage strike the SR of the run, or
        the disk `on` and its SR; raises Unsupported where the target has no control interface. Yields what they did, as
        it stands.

        Afterwards, however the body ended, they are healed and their receipts belong to the finding. Then, after the
        quiet window, the target must answer within the recovery deadline (Violation, FAULT-05); a session of the run
        that the fault ended is replaced. Raises NotExercised when the body ended well although one of them did not
        fire: then nothing was shown. Raises HarnessError, whatever the body raised, when the interceptor itself could
        not reach or trust the target: a lost call then says nothing of the target.
        """
        at_work = Armed(planned)
        self._lab.note("arm", planned=planned, vdi=None if on is None else on.ref)
        try:
            with ExitStack() as armed:
                self._arm(armed, at_work, session, planned, on)
                yield at_work
        finally:
            self._receipts.extend(at_work.receipts)
            self._lab.note("heal", receipts=at_work.receipts)
        self._recovered(planned)
        at_work.require_fired()

    def _arm(
        self, armed: ExitStack, at_work: Armed, session: Session | None, planned: Sequence[Planned], on: Disk | None
    ) -> None:
        parties: dict[Layer, list[Planned]] = {}
        for each in planned:
            parties.setdefault(party_of(each), []).append(each)
        for party, theirs in parties.items():
            match party:
                case Layer.STORAGE:
                    part: AbstractContextManager[AtWork] = self._in_storage(theirs, on)
                case Layer.LAB:
                    part = _in_the_lab(theirs)
                case _:
                    part = self._on_the_wire(theirs, session)
            at_work.parts[party] = armed.enter_context(part)

    @contextmanager
    def _on_the_wire(self, planned: Sequence[Planned], session: Session | None) -> Iterator[AtWork]:
        if session is None:
            raise HarnessError(f"{planned[0]}: say in which session")
        interceptor = self._interceptor()
        before = interceptor.problems
        try:
            with ExitStack() as armed:
                if any(isinstance(each.fault, Duplicate | LateDuplicate) for each in planned):
                    armed.enter_context(self._lab.journal.repeating())
                numbers = armed.enter_context(session.numbering())
                yield _Joined(
                    armed.enter_context(interceptor.arm(Plan.of(*planned), session.ref, self._foreign)), numbers
                )
        finally:
            if interceptor.problems != before:
                raise HarnessError(f"the interceptor is cut off: {interceptor.problems[-1]}")

    def _in_storage(self, planned: Sequence[Planned], on: Disk | None) -> AbstractContextManager[AtWork]:
        control = self._lab.control
        if on is None:
            return in_storage(control, *planned, sr=self._lab.sr().uuid)
        if not self._lab.journal.owns(on.ref):
            raise HarnessError(f"{on} is not of this run: no fault there")
        return in_storage(control, *planned, vdi=on.uuid)

    def _recovered(self, planned: Sequence[Planned]) -> None:
        quiet_s = QUIET_WINDOW_S if self._lab.bench.target.control is None else 0.0
        answers: list[Outcome] = []

        def ask(deadline_s: float) -> Outcome:
            session = self._lab.session
            answers.append(session.call("session.get_uuid", session.ref, deadline_s=deadline_s))
            return answers[-1]

        recovered(ask, " and ".join(dict.fromkeys(each.fault.name for each in planned)), quiet_s=quiet_s)
        if isinstance(answers[-1], Ok):
            return
        try:
            self._lab.bench.recover()
        except NeverCameBack as error:
            with judging(Axis.RECOVERY):
                raise Violation(
                    "the host lets nobody log in after what went wrong was healed",
                    expected=(f"a session within {RECOVERY_DEADLINE_S:g} s",),
                    actual=str(error),
                ) from error

    def missed(self, *receipts: Receipt) -> None:
        """Take the receipts of planned faults that were never armed: the calls that they wait for never came."""
        self._receipts.extend(receipts)

    def note(self, fault: Fault, what: str) -> None:
        """Tell, in the latest receipt of `fault`, what came of it that is worth knowing and breaks nothing."""
        latest = max(at for at, receipt in enumerate(self._receipts) if receipt.planned.fault == fault)
        self._receipts[latest] = replace(self._receipts[latest], note=what)

    def _foreign(self, call: Call) -> str | None:
        """Return a reference in `call` to what the run did not create; the SRs on which it creates are not counted."""
        bench = self._lab.bench
        srs = {each.ref for each in bench.repositories.values()} if not call.method.startswith("SR.") else set()
        return next((ref for ref in sorted(call.references - srs) if not bench.journal.owns(ref)), None)


class _Switched:
    """Faults of the lab: each strikes when its command was run, and is healed with all others."""

    def __init__(self) -> None:
        self.receipts: tuple[Receipt, ...] = ()


@contextmanager
def _in_the_lab(planned: Sequence[Planned]) -> Iterator[AtWork]:
    switched = _Switched()
    with ExitStack() as injected:
        for each in planned:
            assert isinstance(each.fault, LabCommand)
            armed = now()
            detail = injected.enter_context(in_the_lab(each.fault))
            switched.receipts += (Receipt(each, armed, (Firing(now(), 1, "", at=detail),), matched=1),)
        yield switched
    switched.receipts = tuple(
        Receipt(each.planned, each.armed, each.firings, each.matched, now()) for each in switched.receipts
    )


class _Joined:
    """Faults on the wire, whose receipts tell which exchange of the record each firing struck."""

    def __init__(self, part: AtWork, numbers: Sequence[tuple[int, str]]) -> None:
        self._part = part
        self._numbers = numbers

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """One receipt per planned fault, in order, as things stand now."""
        return tuple(_joined(receipt, self._numbers) for receipt in self._part.receipts)


def _joined(receipt: Receipt, numbers: Sequence[tuple[int, str]]) -> Receipt:
    """Tell in a receipt which exchange of the record each firing struck; `numbers` are those since the plan was armed.

    The fault counts the calls that it saw, the record those that were made: they are joined where the call is the same.
    """

    def exchange(firing: Firing) -> int | None:
        number, method = numbers[firing.call - 1] if firing.call <= len(numbers) else (None, "")
        return number if method == firing.method else None

    return replace(receipt, firings=tuple(replace(each, exchange=exchange(each)) for each in receipt.firings))
