"""From the collected tests to a target that waits for them: what is selected, and what is planned."""

from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from xencbt.harness.capabilities import Capability
from xencbt.harness.catalogue import CATALOGUE
from xencbt.harness.errors import UsageError, XencbtError
from xencbt.harness.findings import lacking
from xencbt.harness.judge import Judge
from xencbt.harness.planning import Plan
from xencbt.harness.plugin.beginning import begin
from xencbt.harness.plugin.items import decided_by, module_of, test_id, to_plan
from xencbt.harness.plugin.stash import EARLIER, JUDGE, RUN, UNSELECTED, front_of, is_worker, refused
from xencbt.harness.rerunning import missing
from xencbt.harness.run import Front, Run
from xencbt.harness.selection import Candidate, Selection, suite_of
from xencbt.harness.striking import PLAN_FIXTURE, is_wanted
from xencbt.reports.plan import short

THREADS = "error::pytest.PytestUnhandledThreadExceptionWarning"
"""What a thread of a judged test raised must not pass unseen."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each plan that the user named."""
    if PLAN_FIXTURE in metafunc.fixturenames:
        plans = metafunc.config.stash[RUN].settings.asked_faults.plans
        metafunc.parametrize(PLAN_FIXTURE, plans, ids=[each.path.name for each in plans])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the selected ones among the judged tests; an id that the catalogue does not know is refused."""
    settings = config.stash[RUN].settings
    selection = Selection(settings.suites, settings.requirements)
    earlier = config.stash.get(EARLIER, None)
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        requirements = decided_by(item)
        candidate = Candidate(suite_of(module_of(item)), requirements)
        try:
            for requirement in requirements:
                CATALOGUE[requirement]
        except UsageError as error:
            raise refused(config, UsageError(f"{item.nodeid}: {error}")) from error
        if requirements:
            item.add_marker(pytest.mark.filterwarnings(THREADS))
        wanted = selection.selects(candidate) and is_wanted(item, settings.asked_faults)
        wanted = wanted and (earlier is None or test_id(item) in earlier.tests)
        (kept if not requirements or wanted else left).append(item)
    lost = missing(earlier, frozenset(map(test_id, kept))) if earlier is not None else None
    if lost is not None:
        items[:] = []  # pytest goes on with what is left here, whatever is raised
        raise refused(config, lost)
    config.stash[UNSELECTED] = bool(left) and len(left) == sum(bool(decided_by(item)) for item in items)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Start or dial the target once it is known that there is something to judge."""
    config = session.config
    run = config.stash[RUN]
    items = [item for item in session.items if decided_by(item)]
    if config.option.collectonly or not items:
        return
    front = front_of(config)
    judge = Judge(run.settings, leasing=is_worker(config), shrink=front is None or front.shrink)
    config.stash[JUDGE] = judge
    planning = front if front is not None and front.planning else None
    try:
        plan, absent = _planned(judge, items, planning)
        if EARLIER in config.stash:
            config.stash[EARLIER].refuse_other_target(judge.describe())
    except Exception as error:
        if isinstance(error, UsageError) and not is_worker(config):
            judge.close()
            raise refused(config, error) from error
        told = (
            str(error) if isinstance(error, XencbtError) else f"looking at the target: {type(error).__name__}: {error}"
        )
        if planning is not None:
            planning.trouble = judge.secrets.mask(told)
            return
        begin(config, items)
        run.problem(judge.secrets.mask(told))
        return
    if planning is not None:
        planning.plan = plan.as_json() | {"target": judge.describe(), "ledger": _ledger(judge, items)}
        return
    try:
        begin(config, items, absent)
    except UsageError as error:
        judge.close()
        raise refused(config, error) from error
    run.emit("target", **judge.describe())
    run.emit("planned", calls=plan.calls_by_test(), budget_s=plan.budget_s)
    if front is not None and not run.settings.quiet:
        print(short(plan.as_json()), flush=True)
    for capability in absent:
        run.found(lacking(capability))
    _judge_known_issues(run, judge)


def _ledger(judge: Judge, items: list[pytest.Item]) -> dict[str, Any]:
    """Say what a run would do about the ledger: which entries it would replay, and the size of their largest disk."""
    selected = judge.settings.requirements or {each for item in items for each in decided_by(item)}
    today = judge.known_issues.today
    replayed = [issue for issue in judge.select_issues(frozenset(selected)) if not issue.expired(today)]
    sizes = [int(step.given.get("size", 0)) for issue in replayed for step in issue.witness.steps]
    return {"replayed": [issue.id for issue in replayed], "largest_disk": max(sizes, default=0)}


def _judge_known_issues(run: Run, judge: Judge) -> None:
    """Replay the ledger, if one was named, before the first test: what it shows decides what the search ignores."""
    if run.settings.known_issues is not None:
        run.emit("known_issues", **judge.known_issues.as_json())
    for finding in judge.replay_issues():
        run.found(finding)


def _planned(judge: Judge, items: list[pytest.Item], planning: Front | None) -> tuple[Plan, tuple[Capability, ...]]:
    """Open the target and plan; where planning is all, the journal that will stay empty is kept nowhere."""
    with TemporaryDirectory() if planning is not None else nullcontext() as folder:
        judge.open(planning=Path(folder) if folder else None)
        absent = judge.require(judge.settings.required)
        for plan in judge.settings.asked_faults.plans:
            plan.require_methods(judge.methods())
        tests = [to_plan(item) for item in items]
        return judge.make_plan(tests), absent


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run nothing where a plan is all that is wanted, or there is no target to judge.

    In that case the problem is told, and every test is `not run`.
    """
    front = front_of(session.config)
    if front is not None and front.planning:
        return True
    judge = session.config.stash.get(JUDGE, None)
    if judge is not None and judge.plan is None:
        why = "its tests cannot be planned" if judge.is_open else "the target was never reached"
        raise session.Failed(f"nothing could be judged: {why}")
    return None
