"""What the run hears of besides its tests: workers, failed collections, Ctrl-C."""

from typing import Any

import pytest

from xencbt.harness.plugin.beginning import command_of
from xencbt.harness.plugin.stash import JUDGED, RUN, SHIPMENT, WORKERS, front_of
from xencbt.harness.run import Run
from xencbt.harness.sinks import Written
from xencbt.harness.workers import Workers
from xencbt.reports.live import Live


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand every worker the run's seed, and the command line as the user gave it."""
    node.workerinput["cbt_seed"] = node.config.stash[RUN].settings.seed
    node.workerinput["cbt_command"] = command_of(node.config)
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


class Receiver:
    """Hears what has no configuration at hand: shipped reports, lost workers, Ctrl-C."""

    def __init__(self, run: Run, config: pytest.Config, live: Live | None = None) -> None:
        self._run = run
        self._config = config
        self._live = live

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take up what a worker shipped with a report."""
        if isinstance(self._run.sink, Written):  # a worker hears its own reports, too
            for event in getattr(report, SHIPMENT, ()):
                self._run.take(event)
        if report.when == "setup" and self._live is not None:
            self._live.refresh()
        decides_nothing = report.failed and not hasattr(report, JUDGED)
        if decides_nothing and front_of(self._config) is not None and str(report.when) != "???":
            self._run.problem(f"{report.nodeid} failed, and says of no requirement that it decides it")
        if str(report.when) == "???":  # how xdist reports the test during which a worker died
            self._run.problem(f"a worker died during {report.nodeid}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember that tests could not even be collected: what was not seen was not judged."""
        if report.skipped and isinstance(self._run.sink, Written) and front_of(self._config) is not None:
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


def _where(report: pytest.CollectReport) -> str:
    """Return where a skipped collection stopped; outside the root folder its node id is empty."""
    return report.nodeid or (str(report.longrepr[0]) if isinstance(report.longrepr, tuple) else "a module")


class Silence:
    """Takes pytest's letters off the terminal where the console of the run speaks."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str]:
        """Count the test, say nothing."""
        return report.outcome if report.when == "call" or report.outcome != "passed" else "", "", ""
