"""The pytest plugin: options, marks, and the hooks through which a run is judged.

It sleeps until a collected test carries the mark that `decides` sets. Each process that runs tests (the only one, or an
xdist worker) has a `Judge`; the process that the user started writes the events, workers ship theirs to it.
"""

import os
import shlex
import sys
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import Lab
from xencbt.harness import searching
from xencbt.harness.capabilities import PROBED, Capability
from xencbt.harness.catalogue import CATALOGUE
from xencbt.harness.disturbing import Faults
from xencbt.harness.errors import HarnessError, TargetUnreachable, UsageError, XencbtError
from xencbt.harness.findings import lacking
from xencbt.harness.judge import Judge, suite_identity
from xencbt.harness.leases import check_leases, turned
from xencbt.harness.needs import Needs
from xencbt.harness.options import OPTIONS
from xencbt.harness.planning import Plan, PlannedTest
from xencbt.harness.run import Front, Run
from xencbt.harness.searching import Search
from xencbt.harness.selection import Candidate, Selection, check_names, id_of, suite_of
from xencbt.harness.settings import Settings, load
from xencbt.harness.sinks import EVENTS_FILE, Shipped, Written
from xencbt.harness.striking import PLAN_FIXTURE, is_wanted
from xencbt.harness.trial import Trial
from xencbt.harness.verdicts import Exit, NotRun, Violation
from xencbt.harness.workers import Workers, worker_begins
from xencbt.reports.console import summary
from xencbt.reports.folder import DEFAULT, new_folder
from xencbt.reports.layout import Paint, colour_wanted
from xencbt.reports.live import Live
from xencbt.reports.plan import short
from xencbt.reports.write import write_all
from xencbt.suites.index import deciding_tests, suite_names

RUN = pytest.StashKey[Run]()
JUDGE = pytest.StashKey[Judge]()
TRIAL = pytest.StashKey[Trial]()
CLOSING = pytest.StashKey[str]()
WORKERS = pytest.StashKey[Workers]()
UNSELECTED = pytest.StashKey[bool]()
SHIPMENT = "cbt_events"
JUDGED = "cbt_judged"
THREADS = "error::pytest.PytestUnhandledThreadExceptionWarning"
"""What a thread of a judged test raised must not pass unseen."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--cbt-x` for every option x of a run."""
    group = parser.getgroup("xencbt", "judging changed block tracking")
    for option in OPTIONS:
        if option.kind == "switch":
            group.addoption(option.pytest_flag, action="store_true", default=False, help=option.help)
        else:
            action = "append" if option.kind == "list" else "store"
            group.addoption(option.pytest_flag, action=action, default=None, metavar=option.metavar, help=option.help)


