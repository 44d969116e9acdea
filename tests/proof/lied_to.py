"""Tests that are lied to: the clean host answers, one answer is changed on its way, and where that is noticed is kept.

An assertion is needed where a test fails at it by a lie, and passes, by the same lie, when the assertion is left out.
All of it happens in one process, in which tests are run again and again: once as it is, to see which calls come before
each assertion, and then with one lie at a time, told shortly before it or while it is made.
"""

import json
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

import xencbt.fixtures.disks
from tests.proof.lies import LIES, Lie
from tests.proof.sites import Site
from tests.proof.switches import SUITES, Switches, import_suites
from xencbt.harness import searching
from xencbt.harness.hunting import Errand, alone
from xencbt.harness.in_pytest import judged_by_pytest
from xencbt.harness.nbd import NbdClient
from xencbt.harness.nbd_protocol import NbdTrouble
from xencbt.harness.outcome import Indeterminate, Ok, Outcome
from xencbt.harness.plugin.items import test_id
from xencbt.harness.plugin.stash import TRIAL
from xencbt.harness.run import Front
from xencbt.harness.session import Session
from xencbt.harness.xe import ThinCli
from xencbt.suites.index import searching_tests

FOUND = "found.jsonl"
BEFORE = 8
"""Calls before an assertion that may be lied about for it."""

MOST = 150
"""Lies that are told for one assertion in one test."""

TESTS = 3
"""Tests that are lied to for one assertion."""

PATIENCE_S = 20
"""How long a test may take that is lied to; one that waits for what never comes has noticed nothing."""

HARMLESS = ("event.", "task.", "session.", "system.", "message.")
"""Classes whose answers are not lied about: waiting for a false one is no test."""

EXAMPLES = 5
"""The fewest that earn a pass, for tests that draw what they do."""


@dataclass(frozen=True, slots=True)
class Told:
    """A lie, at the call with that number in a test; with `method` in all later calls of it too."""

    at: int
    lie: Lie
    method: str = ""


@dataclass(slots=True)
class Stage:
    """Stands between the suites and the host: hears every call of a test, and changes one answer where told to."""

    told: Told | None = None
    active: bool = False
    calls: list[tuple[str, Outcome]] = field(default_factory=list)
    passed: list[tuple[Site, int, int]] = field(default_factory=list)
    _open: dict[Site, int] = field(default_factory=dict)

    def begin(self, told: Told | None) -> None:
        """Forget what was heard; tell `told` from now on."""
        self.told, self.calls, self.passed, self._open = told, [], [], {}

    def site(self, site: Site, begins: bool) -> None:
        """Hear of an assertion, with the number of calls so far."""
        if begins:
            self._open[site] = len(self.calls)
        else:
            self.passed.append((site, self._open.pop(site, len(self.calls)), len(self.calls)))

    def between(self, method: str, call: Callable[[], Outcome]) -> Outcome:
        """Make a call, or not, and return what its answer is said to be."""
        if not self.active:
            return call()
        number = len(self.calls)
        self.calls.append((method, Indeterminate("under way")))
        told, outcome = self.told, None
        if told is not None and (told.at == number or (told.at < number and told.method == method)):
            truth = call() if told.lie.reaches else self._once(told)
            outcome = told.lie.change(truth) or truth
        outcome = call() if outcome is None else outcome
        self.calls[number] = method, outcome
        return outcome

    @staticmethod
    def _once(told: Told) -> Outcome:
        return ONCE[told.at] if told.at < len(ONCE) else Ok("")

    @contextmanager
    def on_the_way(self) -> Iterator[None]:
        """Stand on the way of calls, transfers, reads over NBD and xe commands."""
        calling, running, reading = Session._outcome, ThinCli.run, NbdClient._recorded
        disks = xencbt.fixtures.disks
        exporting, importing = vars(disks)["export_range"], vars(disks)["import_ranges"]

        def called(session: Session, method: str, params: tuple[Any, ...]) -> Outcome:
            if method.removeprefix("Async.").startswith(HARMLESS):
                return calling(session, method, params)
            return self.between(method, lambda: calling(session, method, params))

        def run(xe: ThinCli, *words: str, **given: Any) -> object:
            outcome = self.between("xe", lambda: Ok(running(xe, *words, **given)))
            return outcome.value if isinstance(outcome, Ok) else Indeterminate("a lie")

        def read(client: NbdClient, step: str, talk: Any) -> object:
            outcome = self.between("NBD", lambda: Ok(reading(client, step, talk)))
            if not isinstance(outcome, Ok):
                raise NbdTrouble("a lie")
            return outcome.value

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "_outcome", called)
            patch.setattr(ThinCli, "run", run)
            patch.setattr(NbdClient, "_recorded", read)
            patch.setattr(
                disks, "export_range", lambda *of, **given: self.between("export", lambda: exporting(*of, **given))
            )
            patch.setattr(
                disks, "import_ranges", lambda *of, **given: self.between("import", lambda: importing(*of, **given))
            )
            yield


