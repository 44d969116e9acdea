"""What a replay of a witness shows: fixed, failed, or nothing; pure."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from xencbt.harness.witness.checking import Answer, Saw, saw_in_words
from xencbt.harness.witness.steps import Step
from xencbt.harness.witness.witness import Drift, Witness, drifts, step_in_words


class Word(enum.Enum):
    """What `xencbt replay` answers."""

    FIXED = "FIXED"
    FAILED = "FAILED"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The answer, why, and what went otherwise on the way. `answer` is how the last step was answered, if it was."""

    word: Word
    reason: str
    drifts: tuple[Drift, ...] = ()
    answer: Answer | None = None


def conclude(witness: Witness, saw: Sequence[Saw | None], ended: str = "") -> Conclusion:
    """Hold what came of each step against the witness; `ended` says why the replay ended early, if it did.

    A step on the way that succeeds where it was refused, or the other way round, leads elsewhere: nothing is shown.
    """
    check, last = witness.check, saw[-1]
    told = drifts(witness.steps, saw)
    astray = next((at for at, step in enumerate(witness.steps[:-1]) if _astray(step, saw[at])), None)
    if astray is not None:
        step = witness.steps[astray]
        why = f"step {astray + 1} ({step_in_words(step)}) was {_kind(step.saw)} and now is {_kind(saw[astray])}"
        return Conclusion(Word.ERROR, f"{ended}; {why}" if ended else why, told)
    if last is None:
        return Conclusion(Word.ERROR, ended or "its last step was never reached", told)
    if "lost" in last and "lost" not in check.saw:
        return Conclusion(Word.ERROR, "no answer came to its last step", told)
    answer = check.decide(last)
    now = saw_in_words(last, check.expected[0])
    if answer is Answer.RIGHT:
        return Conclusion(Word.FIXED, f"its last step gives {now}", told, answer)
    return Conclusion(Word.FAILED, f"{answer.value}: {now}, must be {' or '.join(check.words())}", told, answer)


def _astray(step: Step, saw: Saw | None) -> bool:
    return step.saw is not None and not step.verb.reads and _kind(step.saw) != _kind(saw)


def _kind(saw: Saw | None) -> str:
    if saw is None:
        return "not reached"
    return "done" if "ok" in saw else "refused" if "failed" in saw else "not answered"
