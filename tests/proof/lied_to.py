"""Tests that are lied to: the clean host answers, one answer is changed on its way, and where that is noticed is kept.

An assertion is needed where a test fails at it by a lie, and passes, by the same lie, when the assertion is left out.
All of it happens in one process, in which tests are run again and again: once as it is, to see which calls come before
each assertion, and then with one lie at a time, told shortly before it or while it is made.
"""

import json
import re
import signal
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
BEFORE = 4
"""Calls before an assertion that may be lied about for it."""

MOST = 60
"""Lies that are told for one assertion in one test."""

TESTS = 2
"""Tests that are lied to for one assertion."""

PATIENCE_S = 20
"""How long a test may take that is lied to; one that waits for what never comes has noticed nothing."""

OBJECT = re.compile(r"OpaqueRef:[-0-9a-f]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

HARMLESS = ("event.", "task.", "session.", "system.", "message.")
"""Classes whose answers are not lied about: waiting for a false one is no test."""

EXAMPLES = 5
"""The fewest that earn a pass, for tests that draw what they do."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A call of a test: what was asked (with objects by number), the answer, and the assertions that were under way."""

    question: str
    answer: Outcome
    within: tuple[Site, ...]

    @property
    def method(self) -> str:
        """What was called."""
        return self.question.partition("(")[0]


@dataclass(frozen=True, slots=True)
class Told:
    """A lie in answer to `question`, when it is asked for the `since`th time (from 0); `lasting`: ever since."""

    question: str
    since: int
    lie: Lie
    once: Outcome
    lasting: bool

    def strikes(self, question: str, time: int) -> bool:
        """Tell whether the lie is told when `question` is asked for that time."""
        return question == self.question and (time >= self.since if self.lasting else time == self.since)


@dataclass(slots=True)
class Stage:
    """Stands between the suites and the host: hears every call of a test, and changes one answer where told to."""

    told: Told | None = None
    active: bool = False
    heard: list[Heard] = field(default_factory=list)
    passed: list[tuple[Site, int, int]] = field(default_factory=list)
    _open: list[tuple[Site, int]] = field(default_factory=list)
    _asked: Counter[str] = field(default_factory=Counter)
    _numbers: dict[str, str] = field(default_factory=dict)

    def begin(self, told: Told | None) -> None:
        """Forget what was heard; tell `told` from now on."""
        self.told = told
        self.heard, self.passed, self._open, self._asked, self._numbers = [], [], [], Counter(), {}

    def site(self, site: Site, begins: bool) -> None:
        """Hear of an assertion, with the number of calls so far."""
        if begins:
            self._open.append((site, len(self.heard)))
            return
        while self._open:
            last, began = self._open.pop()
            if last == site:
                self.passed.append((site, began, len(self.heard)))
                return

    def between(self, method: str, given: tuple[object, ...], call: Callable[[], Outcome]) -> Outcome:
        """Make a call, or not, and return what its answer is said to be."""
        if not self.active:
            return call()
        question = f"{method}{OBJECT.sub(self._number, repr(given))}"
        within, time, told = tuple(site for site, _ in self._open), self._asked[question], self.told
        self._asked[question] += 1
        if told is None or not told.strikes(question, time):
            answer = call()
        elif told.lie.reaches:
            truth = call()
            answer = told.lie.change(truth) or truth
        else:
            answer = told.lie.change(told.once) or told.once
        self.heard.append(Heard(question, answer, within))
        return answer

    def _number(self, found: re.Match[str]) -> str:
        return self._numbers.setdefault(found[0], f"#{len(self._numbers)}")

    @contextmanager
    def on_the_way(self) -> Iterator[None]:
        """Stand on the way of calls, transfers, reads over NBD and xe commands."""
        calling, running, reading = Session._outcome, ThinCli.run, NbdClient._recorded
        disks = xencbt.fixtures.disks
        exporting, importing = vars(disks)["export_range"], vars(disks)["import_ranges"]

        def called(session: Session, method: str, params: tuple[Any, ...]) -> Outcome:
            if method.removeprefix("Async.").startswith(HARMLESS):
                return calling(session, method, params)
            return self.between(method, params, lambda: calling(session, method, params))

        def exported(session: Session, ref: str, *of: int) -> Outcome:
            return self.between("export", (ref, *of), lambda: exporting(session, ref, *of))

        def imported(session: Session, ref: str, ranges: Any, **given: Any) -> Outcome:
            places = tuple(offset for offset, _ in ranges)
            return self.between("import", (ref, *places), lambda: importing(session, ref, ranges, **given))

        def run(xe: ThinCli, *words: str, **given: Any) -> object:
            outcome = self.between("xe", words, lambda: Ok(running(xe, *words, **given)))
            return outcome.value if isinstance(outcome, Ok) else Indeterminate("a lie")

        def read(client: NbdClient, step: str, talk: Any) -> object:
            outcome = self.between("NBD", (step,), lambda: Ok(reading(client, step, talk)))
            if not isinstance(outcome, Ok):
                raise NbdTrouble("a lie")
            return outcome.value

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "_outcome", called)
            patch.setattr(ThinCli, "run", run)
            patch.setattr(NbdClient, "_recorded", read)
            patch.setattr(disks, "export_range", exported)
            patch.setattr(disks, "import_ranges", imported)
            yield


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
            wanted = str(site) not in self._needed
            if wanted and any(site.module == name and site.line <= line <= site.end for name, line in frames):
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
        if call.excinfo is not None:
            places = [(Path(str(entry.path)), entry.lineno + 1) for entry in call.excinfo.traceback]
            self._frames += [(path.stem, line) for path, line in places if path.resolve().parent == SUITES.resolve()]
        return report


def lies(heard: list[Heard], times: list[tuple[int, int]]) -> Iterator[tuple[int, Told]]:
    """Yield the lies that may be noticed at an assertion that was made at these `times`, the likelier ones first.

    Each with the number of the call at which it begins. Those about fields of records come later, being many; within
    each sort those about close calls come first, and those that last before those that are told once.
    """
    close: list[int] = []
    for begins, ends in dict.fromkeys((times[0], times[-1])):
        close += range(begins, min(ends, begins + BEFORE))
        close += reversed(range(max(0, begins - BEFORE), begins))
    for about_fields in (False, True):
        for at in dict.fromkeys(close):
            call = heard[at]
            since = sum(each.question == call.question for each in heard[:at])
            for lie in (lie for lie in LIES if lie.of_a_field == about_fields):
                false = lie.change(call.answer)
                if false is not None and (not lie.reaches or false != call.answer):
                    yield at, Told(call.question, since, lie, call.answer, lasting=True)
                    yield at, Told(call.question, since, lie, call.answer, lasting=False)


def without(site: Site, heard: list[Heard], at: int, told: Told) -> Told | None:
    """Return the same lie for a test that does not make the assertion, and asks what it asks there less often.

    None where the question is asked only there from then on: nobody is told the lie any more.
    """
    same = [number for number, call in enumerate(heard) if call.question == told.question]
    asked = [number for number in same if site not in heard[number].within]
    struck = [number for number in asked if (number >= at if told.lasting else number == at)]
    return replace(told, since=asked.index(struck[0])) if struck else None


def _too_long(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError("the test that is lied to does not end")
