"""Faults that only a lab can make: a switch, a power outlet, a storage array, behind a command of the user's.

The contract. The command is run without a shell, with two more words: `inject` or `heal`, and the fault's name. It ends
within `timeout_s`, with exit code 0 and one JSON object on standard output: `{"done": true, "detail": "…"}`. `heal` is
called after every `inject`, whatever came of it, perhaps more than once, and must then do nothing more (idempotent).
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from xencbt.harness.errors import HarnessError
from xencbt.harness.faults.kinds import Fault, FaultError, Layer, Phase, fault, require_positive

LONGEST_ANSWER = 64 << 10
INJECT, HEAL = "inject", "heal"


@fault("lab-command", Phase.BEFORE, layer=Layer.LAB)
@dataclass(frozen=True, slots=True)
class LabCommand(Fault):
    """A command of the user's disturbs the lab: `argv` with `inject` and `what` after it, and with `heal` to undo it.

    Each run of it may take `timeout_s` seconds.
    """

    argv: tuple[str, ...]
    what: str = "power"
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if not self.argv or not self.argv[0]:
            raise FaultError("argv", "must name the command")
        if not self.what or self.what.startswith("-"):
            raise FaultError("what", f"must be a word for the command, not {self.what!r}")
        require_positive(timeout_s=self.timeout_s)


class LabFailed(HarnessError):
    """The lab's command did not do what it was asked to: nothing can be said of the target."""


@contextmanager
def in_the_lab(fault: LabCommand) -> Iterator[str]:
    """Inject `fault`, yield the detail that the command told, and heal it however the body ends.

    Raises LabFailed when the command cannot be run, takes too long, fails, or does not answer as agreed. A heal that
    fails is tried once more; what the body raised is then the failure's context.
    """
    try:
        yield _run(fault, INJECT)
    finally:
        try:
            _run(fault, HEAL)
        except LabFailed:
            _run(fault, HEAL)


def _run(fault: LabCommand, action: str) -> str:
    words = [*fault.argv, action, fault.what]
    named = f"the lab's command {fault.argv[0]} {action} {fault.what}"
    try:
        ran = subprocess.run(  # noqa: S603  the user named the command; no shell sees it
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=fault.timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LabFailed(f"{named} did not end within {fault.timeout_s} s") from error
    except OSError as error:
        raise LabFailed(f"{named} cannot be run: {error}") from error
    if ran.returncode != 0:
        raise LabFailed(f"{named} ended with {ran.returncode}: {_text(ran.stderr)}")
    return _detail(named, ran.stdout)


def _detail(named: str, out: bytes) -> str:
    try:
        answer = json.loads(out[:LONGEST_ANSWER])
    except ValueError as error:
        raise LabFailed(f"{named} did not print one JSON object: {_text(out)!r}") from error
    if not isinstance(answer, dict) or answer.get("done") is not True:
        raise LabFailed(f'{named} did not answer {{"done": true}}: {_text(out)!r}')
    return str(answer.get("detail", ""))


def _text(out: bytes) -> str:
    return out[:500].decode("utf-8", "replace").strip()
