"""The host acted, and nobody is told."""

from dataclasses import dataclass

from xencbt.harness.faults.kinds import Fault, Phase, fault

#   client ──call──▶ interceptor ──call──▶ host      the host acts
#   client ◀─closed─ interceptor ◀─answer─ host      its answer goes no further


@fault("answer-lost", phase=Phase.AFTER)
@dataclass(frozen=True, slots=True)
class AnswerLost(Fault):
    """The host acts on the call and answers; the client gets a closed connection instead of the answer."""
