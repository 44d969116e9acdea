"""A state machine over disks, snapshots, sets and a VM: whatever is done in whichever order, the promises hold.

Hypothesis picks rules, and leaves out a random subset of them in each run (swarm testing): rare combinations need
others to be absent. What is done goes through `Play`, which judges every answer and every status; after each rule the
world is looked at, and at the end of each run all of it is judged.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from itertools import permutations
from typing import TYPE_CHECKING, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition

from xencbt.harness.bitmap import BLOCK, block_count
from xencbt.harness.capabilities import MAIN
from xencbt.harness.model import (
    Attach,
    Attachment,
    Clone,
    Copy,
    DataDestroy,
    Destroy,
    Disable,
    Enable,
    Plug,
    Resize,
    Unplug,
    Write,
)
from xencbt.harness.outcome import Ok
from xencbt.suites.histories import KNOWN_CONTENTS, LENGTHS
from xencbt.suites.leads import PICKS, PLACES, Lead, act, chosen
from xencbt.suites.situations import WITH_CBT
from xencbt.suites.world import LARGEST, STEP, World

if TYPE_CHECKING:
    from xencbt.fixtures.lab import Lab
    from xencbt.fixtures.vms import PowerState

T = TypeVar("T")

MAY_USE = ("vm-power", "guest-write", "sr-unplug", *(f"sr:{kind}" for kind in sorted(WITH_CBT - {MAIN})))
"""The capabilities and consents that a run of the machine makes use of where they are there."""


class Machine(RuleBasedStateMachine):
    """Disks `a` and `b` and what comes of them, on the target of `lab`; one run of the machine is one example.

    `precise` worlds are judged by runs of their own: what they are held to is guidance.
    """

    def __init__(self, lab: Lab, *, precise: bool = False) -> None:
        super().__init__()
        self.world = World(lab, precise=precise)
        self._around = sys.exception()
        self._example = ExitStack()
        self._example.enter_context(lab.example())

    @initialize(
        kind=PICKS,
        tracked=st.sampled_from((True, True, True, False)),
        both=st.booleans(),
        held=st.sampled_from((None, "Halted", "Running", "Running")),
    )
    def begin(self, kind: int, *, tracked: bool, both: bool, held: PowerState | None) -> None:
        """Create the disks, most often tracked and with a baseline, perhaps held by a VM."""
        world = self.world
        others = (name for name in sorted(WITH_CBT - {MAIN}) if world.may(f"sr:{name}"))
        world.sr = chosen([MAIN, MAIN, *others], kind)
        disks = ("a", "b") if both else ("a",)
        world.furnish(*disks, tracked=tracked)
        if held and world.may("vm-power", "guest-write"):
            world.hold(*disks)
            if held == "Running":
                world.start()

    def lead(self, lead: Lead) -> None:
        """Do what comes before the thing a rule is about."""
        name = chosen(self.world.live(), lead.pick)
        if lead.write:
            self.world.write(name, lead.place, BLOCK)
        if lead.snapshot and self.world.has_room(2):
            self.world.snapshot(name)
        if lead.scan:
            self.world.scan()

    def teardown(self) -> None:
        """Judge the whole world, unless something was raised already; then everything is removed."""
        raised = sys.exception()
        if raised is not None and raised is not self._around:
            self._example.__exit__(type(raised), raised, raised.__traceback__)
        else:
            with self._example:
                self.world.judge()

    # What is written, and kept

    @act(pick=PICKS, place=PLACES, length=st.sampled_from(LENGTHS))
    def write(self, pick: int, place: int, length: int) -> None:
        """Write what was never on any disk before."""
        self.world.write(chosen(self.world.live(), pick), place, length)

    @act(pick=PICKS, block=PICKS, content=st.integers(1, KNOWN_CONTENTS))
    def write_known(self, pick: int, block: int, content: int) -> None:
        """Write what may be there already: that marks it, though nothing differs."""
        name = chosen(self.world.live(), pick)
        at = block % (self.world.play.disks[name].size // BLOCK) * BLOCK
        self.world.do(Write(name, at, BLOCK, content=-content))

    @precondition(lambda self: self.world.snapshots())
    @act(pick=PICKS, block=PICKS)
    def write_to_a_snapshot(self, pick: int, block: int) -> None:
        """Write to a snapshot itself, where the host lets anybody: it differs from what was listed for it then."""
        world, name = self.world, chosen(self.world.snapshots(), pick)
        at = block % block_count(world.play.disks[name].size) * BLOCK
        if isinstance(world.play.disks[name].try_write(at, BLOCK), Ok):
            world.images.changed(name)
            world.play.note(Write(name, at, BLOCK))

    @precondition(lambda self: self.world.has_room())
    @act(pick=PICKS)
    def snapshot(self, pick: int) -> None:
        """Snapshot a disk."""
        self.world.snapshot(chosen(self.world.live(), pick))

    @precondition(lambda self: self.world.has_room() and self.world.snapshots())
    @act(pick=PICKS)
    def snapshot_a_snapshot(self, pick: int) -> None:
        """Snapshot a snapshot, be it one whose data is gone."""
        self.world.snapshot(chosen(self.world.snapshots(), pick))

    @precondition(lambda self: self.world.vm is not None and self.world.has_room(len(self.world.held)))
    @act()
    def snapshot_the_vm(self) -> None:
        """Snapshot the VM, its disks with it."""
        self.world.keep()

    @precondition(lambda self: self.world.has_room())
    @act(pick=PICKS, whole=st.booleans())
    def clone_or_copy(self, pick: int, *, whole: bool) -> None:
        """Clone a disk or a snapshot, or copy the whole of it on its own SR."""
        world, name = self.world, chosen(list(self.world.play.disks), pick)
        made = world.name_for("copy" if whole else "clone")
        world.do(Copy(name, made, world.sr) if whole else Clone(name, made))

    # What switches tracking, and what must leave it alone

    @act(pick=PICKS)
    def enable(self, pick: int) -> None:
        """Enable CBT, most often of a disk."""
        self.world.do(Enable(chosen([*self.world.live(), *self.world.snapshots()], pick)))

    @act(pick=PICKS)
    def disable(self, pick: int) -> None:
        """Disable CBT, most often of a disk."""
        self.world.do(Disable(chosen([*self.world.live(), *self.world.snapshots()], pick)))

    @act(pick=PICKS, place=PLACES)
    def begin_another_set(self, pick: int, place: int) -> None:
        """End a set and begin another on the same disk, which is written to in between."""
        name = chosen(self.world.live(), pick)
        self.world.do(Disable(name))
        self.world.write(name, place, BLOCK)
        self.world.do(Enable(name))

    @act(pick=PICKS, steps=st.integers(0, 2))
    def resize(self, pick: int, steps: int) -> None:
        """Grow a disk, or set the size it has."""
        name = chosen(self.world.live(), pick)
        self.world.do(Resize(name, min(self.world.play.disks[name].size + steps * STEP, LARGEST)))

    @precondition(lambda self: not self.world.runs and self.world.may("sr-unplug"))
    @act(pick=PICKS)
    def replug(self, pick: int) -> None:
        """Unplug the SR, ask for something that needs it, and plug it again."""
        world = self.world
        with world.lab.conditions.unplugged(world.sr):
            world.play.note(Unplug(world.sr))
            world.do(Enable(chosen(world.live(), pick)))
        world.play.note(Plug(world.sr))

    @precondition(lambda self: len(self.world.play.disks) > 1)
    @act(pick=PICKS)
    def list_any_two(self, pick: int) -> None:
        """List between any two, in any order."""
        self.world.compare(*chosen([*permutations(self.world.play.disks, 2)], pick))

    # What takes away

    @precondition(lambda self: self.world.removable())
    @act(pick=PICKS)
    def data_destroy(self, pick: int) -> None:
        """Destroy the data of a snapshot, after a backup read it."""
        name = chosen(self.world.removable(), pick)
        if not self.world.precise:
            self.world.images.of(name)
        self.world.do(DataDestroy(name))

    @precondition(lambda self: self.world.removable())
    @act(pick=PICKS)
    def destroy(self, pick: int) -> None:
        """Destroy a snapshot, wherever in its set it stands."""
        self.world.do(Destroy(chosen(self.world.removable(), pick)))

    @precondition(lambda self: self.world.has_room())
    @act(pick=PICKS, place=PLACES, ways=st.sampled_from(((DataDestroy,), (Destroy,), (DataDestroy, Destroy))))
    def rotate(self, pick: int, place: int, ways: tuple[type[DataDestroy | Destroy], ...]) -> None:
        """Snapshot what was written, then thin out the snapshot before: what backup products do every day."""
        world, name = self.world, chosen(self.world.live(), pick)
        world.write(name, place, BLOCK)
        older = [one for one in world.removable() if world.play.model.disk(one).snapshot_of == name]
        world.snapshot(name)
        for way in ways if older else ():
            world.do(way(older[-1]))

    @precondition(lambda self: len(self.world.loose()) > 1)
    @act(pick=PICKS)
    def destroy_a_disk(self, pick: int) -> None:
        """Destroy a disk that no VM has; its snapshots stay."""
        self.world.do(Destroy(chosen(self.world.loose(), pick)))

    # The VM

    @precondition(lambda self: self.world.vm is not None)
    @act()
    def start_or_stop(self) -> None:
        """Start the VM where it is halted, and the other way round."""
        if self.world.runs:
            self.world.stop()
        else:
            self.world.start()

    @precondition(lambda self: self.world.vm is not None and self.world.has_room(len(self.world.held)))
    @act(place=PLACES, pick=PICKS, anew=st.booleans())
    def revert(self, place: int, pick: int, *, anew: bool) -> None:
        """Take the VM back to a snapshot of it, and perhaps begin a set on what it has then."""
        world = self.world
        if world.kept is None:
            world.keep()
            world.write(chosen(world.held, pick), place, BLOCK)
        world.revert()
        if anew:
            name = chosen(world.held, pick)
            world.do(Enable(name))
            world.write(name, place, BLOCK)

    @precondition(lambda self: self.world.runs)
    @act(pick=PICKS)
    def plug_or_unplug(self, pick: int) -> None:
        """Take a disk away from the running VM, or give it back."""
        world, name = self.world, chosen(self.world.held, pick)
        assert world.vm is not None
        plugged = world.play.model.disk(name).attachment is Attachment.READ_WRITE
        (world.vm.unplug if plugged else world.vm.plug)(world.play.disks[name])
        world.play.note(Attach(name, Attachment.NONE if plugged else Attachment.READ_WRITE))
