"""Faults for a test: a session through the interceptor, plans armed on it, and their receipts kept for the finding."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from xencbt.fixtures.lab import Lab
from xencbt.harness.endpoint import Endpoint
from xencbt.harness.errors import HarnessError
from xencbt.harness.faults import Call, Duplicate, Fault, Firing, LateDuplicate, Plan, Planned, Receipt
from xencbt.harness.session import Session
from xencbt.proxies.interceptor import Armed, Interceptor


class Faults:
    """What the `faults` fixture gives a test. Judging the host is the test's business, proving the fault is ours."""

    def __init__(
        self, lab: Lab, interceptor: Interceptor, receipts: list[Receipt], kinds: frozenset[str] = frozenset()
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
        return self._lab.open_session(via=Endpoint.parse(self._interceptor.url), deadline_s=deadline_s)

    @contextmanager
    def armed(self, session: Session, *planned: Planned) -> Iterator[Armed]:
        """Let `planned` faults strike the calls of `session` (from `session()`) inside the `with`.

        No fault strikes a call that names an object which the run did not create (its SRs excepted, where it creates
        on them). Yields what they did, as it stands. Afterwards they are healed and their receipts belong to the
        finding. Raises NotExercised when the body ended well although one of them did not fire: then nothing was
        shown. Raises HarnessError, whatever the body raised, when the interceptor itself could not reach or trust the
        target: a lost call then says nothing of the target.
        """
        at_work: Armed | None = None
        numbers: list[tuple[int, str]] = []
        before = self._interceptor.problems
        try:
            with ExitStack() as armed:
                if any(isinstance(each.fault, Duplicate | LateDuplicate) for each in planned):
                    armed.enter_context(self._lab.journal.repeating())
                numbers = armed.enter_context(session.numbering())
                plan = Plan.of(*planned)
                at_work = armed.enter_context(self._interceptor.arm(plan, session.ref, self._foreign))
                yield at_work
        finally:
            if at_work is not None:
                self._receipts.extend(_joined(receipt, numbers) for receipt in at_work.receipts)
            if self._interceptor.problems != before:
                raise HarnessError(f"the interceptor is cut off: {self._interceptor.problems[-1]}")
        at_work.require_fired()

    def note(self, fault: Fault, what: str) -> None:
        """Tell, in the latest receipt of `fault`, what came of it that is worth knowing and breaks nothing."""
        latest = max(at for at, receipt in enumerate(self._receipts) if receipt.planned.fault == fault)
        self._receipts[latest] = replace(self._receipts[latest], note=what)

    def _foreign(self, call: Call) -> str | None:
        """Return a reference in `call` to what the run did not create; the SRs on which it creates are not counted."""
        bench = self._lab.bench
        srs = {each.ref for each in bench.repositories.values()} if not call.method.startswith("SR.") else set()
        return next((ref for ref in sorted(call.references - srs) if not bench.journal.owns(ref)), None)


def _joined(receipt: Receipt, numbers: Sequence[tuple[int, str]]) -> Receipt:
    """Tell in a receipt which exchange of the record each firing struck; `numbers` are those since the plan was armed.

    The fault counts the calls that it saw, the record those that were made: they are joined where the call is the same.
    """

    def exchange(firing: Firing) -> int | None:
        number, method = numbers[firing.call - 1] if firing.call <= len(numbers) else (None, "")
        return number if method == firing.method else None

    return replace(receipt, firings=tuple(replace(each, exchange=exchange(each)) for each in receipt.firings))
