"""A call that nobody knows the outcome of: the model keeps both possibilities until a read decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.suites.test_play import begun, host, play
from xencbt.harness.model import DataDestroy, Destroy, Disable, Enable, ListChanged, Resize, Snapshot, Step, Write
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.verdicts import Violation
from xencbt.suites import uncertain

if TYPE_CHECKING:
    from tests.suites.tracking_host import TrackingHost
    from xencbt.suites.play import Play

__all__ = ["host", "play"]

LOST = Indeterminate("closed")
CALLS: list[tuple[uncertain.Uncertain, str, tuple[object, ...]]] = [
    (Enable("disk"), "enable_cbt", ()),
    (Disable("disk"), "disable_cbt", ()),
    (Snapshot("disk", "new"), "snapshot", ({},)),
    (Resize("disk", 8 << 20), "resize", (8 << 20,)),
    (Destroy("baseline"), "destroy", ()),
]
EVERY = pytest.mark.parametrize(("step", "operation", "params"), CALLS, ids=[name for _, name, _ in CALLS])


def prepared(play: Play, step: Step) -> Play:
    begun(play)
    if isinstance(step, Enable):
        play.do(Disable("disk"))
    return play


@EVERY
def test_both_are_possible_until_a_read_decides(
    play: Play, step: uncertain.Uncertain, operation: str, params: tuple[object, ...]
) -> None:
    prepared(play, step)
    play.supposed(step, LOST)
    assert len(play.model.states) == 2
    del operation, params
    uncertain.read(play, step)  # nothing was called: what is read is that nothing happened
    play.check_status("reading")
    assert len(play.model.states) == 1


@EVERY
@pytest.mark.parametrize("happens", [True, False])
@pytest.mark.parametrize("answer", [LOST, Failed("INTERNAL_ERROR")], ids=["lost", "refused"])
def test_the_play_goes_on_from_what_is_read(
    play: Play,
    host: TrackingHost,
    step: uncertain.Uncertain,
    operation: str,
    params: tuple[object, ...],
    answer: Outcome,
    *,
    happens: bool,
) -> None:
    prepared(play, step)
    ref = play.disks[step.disk].ref

    def call() -> Outcome:
        if happens:
            assert isinstance(host.call(f"VDI.{operation}", ref, *params), Ok)
        return answer

    assert uncertain.make(play, step, call) == answer
    assert len(play.model.states) == 1
    match step:
        case Enable() | Disable():
            assert play.model.enabled("disk") is (isinstance(step, Enable) is happens)
        case Snapshot(_, name):
            assert (name in play.disks) is happens
        case Resize(_, size):
            assert (play.model.disk("disk").size == size) is happens
        case Destroy(name):
            assert (name not in play.disks) is happens
        case _:
            raise AssertionError(step)
    play.do(Write("disk", 0, 1))


def test_an_answer_of_success_must_be_true(play: Play) -> None:
    begun(play)
    with pytest.raises(Violation, match="cbt_enabled of disk is wrong") as raised:
        uncertain.make(play, Disable("disk"), lambda: Ok(""))
    assert raised.value.requirements == ("FAULT-01",)


def test_what_never_arrived_must_not_have_happened(play: Play, host: TrackingHost) -> None:
    begun(play)
    ref = play.disks["disk"].ref

    def call() -> Outcome:
        host.call("VDI.disable_cbt", ref)
        return LOST

    with pytest.raises(Violation, match="cbt_enabled of disk is wrong"):
        uncertain.make(play, Disable("disk"), call, arrived=False)


def test_while_it_is_open_a_listing_may_be_given_or_refused(play: Play) -> None:
    begun(play)
    play.supposed(Disable("disk"), LOST)
    allowed = play.model.allowed(ListChanged("baseline", "disk"))
    assert allowed.succeeds
    assert len(allowed.alternatives) > 1


def test_data_destroy_is_told_by_the_type(play: Play, host: TrackingHost) -> None:
    begun(play)
    snapshot = play.disks["baseline"].ref

    def call() -> Outcome:
        host.records[snapshot]["type"] = "cbt_metadata"
        return LOST

    uncertain.make(play, DataDestroy("baseline"), call)
    assert len(play.model.states) == 1
    assert play.model.disk("baseline").type.value == "cbt_metadata"
