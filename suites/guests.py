"""The guest's side of a call: what a VM and its devices must not notice, and a guest that writes all the while."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

from xencbt.fixtures.content import Content
from xencbt.fixtures.control import ControlRefused
from xencbt.fixtures.disks import Disk
from xencbt.fixtures.unchanged import VBD_FIELDS, differences
from xencbt.fixtures.vms import Vm
from xencbt.harness.errors import HarnessError
from xencbt.harness.session import clock
from xencbt.harness.verdicts import Violation

VM_FIELDS = ("power_state", "domid", "resident_on", "VBDs", "VIFs", "suspend_VDI", "snapshots")
"""What of a VM's record tells a guest that goes on from one that was disturbed."""

LENGTH = 4096
STRIDE = 5
MOST_WRITES = 20_000
PATIENCE_S = 60.0


@contextmanager
def undisturbed(vm: Vm, by: str) -> Iterator[None]:
    """Expect that power state and devices of `vm` are the same before and after; raises Violation with what moved."""
    before = _seen(vm)
    yield
    after = _seen(vm)
    moved = differences(before, after, before.keys() | after.keys())
    if moved:
        raise Violation(
            f"the VM was disturbed by {by}", expected=("power state and devices as before",), actual="; ".join(moved)
        )


def _seen(vm: Vm) -> Mapping[str, Any]:
    record = vm.record()
    seen = {name: record[name] for name in VM_FIELDS}
    for ref, vbd in vm.vbds().items():
        seen |= {f"VBD {ref} {name}": value for name, value in vbd.items() if name in VBD_FIELDS}
    return seen


@dataclass(frozen=True, slots=True)
class Written:
    """One write of the guest: where, what, and from when to when it was under way (`session.clock`)."""

    offset: int
    data: bytes
    began: float
    ended: float


class WritingGuest:
    """A guest that writes to `disk` without pause from entering the `with` to leaving it, on a thread of its own.

    The disk must be held by a running VM. Entering waits for the first write to be done. Raises Unsupported where no
    guest can be told to write. Leaving raises Violation when a write was refused after others had succeeded (the guest
    was disturbed), and HarnessError for other trouble with writing.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._control = disk.lab.control
        # Drawn once: how often the guest gets to write must not change what the test itself writes later.
        self._content = Content(int.from_bytes(disk.lab.content.draw(8), "big"))
        self._writes: list[Written] = []
        self._trouble: HarnessError | None = None
        self._at_work, self._stop = Event(), Event()
        self._thread = Thread(target=self._run, name="writing guest", daemon=True)

    @property
    def writes(self) -> tuple[Written, ...]:
        """What was written, in order; complete after the `with`."""
        return tuple(self._writes)

    def wrote_between(self, began: float, ended: float) -> bool:
        """Tell whether a write was under way at some moment from `began` to `ended`."""
        return any(write.began <= ended and write.ended >= began for write in self.writes)

    def applied_to(self, content: bytes) -> bytes:
        """Return what a disk that held `content` must hold after the writes."""
        disk = bytearray(content)
        for write in self.writes:
            disk[write.offset : write.offset + len(write.data)] = write.data
        return bytes(disk)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._at_work.wait(PATIENCE_S):
            self._stop.set()
            raise HarnessError(f"the guest did not begin to write within {PATIENCE_S:g} s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            raise HarnessError(f"the guest did not stop writing within {PATIENCE_S:g} s")
        self._note()
        if self._trouble is None or error is not None:
            return
        if isinstance(self._trouble, ControlRefused) and self._writes:
            written = f"{self._trouble}, after {len(self._writes)} writes"
            raise Violation("the guest cannot write any more", expected=("its writes go on",), actual=written)
        raise self._trouble

    def _run(self) -> None:
        slots = self._disk.size // LENGTH
        try:
            for number in range(MOST_WRITES):
                if self._stop.is_set():
                    return
                offset, data = number * STRIDE % slots * LENGTH, self._content.draw(LENGTH)
                began = clock()
                self._control.guest_write(self._disk.uuid, [(offset, data)])
                self._writes.append(Written(offset, data, began, clock()))
                self._at_work.set()
        except HarnessError as error:
            self._trouble = error
        finally:
            self._at_work.set()

    def _note(self) -> None:
        writes = self.writes
        began = writes[0].began if writes else clock()
        self._disk.lab.bench.recorder.record(
            method="guest write",
            step=f"meanwhile the guest writes {len(writes)} times to {self._disk.uuid}",
            outcome="ok" if self._trouble is None else str(self._trouble),
            started=began,
            duration_s=(writes[-1].ended if writes else began) - began,
            request="",
            response="",
        )
