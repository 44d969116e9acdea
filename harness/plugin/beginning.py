"""The beginning of a run: what is told of it before its first test."""

import shlex
from collections.abc import Collection, Sequence

import pytest

from xencbt.harness.capabilities import Capability
from xencbt.harness.findings import ISSUE, lacking
from xencbt.harness.identity import suite_identity
from xencbt.harness.plugin.items import decided_by, test_id
from xencbt.harness.plugin.stash import EARLIER, JUDGE, RUN, front_of, is_worker
from xencbt.harness.selection import suite_of
from xencbt.harness.settings import Settings
from xencbt.suites.index import deciding_tests


def begin(config: pytest.Config, items: list[pytest.Item], absent: Sequence[Capability] = ()) -> None:
    """Tell that the run begins, and which tests and absent capabilities will decide what."""
    run = config.stash[RUN]
    planned = {test_id(item): decided_by(item) for item in items}
    everything = {test for tests in deciding_tests().values() for test in tests}
    earlier = config.stash.get(EARLIER, None)
    filtered = not everything <= {test.partition("[")[0] for test in planned}
    run.begin(
        suite=suite_identity(),
        command=command_of(config),
        filtered=filtered if earlier is None else earlier.run["selection"]["filtered"],
        rerun_of=None if earlier is None else earlier.identity,
    )
    decided = {requirement for requirements in planned.values() for requirement in requirements}
    silent = _silent_suites(run.settings, planned)
    planned |= {lacking(capability).id: () for capability in absent}
    asked = run.settings.requirements or decided | silent
    selected = frozenset(asked if earlier is None else earlier.requirements)
    judge = config.stash.get(JUDGE, None)
    if judge is not None and judge.is_open:
        planned |= {f"{ISSUE}{issue.id}": (issue.requirement,) for issue in judge.select_issues(selected)}
    run.select(selected, planned)


def command_of(config: pytest.Config) -> str:
    """Return the command line as the user gave it."""
    if is_worker(config):
        given: str = config.workerinput["cbt_command"]  # type: ignore[attr-defined]  # xdist gives it to its workers
        return given
    front = front_of(config)
    return shlex.join(["pytest", *config.invocation_params.args]) if front is None else front.command


def _silent_suites(settings: Settings, planned: Collection[str]) -> set[str]:
    """Return the requirements of the named suites of which no test is planned: they are selected, and not run."""
    heard = {suite_of(test.partition("::")[0]) for test in planned}
    return {
        requirement
        for requirement, tests in deciding_tests().items()
        for suite in (suite_of(test.partition("::")[0]) for test in tests)
        if suite in settings.suites and suite not in heard
    }
