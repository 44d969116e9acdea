"""Of a call in the background each task is followed to its end once, by whoever was told of it."""

from collections.abc import Iterator

import pytest

from xencbt.fixtures.lab import Lab
from xencbt.fixtures.targets import Target
from xencbt.harness.disturbing import Faults
from xencbt.harness.faults import AnswerLost, Delay, Duplicate, Fault, SlowDrip
from xencbt.harness.model import Enable
from xencbt.harness.witness.traces import Called
from xencbt.proxies.interceptor import Interceptor
from xencbt.suites.astray import Line
from xencbt.suites.play import Play
from xencbt.suites.sending import Form

DISK = "disk"


@pytest.fixture
def faults(lab: Lab, target: Target) -> Iterator[Faults]:
    with Interceptor(target.url) as interceptor:
        yield Faults(lab, lambda: interceptor, [])


@pytest.mark.parametrize("fault", [Delay(0.001), SlowDrip(), AnswerLost(), Duplicate()], ids=lambda each: each.name)
def test_nobody_waits_for_a_task_that_is_gone(lab: Lab, faults: Faults, fault: Fault) -> None:
    line, play = Line(lab, faults), Play(lab)
    play.create(DISK)
    before = len(lab.bench.recorder.trace.events)
    line.strike(play, Enable(DISK), fault, phase=fault.phases[-1], form=Form.ASYNC)
    calls = [each for each in lab.bench.recorder.trace.events[before:] if isinstance(each, Called)]
    followed = [each for each in calls if each.method == "task.destroy"]
    assert len(followed) == 1 + isinstance(fault, Duplicate)
    for gone in followed:
        later = calls[calls.index(gone) + 1 :]
        assert [each for each in later if each.method == "event.from" and str(gone.params[0]) in str(each.params)] == []
