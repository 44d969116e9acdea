"""One run of the suites within a proof, in a process of its own: what is cheap first, and no further than it must.

The process is forked from one that has imported everything already, and nothing of the caller's surroundings has a
say in it: neither settings in the environment nor a configuration file.
"""

import os
import shlex
import sys
from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from xencbt.harness.in_pytest import judged_by_pytest
from xencbt.harness.plugin.items import test_id
from xencbt.harness.plugin.stash import TRIAL
from xencbt.harness.run import Front
from xencbt.harness.verdicts import Exit, Verdict
from xencbt.suites.costs import costs
from xencbt.suites.index import deciding_tests, searching_tests

SAID = "said.txt"
RAN = "ran"

_PRELOADED = deciding_tests()
"""Reading it imports every suite, before the first fork."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A run to make: the words for `xencbt run`, and the folder that is its own.

    It ends at the first failed test that speaks of one of `until`; None: it goes on. Tests in `without` are left out.
    """

    name: str
    words: tuple[str, ...]
    folder: Path
    until: frozenset[str] | None = None
    without: frozenset[str] = frozenset()

    @property
    def command(self) -> str:
        """The command that does the same, but for where it stops."""
        return shlex.join(["xencbt", "run", *self.words])

    @property
    def arguments(self) -> list[str]:
        """The words as options of the plugin."""
        words = [f"--cbt-{word.removeprefix('--')}" if word.startswith("--") else word for word in self.words]
        return [
            *words,
            f"--cbt-config={os.devnull}",
            f"--cbt-out={self.folder / RAN}",
            "--cbt-quiet",
            "--cbt-no-bundles",
        ]


def hunt(errand: Errand) -> None:
    """Make the run, and end this process with its exit code; what it says goes to a file of the errand's folder."""
    with alone(errand.folder):
        front = Front(command=errand.command, shrink=False)
        judged_by_pytest(front, errand.arguments, plugins=[Hunt(errand.until, errand.without)])
    if front.usage is not None:
        print(front.usage, file=sys.stderr)
    sys.exit(Exit.USAGE if front.usage is not None else Exit.ERROR if front.exit is None else front.exit)


@contextmanager
def alone(folder: Path) -> Generator[None]:
    """Leave the caller's surroundings: its terminal, its folder, and what it has set for runs of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in [name for name in os.environ if name.startswith(("XENCBT_", "PYTEST_"))]:
        del os.environ[name]
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    os.chdir(folder)
    said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    os.close(said)
    yield
    sys.stdout.flush()


class Hunt:
    """A plugin of pytest: examples before searches, each the cheapest first, and an end at the kill."""

    def __init__(self, until: frozenset[str] | None, without: Collection[str]) -> None:
        self._until = until
        self._without = without
        self._costs = costs()
        self._searching = searching_tests()

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Order what was selected; the plugin of the run has left out what was not."""
        yield
        kept = [item for item in items if test_id(item).partition("[")[0] not in self._without]
        items[:] = sorted(kept, key=self._price)

    def _price(self, item: pytest.Item) -> tuple[bool, int]:
        test = test_id(item)
        cost = self._costs.get(test)
        return test.partition("[")[0] in self._searching, 0 if cost is None else cost.calls

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """End the run once a finished test has failed one of those that were hunted for."""
        report = yield
        trial = item.stash.get(TRIAL, None)
        if self._until is not None and trial is not None and call.when == "teardown":
            found = trial.finding()
            failed = {each for each in found.requirement if found.verdict_of(each) is Verdict.FAIL}
            if failed & self._until:
                item.session.shouldfail = f"{found.id} failed {', '.join(sorted(failed))}"
        return report
