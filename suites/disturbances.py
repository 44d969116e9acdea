"""Faults of the wire as suites draw them: one example of each kind, and any kind with any parameters and phase.

Left out are kinds that need more than one call of one session: `reordered` (a second connection), `task-failed` and
`task-never-ends` (`Async` calls), and `late-duplicate`, which has tests of its own.
"""

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
    Duplicate,
    EmptyAnswer,
    Fault,
    HostIsSlave,
    HttpStatus,
    MalformedAnswer,
    Phase,
    RequestDropped,
    SessionInvalid,
    SlowDrip,
    TruncatedAnswer,
    WrongCertificate,
    WrongLength,
)

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
)
"""One fault of each kind that strikes one call, quick to carry out; duplicates have tests of their own."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A fault and the phase in which it strikes."""

    fault: Fault
    phase: Phase


def faults() -> st.SearchStrategy[Fault]:
    """Draw a fault of any kind that strikes one call, with parameters that do not hold a run up."""
    return st.one_of(
        st.just(AnswerLost()),
        st.just(RequestDropped()),
        st.just(Duplicate()),
        st.builds(Delay, st.floats(0.001, 0.05)),
        st.builds(ConnectionReset),
        st.builds(ConnectionsRefused, st.sampled_from([0.0, 0.01])),
        st.builds(WrongCertificate, st.sampled_from(["wrong-name", "expired", "foreign"])),
        st.builds(TruncatedAnswer, st.floats(0, 0.9), st.sampled_from(["closed", "reset"])),
        st.builds(MalformedAnswer, st.sampled_from(["broken-tag", "no-text", "something-else"])),
        st.just(EmptyAnswer()),
        st.builds(WrongLength, st.integers(-60, -12) | st.integers(1, 60)),
        st.builds(HttpStatus, st.integers(400, 599)),
        st.builds(SlowDrip, st.integers(50, 500), st.floats(0.0005, 0.002)),
        st.builds(ApiError, st.sampled_from(sorted(API_ERRORS))),
        st.just(SessionInvalid()),
        st.just(HostIsSlave()),
    )


def disturbances() -> st.SearchStrategy[Disturbance]:
    """Draw a fault and one of its phases."""
    return faults().flatmap(lambda fault: st.builds(Disturbance, st.just(fault), st.sampled_from(fault.phases)))
