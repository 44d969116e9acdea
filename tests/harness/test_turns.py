"""Turns on a host: tests on SRs of their own side by side, the others alone, and nobody waits for ever."""

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from xencbt.harness.errors import HarnessError
from xencbt.harness.turns import Turns, reaches_beyond

AT_ONCE_S = 0.05


@pytest.mark.parametrize(
    ("declared", "beyond"),
    [
        (None, True),
        (frozenset(), False),
        (frozenset({"raw-import", "vm-power", "guest-write", "sr-cbt"}), False),
        (frozenset({"raw-import", "toolstack-restart"}), True),
        (frozenset({"sr:second"}), True),
        (frozenset({"licence"}), True),
    ],
)
def test_what_reaches_beyond_an_sr(declared: frozenset[str] | None, beyond: bool) -> None:
    assert reaches_beyond(declared) is beyond


def test_neighbours_that_keep_to_their_sr_go_side_by_side(tmp_path: Path) -> None:
    with ExitStack() as turns:
        for _ in range(3):
            turns.enter_context(Turns(tmp_path, "pool").taken(alone=False, deadline_s=AT_ONCE_S))


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (True, True)])
def test_who_has_the_host_alone_has_no_neighbour(tmp_path: Path, first: bool, second: bool) -> None:
    with Turns(tmp_path, "pool").taken(alone=first):
        with (
            pytest.raises(HarnessError, match=r"no turn on the host came: .*host\.turn"),
            Turns(tmp_path, "pool").taken(alone=second, deadline_s=AT_ONCE_S),
        ):
            pass
        with Turns(tmp_path, "other pool").taken(alone=True, deadline_s=AT_ONCE_S):
            pass
    with Turns(tmp_path, "pool").taken(alone=second, deadline_s=AT_ONCE_S):
        pass


def test_newcomers_wait_behind_who_waits_for_the_host_alone(tmp_path: Path) -> None:
    order: list[str] = []
    with Turns(tmp_path, "pool").taken(alone=False):
        waiting = threading.Thread(target=lambda: _take(tmp_path, order))
        waiting.start()
        at_the_gate = False
        while not at_the_gate:  # bounded: the thread reaches the gate, or ends by its own deadline
            try:
                with Turns(tmp_path, "pool").taken(alone=False, deadline_s=AT_ONCE_S):
                    assert waiting.is_alive()
            except HarnessError as error:
                at_the_gate = "host.gate" in str(error)
        order.append("left")
    waiting.join(30)
    assert order == ["left", "alone"]


def _take(folder: Path, order: list[str]) -> None:
    with Turns(folder, "pool").taken(alone=True, deadline_s=30):
        order.append("alone")


def test_a_neighbour_that_was_alone_in_between_is_noticed_once(tmp_path: Path) -> None:
    own, other = Turns(tmp_path, "pool"), Turns(tmp_path, "pool")

    def disturbed(turns: Turns, *, alone: bool = False) -> bool:
        with turns.taken(alone=alone) as seen:
            return seen

    assert disturbed(own), "nobody knows what was before the first turn"
    assert not disturbed(own)
    assert not disturbed(own, alone=True)
    assert not disturbed(own), "what we did ourselves is no news"
    assert disturbed(other)
    assert not disturbed(other, alone=True)
    assert disturbed(own)
    assert not disturbed(own)
