"""The phases of one judged test, as pytest goes through them."""

from collections.abc import Generator

import pytest

from xencbt.harness.plugin.items import decided_by, needs_of, test_id
from xencbt.harness.plugin.stash import JUDGE, JUDGED, RUN, SHIPMENT, TRIAL
from xencbt.harness.run import Run
from xencbt.harness.searching import by_seed_alone
from xencbt.harness.sinks import Shipped
from xencbt.harness.trial import Trial
from xencbt.harness.verdicts import Verdict

COMES_BACK = "FAULT-05"
"""That a host answers again once a fault has healed."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin a judged test."""
    requirements = decided_by(item)
    if requirements and isinstance(item, pytest.Function):
        run = item.config.stash[RUN]
        item.stash[TRIAL] = trial = Trial(
            test_id(item), requirements, item.config.stash[JUDGE], needs_of(item).required
        )
        trial.begin(item.obj)
        run.emit("test_started", id=trial.id, requirement=list(requirements))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Count the calls of the body from here; what a judged test draws, the seed alone decides."""
    trial = item.stash.get(TRIAL, None)
    if trial is None:
        return (yield)
    trial.body_begins()
    with by_seed_alone():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Take what a phase did into the test's finding, and tell pytest as much of it as pytest has words for."""
    report = yield
    trial = item.stash.get(TRIAL, None)
    if trial is not None:
        run = item.config.stash[RUN]
        trial.phase_ended(call, report)
        trial.mask_report(report)
        setattr(report, JUDGED, True)
        if call.when == "teardown":
            run.found(trial.finding())
            _stop_if_gone(item, run)
        if isinstance(run.sink, Shipped):
            setattr(report, SHIPMENT, run.sink.take())
    return report


def _stop_if_gone(item: pytest.Item, run: Run) -> None:
    """End a run whose target is gone: nothing more can be judged, and what was judged last may be its doing.

    Where the test has just failed because the target does not come back, that is what the run has to say, and no
    problem of its own.
    """
    judge = item.config.stash[JUDGE]
    gone = judge.recorder.breaker.reason or judge.bench.gone
    if gone is None or item.session.shouldfail:
        return
    if item.stash[TRIAL].finding().verdict_of(COMES_BACK) is not Verdict.FAIL:
        run.problem(gone)
    item.session.shouldfail = f"nothing more can be judged: {gone}"
