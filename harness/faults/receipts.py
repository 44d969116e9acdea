"""Proof of what a plan did: which faults fired, when, at which call, and that they were healed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from xencbt.harness.faults.plans import Planned
from xencbt.harness.outcome import Failed, Indeterminate, Outcome
from xencbt.harness.verdicts import NotExercised


@dataclass(frozen=True, slots=True)
class Firing:
    """One time a fault struck.

    `call` is the number of the call among all calls of the scope since the plan was armed (from 1), `method` its name
    as the client spelled it. `answer` is what only the fault saw: the answer that was lost, or the answer to the
    second delivery; None where there was none to see. `byte` is where in the answer's body it struck, in bytes. `at` is
    where beyond the calls it struck: operation and step of the storage, or what the lab's command told; `call` is then
    the how-manieth time that point was met, and `method` empty. `exchange` is the number of the call in the test's
    record (`Exchange.number`), where that is known.
    """

    time: datetime
    call: int
    method: str
    answer: Outcome | None = None
    byte: int | None = None
    at: str = ""
    exchange: int | None = None

    def as_json(self, since: datetime) -> dict[str, Any]:
        """Return plain JSON data; of an answer only its class or code, since values and parameters may be secret.

        `time_s` counts from `since`, in seconds.
        """
        return {
            "time": self.time.isoformat(),
            "time_s": _seconds(self.time, since),
            "call": self.call,
            "method": self.method,
            "answer": None if self.answer is None else _word(self.answer),
            "byte": self.byte,
            "at": self.at,
            "exchange": self.exchange,
        }


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one planned fault. `matched` counts the calls that its pattern met in its scope.

    `note` says why a fault that was due could not strike, where that is known.
    """

    planned: Planned
    armed: datetime
    firings: tuple[Firing, ...] = ()
    matched: int = 0
    healed: datetime | None = None
    note: str = ""

    @property
    def fired(self) -> bool:
        """True when the fault struck as often as planned; anything less has not been exercised."""
        return len(self.firings) >= self.planned.times

    @property
    def why_not(self) -> str:
        """Say why the fault counts as not fired; empty when it fired."""
        if self.fired:
            return ""
        struck = f"fired {len(self.firings)} of {self.planned.times} times" if self.firings else "did not fire"
        reason = self.note or f"{self.matched} matching call{'' if self.matched == 1 else 's'} seen"
        return f"{self.planned} {struck}: {reason}"

    def as_json(self, since: datetime) -> dict[str, Any]:
        """Return plain JSON data for events and reports: times of day, and seconds (`…_s`) that count from `since`."""
        return self.planned.as_json() | {
            "armed": self.armed.isoformat(),
            "armed_s": _seconds(self.armed, since),
            "fired": self.fired,
            "firings": [each.as_json(since) for each in self.firings],
            "matched": self.matched,
            "healed": self.healed.isoformat() if self.healed else None,
            "healed_s": _seconds(self.healed, since) if self.healed else None,
            "note": self.note,
        }


def require_fired(receipts: Iterable[Receipt]) -> None:
    """Raise NotExercised unless every fault fired as often as planned: a fault that did not fire is never a pass.

    No receipts at all are not exercised either.
    """
    given = tuple(receipts)
    if not given:
        raise NotExercised("no fault was planned")
    silent = [receipt.why_not for receipt in given if not receipt.fired]
    if silent:
        raise NotExercised("; ".join(silent))


def _seconds(time: datetime, since: datetime) -> float:
    return round((time - since).total_seconds(), 4)


def _word(answer: Outcome) -> str:
    if isinstance(answer, Failed):
        return answer.code
    return "no answer" if isinstance(answer, Indeterminate) else "ok"
