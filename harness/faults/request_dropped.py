"""The call never arrives."""

from dataclasses import dataclass

from xencbt.harness.faults.kinds import Fault, Phase, fault

#   client ──call──▶ interceptor          host      the host never sees it
#   client ◀─closed─ interceptor


@fault("request-dropped", phase=Phase.BEFORE)
@dataclass(frozen=True, slots=True)
class RequestDropped(Fault):
    """The host never sees the call; the client gets a closed connection."""
