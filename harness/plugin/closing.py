"""The end of a run: the books are closed, the reports written, the exit code decided."""

from typing import Any

import pytest

from xencbt.harness.plugin.beginning import begin
from xencbt.harness.plugin.stash import CLOSING, JUDGE, RUN, SHIPMENT, SINCE, UNSELECTED, front_of, paint
from xencbt.harness.run import Run
from xencbt.harness.sinks import EVENTS_FILE, Shipped, Written
from xencbt.harness.verdicts import Exit
from xencbt.reports.compare_text import sentence
from xencbt.reports.comparison import compare
from xencbt.reports.console import summary
from xencbt.reports.write import write_all


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Clean up, close the books, write the reports, and decide the exit code."""
    config = session.config
    run, front = config.stash.get(RUN, None), front_of(config)
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


def _close(config: pytest.Config, run: Run, sink: Written, status: int | pytest.ExitCode) -> int | pytest.ExitCode:
    if not sink.has("run_started"):
        begin(config, [])
    run.end()
    folder = sink.close()
    assert folder is not None
    since = config.stash.get(SINCE, None)
    document = write_all(folder / EVENTS_FILE, folder, since=since)
    new = "" if since is None else f"{since[0]}: {sentence(compare(since[1], document))}"
    decided, front, text = Exit(document["exit"]), front_of(config), summary(document, folder, paint(), since=new)
    if front is None:
        config.stash[CLOSING] = text
        passes_for_pytest = status == pytest.ExitCode.OK and decided is not Exit.OK
        return pytest.ExitCode.TESTS_FAILED if passes_for_pytest else status
    print(text, flush=True)
    front.exit = decided
    return int(decided)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the run's own table and verdict below pytest's."""
    text = config.stash.get(CLOSING, None)
    if text is not None:
        terminalreporter.section("changed block tracking")
        terminalreporter.write_line(text)
