"""How a witness is made: on the emulated host that failed, or for a real host on one with the nearest defect."""

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from xencbt.harness.bundling import MOST_CALLS, SPENT, Bundler
from xencbt.harness.outcome import Ok
from xencbt.harness.pairing import Pair
from xencbt.harness.replaying import Replayed
from xencbt.harness.verdicts import Blocked
from xencbt.harness.witness.deriving import Inexpressible, World, steps_from
from xencbt.harness.witness.steps import Step
from xencbt.harness.witness.traces import Called

if TYPE_CHECKING:
    from xencbt.harness.standing import Stand

SR = "OpaqueRef:00000000-0000-4000-8000-0000000000aa"
RECORD = {"SR": SR, "virtual_size": 1 << 22, "type": "user", "sm_config": {}}
RIGHT: dict[str, Any] = {"failed": "OPERATION_NOT_ALLOWED", "params": []}
WRONG: dict[str, Any] = {"ok": ""}
DEFECTS: dict[str, tuple[str, ...]] = {"other": ("LIST-02",), "loud": ("ENABLE-15",), "near": ("ENABLE-15",)}


def ref(number: int) -> str:
    return f"OpaqueRef:{number:08}-0000-4000-8000-000000000000"


EVENTS = (
    Called("VDI.create", (RECORD,), Ok(ref(1)), user="root"),
    Called("VDI.create", (RECORD,), Ok(ref(2)), user="root"),
    Called("VDI.enable_cbt", (ref(2),), Ok(""), user="root"),
    Called("VDI.snapshot", (ref(1), {}), Ok(ref(3)), user="root"),
    Called("VDI.enable_cbt", (ref(3),), Ok(""), user="root"),
)
"""What a test did: the second disk has nothing to do with the failure."""


class Fake:
    """A stand on which enabling a snapshot answers as `enabling` says, with what was tried there."""

    def __init__(self, enabling: Callable[["Fake"], dict[str, Any] | None], *, emulated: bool = True) -> None:
        self.bench = SimpleNamespace(
            repositories={"main": SimpleNamespace(ref=SR, uuid="u")},
            target=SimpleNamespace(user="root"),
            product=SimpleNamespace(host_ref="h"),
        )
        self.emulated = emulated
        self.shown: tuple[str, ...] = ()
        self.tried: list[tuple[Step, ...]] = []
        self._enabling = enabling

    def show(self, *defects: str) -> None:
        self.shown = defects

    def replay(self, steps: Sequence[Step], test_id: str) -> Replayed:
        assert test_id == "a test"
        self.tried.append(tuple(steps))
        if self._enabling(self) is None:
            return Replayed(tuple(None for _ in steps), Blocked("no"), 1)
        saw = [self._enabling(self) if step.given.get("disk") == "snapshot-1" else {"ok": step.makes} for step in steps]
        return Replayed(tuple(saw), None, len(steps))


def bundler(wrong: Fake, studied: Fake | None = None, right: Fake | None = None, **more: Any) -> Bundler:
    right, studied = right or Fake(lambda _: RIGHT), studied or Fake(lambda _: RIGHT)
    stands = [cast("Stand", each) for each in (right, wrong, studied)]
    return Bundler(lambda: stands[0], stands[1], lambda: stands[2], lambda: DEFECTS, **more)


def made(maker: Bundler) -> tuple[list[str], str]:
    witness, note = maker.witness("a test", EVENTS, ["ENABLE-15"])
    return [step.do for step in witness.steps], note


def test_on_an_emulated_host_the_steps_are_shortened_there() -> None:
    wrong = Fake(lambda _: WRONG)
    assert made(bundler(wrong)) == (["create", "snapshot", "enable"], "")
    assert len(wrong.tried) > 2


