"""A VM with one disk that is written, snapshotted and reverted in any order, followed by the model all the while."""

from hypothesis import strategies as st

from xencbt.fixtures.lab import Lab
from xencbt.fixtures.vms import Vm
from xencbt.harness.bitmap import BLOCK, block_count
from xencbt.harness.model import Disable, Enable, Revert, Snapshot, Write
from xencbt.suites.play import Play

WEIGHTS = {"write": 5, "snapshot": 4, "revert": 4, "enable": 2, "disable": 1}


def acts() -> st.SearchStrategy[tuple[str, int]]:
    """Draw what is done: the act, and a number that says where to, or which snapshot."""
    weighted = [act for act, weight in WEIGHTS.items() for _ in range(weight)]
    return st.tuples(st.sampled_from(weighted), st.integers(0, 2**16))


class Reverted:
    """The VM and its disk: in `play` under the name `disk` first, under a new one whenever another takes its place."""

    def __init__(self, lab: Lab, size: int) -> None:
        self.play = Play(lab)
        disk = self.play.create("disk", size=size)
        self.vm = lab.create_vm(disk)
        self.name = "disk"
        self._snapshots: list[tuple[Vm, str]] = []
        self._number = 0
        for act, number in (("enable", 0), ("write", 0), ("snapshot", 0)):
            self.do(act, number)

    def do(self, act: str, number: int) -> None:
        """Do one act; nothing happens where there is nothing to do it to. Raises Violation as Play does."""
        match act:
            case "write":
                self.play.do(Write(self.name, number % block_count(self.play.disks[self.name].size) * BLOCK, BLOCK))
            case "enable":
                self.play.do(Enable(self.name))
            case "disable":
                self.play.do(Disable(self.name))
            case "snapshot":
                self._snapshot()
            case "revert":
                self._revert(*self._snapshots[number % len(self._snapshots)])

    def _snapshot(self) -> None:
        taken = self.vm.snapshot()
        (held,) = taken.disks()
        name = self._fresh(f"snapshot of {self.name}")
        self.play.model.happened(Snapshot(self.name, name, ref=held.ref))
        self.play.disks[name] = held
        self._snapshots.append((taken, name))
        self.play.check_status("VM.snapshot")

    def _revert(self, snapshot: Vm, name: str) -> None:
        before = self.play.disks[self.name]
        self.vm.revert(snapshot)
        (now,) = self.vm.disks()
        same = now.ref == before.ref
        back = self.name if same else self._fresh("disk")
        self.play.model.happened(Revert(self.name, name, back, ref=now.ref))
        if not same:
            del self.play.disks[self.name]
        self.play.disks[back] = now
        self.name = back
        self.play.check_status("VM.revert")

    def _fresh(self, stem: str) -> str:
        self._number += 1
        return f"{stem} {self._number}"
