"""The nine verdicts, what a test raises to reach them, and how verdicts decide a requirement and a run."""

import enum
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from xencbt.harness.blockmap import BlockMap


class Verdict(enum.Enum):
    """What is known of a requirement or a test, worst first; every verdict but `pass` carries a reason."""

    ERROR = "error"
    FAIL = "fail"
    STALE = "stale"
    BLOCKED = "blocked"
    NOT_EXERCISED = "not exercised"
    KNOWN = "known"
    UNSUPPORTED = "unsupported"
    NOT_RUN = "not run"
    PASS = "pass"  # noqa: S105  the word, not a password


ORDER: tuple[Verdict, ...] = tuple(Verdict)


class Undecided(Exception):
    """Base of the ways a test ends without having decided its requirement."""

    verdict: ClassVar[Verdict]

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Blocked(Undecided):
    """A precondition of the test could not be set up on the target."""

    verdict = Verdict.BLOCKED


class NotExercised(Undecided):
    """The point was not reached: a planned fault did not fire, or too few examples got there."""

    verdict = Verdict.NOT_EXERCISED


class Unsupported(Undecided):
    """The target lacks the capability, shown by probing. About the target, never about us."""

    verdict = Verdict.UNSUPPORTED


class NotRun(Undecided):
    """We did not run it: no consent, not named, filtered out, over budget. About us, never about the target."""

    verdict = Verdict.NOT_RUN


class Axis(enum.Enum):
    """What of a target that met a fault is judged: the answer, the state that is left, and that it recovers."""

    ANSWER = "answer"
    STATE = "state"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Accepted:
    """An answer that was allowed of one call: the error `code`, or success (None).

    One of `words` has to stand in the error, where there are any.
    """

    code: str | None
    words: tuple[str, ...] = ()


class Violation(AssertionError):
    """The target did what its documentation excludes: verdict `fail`.

    `expected` lists the allowed alternatives in words, `actual` says what came. `requirements` are the rows it breaks,
    where that can be told, be they among those that its test decides or not; else it breaks all of those. `axis` is
    what of a target that met a fault was wrong; without one it is the state (see `judging`). `block_map` is the
    bitmap that was judged, where it was one. `accepted` are the answers that were allowed of one call; empty where it
    was about something else.
    """

    def __init__(
        self,
        message: str,
        *,
        expected: Iterable[str] = (),
        actual: str = "",
        requirements: Iterable[str] = (),
        block_map: BlockMap | None = None,
        accepted: Iterable[Accepted] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.expected = tuple(expected)
        self.actual = actual
        self.requirements = tuple(requirements)
        self.axis: Axis | None = None
        self.block_map = block_map
        self.accepted = tuple(accepted)

    def __str__(self) -> str:
        lines = [self.message]
        if self.expected:
            lines.append("  expected: " + "\n         or: ".join(self.expected))
        if self.actual:
            lines.append("  actual:   " + self.actual)
        return "\n".join(lines)


@contextmanager
def judging(axis: Axis) -> Iterator[None]:
    """Let a violation inside say that it is about this axis, unless it knows better."""
    try:
        yield
    except Violation as violation:
        violation.axis = violation.axis or axis
        raise


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of `verdicts`; of none, `not run`: nothing that ran is nothing that passed."""
    return min(verdicts, key=ORDER.index, default=Verdict.NOT_RUN)


def counts(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Return how often each verdict occurs, by its word, worst first, absent ones left out."""
    tally = Counter(verdicts)
    return {verdict.value: tally[verdict] for verdict in ORDER if tally[verdict]}


class Exit(enum.IntEnum):
    """Exit codes of `xencbt run`."""

    OK = 0
    FAILED = 1
    UNDECIDED = 2
    USAGE = 3
    ERROR = 4
    INTERRUPTED = 130


def exit_code(
    verdicts: Mapping[str, Verdict],
    levels: Mapping[str, str],
    selected_chapters: Collection[str],
    *,
    strict: bool = False,
) -> Exit:
    """Decide the run from the verdicts of the selected requirements.

    `verdicts` and `levels` are keyed by requirement id; `selected_chapters` are the chapters that the selection
    touched, each of which needs an M `pass`. With `strict`, level S decides as level M does; level I never decides.
    """
    deciding = {"M", "S"} if strict else {"M"}
    relevant = {name: verdict for name, verdict in verdicts.items() if levels[name] in deciding}
    if Verdict.ERROR in verdicts.values():
        return Exit.ERROR
    if any(verdict in {Verdict.FAIL, Verdict.STALE} for verdict in relevant.values()):
        return Exit.FAILED
    if any(verdict in {Verdict.BLOCKED, Verdict.NOT_EXERCISED} for verdict in relevant.values()):
        return Exit.UNDECIDED
    passed = {chapter_of(name) for name, verdict in verdicts.items() if levels[name] == "M" and verdict is Verdict.PASS}
    if not selected_chapters or not set(selected_chapters) <= passed:
        return Exit.UNDECIDED
    return Exit.OK


def chapter_of(requirement: str) -> str:
    """Return the chapter part of a requirement id: `ENABLE` of `ENABLE-13`."""
    return requirement.rsplit("-", 1)[0]
