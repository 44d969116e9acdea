"""Before anything is collected: the options, the marks, and the settings they add up to."""

import os
import sys

import pytest

from xencbt.harness.capabilities import PROBED
from xencbt.harness.catalogue import CATALOGUE
from xencbt.harness.errors import HarnessError, TargetUnreachable, UsageError
from xencbt.harness.leases import check_leases, turned
from xencbt.harness.options import OPTIONS
from xencbt.harness.plugin.hearing import Receiver, Silence
from xencbt.harness.plugin.stash import EARLIER, RUN, SINCE, front_of, is_worker, paint, refused
from xencbt.harness.rerunning import adopted, read_earlier
from xencbt.harness.run import Run
from xencbt.harness.selection import check_names
from xencbt.harness.settings import Settings, load
from xencbt.harness.sinks import Shipped, Written
from xencbt.harness.verdicts import Violation
from xencbt.harness.workers import worker_begins
from xencbt.reports.folder import DEFAULT, new_folder
from xencbt.reports.live import Live
from xencbt.reports.saved import read_run
from xencbt.reports.terminal import Terminal
from xencbt.suites.index import suite_names


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
        raise refused(config, error) from error
    if is_worker(config):
        worker_begins(config)
    elif settings.led:
        print(f"xencbt: {settings.led}", file=sys.stderr, flush=True)
    sink = Shipped() if is_worker(config) else Written(lambda: new_folder(settings.out or DEFAULT))
    live = None
    if front_of(config) is not None:
        live = Live(Terminal(sys.stdout, os.environ), paint(), quiet=settings.quiet)
        config.pluginmanager.register(Silence(), "xencbt-silence")
    earlier = config.stash[EARLIER].findings if EARLIER in config.stash else ()
    config.stash[RUN] = run = Run(settings, sink, live.show if live else None, earlier=earlier)
    config.pluginmanager.register(Receiver(run, config, live), "xencbt-receiver")


def _settings(config: pytest.Config) -> Settings:
    given = {option.key: config.getoption(option.pytest_flag) for option in OPTIONS}
    if is_worker(config):
        given["seed"] = config.workerinput["cbt_seed"]  # type: ignore[attr-defined]  # xdist gives it to its workers
    settings = load(given, environment=os.environ, folder=config.invocation_params.dir)
    if settings.since is not None:
        config.stash[SINCE] = (str(settings.since), read_run(settings.since).run)  # read before the time is spent
    if settings.rerun is not None:
        config.stash[EARLIER] = earlier = read_earlier(settings.rerun)
        settings = adopted(settings, earlier, given)
    for requirement in settings.requirements:
        CATALOGUE[requirement]
    check_names(settings.suites, suite_names(), "suite")
    check_names(settings.required, PROBED, "capability")
    if settings.emulated_here:
        return settings
    if is_worker(config):
        return turned(settings, int(config.workerinput["workerid"].removeprefix("gw")))  # type: ignore[attr-defined]
    if config.getoption("numprocesses", None):
        _check_leases(config, settings)
    return settings


def _check_leases(config: pytest.Config, settings: Settings) -> None:
    try:
        check_leases(settings, config.option.numprocesses)
    except (TargetUnreachable, HarnessError, Violation):
        config.option.dist, config.option.tx = "no", []  # nobody is to be sent there: this process tells how it ended
