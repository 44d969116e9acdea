"""Calls in the background, read from a trace: each is one call, which came to what its task came to; pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from xencbt.harness.background import ASYNC, outcome_of_task
from xencbt.harness.outcome import Indeterminate, Ok, Outcome
from xencbt.harness.witness.traces import Called, Event


def with_their_ends(events: Sequence[Event]) -> tuple[Event, ...]:
    """Return `events` with each call in the background as the call itself, ended when its task was seen to end.

    One whose end was waited for in vain on a line without faults is Indeterminate and silent: the host never told it.
    """
    return tuple(
        _ended(event, events[number + 1 :]) if isinstance(event, Called) and event.method.startswith(ASYNC) else event
        for number, event in enumerate(events)
    )


def _ended(begun: Called, later: Sequence[Event]) -> Called:
    call = replace(begun, method=begun.method.removeprefix(ASYNC), background=True)
    if not isinstance(begun.outcome, Ok):
        return call
    task = str(begun.outcome.value)
    waited = _Waited(begun, (each for each in later if isinstance(each, Called)), task)
    outcome = outcome_of_task(waited, task)
    if isinstance(outcome, Indeterminate):
        outcome = replace(outcome, silent=waited.in_vain and not begun.disturbed)
    return replace(call, outcome=outcome, ended=waited.until)


class _Waited:
    """Stands for the session that began a task: what it was told of it, once more, in the same order."""

    def __init__(self, begun: Called, later: Iterator[Called], task: str) -> None:
        self._asked = (
            each
            for each in later
            if each.method == "event.from" and each.line == begun.line and each.params[0] == [f"task/{task}"]
        )
        self.until = begun.ended
        self.in_vain = False

    def call(self, method: str, *params: object, deadline_s: float | None = None) -> Outcome:
        """Answer as the host did; Indeterminate where no more was asked of it."""
        del params, deadline_s
        if method != "event.from":
            return Ok("")
        asked = next(self._asked, None)
        if asked is None:
            self.in_vain = True
            return Indeterminate("nobody waited any longer")
        self.until = max(self.until, asked.ended)
        return asked.outcome
