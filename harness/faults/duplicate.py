"""The call arrives twice in a row."""

from dataclasses import dataclass

from xencbt.harness.faults.kinds import Fault, Phase, fault

#   client ──call──▶ interceptor ──call──▶ host
#                                ◀─answer─
#                                ──call──▶           the same bytes and headers, a connection of its own
#   client ◀─answer─ interceptor ◀─second─ host      the client gets the first answer, the receipt notes the second


@fault("duplicate", phase=Phase.AFTER)
@dataclass(frozen=True, slots=True)
class Duplicate(Fault):
    """The host gets the call twice, the second right after it answered the first; the client gets the first answer."""