ONCE: list[Outcome] = []
"""What the calls of the test were answered when nobody lied."""


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
        vars(searching)["EXAMPLES"] = {"quick": EXAMPLES}
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
        self._tried: dict[Site, int] = {}
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
        ONCE[:] = [outcome for _, outcome in self._stage.calls]
        methods = [method for method, _ in self._stage.calls]
        passed = list(self._stage.passed) if verdict == "pass" else []
        self._keep(kind="heard", test=test, verdict=verdict, sites=sorted({str(site) for site, _, _ in passed}))
        for site in dict.fromkeys(site for site, _, _ in passed):
            if str(site) in self._needed or self._tried.get(site, 0) >= TESTS:
                continue
            self._tried[site] = self._tried.get(site, 0) + 1
            times = [(begins, ends) for each, begins, ends in passed if each == site]
            for number, told in enumerate(lies(methods, times)):
                if number >= MOST or str(site) in self._needed:
                    break
                self._tell(item, test, told, methods[told.at])

    def _tell(self, item: pytest.Item, test: str, told: Told, method: str) -> None:
        verdict, frames = self._run(item, told)
        if verdict != "fail":
            return
        for site in self._switches.sites:
            wanted = str(site) not in self._needed
            if wanted and any(site.module == name and site.line <= line <= site.end for name, line in frames):
                verdict, _ = self._run(item, told, off=site)
                if verdict == "pass":
                    self._needed.add(str(site))
                    self._keep(
                        kind="lie",
                        site=str(site),
                        test=test,
                        at=told.at,
                        method=method,
                        lie=told.lie.name,
                        lasting=bool(told.method),
                    )

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
        if call.excinfo is not None:
            places = [(Path(str(entry.path)), entry.lineno + 1) for entry in call.excinfo.traceback]
            self._frames += [(path.stem, line) for path, line in places if path.resolve().parent == SUITES.resolve()]
        return report


def lies(methods: list[str], times: list[tuple[int, int]]) -> Iterator[Told]:
    """Yield the lies that may be noticed at an assertion that was made at these `times`, the likelier ones first.

    Those about fields of records come later, being many; within each sort those about close calls come first. Each is
    told once; then again, lasting, where it can be told of a later call as well.
    """
    close: list[int] = []
    for begins, ends in dict.fromkeys((times[0], times[-1])):
        close += range(begins, min(ends, begins + BEFORE))
        close += reversed(range(max(0, begins - BEFORE), begins))
    for about_fields in (False, True):
        for lasting in (False, True):
            for at in dict.fromkeys(close):
                if lasting and methods[at] not in methods[at + 1 :]:
                    continue
                for lie in LIES:
                    false = lie.change(ONCE[at]) if lie.of_a_field == about_fields else None
                    if false is not None and (not lie.reaches or false != ONCE[at]):
                        yield Told(at, lie, methods[at] if lasting else "")


def _too_long(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError("the test that is lied to does not end")
