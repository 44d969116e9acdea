"""A run of the suites without one of their assertions, in a process of its own; it tells what failed, and where."""

import ast
import json
from collections.abc import Generator
from dataclasses import dataclass

import pytest

import xencbt.suites
from tests.proof.sites import Site, without
from tests.proof.source import Change, frames_of, import_changed
from xencbt.harness.hunting import Errand, alone
from xencbt.harness.in_pytest import judged_by_pytest
from xencbt.harness.plugin.items import test_id
from xencbt.harness.plugin.stash import TRIAL
from xencbt.harness.run import Front
from xencbt.suites.index import searching_tests

FOUND = "found.json"


@dataclass(frozen=True, slots=True)
class Deletion(Errand):
    """A run by the tests `only` (ids; none: all that are selected), without the assertion at `site`, if any.

    With `examples` tests that draw what they do are left out.
    """

    site: Site | None = None
    only: frozenset[str] = frozenset()
    examples: bool = False


def run(errand: Errand) -> None:
    """Make the run; `found.json` in its folder tells the verdict of each test, and the frames at which it failed."""
    assert isinstance(errand, Deletion)
    with alone(errand.folder):
        if errand.site is not None:
            import_changed(_without(errand.site))
        found = Found(errand.only, searching_tests() if errand.examples else frozenset())
        modules = sorted({test.partition("::")[0] for test in errand.only})
        places = [f"xencbt.{module}" for module in modules] or [xencbt.suites.__name__]
        front = Front(command=errand.command, shrink=False)
        judged_by_pytest(front, errand.arguments, ["--noconftest", "--pyargs", *places], plugins=[found])
        (errand.folder / FOUND).write_text(json.dumps(found.tests))


class Found:
    """A plugin of pytest: leaves out what is not wanted, and keeps verdicts and frames."""

    def __init__(self, only: frozenset[str], without: frozenset[str]) -> None:
        self._only = only
        self._without = without
        self.tests: dict[str, dict[str, object]] = {}
        self._frames: list[tuple[str, int]] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Keep the tests that are wanted."""
        yield
        items[:] = [item for item in items if self._wanted(test_id(item))]

    def _wanted(self, test: str) -> bool:
        return (not self._only or test in self._only) and test.partition("[")[0] not in self._without

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep where in the suites a test stood when it failed, and its verdict when it is over."""
        report = yield
        if call.when == "setup":
            self._frames = []
        self._frames += frames_of(call)
        trial = item.stash.get(TRIAL, None)
        if trial is not None and call.when == "teardown":
            found = trial.finding()
            self.tests[found.id] = {"verdict": found.verdict.value, "frames": self._frames, "reason": found.reason}
        return report


def _without(site: Site) -> Change:
    def change(module: str, source: str) -> ast.Module:
        return without(source, site) if module == site.module else ast.parse(source)

    return change
