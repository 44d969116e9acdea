"""The line lets an honest host pass through every fault, and shows what a host makes of one that it should not."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.suites.tracking_host import TrackingHost
from xencbt.fixtures.bench import Bench
from xencbt.fixtures.lab import Lab
from xencbt.fixtures.targets import Target
from xencbt.harness.bitmap import BLOCK
from xencbt.harness.capabilities import Capabilities, Capability
from xencbt.harness.errors import HarnessError
from xencbt.harness.faults import AnswerLost, Duplicate, Fault, Firing, Planned, Receipt, RequestDropped
from xencbt.harness.journal import Journal
from xencbt.harness.model import Disable, Enable, Snapshot, Write
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.profiles import XAPI
from xencbt.harness.repositories import Repository
from xencbt.harness.verdicts import Blocked, NotExercised, Violation
from xencbt.suites.astray import Line
from xencbt.suites.play import Play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from xencbt.fixtures.control import Control
    from xencbt.harness.disturbing import Faults
    from xencbt.harness.product import Product

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAULTS: list[Fault] = [AnswerLost(), RequestDropped(), Duplicate()]
EVERY = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
DISK = "disk"
BOTH = pytest.mark.parametrize("step", [Enable(DISK), Disable(DISK)], ids=["enable", "disable"])


class Fake:
    """Session, faults and control interface in one: delivers calls to the host as the armed fault says.

    `executions` is how often the host counts each delivery, `answered` whether the client hears what it must not,
    `second` what a second delivery is answered instead.
    """

    uuid = ref = "line"

    def __init__(self, host: TrackingHost) -> None:
        self.host = host
        self.counts: dict[str, int] = {}
        self.fault: Fault | None = None
        self.executions: Callable[[str], int] = lambda _: 1
        self.answered = False
        self.second: Outcome | None = None
        self.firings: list[Firing] = []
        self.after: Callable[[str, str], object] = lambda _, __: None

    def session(self) -> Fake:
        return self

    @contextmanager
    def armed(self, _: Fake, *planned: Planned) -> Iterator[Fake]:
        (self.planned,) = planned
        self.fault, self.firings = self.planned.fault, []
        yield self
        self.fault = None

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        return (Receipt(self.planned, NOW, tuple(self.firings)),)

    def call(self, method: str, ref: str, *, deadline_s: float | None = None) -> Outcome:
        del deadline_s
        if method == "session.get_uuid":
            return Ok(self.uuid)
        outcomes = [
            self._deliver(method, ref)
            for _ in range(1 if self.fault is None else Planned(self.fault, method).deliveries)
        ]
        if self.fault is not None:
            self.firings.append(Firing(NOW, 1, method, self.second or outcomes[-1] if outcomes else None))
        self.after(method, ref)
        lost = isinstance(self.fault, AnswerLost | RequestDropped) and not self.answered
        return Indeterminate("the connection was closed") if lost else [*outcomes, Ok("")][0]

    def _deliver(self, method: str, ref: str) -> Outcome:
        self.counts[method] = self.counts.get(method, 0) + self.executions(method)
        return self.host.call(method, ref)

    def call_counts(self) -> dict[str, dict[str, int]]:
        return {method: {self.uuid: count} for method, count in self.counts.items()}


@pytest.fixture
def host() -> TrackingHost:
    return TrackingHost()


@pytest.fixture
def fake(host: TrackingHost) -> Fake:
    return Fake(host)


@pytest.fixture(params=[True, False], ids=["counted", "uncounted"])
def counted(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def lab(
    host: TrackingHost, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, counted: bool
) -> Iterator[Lab]:
    monkeypatch.setattr("xencbt.fixtures.disks.import_ranges", lambda _, ref, writes: host.write(ref, writes))
    journal = Journal(tmp_path / "journal", "run")
    bench = Bench(
        target=Target("http://127.0.0.1", "root", "secret", control=cast("Control", fake) if counted else None),
        session=host,
        recorder=host.recorder,
        product=cast("Product", None),
        repositories={"main": Repository("main", "sr", "sr-uuid", "lvm", {"VDI_CONFIG_CBT": 1}, frozenset())},
        capabilities=Capabilities(
            (Capability("call-counts", counted, ""), Capability("raw-import", present=True, detail=""))
        ),
        profile=XAPI,
        warning=None,
        journal=journal,
        seed=1,
        consents=frozenset(),
    )
    yield Lab(bench, "a test")
    journal.close()


@pytest.fixture
def line(lab: Lab, fake: Fake) -> Line:
    return Line(lab, cast("Faults", fake))


def begun(lab: Lab, *, enabled: bool) -> Play:
    play = Play(lab)
    play.create(DISK)
    if enabled:
        play.do(Enable(DISK))
    play.do(Snapshot(DISK, "baseline"))
    play.do(Write(DISK, 7 * BLOCK, 1))
    return play


@EVERY
@BOTH
@pytest.mark.parametrize("enabled", [True, False])
def test_an_honest_host_passes(lab: Lab, line: Line, step: Enable | Disable, fault: Fault, *, enabled: bool) -> None:
    play = begun(lab, enabled=enabled)
    for _ in range(2):
        line.strike(play, step, fault)
    assert play.model.enabled(DISK) is (enabled if isinstance(fault, RequestDropped) else isinstance(step, Enable))
    line.repeat(play, step)
    assert play.model.enabled(DISK) is isinstance(step, Enable)


def test_calls_that_fail_undisturbed_block_the_test(lab: Lab, host: TrackingHost, fake: Fake) -> None:
    host.twists["VDI.disable_cbt"] = lambda _: Failed("OPERATION_NOT_ALLOWED")
    with pytest.raises(Blocked, match="undisturbed calls through the interceptor"):
        Line(lab, cast("Faults", fake))


@BOTH
def test_a_half_happened_call_is_seen(
    lab: Lab, line: Line, host: TrackingHost, fake: Fake, step: Enable | Disable
) -> None:
    play = begun(lab, enabled=isinstance(step, Disable))

    def roll_back(_: str, ref: str) -> None:
        host.records[ref]["cbt_enabled"] = isinstance(step, Disable)

    fake.after = roll_back
    with pytest.raises(Violation, match=r"cbt_enabled of disk is wrong after (enable|disable)_cbt of disk"):
        line.strike(play, step, AnswerLost())


def test_a_dropped_request_that_took_effect_is_seen(lab: Lab, line: Line, host: TrackingHost, fake: Fake) -> None:
    play = begun(lab, enabled=False)
    fake.after = lambda _, ref: host.records[ref].update(cbt_enabled=True)
    with pytest.raises(Violation, match=r"cbt_enabled of disk is wrong after enable_cbt of disk with request-dropped"):
        line.strike(play, Enable(DISK), RequestDropped())


def test_a_record_that_disagrees_with_the_getter_is_seen(lab: Lab, line: Line, host: TrackingHost) -> None:
    play = begun(lab, enabled=False)
    host.twists["VDI.get_record"] = lambda answer: Ok(cast("Any", answer).value | {"cbt_enabled": False})
    with pytest.raises(Violation, match="half done: enable_cbt of disk with answer-lost"):
        line.strike(play, Enable(DISK), AnswerLost())


def test_a_refused_repetition_is_seen(lab: Lab, line: Line, host: TrackingHost) -> None:
    play = begun(lab, enabled=True)
    line.strike(play, Disable(DISK), AnswerLost())
    host.twists["VDI.disable_cbt"] = lambda _: Failed("SR_BACKEND_FAILURE_458")
    with pytest.raises(Violation, match="undisturbed"):
        line.repeat(play, Disable(DISK))


@EVERY
def test_another_disk_that_changes_is_seen(lab: Lab, line: Line, host: TrackingHost, fake: Fake, fault: Fault) -> None:
    play = begun(lab, enabled=False)
    bystander = line._bystander._disk.ref
    fake.after = lambda _, __: host.records[bystander].update(name_label="touched")
    with pytest.raises(Violation, match="name_label"):
        line.strike(play, Enable(DISK), fault)


def test_another_disk_that_loses_changes_is_seen(lab: Lab, line: Line, host: TrackingHost, fake: Fake) -> None:
    play = begun(lab, enabled=False)
    chain, position = host.places[line._bystander._disk.ref]
    fake.after = lambda _, __: host.chains[chain][position].clear()
    with pytest.raises(Violation, match="another disk's recorded changes moved"):
        line.strike(play, Enable(DISK), Duplicate())


@EVERY
def test_an_answer_that_should_have_been_lost_is_our_trouble(lab: Lab, line: Line, fake: Fake, fault: Fault) -> None:
    play = begun(lab, enabled=False)
    fake.answered = True
    if isinstance(fault, Duplicate):
        line.strike(play, Enable(DISK), fault)
        return
    with pytest.raises(HarnessError, match="was answered"):
        line.strike(play, Enable(DISK), fault)


@pytest.mark.parametrize("counted", [True], indirect=True)
def test_executing_more_than_was_delivered_is_seen(lab: Lab, line: Line, fake: Fake) -> None:
    play = begun(lab, enabled=False)
    fake.executions = lambda _: 2
    with pytest.raises(Violation, match="executed more often than it was delivered") as caught:
        line.strike(play, Enable(DISK), AnswerLost())
    assert (caught.value.expected, caught.value.actual) == (("1 executions",), "2 executions")


@pytest.mark.parametrize("counted", [True], indirect=True)
def test_a_delivery_that_was_not_executed_exercises_nothing(lab: Lab, line: Line, fake: Fake) -> None:
    play = begun(lab, enabled=False)
    fake.executions = lambda _: 0
    with pytest.raises(NotExercised, match="executed 0 of 2 deliveries"):
        line.strike(play, Enable(DISK), Duplicate())


@BOTH
def test_a_refused_second_delivery_is_a_violation(line: Line, lab: Lab, fake: Fake, step: Enable | Disable) -> None:
    play = begun(lab, enabled=isinstance(step, Disable))
    fake.second = Failed("VDI_CBT_ENABLED", ("ref",))
    with pytest.raises(Violation, match="second of two deliveries"):
        line.strike(play, step, Duplicate())


def test_a_snapshot_that_nobody_asked_for_is_seen(lab: Lab, line: Line, host: TrackingHost, fake: Fake) -> None:
    play = begun(lab, enabled=True)
    fake.after = lambda _, ref: host.call("VDI.snapshot", ref, {})
    with pytest.raises(Violation, match="more was made than asked for: disable_cbt of disk with answer-lost"):
        line.strike(play, Disable(DISK), AnswerLost())
