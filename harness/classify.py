"""From what a test raised to what that means; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import pytest
from hypothesis.errors import FailedHealthCheck, Flaky, Unsatisfiable

from xencbt.harness.blockmap import BlockMap
from xencbt.harness.verdicts import ORDER, Accepted, Axis, Undecided, Verdict, Violation


class Phase(Enum):
    """Where in a test something was raised."""

    SETUP = "setup"
    CALL = "call"
    TEARDOWN = "teardown"


@dataclass(frozen=True, slots=True)
class Classified:
    """The meaning of one exception; `violated` are the requirements it names, none where it names none.

    `axis` is what it says was wrong with a target that met a fault. `block_map` is the bitmap that was
    judged, if it was one. `accepted` are the answers that were allowed of one call.
    """

    verdict: Verdict
    reason: str
    expected: tuple[str, ...] = ()
    actual: str = ""
    violated: tuple[str, ...] = ()
    axis: Axis | None = None
    block_map: BlockMap | None = None
    accepted: tuple[Accepted, ...] = ()


def classify(error: BaseException, phase: Phase) -> Classified:
    """Return the verdict that `error` stands for.

    A violation is `fail` where the test judges (call) and `blocked` where it prepares (setup). A skip of pytest's own
    is `not run`: it never counts as a pass. Of several exceptions at once the worst one about the target speaks.
    Anything the harness does not raise on purpose is an `error` of ours.
    """
    return min((_one(leaf, phase) for leaf in _leaves(error)), key=rank)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
        return
    if isinstance(error, Flaky) and error.__context__ is not None:
        yield from _leaves(error.__context__)  # what was seen, and did not come again
    yield error


def _one(error: BaseException, phase: Phase) -> Classified:
    if isinstance(error, Undecided):
        return Classified(error.verdict, error.reason)
    if isinstance(error, pytest.skip.Exception):
        return Classified(Verdict.NOT_RUN, f"skipped: {error.msg}")
    if isinstance(error, AssertionError | pytest.fail.Exception):
        if phase is Phase.SETUP:
            return Classified(Verdict.BLOCKED, f"could not be set up: {_first_line(error)}")
        if isinstance(error, Violation):
            return Classified(
                Verdict.FAIL,
                error.message,
                error.expected,
                error.actual,
                error.requirements,
                error.axis,
                error.block_map,
                error.accepted,
            )
        return Classified(Verdict.FAIL, _first_line(error), actual=str(error))
    if isinstance(error, Unsatisfiable | FailedHealthCheck):
        return Classified(Verdict.NOT_EXERCISED, f"too few examples were drawn: {_first_line(error)}")
    return Classified(Verdict.ERROR, f"{type(error).__name__}: {_first_line(error)}")


def rank(classified: Classified) -> int:
    """Return the place of `classified` among several of one test: the lowest speaks for it."""
    # Of several (hypothesis reports distinct failures as a group, and one that did not come back on replay in the
    # context of its complaint) a violation that was seen outranks the harness's own trouble in showing it again.
    return -1 if classified.verdict is Verdict.FAIL else ORDER.index(classified.verdict)


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
