"""How a call is made: directly, or in the background, where the host answers at once with a task to be followed."""

from dataclasses import dataclass
from enum import StrEnum

from xencbt.harness.background import DEADLINE_S, call_in_background, outcome_of_task
from xencbt.harness.outcome import Ok, Outcome
from xencbt.harness.session import Session


class Form(StrEnum):
    """The forms of a call: `VDI.snapshot`, and `Async.VDI.snapshot`."""

    DIRECT = "direct"
    ASYNC = "async"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client waits, in seconds: for an answer (None: as its session does), and for the end of a task."""

    answer_s: float | None = None
    task_s: float = DEADLINE_S


def send(form: Form, session: Session, patience: Patience, method: str, *params: object) -> Outcome:
    """Make a call and give what came of it; of one in the background, what its task came to."""
    if form is Form.DIRECT:
        return session.call(method, *params, deadline_s=patience.answer_s)
    return call_in_background(session, method, *params, deadline_s=patience.task_s, answer_s=patience.answer_s)


def told(form: Form, session: Session, answer: Outcome | None) -> Outcome | None:
    """Give what the host made of a call whose `answer` only a fault saw: a task is followed to its end."""
    if form is Form.ASYNC and isinstance(answer, Ok):
        return outcome_of_task(session, str(answer.value))
    return answer
