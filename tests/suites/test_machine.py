"""The state machine passes an honest host, does the same for the same seed, and shows what a host loses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest

from xencbt.harness import searching
from xencbt.harness.bitmap import Bitmap
from xencbt.harness.model import Destroy
from xencbt.harness.outcome import Ok, Outcome
from xencbt.harness.searching import Search
from xencbt.harness.session import Session
from xencbt.harness.verdicts import Violation
from xencbt.suites.machine import Machine
from xencbt.suites.world import MOST_DISKS, World

if TYPE_CHECKING:
    from xencbt.fixtures.lab import Lab
    from xencbt.harness.model import Step

MACHINES = 5
"""The fewest that a search makes."""


def search(seed: int) -> Search:
    settings = hypothesis.settings(searching.profile("quick", shrink=False), stateful_step_count=6)
    return Search(seed, settings, MACHINES)


class Watched(Machine):
    """Keeps what it did."""

    def __init__(self, lab: Lab, told: list[list[Step]]) -> None:
        super().__init__(lab)
        self._told = told

    def teardown(self) -> None:
        self._told.append(list(self.world.play.done))
        assert len(self.world.play.disks) <= MOST_DISKS
        super().teardown()


def test_an_honest_host_passes_and_the_same_seed_does_the_same(lab: Lab) -> None:
    runs: list[list[list[Step]]] = [[], []]
    for told in runs:
        search(11).run(lambda told=told: Watched(lab, told))  # type: ignore[misc]  # bound for the loop's sake
    assert lab.examples == 2 * MACHINES
    assert nameless(runs[0]) == nameless(runs[1])
    assert max(len(told) for told in runs[0]) >= 6


def nameless(told: list[list[Step]]) -> list[list[str]]:
    """Return the steps in words, without what hosts draw for themselves."""
    return [[f"{type(step).__name__} {getattr(step, 'disk', '')}" for step in steps] for steps in told]


def test_what_a_host_loses_is_laid_to_what_it_lost_it_by(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = []
    honest = Session.call

    def forgetful(session: Session, method: str, *params: object, deadline_s: float | None = None) -> Outcome:
        outcome = honest(session, method, *params, deadline_s=deadline_s)
        if method == "VDI.destroy" and isinstance(outcome, Ok):
            lost.append(params)
        if method == "VDI.list_changed_blocks" and lost and isinstance(outcome, Ok):
            size = 8 * 65536 * Bitmap.from_base64(outcome.value).length
            return Ok(Bitmap.of((), size).to_base64())
        return outcome

    monkeypatch.setattr(Session, "call", forgetful)
    world = World(lab, precise=False)
    world.furnish("a", tracked=True)
    for place in (0x500, 0x900):
        world.write("a", place, 1)
        world.snapshot("a")
    world.look()
    world.do(Destroy("a.1"))
    with pytest.raises(Violation, match=r"from a\.0 to a.*: a backup would lose") as caught:
        world.look()
    assert caught.value.requirements == ("LIST-11",)
