"""Between the suites and a host: each call is heard, with the assertions it is made for; one answer may be a lie."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.proof.lies import LIES, Lie
from tests.proof.sites import Site
from xencbt.fixtures import disks, images
from xencbt.fixtures.lab import Lab
from xencbt.harness.nbd import NbdClient
from xencbt.harness.nbd_protocol import NbdTrouble
from xencbt.harness.outcome import Indeterminate, Ok, Outcome
from xencbt.harness.session import Session
from xencbt.harness.vhd import Piece
from xencbt.harness.xe import ThinCli

BEFORE = 4
"""Calls before an assertion that may be lied about for it; as many of its own first ones, and of its last ones."""

OBJECT = re.compile(r"OpaqueRef:[-0-9a-f]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

HARMLESS = ("event.", "task.", "session.", "system.", "message.")
"""Classes whose answers are not lied about: waiting for a false one is no test."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A call of a test: what was asked (with objects by number), the answer, and the assertions that were under way.

    `example` is the number of the example that the test had come to; 0 before the first, and where it draws none.
    """

    question: str
    answer: Outcome
    within: tuple[Site, ...]
    example: int = 0

    def asks_like(self, other: "Heard") -> bool:
        """Tell whether both ask the same in one example."""
        return (self.question, self.example) == (other.question, other.example)


@dataclass(frozen=True, slots=True)
class Told:
    """A lie in answer to `question`, when it is asked for the `since`th time (from 0); `lasting`: ever since.

    A test that draws is told it in each example: it has to fail again where its failure is tried once more.
    """

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
    example: int = 0
    heard: list[Heard] = field(default_factory=list)
    passed: list[tuple[Site, int, int]] = field(default_factory=list)
    _open: list[tuple[Site, int]] = field(default_factory=list)
    _asked: Counter[str] = field(default_factory=Counter)
    _numbers: dict[str, str] = field(default_factory=dict)

    def begin(self, told: Told | None) -> None:
        """Forget what was heard; tell `told` from now on."""
        self.told = told
        self.example = 0
        self.heard, self.passed, self._open, self._asked, self._numbers = [], [], [], Counter(), {}

    def next_example(self) -> None:
        """Hear that an example begins: what it asks, and of which objects, is counted anew."""
        self.example += 1
        self._asked.clear()
        self._numbers.clear()

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
        self.heard.append(Heard(question, answer, within, self.example))
        return answer

    def _number(self, found: re.Match[str]) -> str:
        return self._numbers.setdefault(found[0], f"#{len(self._numbers)}")

    @contextmanager
    def on_the_way(self) -> Iterator[None]:
        """Stand on the way of calls, transfers, reads over NBD and xe commands."""
        with pytest.MonkeyPatch.context() as patch:
            self._hear_calls(patch)
            self._hear_transfers(patch)
            self._hear_images(patch)
            self._hear_commands(patch)
            self._hear_examples(patch)
            yield

    def _hear_examples(self, patch: pytest.MonkeyPatch) -> None:
        example = Lab.example

        @contextmanager
        def begun(lab: Lab) -> Iterator[None]:
            self.next_example()
            with example(lab):
                yield

        patch.setattr(Lab, "example", begun)

    def _hear_calls(self, patch: pytest.MonkeyPatch) -> None:
        calling = Session._outcome

        def called(session: Session, method: str, params: tuple[Any, ...]) -> Outcome:
            if method.removeprefix("Async.").startswith(HARMLESS):
                return calling(session, method, params)
            return self.between(method, params, lambda: calling(session, method, params))

        patch.setattr(Session, "_outcome", called)

    def _hear_transfers(self, patch: pytest.MonkeyPatch) -> None:
        exporting, importing = vars(disks)["export_range"], vars(disks)["import_ranges"]

        def exported(session: Session, ref: str, *of: int) -> Outcome:
            return self.between("export", (ref, *of), lambda: exporting(session, ref, *of))

        def imported(session: Session, ref: str, ranges: Any, **given: Any) -> Outcome:
            places = tuple(offset for offset, _ in ranges)
            return self.between("import", (ref, *places), lambda: importing(session, ref, ranges, **given))

        patch.setattr(disks, "export_range", exported)
        for module in (disks, images):
            patch.setattr(module, "import_ranges", imported)

    def _hear_images(self, patch: pytest.MonkeyPatch) -> None:
        exporting, importing = vars(images)["export_pieces"], vars(images)["import_image"]

        def exported(session: Session, ref: str, size: int, take: Callable[[Piece], None], **given: Any) -> Outcome:
            pieces: list[Piece] = []

            def call() -> Outcome:
                outcome: Outcome = exporting(session, ref, size, pieces.append, **given)
                return Ok(pieces) if isinstance(outcome, Ok) else outcome

            outcome = self.between("export as VHD", (ref, size), call)
            for piece in outcome.value if isinstance(outcome, Ok) and isinstance(outcome.value, list) else ():
                take(piece)
            return outcome

        def imported(session: Session, ref: str, body: Iterable[bytes], length: int, **given: Any) -> Outcome:
            return self.between("import", (ref, length), lambda: importing(session, ref, body, length, **given))

        patch.setattr(images, "export_pieces", exported)
        patch.setattr(images, "import_image", imported)

    def _hear_commands(self, patch: pytest.MonkeyPatch) -> None:
        running, reading = ThinCli.run, NbdClient._recorded

        def run(xe: ThinCli, *words: str, **given: Any) -> object:
            outcome = self.between("xe", words, lambda: Ok(running(xe, *words, **given)))
            return outcome.value if isinstance(outcome, Ok) else Indeterminate("a lie")

        def read(client: NbdClient, step: str, talk: Any) -> object:
            outcome = self.between("NBD", (step,), lambda: Ok(reading(client, step, talk)))
            if not isinstance(outcome, Ok):
                raise NbdTrouble("a lie")
            return outcome.value

        patch.setattr(ThinCli, "run", run)
        patch.setattr(NbdClient, "_recorded", read)


def lies(heard: list[Heard], times: list[tuple[int, int]]) -> Iterator[tuple[int, Told]]:
    """Yield the lies that may be noticed at an assertion that was made at these `times`, the likelier ones first.

    Each with the number of the call at which it begins. Those about fields of records come later, being many; within
    each sort those about close calls come first (what an assertion asks for last, and first, and what was asked before
    it), and those that last before those that are told once.
    """
    close: list[int] = []
    for begins, ends in dict.fromkeys((times[0], times[-1])):
        close += reversed(range(max(begins, ends - BEFORE), ends))
        close += range(begins, min(ends, begins + BEFORE))
        close += reversed(range(max(0, begins - BEFORE), begins))
    for about_fields in (False, True):
        for at in dict.fromkeys(close):
            call = heard[at]
            since = sum(each.asks_like(call) for each in heard[:at])
            for lie in (lie for lie in LIES if lie.of_a_field == about_fields):
                false = lie.change(call.answer)
                if false is not None and (not lie.reaches or false != call.answer):
                    yield at, Told(call.question, since, lie, call.answer, lasting=True)
                    yield at, Told(call.question, since, lie, call.answer, lasting=False)


def without(site: Site, heard: list[Heard], at: int, told: Told) -> Told | None:
    """Return the same lie for a test that does not make the assertion, and asks what it asks there less often.

    None where the question is asked only there from then on: nobody is told the lie any more.
    """
    same = [number for number, call in enumerate(heard) if call.asks_like(heard[at])]
    asked = [number for number in same if site not in heard[number].within]
    struck = [number for number in asked if (number >= at if told.lasting else number == at)]
    return replace(told, since=asked.index(struck[0])) if struck else None
