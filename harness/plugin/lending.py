"""The fixtures that a judged test stands on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import Lab
from xencbt.harness.disturbing import Faults
from xencbt.harness.plugin.items import is_held_to_its_needs, needs_of
from xencbt.harness.plugin.stash import JUDGE, TRIAL
from xencbt.harness.searching import Search
from xencbt.harness.verdicts import NotRun

if TYPE_CHECKING:
    from xencbt.harness.trial import Trial


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Give the test the target to stand on; what the test creates is removed at its end."""
    trial = request.node.stash.get(TRIAL, None)
    if trial is None:
        pytest.fail("the `lab` fixture is for test functions that carry the mark of @decides(…)", pytrace=False)
    needed, held = needs_of(request.node), is_held_to_its_needs(request.node)
    judge = request.config.stash[JUDGE]
    judge.refuse_leased(needed.required)
    missing = needed.lacking(judge.bench.capabilities, judge.bench.consents)
    if missing is not None:  # before the test waits for its turn on the host
        raise missing
    with trial.stage(needed if held else None) as stage:
        if judge.bench.budget.spent:  # by waiting, perhaps
            raise NotRun("over budget: the time for this run is spent")
        yield stage


@pytest.fixture
def disk(lab: Lab) -> Disk:
    """Give the test a new `user` disk on the SR of the run."""
    return lab.create_disk()


@pytest.fixture
def search(request: pytest.FixtureRequest, lab: Lab) -> Search:
    """Lend the test the run's search, for a state machine over what `lab` offers."""
    del lab  # it must stand before, and a test without it would have nothing to drive
    trial: Trial = request.node.stash[TRIAL]
    return trial.search()


@pytest.fixture
def faults(request: pytest.FixtureRequest, lab: Lab) -> Faults:
    """Give the test sessions that pass the interceptor, and faults to arm on them."""
    lab.consent("faults")
    judge = request.config.stash[JUDGE]
    kinds = judge.settings.asked_faults.kinds
    return Faults(lab, lambda: judge.interceptor, request.node.stash[TRIAL].receipts, kinds)
