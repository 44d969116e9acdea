"""Faults of the wire as suites draw them: one example of each kind, and any kind with any parameters, phase and form.

Left out are kinds that need more than one call: `reordered` (see `races`), and `late-duplicate`, which has tests of its
own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import strategies as st

from xencbt.harness.faults import (
    API_ERRORS,
    AnswerLost,
    ApiError,
    Blackhole,
    ConnectionReset,
    ConnectionsRefused,
    Delay,
    EmptyAnswer,
    Fault,
    HostIsSlave,
    HttpStatus,
    MalformedAnswer,
    Phase,
    RequestDropped,
    SessionInvalid,
    SlowDrip,
    TaskFailed,
    TaskNeverEnds,
    TruncatedAnswer,
    WrongCertificate,
    WrongLength,
)
from xencbt.suites.sending import Form

EXAMPLES: tuple[Fault, ...] = (
    AnswerLost(),
    RequestDropped(),
    Delay(0.02),
    Blackhole(),
    ConnectionReset(),
    ConnectionsRefused(),
    WrongCertificate(),
    TruncatedAnswer(),
    MalformedAnswer(),
    EmptyAnswer(),
    WrongLength(),
    HttpStatus(),
    SlowDrip(chunk=200, pause_s=0.001),
    ApiError("SR_BACKEND_FAILURE_46"),
    SessionInvalid(),
    HostIsSlave(),
    TaskFailed(),
    TaskNeverEnds(),
)
"""One fault of each kind that strikes one call, quick to carry out; duplicates have tests of their own."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A fault, the phase in which it strikes, and the form of the call that it meets."""

    fault: Fault
    phase: Phase
    form: Form = Form.DIRECT


def forms(fault: Fault) -> tuple[Form, ...]:
    """Return the forms of a call that a fault can meet: those of tasks meet only calls that ask for one."""
    return (Form.ASYNC,) if isinstance(fault, TaskFailed | TaskNeverEnds) else tuple(Form)


VARIED: Mapping[type[Fault], st.SearchStrategy[Fault]] = {
    Delay: st.builds(Delay, st.floats(0.001, 0.05)),
    ConnectionsRefused: st.builds(ConnectionsRefused, st.sampled_from([0.0, 0.01])),
    WrongCertificate: st.builds(WrongCertificate, st.sampled_from(["wrong-name", "expired", "foreign"])),
    TruncatedAnswer: st.builds(TruncatedAnswer, st.floats(0, 0.9), st.sampled_from(["closed", "reset"])),
    MalformedAnswer: st.builds(MalformedAnswer, st.sampled_from(["broken-tag", "no-text", "something-else"])),
    WrongLength: st.builds(WrongLength, st.integers(-60, -12) | st.integers(1, 60)),
    HttpStatus: st.builds(HttpStatus, st.integers(400, 599)),
    SlowDrip: st.builds(SlowDrip, st.integers(50, 500), st.floats(0.0005, 0.002)),
    ApiError: st.builds(ApiError, st.sampled_from(sorted(API_ERRORS))),
}
"""The parameters that are drawn for a kind, where it has any: such that they do not hold a run up.

An answer that lacks only its last bytes may be whole to a forgiving reader, and none is cut so.
"""


def disturbances(*examples: Fault) -> st.SearchStrategy[Disturbance]:
    """Draw a fault of the kinds of `examples`, with any parameters, one of its phases, and a form that it can meet."""
    drawn = st.sampled_from(examples).flatmap(lambda example: VARIED.get(type(example), st.just(example)))
    return drawn.flatmap(
        lambda fault: st.builds(
            Disturbance, st.just(fault), st.sampled_from(fault.phases), st.sampled_from(forms(fault))
        )
    )
