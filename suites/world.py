"""A world of disks, snapshots, sets and a VM, as a state machine drives it: what is chosen, done and judged there."""

from __future__ import annotations

from itertools import combinations, pairwise, permutations
from typing import TYPE_CHECKING

from xencbt.harness.bitmap import BLOCK, block_count, describe
from xencbt.harness.capabilities import MAIN
from xencbt.harness.model import Attach, Attachment, Destroy, Enable, Resize, Revert, Scan, Snapshot, Write
from xencbt.harness.verdicts import Violation
from xencbt.suites.images import Images
from xencbt.suites.listing import block_map
from xencbt.suites.play import Deed, Play

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xencbt.fixtures.lab import Lab
    from xencbt.fixtures.vms import Vm
    from xencbt.harness.bitmap import Bitmap

STEP = 2 << 20
"""Bytes: the size of each disk at first, and by which it grows; VHD drivers round to it."""

LARGEST = 4 * STEP
MOST_DISKS = 9
"""What bounds the cost of a run: how far disks grow, and how many disks and snapshots there may be at a time."""


FEW = 6
"""Pairs that are all listed after each rule: those of three disks."""


class World:
    """Disks on the SR of kind `sr`, of which the VM, if any, holds `held`; `runs` tells whether it runs.

    `kept` is a snapshot of the VM to which it can be reverted, with the snapshots of `held` that it holds.
    Everything is done through `play`. With `precise`, no block may be marked that was not written (LIST-03), and two
    steps must show what one shows (LIST-12); no bytes are compared then.
    """

    def __init__(self, lab: Lab, *, precise: bool) -> None:
        self.lab = lab
        self.precise = precise
        self.play = Play(lab, precise=precise)
        self.images = Images(self.play)
        self.sr = MAIN
        self.vm: Vm | None = None
        self.held: tuple[str, ...] = ()
        self.runs = False
        self.kept: tuple[Vm, tuple[str, ...]] | None = None
        self._named = 0

    # What there is

    def may(self, *names: str) -> bool:
        """Tell whether the target has all of `names`, and the user consented to their use where that is needed."""
        return self.lab.offers(*names)

    def live(self) -> list[str]:
        """Return the disks that are no snapshots; the first, whose set is the longest, stands there twice."""
        snapshots = self.snapshots()
        live = [name for name in self.play.disks if name not in snapshots]
        return [*live[:1], *live]

    def loose(self) -> list[str]:
        """Return the disks that no VM has."""
        return [name for name in dict.fromkeys(self.live()) if name not in self.held]

    def snapshots(self) -> list[str]:
        """Return the snapshots, oldest first."""
        return list(self.play.names_of_snapshots())

    def removable(self) -> list[str]:
        """Return the snapshots that no VM snapshot holds."""
        holding = self.kept[1] if self.kept else ()
        return [name for name in self.snapshots() if name not in holding]

    def has_room(self, more: int = 1) -> bool:
        """Tell whether there may be so many more disks and snapshots."""
        return len(self.play.disks) + more <= MOST_DISKS

    def name_for(self, source: str) -> str:
        """Return a new name for what is made from `source`."""
        self._named += 1
        return f"{source}.{self._named}"

    def chains(self) -> list[list[str]]:
        """Return the members of each set in their order, a disk that adds to it last."""
        sets = (self.play.model.backup_set(name) for name in self.play.disks)
        found = {one.id: [*one.snapshots, *([one.id.disk] if one.live else [])] for one in sets if one is not None}
        return list(found.values())

    # What is done

    def furnish(self, *names: str, tracked: bool) -> None:
        """Create disks of these names; tracked ones with a baseline."""
        for name in names:
            self.play.create(name, sr=self.sr, size=STEP)
        for name in names if tracked else ():
            self.do(Enable(name))
            self.do(Snapshot(name, f"{name}.0"))

    def hold(self, *names: str) -> None:
        """Have a halted VM hold the disks."""
        self.vm, self.held = self.lab.create_vm(*(self.play.disks[name] for name in names)), names

    def do(self, step: Deed) -> None:
        """Do `step`, as `Play.do`."""
        if isinstance(step, Write | Resize | Destroy):
            self.images.changed(step.disk)
        self.play.do(step)

    def write(self, name: str, place: int, length: int) -> None:
        """Write what was never on any disk before.

        The lowest byte of `place` is counted from the start of a block, or, where it is odd, from before its end.
        """
        size = self.play.disks[name].size
        within = place % 256 // 2
        offset = (place >> 8) % block_count(size) * BLOCK + (BLOCK - 1 - within if place % 2 else within)
        self.do(Write(name, offset, min(length, size - offset)))

    def snapshot(self, name: str) -> None:
        """Snapshot a disk or a snapshot."""
        self.do(Snapshot(name, self.name_for(name)))

    def scan(self) -> None:
        """Have the host look at its storage anew."""
        self.lab.conditions.scan(self.sr)
        self.play.note(Scan(self.sr))

    def start(self) -> None:
        """Start the VM, so that a guest writes its disks from now on."""
        assert self.vm is not None
        self.vm.start()
        self.runs = True
        self._attached(Attachment.READ_WRITE)

    def stop(self) -> None:
        """Stop the VM."""
        assert self.vm is not None
        self.vm.shutdown()
        self.runs = False
        self._attached(Attachment.NONE)

    def keep(self) -> None:
        """Snapshot the VM, its disks with it; an earlier VM snapshot goes, and leaves those of its disks."""
        assert self.vm is not None
        taken = self.vm.snapshot()
        names = tuple(self.name_for(name) for name in self.held)
        for name, snapshot, made in zip(self.held, names, taken.disks(), strict=True):
            self.play.note(Snapshot(name, snapshot), made)
        self.forget()
        self.kept = taken, names

    def forget(self) -> None:
        """Destroy the VM snapshot, where there is one; those of its disks stay."""
        if self.kept is not None:
            self.kept[0].destroy()
            self.kept = None

    def revert(self) -> None:
        """Take the VM back to its snapshot, which goes; it is halted then, with other disks or its own put back."""
        assert self.vm is not None
        assert self.kept is not None
        taken, snapshots = self.kept
        self.vm.revert(taken)
        self.runs = False
        parts = {}
        for name, snapshot, now in zip(self.held, snapshots, self.vm.disks(), strict=True):
            self.images.changed(name)
            back = name if now.ref == self.play.disks[name].ref else self.name_for("back")
            parts[Revert(name, snapshot, back)] = now
        self.held = tuple(part.name for part in parts)
        self.play.reverted(parts)
        self.forget()

    def _attached(self, attachment: Attachment) -> None:
        for name in self.held:
            self.play.note(Attach(name, attachment))

    # What must hold

    def look(self) -> None:
        """List between any two, where there are few; else between the neighbours and the ends of each set.

        Then one other pair is listed as well, in turn: to list them all after every rule would be quadratic.
        """
        pairs = list(permutations(self.play.disks, 2))
        if len(pairs) > FEW:
            along = [pair for chain in self.chains() for pair in (*pairwise(chain), (chain[0], chain[-1]))]
            pairs = [*along, pairs[7 * len(self.play.done) % len(pairs)]]
        for earlier, later in dict.fromkeys(pairs):
            if earlier != later:
                self.compare(earlier, later)

    def compare(self, earlier: str, later: str) -> None:
        """List, judge, and compare the bytes; those of a disk that may still be written wait for `judge`."""
        bitmap = self.play.listing(earlier, later)
        if bitmap is not None and not self.precise and self.play.model.disk(later).is_a_snapshot:
            self.images.judge(bitmap, earlier, later)

    def judge(self) -> None:
        """List every ordered pair, and compare all bytes and all ways from one state to another."""
        bitmaps = self.play.listings()
        for (earlier, later), bitmap in bitmaps.items():
            if not self.precise:
                self.images.judge(bitmap, earlier, later)
        for chain in self.chains():
            for first, middle, last in combinations(chain, 3):
                if {(first, last), (first, middle), (middle, last)} <= bitmaps.keys():
                    self._judge_ways(bitmaps, first, middle, last)

    def _judge_ways(self, bitmaps: Mapping[tuple[str, str], Bitmap], first: str, middle: str, last: str) -> None:
        """Expect that two steps lose nothing that differs (LIST-04), in a precise world that they show the same."""
        joined, direct = bitmaps[first, middle] | bitmaps[middle, last], bitmaps[first, last]
        missed = self.play.model.bounds(first, last).must - joined.blocks
        if missed or (self.precise and joined.blocks != direct.blocks):
            disks = self.play.disks
            raise Violation(
                f"from {first} to {last}, directly and by way of {middle}, differ in "
                f"{describe(missed or joined.blocks ^ direct.blocks)}",
                expected=(str(direct),),
                actual=str(joined),
                requirements=("LIST-12" if self.precise else "LIST-04",),
                block_map=block_map(joined, direct.blocks | missed, disks[first], disks[last]),
            )
