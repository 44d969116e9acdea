"""Whether, when and how often a call gets through, and whether the client hears of it.

client ──call──▶ interceptor ──call──▶ host
before          │
client ◀─answer─ interceptor ◀─answer─ host
during          after
"""

from dataclasses import dataclass
from typing import Literal

from xencbt.harness.faults.kinds import Fault, FaultError, Phase, fault, require_positive


@fault("answer-lost", Phase.AFTER)
@dataclass(frozen=True, slots=True)
class AnswerLost(Fault):
    """The host acts on the call and answers; the client gets a closed connection instead of the answer."""


@fault("request-dropped", Phase.BEFORE)
@dataclass(frozen=True, slots=True)
class RequestDropped(Fault):
    """The host never sees the call; the client gets a closed connection, as if the answer were lost."""


@fault("duplicate", Phase.AFTER)
@dataclass(frozen=True, slots=True)
class Duplicate(Fault):
    """The host gets the call twice, the second right after it answered the first; the client gets the first answer."""


@fault("late-duplicate", Phase.AFTER)
@dataclass(frozen=True, slots=True)
class LateDuplicate(Fault):
    """The host gets the call a second time, after it has answered `calls` further ones; nobody gets that answer."""

    calls: int = 1

    def __post_init__(self) -> None:
        require_positive(calls=self.calls)


@fault("reordered", Phase.BEFORE)
@dataclass(frozen=True, slots=True)
class Reordered(Fault):
    """The call is held back until the host has answered a later one, which came over another connection."""


@fault("delay", Phase.BEFORE, Phase.AFTER)
@dataclass(frozen=True, slots=True)
class Delay(Fault):
    """The call (or, after the host acted, its answer) is passed on `seconds` late."""

    seconds: float = 1.0

    def __post_init__(self) -> None:
        require_positive(seconds=self.seconds)


@fault("blackhole", Phase.BEFORE, Phase.AFTER)
@dataclass(frozen=True, slots=True)
class Blackhole(Fault):
    """Nothing comes back and the connection stays open: before the host saw the call, or after it acted."""


@fault("connection-reset", Phase.BEFORE, Phase.AFTER)
@dataclass(frozen=True, slots=True)
class ConnectionReset(Fault):
    """The client's connection is reset (TCP RST): before the host saw the call, or after it acted."""


@fault("connections-refused", Phase.BEFORE, Phase.AFTER)
@dataclass(frozen=True, slots=True)
class ConnectionsRefused(Fault):
    """The call's connection is closed, and every new one refused, for `seconds` (0: until the fault is healed)."""

    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.seconds < 0:
            raise FaultError("seconds", f"must not be negative, not {self.seconds!r}")


@fault("wrong-certificate", Phase.BEFORE)
@dataclass(frozen=True, slots=True)
class WrongCertificate(Fault):
    """The call's connection is closed, and whoever connects over TLS is shown a certificate it must not trust."""

    certificate: Literal["wrong-name", "expired", "foreign"] = "foreign"
