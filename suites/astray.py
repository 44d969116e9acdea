"""Any call, struck by any fault of the wire: what the client sees, what became of the host, and whether it recovers.

>>> line = Line(lab, faults)
>>> line.strike(play, Snapshot(DISK, "later"), AnswerLost())
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import Lab
from xencbt.fixtures.unanswered import adopted, intended, taken
from xencbt.fixtures.unchanged import VDI_FIELDS, differences
from xencbt.harness.background import DEADLINE_S
from xencbt.harness.disturbing import NEVER_ENDING_S, Armed, Faults
from xencbt.harness.expectations import Expectation
from xencbt.harness.faults import (
    Duplicate,
    Fault,
    LateDuplicate,
    Phase,
    Planned,
    Receipt,
    Seen,
    TaskNeverEnds,
    hangs,
    hides,
    seen,
)
from xencbt.harness.model import Clone, Copy, ListChanged, Resize, Snapshot
from xencbt.harness.model.allowing import OPERATIONS
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.recovering import recovered
from xencbt.harness.verdicts import Axis, Violation, judging
from xencbt.suites.bystander import Bystander
from xencbt.suites.executions import Executions
from xencbt.suites.locked import assert_nothing_locked
from xencbt.suites.play import Deed, Play
from xencbt.suites.sending import Form, Patience, send, told
from xencbt.suites.struck import (
    HARMLESS_TWICE,
    Call,
    Struck,
    answer_of_host,
    done_by,
    laid_here,
    met_by,
    method_of,
    subject_of,
)
from xencbt.suites.wording import words

HANGING_S = 10.0
"""How long the client waits where a fault leaves it without an end: longer than the host takes for what it is asked."""

EMULATED_HANGING_S = 0.5
"""The same at an emulated host, which acts at once."""

LINKS = frozenset({"snapshots", "snapshot_of"})
"""Fields by which disks know each other: making or destroying one changes them in others."""


class Line:
    """A session through the interceptor, on which calls are struck by what is armed, and judged.

    A tracked bystander with a recorded change is there all the time, and nothing that happens to others may touch it.
    Violations are of the requirement that the test decides, whatever row the same would break without a fault.
    """

    def __init__(self, lab: Lab, faults: Faults, *, hanging_s: float | None = None) -> None:
        """Open the session; raises Blocked where calls do not work on it undisturbed, or no bystander can be made."""
        self._lab = lab
        self._faults = faults
        self._session = faults.session()
        self._hanging_s = hanging_s or (HANGING_S if lab.bench.target.control is None else EMULATED_HANGING_S)
        self._armed: Armed | None = None
        self._late: dict[int, tuple[Call, Form]] = {}
        self._notes: list[tuple[Fault, str]] = []
        self._executions = Executions(lab, self._session)
        self._bystander = Bystander(lab, self._session)

    def strike(
        self, play: Play, step: Call, fault: Fault, *, phase: Phase | None = None, form: Form = Form.DIRECT
    ) -> Struck:
        """Make the call of `step` once, met by `fault`, and judge it, as `call` does, and that the host recovers."""
        with self.armed(play, Planned(fault, method_of(step), phase=phase)):
            return self.call(play, step, form)

    @contextmanager
    def armed(self, play: Play, *planned: Planned) -> Iterator[Armed]:
        """Have `planned` faults strike the calls inside; afterwards the host has to answer (FAULT-05).

        Raises NotExercised where one did not fire.
        """
        what = " and ".join(dict.fromkeys(each.fault.name for each in planned))
        with laid_here(), self._faults.armed(self._session, *planned) as armed:
            self._armed, self._late = armed, {}
            try:
                yield armed
            finally:
                self._armed = None
        while self._notes:
            self._faults.note(*self._notes.pop(0))
        with laid_here("FAULT-05"):
            self._answers_again(what)
        with laid_here("FAULT-03"):
            assert_nothing_locked(self._lab, play.disks.values(), f"after {what}")

    def call(self, play: Play, step: Call, form: Form = Form.DIRECT) -> Struck:
        """Make the call of `step` on this line, struck or not, and judge answer, state and number of executions.

        A call in the background is followed to its task's end; so is, by its task, one whose answer a fault hid.

        The client must see what the fault lets it see; the host must have done the call completely where it was
        delivered, and nothing where not; what was made must be there as often as the call was carried out; and no other
        disk may change. The play goes on from there. Raises Violation; HarnessError where the fault is not what it
        says; NotExercised where the host did not execute what it was given.
        """
        with laid_here():
            return self._call(play, step, form)

    def repeat(self, play: Play, step: Call, form: Form = Form.DIRECT) -> None:
        """Make the call again, undisturbed: it must succeed and converge (FAULT-02)."""
        struck = self.call(play, step, form)
        if struck.planned is not None or not struck.happened:
            raise Violation(f"repeating {words(step)}", expected=("it succeeds",), actual=str(struck.outcome))

    def renew(self) -> None:
        """Open another session where the host has ended this one: what was armed for it strikes no more."""
        if not isinstance(self._session.call("session.get_uuid", self._session.ref), Ok):
            self._session = self._faults.session()
            self._executions = Executions(self._lab, self._session)

    # --- one call -----------------------------------------------------------------------------------------------------

    def _call(self, play: Play, step: Call, form: Form) -> Struck:
        lab, disk, method = self._lab, play.disks[subject_of(step)], method_of(step)
        expectation = play.model.allowed(step)
        if isinstance(step, Resize):
            lab.fenced(step.size, disk.sr)
        before, counted, receipts = disk.record(), self._executions.of(method), self._receipts()
        others = {name: other.record() for name, other in play.disks.items() if other is not disk}
        token = intended(disk, OPERATIONS[type(step)])
        parameters = play.parameters(step)
        outcome = send(form, self._session, self._patience(receipts), method, disk.ref, *parameters)
        with judging(Axis.ANSWER):
            struck = self._judge_answers(play, (step, form), expectation, outcome, receipts)
        deliveries = self._deliveries(struck.planned)
        struck = replace(struck, made=self._made(disk, step, token, struck))
        self._executions.judge(method, counted, deliveries)
        self._follow(play, step, struck, before, self._came_late(play, receipts))
        self._assert_others_stay(play, step, struck, others)
        return struck

    def _patience(self, armed: tuple[Receipt, ...]) -> Patience:
        """Return how long to wait while `armed` faults may leave the client without an end."""
        faults = [each.planned.fault for each in armed]
        return Patience(
            answer_s=self._hanging_s if any(map(hangs, faults)) else None,
            task_s=NEVER_ENDING_S if any(isinstance(each, TaskNeverEnds) for each in faults) else DEADLINE_S,
        )

    def _receipts(self) -> tuple[Receipt, ...]:
        return self._armed.receipts if self._armed is not None else ()

    def _judge_answers(
        self,
        play: Play,
        made: tuple[Call, Form],
        expectation: Expectation,
        outcome: Outcome,
        before: tuple[Receipt, ...],
    ) -> Struck:
        """Find the fault that met the call, and judge what the client saw and what the host said."""
        step, form = made
        index, receipt = met_by(before, self._receipts())
        if receipt is None:
            self._lab.check(outcome, expectation, f"{words(step)}, undisturbed")
            return Struck(None, outcome, outcome)
        planned, fault = receipt.planned, receipt.planned.fault
        what = f"{words(step)} with {fault.name}"
        if seen(fault) is Seen.ANSWER:
            self._lab.check(outcome, expectation, what)
        hidden = receipt.firings[-1].answer if receipt.firings and hides(fault) else None
        seen_by_fault = told(form, self._lab.session, hidden)
        answer = answer_of_host(what, planned, outcome, seen_by_fault)
        if answer is not None:
            self._lab.check(answer, expectation, f"the host's answer to {what}")
        if isinstance(step, ListChanged) and isinstance(answer, Ok):
            play.judge_bitmap(step, answer.value)
        if isinstance(fault, LateDuplicate):
            self._late[index] = made
        second = seen_by_fault if isinstance(fault, Duplicate) else None
        if isinstance(fault, Duplicate):
            self._judge_second(step, expectation, second)
        return Struck(planned, outcome, answer, second)

    def _judge_second(self, step: Call, expectation: Expectation, second: Outcome | None) -> None:
        """Judge the answer to the second delivery, where making the call twice must be harmless (FAULT-04)."""
        what = f"the second of two deliveries of {words(step)}"
        if second is None or isinstance(second, Indeterminate):
            raise Violation(what, expected=("an answer",), actual=str(second))
        if isinstance(step, HARMLESS_TWICE):
            self._lab.check(second, expectation, what)

    @staticmethod
    def _deliveries(planned: Planned | None) -> int:
        """Return how often the call has reached the host by now: a late duplicate has yet to come."""
        if planned is None or isinstance(planned.fault, LateDuplicate):
            return 1
        return planned.deliveries

    def _made(self, disk: Disk, step: Call, token: str | None, struck: Struck) -> tuple[Disk, ...]:
        """Return what the call made, once for each time that the host carried it out.

        The host's answers say what, also those that only the fault saw; what they do not say, the journal finds.
        """
        if token is None:
            return ()
        operation, journal = OPERATIONS[type(step)], self._lab.journal
        answers = [each for each in (struck.answer, struck.second) if isinstance(each, Ok)]
        tokens = [token, *(None for _ in answers[1:])]
        made = tuple(
            taken(disk, operation, str(answer.value), known) for answer, known in zip(answers, tokens, strict=False)
        )
        answered = struck.planned is None or seen(struck.planned.fault) is Seen.ANSWER
        if answered and not made:
            journal.refused(token)
        return made if answered and struck.second is None else (*made, *adopted(self._lab, disk.uuid, disk.sr_kind))

    # --- what became of it --------------------------------------------------------------------------------------------

    def _follow(
        self, play: Play, step: Call, struck: Struck, before: Mapping[str, object], late: list[tuple[Deed, Outcome]]
    ) -> None:
        what = f"{words(step)} with {struck.planned.fault.name if struck.planned else 'no fault'}"
        subject = subject_of(step)
        disk = play.disks[subject]
        done = [*done_by(step, struck), *late]
        if struck.planned is not None and len(struck.made) > 1:
            note = f"{words(step)}, delivered twice, made {len(struck.made)} VDIs: the client knows of one"
            self._notes.append((struck.planned.fault, note))
        if done:
            play.follow(*done)
        else:
            play.check_status(what)
        if subject not in play.disks:
            self._assert_gone(disk, what)
            return
        if not any(subject_of(each) == subject for each, _ in done):
            self._assert_same(disk, before, what, frozenset())
            return
        record, known = disk.record(), play.model.disk(subject)
        self._assert_no_more(what, subject, (before, record), done)
        expected = {"cbt_enabled": known.enabled, "type": known.type.value, "virtual_size": str(known.size)}
        moved = differences(expected, record, expected)
        if isinstance(step, Resize) and struck.happened and known.size < step.size:
            moved = (*moved, f"virtual_size: {step.size} → {known.size}")
        if moved:
            raise Violation(f"half done: {what}", expected=("the record says what was done",), actual="; ".join(moved))

    def _came_late(self, play: Play, before: tuple[Receipt, ...]) -> list[tuple[Deed, Outcome]]:
        """Return the second deliveries that came with the answer to this call, as the model has to follow them.

        Where making a call twice is harmless, a host may also tell that it is the same call: the model keeps both
        possibilities, until a read decides. What they made is ours.
        """
        came: list[tuple[Deed, Outcome]] = []
        for index, receipt in enumerate(self._receipts()):
            if index not in self._late or len(receipt.firings) == len(before[index].firings):
                continue
            late, form = self._late[index]
            second = told(form, self._lab.session, receipt.firings[-1].answer)
            if second is None or isinstance(second, Indeterminate):
                what = f"a late duplicate of {words(late)}"
                raise Violation(what, expected=("an answer",), actual=str(second))
            subject = play.disks.get(subject_of(late))
            if subject is None or isinstance(late, ListChanged) or isinstance(second, Failed):
                continue
            if isinstance(late, HARMLESS_TWICE):
                came.append((late, Indeterminate("delivered once more")))
            elif isinstance(late, Snapshot | Clone | Copy):
                made = taken(subject, OPERATIONS[type(late)], str(second.value))
                came.append((replace(late, name=f"{late.name} again"), Ok(made.ref)))
                self._notes.append((receipt.planned.fault, f"{words(late)}, delivered again later, made a second VDI"))
            else:
                came.append((late, second))
        return came

    # --- what must hold besides ---------------------------------------------------------------------------------------

    def _assert_others_stay(
        self, play: Play, step: Call, struck: Struck, others: Mapping[str, Mapping[str, object]]
    ) -> None:
        what = f"{words(step)}{f' with {struck.planned.fault.name}' if struck.planned else ''}"
        related = LINKS if struck.happened else frozenset[str]()
        for name, before in others.items():
            self._assert_same(play.disks[name], before, f"{what}, which is not about {name}", related)
        self._bystander.assert_as_before(what)

    @staticmethod
    def _assert_no_more(
        what: str,
        subject: str,
        records: tuple[Mapping[str, object], Mapping[str, object]],
        done: list[tuple[Deed, Outcome]],
    ) -> None:
        """Expect no snapshot of the disk that no delivery of a call made."""
        before, after = (set(cast("list[str]", record.get("snapshots", []))) for record in records)
        made = {
            outcome.value
            for each, outcome in done
            if isinstance(each, Snapshot) and each.disk == subject and isinstance(outcome, Ok)
        }
        more = after - before - made
        if more:
            expected = (f"{len(made)} snapshots",)
            raise Violation(f"more was made than asked for: {what}", expected=expected, actual=f"{len(more)} more")

    @staticmethod
    def _assert_same(disk: Disk, before: Mapping[str, object], what: str, links: frozenset[str]) -> None:
        moved = differences(before, disk.record(), VDI_FIELDS - links)
        if moved:
            raise Violation(f"a disk changed by {what}", expected=("its record as before",), actual="; ".join(moved))

    def _assert_gone(self, disk: Disk, what: str) -> None:
        outcome = self._lab.session.call("VDI.get_record", disk.ref)
        if not isinstance(outcome, Failed) or outcome.code not in {"HANDLE_INVALID", "VDI_MISSING"}:
            raise Violation(f"half done: {what}", expected=("its record is gone",), actual=str(outcome))
        self._lab.journal.removed_ref(disk.ref)

    def _answers_again(self, what: str) -> None:
        for session in (self._session, self._lab.session):
            recovered(
                lambda deadline_s, asked=session: asked.call(  # type: ignore[misc]  # the loop's session, bound now
                    "session.get_uuid", asked.ref, deadline_s=deadline_s
                ),
                what,
                quiet_s=0.0,
            )
