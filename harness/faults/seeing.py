"""What a fault lets the client see of its call: nothing, a refusal that the host never gave, or the real answer."""

import enum

from xencbt.harness.faults.answers import (
    EmptyAnswer,
    HttpStatus,
    MalformedAnswer,
    SlowDrip,
    TruncatedAnswer,
    WrongLength,
)
from xencbt.harness.faults.deliveries import (
    AnswerLost,
    Blackhole,
    ConnectionReset,
    ConnectionsRefused,
    Delay,
    Duplicate,
    LateDuplicate,
    Reordered,
    RequestDropped,
    WrongCertificate,
)
from xencbt.harness.faults.kinds import Fault, FaultError
from xencbt.harness.faults.refusals import TASK_ERROR, ApiError, HostIsSlave, SessionInvalid, TaskFailed, TaskNeverEnds


class Seen(enum.Enum):
    """What the client sees of a call that a fault struck."""

    NOTHING = "no answer"
    REFUSAL = "a refusal in place of the answer"
    ANSWER = "the host's answer"


_SEEN: dict[type[Fault], Seen] = dict.fromkeys(
    (
        AnswerLost,
        RequestDropped,
        Blackhole,
        ConnectionReset,
        ConnectionsRefused,
        WrongCertificate,
        TruncatedAnswer,
        MalformedAnswer,
        EmptyAnswer,
        WrongLength,
        HttpStatus,
        TaskNeverEnds,
    ),
    Seen.NOTHING,
)
_SEEN |= dict.fromkeys((ApiError, SessionInvalid, HostIsSlave, TaskFailed), Seen.REFUSAL)
_SEEN |= dict.fromkeys((Duplicate, LateDuplicate, Delay, SlowDrip, Reordered), Seen.ANSWER)


def seen(fault: Fault) -> Seen:
    """Return what `fault` lets the client see; raises FaultError for one that does not strike calls on the wire.

    A client that asked for a task sees what its task comes to.

    >>> seen(AnswerLost())
    <Seen.NOTHING: 'no answer'>
    """
    try:
        return _SEEN[type(fault)]
    except KeyError:
        raise FaultError("fault", f"{fault.name} does not strike calls on the wire") from None


def hides(fault: Fault) -> bool:
    """Tell whether the host gives an answer that the client does not see: to its call, or to a second delivery.

    Faults that do not strike calls on the wire hide none.
    """
    return _SEEN.get(type(fault), Seen.ANSWER) is not Seen.ANSWER or isinstance(fault, Duplicate | LateDuplicate)


def shown_code(fault: Fault) -> str | None:
    """Return the error code that a fault shows in place of the answer; None for one that shows no refusal."""
    match fault:
        case ApiError(code):
            return code
        case SessionInvalid():
            return "SESSION_INVALID"
        case HostIsSlave():
            return "HOST_IS_SLAVE"
        case TaskFailed():
            return TASK_ERROR
        case _:
            return None


def hangs(fault: Fault) -> bool:
    """Tell whether a client without a deadline would wait for an answer for ever."""
    return isinstance(fault, Blackhole) or (isinstance(fault, TruncatedAnswer) and fault.ending == "hanging")
