"""The machine with faults passes an honest host, and what only a fault brings out is shown by it and little else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest

from xencbt.harness import searching
from xencbt.harness.disturbing import Faults
from xencbt.harness.outcome import Indeterminate, Outcome
from xencbt.harness.searching import Search
from xencbt.harness.session import Session
from xencbt.harness.verdicts import Violation
from xencbt.proxies.interceptor import Interceptor
from xencbt.suites.faulty import FaultyMachine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xencbt.fixtures.lab import Lab
    from xencbt.fixtures.targets import Target
    from xencbt.harness.faults import Receipt
    from xencbt.harness.model import Step
    from xencbt.suites.faulty import Struck, Trouble

pytestmark = pytest.mark.heavy

CALLS, FAULTS = 3, 1
"""So many calls and faults are left of a failing example at most."""


@pytest.fixture
def faults(lab: Lab, target: Target) -> Iterator[Faults]:
    receipts: list[Receipt] = []
    with Interceptor(target.url) as interceptor:
        yield Faults(lab, lambda: interceptor, receipts)


def search(seed: int, *, shrink: bool) -> Search:
    settings = hypothesis.settings(searching.profile("quick", shrink=shrink), stateful_step_count=5)
    return Search(seed, settings, 6)


class Told(FaultyMachine):
    """Keeps what the latest run did, and which faults met it."""

    done: tuple[Step, ...] = ()
    met: tuple[tuple[Struck, Trouble], ...] = ()

    def teardown(self) -> None:
        Told.done, Told.met = self.world.play.done, tuple(self.world.struck)
        super().teardown()


def test_an_honest_host_passes_and_calls_met_faults(lab: Lab, faults: Faults) -> None:
    session, met = faults.session(), []

    class Counted(FaultyMachine):
        def teardown(self) -> None:
            met.extend(self.world.struck)
            super().teardown()

    search(5, shrink=False).run(lambda: Counted(lab, faults, session))
    assert len(met) >= 3


def test_one_call_and_one_fault_are_left_of_what_only_they_bring_out(
    lab: Lab, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: enabling again, when the answer is lost and only then, forgets what was recorded."""
    disturbed, honest = faults.session(), Session.call

    def forgetful(session: Session, method: str, *params: object, deadline_s: float | None = None) -> Outcome:
        before = honest(lab.session, "VDI.get_cbt_enabled", params[0]) if method == "VDI.enable_cbt" else None
        outcome = honest(session, method, *params, deadline_s=deadline_s)
        if session is disturbed and before is not None and isinstance(outcome, Indeterminate):
            after = honest(lab.session, "VDI.get_cbt_enabled", params[0])
            if before == after and "True" in repr(after):
                honest(lab.session, "VDI.disable_cbt", params[0])
                honest(lab.session, "VDI.enable_cbt", params[0])
        return outcome

    monkeypatch.setattr(Session, "call", forgetful)
    with pytest.raises(Violation) as raised:
        search(5, shrink=True).run(lambda: Told(lab, faults, disturbed))
    assert raised.value.requirements == ("FAULT-03",)
    assert len(Told.met) == FAULTS
    assert len(Told.done) <= CALLS
