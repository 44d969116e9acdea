"""What arrives of the host's answer. In all of these the host has acted, and the client cannot tell what it said."""

from dataclasses import dataclass
from typing import Literal

from xencbt.harness.faults.kinds import Fault, FaultError, Phase, fault, require_positive

FIRST_ERROR, LAST_ERROR = 400, 599


@fault("truncated-answer", Phase.DURING)
@dataclass(frozen=True, slots=True)
class TruncatedAnswer(Fault):
    """The answer's body ends after the share `keep` of its bytes; the connection is then closed, reset, or hangs."""

    keep: float = 0.5
    ending: Literal["closed", "reset", "hanging"] = "closed"

    def __post_init__(self) -> None:
        if not 0 <= self.keep < 1:
            raise FaultError("keep", f"is a share of the body, from 0 to below 1, not {self.keep!r}")


@fault("malformed-answer", Phase.DURING)
@dataclass(frozen=True, slots=True)
class MalformedAnswer(Fault):
    """The body is of the right length and no answer: a tag is broken, a byte is no text, or it is something else."""

    damage: Literal["broken-tag", "no-text", "something-else"] = "broken-tag"


@fault("empty-answer", Phase.DURING)
@dataclass(frozen=True, slots=True)
class EmptyAnswer(Fault):
    """The answer is HTTP 200 with an empty body."""


@fault("wrong-length", Phase.DURING)
@dataclass(frozen=True, slots=True)
class WrongLength(Fault):
    """The answer's Content-Length is wrong by `by` bytes; where it promises too much, the connection is then closed."""

    by: int = -10

    def __post_init__(self) -> None:
        if self.by == 0:
            raise FaultError("by", "must not be 0: that is the right length")


@fault("http-status", Phase.BEFORE, Phase.AFTER)
@dataclass(frozen=True, slots=True)
class HttpStatus(Fault):
    """The client gets an HTTP error `status` (400 to 599) in place of the answer: before or after the host acted."""

    status: int = 503

    def __post_init__(self) -> None:
        if not FIRST_ERROR <= self.status <= LAST_ERROR:
            raise FaultError("status", f"must be an HTTP error from {FIRST_ERROR} to {LAST_ERROR}, not {self.status!r}")


@fault("slow-drip", Phase.DURING)
@dataclass(frozen=True, slots=True)
class SlowDrip(Fault):
    """The answer arrives whole, `chunk` bytes at a time with `pause_s` seconds in between."""

    chunk: int = 64
    pause_s: float = 0.02

    def __post_init__(self) -> None:
        require_positive(chunk=self.chunk, pause_s=self.pause_s)