def pytest_configure(config: pytest.Config) -> None:
    """Read and check what was asked for, before anything is collected."""
    config.addinivalue_line("markers", "decides(*ids): the requirements of the catalogue that the test decides")
    config.addinivalue_line("markers", "needs(*names, optional=()): the capabilities and consents that the test needs")
    config.addinivalue_line("markers", "striking(*kinds): the kinds of fault that the test makes")
    config.addinivalue_line("markers", "planned_faults: the test carries out a plan of the user's, and needs one")
    config.addinivalue_line("markers", "any_target: the test has something to judge on a target without CBT as well")
    try:
        settings = _settings(config)
    except UsageError as error:
        raise _refused(config, error) from error
    if _is_worker(config):
        worker_begins(config)
    sink = Shipped() if _is_worker(config) else Written(lambda: new_folder(settings.out or DEFAULT))
    watch = None
    if _front(config) is not None:
        watch = Live(lambda line: print(line, flush=True), _paint(), quiet=settings.quiet).show
        config.pluginmanager.register(Silence(), "xencbt-silence")
    config.stash[RUN] = run = Run(settings, sink, watch)
    config.pluginmanager.register(Receiver(run, config), "xencbt-receiver")


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
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        requirements = _decided_by(item)
        candidate = Candidate(suite_of(_module(item)), requirements)
        try:
            for requirement in requirements:
                CATALOGUE[requirement]
        except UsageError as error:
            raise _refused(config, UsageError(f"{item.nodeid}: {error}")) from error
        if requirements:
            item.add_marker(pytest.mark.filterwarnings(THREADS))
        wanted = selection.selects(candidate) and is_wanted(item, settings.asked_faults)
        (kept if not requirements or wanted else left).append(item)
    config.stash[UNSELECTED] = bool(left) and len(left) == sum(bool(_decided_by(item)) for item in items)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Start or dial the target once it is known that there is something to judge."""
    config = session.config
    run = config.stash[RUN]
    items = [item for item in session.items if _decided_by(item)]
    if config.option.collectonly or not items:
        return
    judge = Judge(run.settings, leasing=_is_worker(config))
    config.stash[JUDGE] = judge
    front = _front(config)
    planning = front if front is not None and front.planning else None
    try:
        plan, absent = _planned(judge, items, planning)
    except Exception as error:
        if isinstance(error, UsageError) and not _is_worker(config):
            raise _refused(config, error) from error
        told = (
            str(error) if isinstance(error, XencbtError) else f"looking at the target: {type(error).__name__}: {error}"
        )
        if planning is not None:
            planning.trouble = judge.secrets.mask(told)
            return
        _begin(config, items)
        run.problem(judge.secrets.mask(told))
        return
    if planning is not None:
        planning.plan = plan.as_json() | {"target": judge.describe()}
        return
    try:
        _begin(config, items, absent)
    except UsageError as error:
        judge.close()
        raise _refused(config, error) from error
    run.emit("target", **judge.describe())
    if front is not None and not run.settings.quiet:
        print(short(plan.as_json()), flush=True)
    for capability in absent:
        run.found(lacking(capability))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run nothing where a plan is all that is wanted, or there is no target to judge.

    In that case the problem is told, and every test is `not run`.
    """
    front = _front(session.config)
    if front is not None and front.planning:
        return True
    judge = session.config.stash.get(JUDGE, None)
    if judge is not None and judge.plan is None:
        why = "its tests cannot be planned" if judge.is_open else "the target was never reached"
        raise session.Failed(f"nothing could be judged: {why}")
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin a judged test."""
    requirements = _decided_by(item)
    if requirements and isinstance(item, pytest.Function):
        run = item.config.stash[RUN]
        item.stash[TRIAL] = trial = Trial(_id(item), requirements, item.config.stash[JUDGE])
        trial.begin(item.obj)
        run.emit("test_started", id=trial.id, requirement=list(requirements))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Count the calls of the body from here."""
    trial = item.stash.get(TRIAL, None)
    if trial is not None:
        trial.body_begins()


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


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand every worker the run's seed."""
    node.workerinput["cbt_seed"] = node.config.stash[RUN].settings.seed
    if WORKERS not in node.config.stash:
        node.config.stash[WORKERS] = Workers()
        node.config.add_cleanup(node.config.stash[WORKERS].close)
    node.config.stash[WORKERS].begin(node)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take up what a worker told last; one that died leaves its trouble as a problem of the run."""
    run = node.config.stash[RUN]
    for event in getattr(node, "workeroutput", {}).get(SHIPMENT, ()):
        run.take(event)
    if error and not run.interrupted:
        run.problem(f"a worker died: {error}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Clean up, close the books, write the reports, and decide the exit code."""
    config = session.config
    run, front = config.stash.get(RUN, None), _front(config)
    if run is None or (front is not None and front.usage is not None):
        return
    judge = config.stash.get(JUDGE, None)
    if judge is not None:
        closed = judge.close()
        if front is None or not front.planning:
            run.emit("journal", **closed)
    if front is not None and front.planning:
        return
    if session.exitstatus == pytest.ExitCode.USAGE_ERROR:
        return
    if isinstance(run.sink, Shipped):
        config.workeroutput[SHIPMENT] = run.sink.take()  # type: ignore[attr-defined]  # xdist gives it to its workers
    elif front is not None or run.sink.has("run_started"):
        session.exitstatus = _close(config, run, run.sink, session.exitstatus)
    elif session.exitstatus == pytest.ExitCode.OK and config.stash.get(UNSELECTED, False):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED  # what was named with --cbt-… left nothing to judge


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Give the test the target to stand on; what the test creates is removed at its end."""
    trial = request.node.stash.get(TRIAL, None)
    if trial is None:
        pytest.fail("the `lab` fixture is for test functions that carry the mark of @decides(…)", pytrace=False)
    needed, held = _needs(request.node), _is_held_to_its_needs(request.node)
    with trial.stage(needed.declared if held else None) as stage:
        request.config.stash[JUDGE].refuse_leased(needed.required)
        missing = needed.lacking(stage.capabilities, stage.bench.consents)
        if missing is not None:
            raise missing
        if stage.bench.budget.spent:
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


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the run's own table and verdict below pytest's."""
    text = config.stash.get(CLOSING, None)
    if text is not None:
        terminalreporter.section("changed block tracking")
        terminalreporter.write_line(text)


