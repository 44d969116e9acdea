"""The beginning of a run: what is told of it before its first test."""

import shlex
from collections.abc import Collection, Sequence

import pytest

from xencbt.harness.capabilities import Capability
from xencbt.harness.findings import lacking
from xencbt.harness.judge import suite_identity
from xencbt.harness.plugin.items import decided_by, test_id
from xencbt.harness.plugin.stash import RUN, front_of
from xencbt.harness.selection import suite_of
from xencbt.harness.settings import Settings
from xencbt.suites.index import deciding_tests


def begin(config: pytest.Config, items: list[pytest.Item], absent: Sequence[Capability] = ()) -> None:
    """Tell that the run begins, and which tests and absent capabilities will decide what."""
    run, front = config.stash[RUN], front_of(config)
    planned = {test_id(item): decided_by(item) for item in items}
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
