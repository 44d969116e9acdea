"""Tests that are lied to: the clean host answers, one answer is changed on its way, and where that is noticed is kept.

An assertion is needed where a test fails at it by a lie, and passes, by the same lie, when the assertion is left out.
All of it happens in one process, in which tests are run again and again: once as it is, to see which calls come before
each assertion, and then with one lie at a time, told shortly before it or while it is made.
"""

import json
import signal
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.proof.sites import Site
from tests.proof.source import frames_of
from tests.proof.stage import Heard, Stage, Told, lies, without
from tests.proof.switches import Switches, import_suites
from xencbt.harness import searching
from xencbt.harness.gathering import FEWEST_EXAMPLES
from xencbt.harness.hunting import Errand, alone
from xencbt.harness.in_pytest import judged_by_pytest
from xencbt.harness.plugin.items import test_id
from xencbt.harness.plugin.stash import TRIAL
from xencbt.harness.run import Front
from xencbt.suites.index import searching_tests

FOUND = "found.jsonl"
MOST = 120
"""Lies that are told for one assertion in one test."""

TESTS = 2
"""Tests that are lied to for one assertion."""

PATIENCE_S = 20
"""How long a test may take that is lied to; one that waits for what never comes has noticed nothing."""


@dataclass(frozen=True, slots=True)
class Lying(Errand):
    """A run of the tests of `module` that are lied to, for the assertions not among `known`, nor the tests `done`."""

    module: str = ""
    known: frozenset[str] = frozenset()
    done: frozenset[str] = frozenset()
    searching: bool = False


def run(errand: Errand) -> None:
    """Make the run; `found.jsonl` in its folder grows with what it finds."""
    assert isinstance(errand, Lying)
    with alone(errand.folder):
        stage = Stage()
        switches = Switches(stage.site)
        import_suites(switches)
        vars(searching)["EXAMPLES"] = {"quick": FEWEST_EXAMPLES}
        front = Front(command=errand.command, shrink=False)
        place = f"xencbt.suites.{errand.module}"
        plugin = Teller(errand, stage, switches)
        with stage.on_the_way():
            judged_by_pytest(front, errand.arguments, ["--noconftest", "--pyargs", place], plugins=[plugin])


class Teller:
    """A plugin of pytest: runs each test again and again, with lies."""

    def __init__(self, errand: Lying, stage: Stage, switches: Switches) -> None:
        self._errand = errand
        self._stage = stage
        self._switches = switches
        self._needed = set(errand.known)
        self._tried: Counter[Site] = Counter()
        self._frames: list[tuple[str, int]] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Lie to one test after the other; end where the clean host does not pass any more."""
        apart = searching_tests()
        signal.signal(signal.SIGALRM, _too_long)
        for item in session.items:
            test = test_id(item)
            if test in self._errand.done or (test.partition("[")[0] in apart) != self._errand.searching:
                continue
            self._lie_to(item, test)
            session.shouldstop = session.shouldfail = False
            if self._run(item)[0] not in {"pass", "not exercised", "unsupported"}:
                self._keep(kind="spoilt", test=test)
                break
        return True

    def _keep(self, **row: object) -> None:
        with Path(FOUND).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _lie_to(self, item: pytest.Item, test: str) -> None:
        verdict, _ = self._run(item)
        heard, passed = self._stage.heard, self._stage.passed if verdict == "pass" else []
        self._keep(kind="heard", test=test, verdict=verdict, sites=sorted({str(site) for site, _, _ in passed}))
        for site in dict.fromkeys(site for site, _, _ in passed):
            if str(site) in self._needed or self._tried[site] >= TESTS:
                continue
            self._tried[site] += 1
            times = [(begins, ends) for each, begins, ends in passed if each == site]
            for number, (at, told) in enumerate(lies(heard, times)):
                if number >= MOST or str(site) in self._needed:
                    break
                self._tell(item, test, heard, at, told)

    def _tell(self, item: pytest.Item, test: str, heard: list[Heard], at: int, told: Told) -> None:
        verdict, frames = self._run(item, told)
        if verdict != "fail":
            return
        for site in self._switches.sites:
            if str(site) not in self._needed and site.is_among(frames):
                silent = without(site, heard, at, told)
                if silent is None or self._run(item, silent, off=site)[0] == "pass":
                    self._needed.add(str(site))
                    row = {"at": at, "question": told.question, "lie": told.lie.name, "lasting": told.lasting}
                    self._keep(kind="lie", site=str(site), test=test, **row)

    def _run(self, item: pytest.Item, told: Told | None = None, off: Site | None = None) -> tuple[str, Any]:
        self._stage.begin(told)
        self._switches.off = off
        self._frames = []
        signal.alarm(PATIENCE_S if told is not None else 0)
        try:
            item._initrequest()  # type: ignore[attr-defined]  # as those do who run tests again
            runtestprotocol(item, log=False, nextitem=self._beside(item))
        finally:
            signal.alarm(0)
        trial = item.stash.get(TRIAL, None)
        return ("" if trial is None else trial.finding().verdict.value), list(self._frames)

    @staticmethod
    def _beside(item: pytest.Item) -> pytest.Item | None:
        """Return another test of the same module, so that nothing is torn down but what is the test's own."""
        return next((each for each in item.session.items if each is not item and each.parent is item.parent), None)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None]:
        """Lie to the body of a test alone."""
        self._stage.active = True
        try:
            return (yield)
        finally:
            self._stage.active = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, Any]:
        """Keep where in the suites a test stood when it failed."""
        report = yield
        self._frames += frames_of(call)
        return report


def _too_long(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError("the test that is lied to does not end")