@pytest.fixture
def faults(request: pytest.FixtureRequest, lab: Lab) -> Faults:
    """Give the test sessions that pass the interceptor, and faults to arm on them."""
    lab.consent("faults")
    judge = request.config.stash[JUDGE]
    kinds = judge.settings.asked_faults.kinds
    return Faults(lab, lambda: judge.interceptor, request.node.stash[TRIAL].receipts, kinds)


class Receiver:
    """Hears what has no configuration at hand: shipped reports, lost workers, Ctrl-C."""

    def __init__(self, run: Run, config: pytest.Config) -> None:
        self._run = run
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take up what a worker shipped with a report."""
        if isinstance(self._run.sink, Written):  # a worker hears its own reports, too
            for event in getattr(report, SHIPMENT, ()):
                self._run.take(event)
        decides_nothing = report.failed and not hasattr(report, JUDGED)
        if decides_nothing and _front(self._config) is not None and str(report.when) != "???":
            self._run.problem(f"{report.nodeid} failed, and says of no requirement that it decides it")
        if str(report.when) == "???":  # how xdist reports the test during which a worker died
            self._run.problem(f"a worker died during {report.nodeid}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember that tests could not even be collected: what was not seen was not judged."""
        if report.skipped and isinstance(self._run.sink, Written) and _front(self._config) is not None:
            self._run.problem(f"{_where(report)} skipped itself as a whole: its tests are not known")
        if report.failed and isinstance(self._run.sink, Written):  # a worker's reports come to the writing process too
            said = [line for line in report.longreprtext.splitlines() if line.startswith("E ")]
            self._run.problem(
                f"{report.nodeid} could not be collected: {(said or ['?'])[-1].removeprefix('E ').strip()}"
            )

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Remember Ctrl-C (and SIGTERM): the run is not complete. Pytest and xdist stop by kinds of their own.

        Workers are interrupted as well, and clean up first.
        """
        if excinfo.type is KeyboardInterrupt:
            self._run.interrupted = True
            workers = self._config.stash.get(WORKERS, None)
            if workers is not None:
                workers.interrupt(self._config, lambda node: pytest_testnodedown(node, None))

    def pytest_internalerror(self, excrepr: object) -> None:
        """Remember that pytest itself broke."""
        self._run.problem(f"pytest broke: {str(excrepr).strip().splitlines()[-1]}")


class Silence:
    """Takes pytest's letters off the terminal where the console of the run speaks."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str]:
        """Count the test, say nothing."""
        return report.outcome if report.when == "call" or report.outcome != "passed" else "", "", ""


def _stop_if_gone(item: pytest.Item, run: Run) -> None:
    """End a run whose target is gone: nothing more can be judged, and what was judged last may be its doing."""
    judge = item.config.stash[JUDGE]
    gone = judge.recorder.breaker.reason or judge.bench.gone
    if gone is not None and not item.session.shouldfail:
        run.problem(gone)
        item.session.shouldfail = f"nothing more can be judged: {gone}"


def _where(report: pytest.CollectReport) -> str:
    """Return where a skipped collection stopped; outside the root folder its node id is empty."""
    return report.nodeid or (str(report.longrepr[0]) if isinstance(report.longrepr, tuple) else "a module")


def _planned(judge: Judge, items: list[pytest.Item], planning: Front | None) -> tuple[Plan, tuple[Capability, ...]]:
    """Open the target and plan; where planning is all, the journal that will stay empty is kept nowhere."""
    with TemporaryDirectory() if planning is not None else nullcontext() as folder:
        judge.open(planning=Path(folder) if folder else None)
        absent = judge.require(judge.settings.required)
        for plan in judge.settings.asked_faults.plans:
            plan.require_methods(judge.methods())
        tests = [_to_plan(item) for item in items]
        return judge.make_plan(tests), absent


