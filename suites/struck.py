"""What came of one call that a fault may have struck, as plain values: what met it, and what the host did; pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from xencbt.fixtures.disks import Disk
from xencbt.harness.errors import HarnessError
from xencbt.harness.faults import Duplicate, LateDuplicate, Planned, Receipt, Seen, seen, shown_code
from xencbt.harness.model import Clone, Copy, DataDestroy, Disable, Enable, ListChanged, Snapshot
from xencbt.harness.model.allowing import OPERATIONS
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.verdicts import NotExercised, Violation
from xencbt.suites.play import Deed
from xencbt.suites.wording import words

Call = Deed | ListChanged
"""A step that is one call of the API on one disk: any of a play's deeds but a write, and listing changes."""

HARMLESS_TWICE = Enable | Disable | DataDestroy | ListChanged
"""Calls that, made twice, must be as if they had been made once (FAULT-04)."""


@dataclass(frozen=True, slots=True)
class Struck:
    """What came of one call: the fault that met it, if any, what the client saw, and what the host answered, if it did.

    `second` is its answer to a second delivery that followed at once. `made` are the VDIs that it made, one for each
    time that the host carried it out.
    """

    planned: Planned | None
    outcome: Outcome
    answer: Outcome | None
    second: Outcome | None = None
    made: tuple[Disk, ...] = ()

    @property
    def happened(self) -> bool:
        """Whether the host carried it out."""
        return isinstance(self.answer, Ok)


def answer_of_host(what: str, planned: Planned, outcome: Outcome, seen_by_fault: Outcome | None) -> Outcome | None:
    """Return what the host answered, None where it never got the call.

    `outcome` is what the client saw, the other what only the fault saw of the host's answer. Raises HarnessError where
    the client did not see what the fault lets it see, NotExercised where nobody saw the host's answer.
    """
    fault = planned.fault
    match seen(fault):
        case Seen.ANSWER:
            return outcome
        case Seen.NOTHING if not isinstance(outcome, Indeterminate):
            raise HarnessError(f"{fault.name} fired, and yet {what} was answered: {outcome}")
        case Seen.REFUSAL if not isinstance(outcome, Failed) or outcome.code != shown_code(fault):
            raise HarnessError(f"{fault.name} fired, and {what} did not show it: {outcome}")
    if seen_by_fault is None and planned.deliveries:
        raise NotExercised(f"nobody saw the host's answer to {what}")
    return seen_by_fault


def met_by(before: tuple[Receipt, ...], after: tuple[Receipt, ...]) -> tuple[int, Receipt | None]:
    """Return the receipt of the fault that met the call made in between, with its place in the plan."""
    for index, (earlier, receipt) in enumerate(zip(before, after, strict=True)):
        planned, fault = receipt.planned, receipt.planned.fault
        if isinstance(fault, LateDuplicate):  # fires only with its second delivery
            due = planned.nth <= receipt.matched < planned.nth + planned.times
            if receipt.matched > earlier.matched and due and not receipt.note:
                return index, receipt
        elif len(receipt.firings) > len(earlier.firings):
            return index, receipt
    return 0, None


def done_by(step: Call, struck: Struck) -> list[tuple[Deed, Outcome]]:
    """Return what the host did with one call, as the model has to follow it."""
    if isinstance(step, ListChanged):
        return []
    twice = struck.planned is not None and isinstance(struck.planned.fault, Duplicate)
    most = 1 + twice if struck.happened else 0
    if len(struck.made) > most:
        raise Violation(
            f"{words(step)} made more than it was asked for",
            expected=(f"{most} VDIs at most",),
            actual=f"{len(struck.made)} VDIs",
        )
    if not struck.happened:
        return []
    if not isinstance(step, Snapshot | Clone | Copy):
        return [(step, Ok(""))]
    names = [step.name, *(f"{step.name} again" for _ in struck.made[1:])]
    return [(replace(step, name=name), Ok(made.ref)) for name, made in zip(names, struck.made, strict=True)]


@contextmanager
def laid_here(*rows: str) -> Iterator[None]:
    """Have a violation inside break `rows`, or all that the test decides: after a fault, it is the fault's chapter."""
    try:
        yield
    except Violation as violation:
        violation.requirements = rows
        raise


def subject_of(step: Call) -> str:
    """Return the name of the disk that a call is about."""
    return step.earlier if isinstance(step, ListChanged) else step.disk


def method_of(step: Call) -> str:
    """Return the call of a step as plans name it."""
    return f"VDI.{OPERATIONS[type(step)]}"
