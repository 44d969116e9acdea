"""Generated histories: sequences of few kinds of call on one or two disks, drawn as data and then played on the host.

They are for what a property is about; everything at once is the state machine's (`machine`).
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

from hypothesis import strategies as st

from xencbt.harness.bitmap import BLOCK
from xencbt.harness.model import Destroy, Disable, Enable, Snapshot, Write
from xencbt.suites.play import Play

SIZE = 4 << 20
"""Bytes of each disk: as VHD drivers round them, and a bitmap of several bytes."""

LENGTHS = (1, 512, BLOCK, BLOCK + 1, 3 * BLOCK)
KNOWN_CONTENTS = 3
"""How many known contents there are: writing one twice to a block marks it, though nothing differs."""


class Doing(enum.Enum):
    """What is done, as often as its value says in comparison with the others."""

    WRITE = "write"
    WRITE_KNOWN = "write known content"
    SNAPSHOT = "snapshot"
    ENABLE = "enable"
    DISABLE = "disable"
    DESTROY = "destroy"


WRITING: Mapping[Doing, int] = {Doing.WRITE: 5, Doing.WRITE_KNOWN: 2, Doing.SNAPSHOT: 4}
"""Within one set: every snapshot stays there with its data, so that all contents can be read at the end."""

THINNING: Mapping[Doing, int] = {Doing.WRITE: 3, Doing.SNAPSHOT: 3, Doing.DESTROY: 3}
"""Within one set, snapshots of which come and go."""


@dataclass(frozen=True, slots=True)
class Act:
    """One thing done to the disk that `disk` chooses; `place` and `length` say where to, or which snapshot."""

    doing: Doing
    disk: int = 0
    place: int = 0
    length: int = 1

    def __repr__(self) -> str:
        return f"{self.doing.value}({self.disk}, {self.place}, {self.length})"


History = tuple[Act, ...]


def acts(doings: Mapping[Doing, int]) -> st.SearchStrategy[Act]:
    """Draw one act; `doings` says how often each kind."""
    weighted = [doing for doing, weight in doings.items() for _ in range(weight)]
    return st.builds(
        Act,
        st.sampled_from(weighted),
        disk=st.integers(0, 1),
        place=st.integers(0, SIZE - 1),
        length=st.sampled_from(LENGTHS),
    )


def histories(doings: Mapping[Doing, int], *, longest: int = 12) -> st.SearchStrategy[History]:
    """Draw a history of up to `longest` acts."""
    return st.lists(acts(doings), min_size=longest // 2, max_size=longest).map(tuple)


def perform(play: Play, history: History, disks: tuple[str, ...]) -> None:
    """Do a whole history on the disks of these names, which `play` knows; raises what Play raises."""
    for act in history:
        _DEEDS[act.doing](play, act, disks[act.disk % len(disks)])


def _write(play: Play, act: Act, disk: str) -> None:
    size = play.disks[disk].size
    offset = act.place % size
    play.do(Write(disk, offset, min(act.length, size - offset)))


def _write_known(play: Play, act: Act, disk: str) -> None:
    block = act.place // BLOCK % (play.disks[disk].size // BLOCK)
    play.do(Write(disk, block * BLOCK, BLOCK, content=-1 - act.place % KNOWN_CONTENTS))


def _snapshot(play: Play, _: Act, disk: str) -> None:
    names = (f"{disk}.{number}" for number in count(1))
    play.do(Snapshot(disk, next(name for name in names if name not in play.disks)))


def _enable(play: Play, _: Act, disk: str) -> None:
    play.do(Enable(disk))


def _disable(play: Play, _: Act, disk: str) -> None:
    play.do(Disable(disk))


def _destroy(play: Play, act: Act, _: str) -> None:
    snapshots = list(play.names_of_snapshots())
    if snapshots:
        play.do(Destroy(snapshots[act.place % len(snapshots)]))


_DEEDS: Mapping[Doing, Callable[[Play, Act, str], None]] = {
    Doing.WRITE: _write,
    Doing.WRITE_KNOWN: _write_known,
    Doing.SNAPSHOT: _snapshot,
    Doing.ENABLE: _enable,
    Doing.DISABLE: _disable,
    Doing.DESTROY: _destroy,
}