def _begin(config: pytest.Config, items: list[pytest.Item], absent: Sequence[Capability] = ()) -> None:
    run, front = config.stash[RUN], _front(config)
    planned = {_id(item): _decided_by(item) for item in items}
    everything = {test for tests in deciding_tests().values() for test in tests}
    command = shlex.join(["pytest", *config.invocation_params.args]) if front is None else front.command
    run.begin(
        suite=suite_identity(),
        command=command,
        filtered=not everything <= {test.partition("[")[0] for test in planned},
    )
    decided = {requirement for requirements in planned.values() for requirement in requirements}
    silent = _silent_suites(run.settings, planned)
    planned |= {lacking(capability).id: () for capability in absent}
    run.select(run.settings.requirements or decided | silent, planned)


def _silent_suites(settings: Settings, planned: Collection[str]) -> set[str]:
    """Return the requirements of the named suites of which no test is planned: they are selected, and not run."""
    heard = {suite_of(test.partition("::")[0]) for test in planned}
    return {
        requirement
        for requirement, tests in deciding_tests().items()
        for suite in (suite_of(test.partition("::")[0]) for test in tests)
        if suite in settings.suites and suite not in heard
    }


def _close(config: pytest.Config, run: Run, sink: Written, status: int | pytest.ExitCode) -> int | pytest.ExitCode:
    if not sink.has("run_started"):
        _begin(config, [])
    run.end()
    folder = sink.close()
    assert folder is not None
    document = write_all(folder / EVENTS_FILE, folder)
    decided, front, text = Exit(document["exit"]), _front(config), summary(document, folder, _paint())
    if front is None:
        config.stash[CLOSING] = text
        passes_for_pytest = status == pytest.ExitCode.OK and decided is not Exit.OK
        return pytest.ExitCode.TESTS_FAILED if passes_for_pytest else status
    print(text, flush=True)
    front.exit = decided
    return int(decided)


def _paint() -> Paint:
    return Paint(colour=colour_wanted(sys.stdout, os.environ))


def _settings(config: pytest.Config) -> Settings:
    given = {option.key: config.getoption(option.pytest_flag) for option in OPTIONS}
    if _is_worker(config):
        given["seed"] = config.workerinput["cbt_seed"]  # type: ignore[attr-defined]  # xdist gives it to its workers
    settings = load(given, environment=os.environ, folder=config.invocation_params.dir)
    for requirement in settings.requirements:
        CATALOGUE[requirement]
    check_names(settings.suites, suite_names(), "suite")
    check_names(settings.required, PROBED, "capability")
    if settings.emulated_here:
        return settings
    if _is_worker(config):
        return turned(settings, int(config.workerinput["workerid"].removeprefix("gw")))  # type: ignore[attr-defined]
    if config.getoption("numprocesses", None):
        _check_leases(config, settings)
    return settings


def _check_leases(config: pytest.Config, settings: Settings) -> None:
    try:
        check_leases(settings, config.option.numprocesses)
    except (TargetUnreachable, HarnessError, Violation):
        config.option.dist, config.option.tx = "no", []  # nobody is to be sent there: this process tells how it ended


def _refused(config: pytest.Config, error: UsageError) -> pytest.UsageError:
    front = _front(config)
    if front is not None:
        front.usage = str(error)
    return pytest.UsageError(str(error))


def _front(config: pytest.Config) -> Front | None:
    return next((plugin for plugin in config.pluginmanager.get_plugins() if isinstance(plugin, Front)), None)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _decided_by(item: pytest.Item) -> tuple[str, ...]:
    return tuple(requirement for mark in item.iter_markers("decides") for requirement in mark.args)


def _id(item: pytest.Item) -> str:
    """Return the item's id, with the classes it stands in."""
    return id_of(_module(item), item.nodeid.partition("::")[2])


def _to_plan(item: pytest.Item) -> PlannedTest:
    draws = isinstance(item, pytest.Function) and searching.is_property(item.obj)
    return PlannedTest(_id(item), _decided_by(item), _needs(item), property_based=draws)


def _needs(item: pytest.Item) -> Needs:
    return Needs.of(item.iter_markers())


def _is_held_to_its_needs(item: pytest.Item) -> bool:
    """Tell whether the test says what it needs: then it is held to its word."""
    return item.get_closest_marker("needs") is not None


def _module(item: pytest.Item) -> str:
    return item.module.__name__ if isinstance(item, pytest.Function) else item.nodeid.partition("::")[0]