def test_of_a_real_host_they_are_shortened_where_the_nearest_defect_is_and_confirmed_once() -> None:
    wrong = Fake(lambda _: WRONG, emulated=False)
    other: dict[str, Any] = {"failed": "OTHER", "params": []}
    studied = Fake(lambda self: {("near",): WRONG, (): RIGHT}.get(self.shown, other))
    steps, note = made(bundler(wrong, studied))
    assert steps == ["create", "snapshot", "enable"]
    assert note == "shortened on an emulated host with the defect near; confirmed once on the target"
    assert len(wrong.tried) == 1
    assert [len(each) for each in wrong.tried] == [3]


def test_where_no_defect_is_near_the_real_host_is_asked_within_a_budget_of_calls() -> None:
    wrong = Fake(lambda _: WRONG, emulated=False)
    steps, note = made(bundler(wrong))
    assert steps == ["create", "snapshot", "enable"]
    assert "no defect is near" in note
    assert "confirmed once" in note
    assert sum(map(len, wrong.tried)) <= MOST_CALLS + 5


def test_what_does_not_come_back_on_the_real_host_is_told_as_it_was_recorded() -> None:
    wrong = Fake(lambda _: RIGHT, emulated=False)
    studied = Fake(lambda self: WRONG if self.shown == ("near",) else RIGHT)
    steps, note = made(bundler(wrong, studied))
    assert steps == ["create", "create", "enable", "snapshot", "enable"]
    assert "not confirmed on the target" in note


@pytest.mark.parametrize(
    ("maker", "said"),
    [
        (lambda: bundler(Fake(lambda _: WRONG), Fake(lambda _: WRONG)), "another right host"),
        (lambda: bundler(Fake(lambda _: RIGHT)), "does not show"),
        (lambda: bundler(Fake(lambda _: WRONG), right=Fake(lambda _: None)), "a right host cannot carry out its steps"),
        (lambda: bundler(Fake(lambda _: WRONG), seconds=0.0), SPENT),
    ],
)
def test_where_there_is_no_witness_it_says_why(maker: Callable[[], Bundler], said: str) -> None:
    with pytest.raises(Inexpressible, match=said):
        made(maker())


def test_objects_that_only_the_check_speaks_of_keep_their_names() -> None:
    vm, vbd, disk = ref(10), ref(11), ref(12)
    events = (
        Called("VM.create", ({},), Ok(vm), user="root"),
        Called("VM.get_VBDs", (vm,), Ok([vbd]), user="root"),
        Called("VBD.get_VDI", (vbd,), Ok(disk), user="root"),
        Called("VDI.get_cbt_enabled", (disk,), Ok(True), user="root"),
        Called("VDI.get_all_records", (), Ok({disk: {"cbt_enabled": True}}), user="root"),
    )
    steps = steps_from(events, World({}, "root"))
    told: dict[str, dict[str, Any]] = {
        "VBDs": {"ok": ["vbd-1"]},
        "VDI": {"ok": "disk-1"},
        "cbt_enabled": {"ok": False},
    }

    class Records(Fake):
        def replay(self, steps: Sequence[Step], test_id: str) -> Replayed:  # noqa: ARG002  as the one that it replaces
            records = {"ok": {"disk-1": {"cbt_enabled": self is wrong}}}
            return Replayed(tuple(told.get(step.given.get("field", ""), records) for step in steps), None, len(steps))

    wrong, right = Records(lambda _: RIGHT), Records(lambda _: RIGHT)
    without = (*steps[:3], steps[4])
    witness = Pair(cast("Stand", right), cast("Stand", wrong), "a test", math.inf).told(without, ())
    assert [dict(step.names) for step in witness.steps[1:3]] == [{"vbd-1": (0,)}, {"disk-1": ()}]
    assert witness.check.expected == ({"has": {"disk-1": {"cbt_enabled": False}}},)


def test_the_time_of_a_run_is_spent_once() -> None:
    maker = bundler(Fake(lambda _: WRONG))
    made(maker)
    assert 0 < maker.seconds < 60.0
