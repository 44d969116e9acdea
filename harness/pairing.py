"""Steps tried on two hosts at once, a right one and a wrong one: where they differ, and in which way."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from xencbt.harness.witness.checking import Answer, check_of
from xencbt.harness.witness.deriving import Inexpressible
from xencbt.harness.witness.renaming import aliases_in, numbered_anew
from xencbt.harness.witness.witness import Witness, read_witness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xencbt.harness.standing import Stand
    from xencbt.harness.witness.checking import Alternative, Check, Saw
    from xencbt.harness.witness.steps import Step

Answers = tuple["Saw | None", ...]


@dataclass(slots=True)
class Pair:
    """A right host and a wrong one; without a wrong one, what was recorded stands for it.

    Probing stops at the time `end`, and once `calls` (None: any number) were made to the wrong one.
    """

    right: Stand
    wrong: Stand | None
    test_id: str
    end: float
    calls: int | None = None

    def both(self, steps: Sequence[Step]) -> tuple[Answers, Answers]:
        """Return what came of each step on the right host, and on the wrong one; raises Inexpressible."""
        right = self.right.replay(steps, self.test_id)
        if right.ended is not None:
            raise Inexpressible(f"a right host cannot carry out its steps: {right.ended}")
        if self.wrong is None:
            return right.saw, tuple(step.saw for step in steps)
        wrong = self.wrong.replay(steps, self.test_id)
        if self.calls is not None:
            self.calls -= wrong.calls
        return right.saw, wrong.saw

    def check(self, steps: Sequence[Step], alternatives: Sequence[Alternative] = ()) -> Check | None:
        """Return what tells the two apart at the last step; None where nothing does. Raises Inexpressible."""
        right, wrong = self.both(steps)
        if right[-1] is None or wrong[-1] is None:
            return None
        return check_of(right[-1], wrong[-1], alternatives)

    def same(self, steps: tuple[Step, ...], as_before: Check) -> bool:
        """Tell whether the two still differ at the last step in the same way; no, once time or calls are spent."""
        if time.monotonic() > self.end or (self.calls is not None and self.calls <= 0):
            return False
        try:
            check = self.check(steps, as_before.expected)
        except Inexpressible:
            return False
        return check is not None and check.way(check.saw) == as_before.way(as_before.saw)

    def told(self, steps: tuple[Step, ...], alternatives: Sequence[Alternative]) -> Witness:
        """Try `steps` once more and make a witness of them; raises Inexpressible where they show nothing."""
        right, wrong = self.both(steps)
        check = None if right[-1] is None or wrong[-1] is None else check_of(right[-1], wrong[-1], alternatives)
        if check is None or check.decide(check.saw) is not Answer.SAME:
            raise Inexpressible("the failure did not come back when its steps were replayed")
        used = frozenset[str]().union(*(step.uses for step in steps), aliases_in(check.as_json()))
        kept = [
            replace(step, saw=saw, names={alias: path for alias, path in step.names.items() if alias in used})
            for step, saw in zip(steps, wrong, strict=True)
        ]
        numbered, told = numbered_anew(kept, check.as_json())
        return read_witness({"steps": [step.as_json() for step in numbered], "check": told})
