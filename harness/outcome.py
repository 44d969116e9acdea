"""What one call did: succeeded, was refused with a code, or nobody knows because the answer was lost."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Ok:
    """The host answered success with `value` (as XML-RPC decodes it; void is the empty string)."""

    value: object

    def __str__(self) -> str:
        return "ok"


@dataclass(frozen=True, slots=True)
class Failed:
    """The host refused: a XenAPI error code and its parameters, as the host sent them."""

    code: str
    params: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.code}[{', '.join(self.params)}]"


@dataclass(frozen=True, slots=True)
class Indeterminate:
    """No usable answer came: the call may have happened or not. `why` is for the reader, never for a decision.

    `silent` tells that the host took the call and let its whole deadline pass, with nothing of ours in between.
    """

    why: str
    silent: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"no answer ({self.why})"


Outcome = Ok | Failed | Indeterminate
