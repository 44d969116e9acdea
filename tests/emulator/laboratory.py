"""A furnished host without sockets: calls go through the dispatch table, verbs through theirs."""

from __future__ import annotations

import asyncio
import base64
import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from xencbt.fixtures.emulator.blocks import BLOCK
from xencbt.fixtures.emulator.control_domain import attached
from xencbt.fixtures.emulator.defects import switch
from xencbt.fixtures.emulator.dispatch import Dispatcher
from xencbt.fixtures.emulator.errors import HostDownError, Refusal
from xencbt.fixtures.emulator.host import EmulatedHost
from xencbt.fixtures.emulator.inventory import furnish
from xencbt.fixtures.emulator.options import Options
from xencbt.fixtures.emulator.verbs import VERBS

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from xencbt.fixtures.emulator.storage import StorageRepository
    from xencbt.fixtures.emulator.values import Ref

T = TypeVar("T")

PASSWORD = "secret"
MIB = 1024**2


def marked(bitmap: str) -> set[int]:
    """Give the blocks that a bitmap marks, which comes in base64."""
    bits = "".join(f"{byte:08b}" for byte in base64.b64decode(bitmap))
    return {block for block, bit in enumerate(bits) if bit == "1"}


class Laboratory:
    """One host and a client of it."""

    def __init__(self, runner: asyncio.Runner, options: Options) -> None:
        options.password = PASSWORD
        self.runner = runner
        self.host = EmulatedHost(options)
        self.host.lab = furnish(self.host)
        switch(self.host, options.defects)
        self.dispatcher = Dispatcher(self.host)
        self.session = ""
        self.log_in()

    def log_in(self, user: str = "root") -> None:
        accepted = self.dispatcher.check("session.login_with_password", [user, PASSWORD, "1.0", "test"])
        session: Any = self.host.defects.context.run(accepted.method.handler, self.host, None, *accepted.arguments)
        self.session = session

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something as the host does it."""
        return self.runner.run(work, context=self.host.defects.context)

    async def calling(self, name: str, *params: Any) -> Any:
        accepted = self.dispatcher.check(name, [self.session, *params])
        result = accepted.method.handler(self.host, accepted.caller, *accepted.arguments)
        return await result if inspect.isawaitable(result) else result

    def call(self, name: str, *params: Any) -> Any:
        return self.run(self.calling(name, *params))

    def refusal(self, name: str, *params: Any) -> tuple[str, ...]:
        try:
            result = self.call(name, *params)
        except Refusal as refusal:
            return refusal.description
        raise AssertionError(f"{name} was not refused: {result!r}")

    def together(self, *calls: tuple[Any, ...]) -> list[Any]:
        async def gather() -> list[Any]:
            return await asyncio.gather(*(self.calling(*call) for call in calls), return_exceptions=True)

        return self.run(gather())

    def verb(self, name: str, **body: Any) -> dict[str, Any]:
        async def run() -> dict[str, Any]:
            answer = VERBS[name](self.host, body)
            return await answer if inspect.isawaitable(answer) else answer

        return self.run(run())

    def sr(self, kind: str = "lvm") -> Ref:
        return self.host.db.by_uuid("SR", self.host.lab.srs[kind])

    def store(self, kind: str = "lvm") -> StorageRepository:
        store: StorageRepository = self.host.storage[self.sr(kind)]
        return store

    @property
    def vm(self) -> Ref:
        return self.host.db.by_uuid("VM", self.host.lab.vm)

    @property
    def vdi(self) -> Ref:
        return self.host.db.by_uuid("VDI", self.host.lab.vdi)

    def record(self, vdi: Ref) -> dict[str, Any]:
        return dict(self.host.db.get("VDI", vdi))

    def disk(self, kind: str = "lvm", **fields: Any) -> Ref:
        record = {"SR": self.sr(kind), "virtual_size": 4 * MIB, "type": "user"} | fields
        made: Ref = self.call("VDI.create", record)
        return made

    def tracked_disk(self, kind: str = "lvm", **fields: Any) -> Ref:
        vdi = self.disk(kind, **fields)
        self.call("VDI.enable_cbt", vdi)
        return vdi

    def snapshot(self, vdi: Ref) -> Ref:
        made: Ref = self.call("VDI.snapshot", vdi)
        return made

    def write(self, vdi: Ref, *blocks: int) -> None:
        """Write to a disk that no VM uses, or that one does."""
        for block in blocks:
            self.fill(vdi, block * BLOCK, BLOCK)

    def fill(self, vdi: Ref, offset: int, length: int, byte: int = 7) -> None:
        """Write one byte value to a range, in bytes."""
        record = self.record(vdi)
        store: StorageRepository = self.host.storage[record["SR"]]
        self.host.defects.context.run(store.fill, record["uuid"], offset, length, byte)

    def changed(self, source: Ref, target: Ref) -> set[int]:
        return marked(self.call("VDI.list_changed_blocks", source, target))

    def messages(self, vdi: Ref) -> list[str]:
        uuid = self.record(vdi)["uuid"]
        records = [self.host.db.get("message", ref) for ref in self.host.db.all("message")]
        return [record["name"] for record in records if record["obj_uuid"] == uuid]

    def read_by_control_domain(self, vdi: Ref, offset: int, length: int) -> bytes:
        """Read from a disk as a transfer does."""

        async def read() -> bytes:
            async with attached(self.host, vdi, writing=False) as disk:
                assert len(self.record(vdi)["VBDs"]) >= 1
                return disk.read(offset, length)

        return self.run(read())

    def plug_into_vm(self, vdi: Ref, mode: str = "RW") -> Ref:
        vbd: Ref = self.call("VBD.create", {"VM": self.vm, "VDI": vdi, "userdevice": "autodetect", "mode": mode})
        return vbd

    def arm(self, fault: str, *, kind: str = "lvm", vdi: str = "", times: int | None = 1, **parameters: str) -> int:
        """Arm a fault of the storage; returns its number."""
        place = {"vdi": vdi} if vdi else {"sr": self.host.lab.srs[kind]}
        entry = {"fault": fault, "parameters": parameters, "times": times, **place}
        number: int = self.verb("faults", arm=[entry])["faults"][0]["id"]
        return number

    def heal(self, number: int) -> dict[str, Any]:
        """Heal a fault; returns its receipt."""
        receipt: dict[str, Any] = self.verb("faults", heal=[number])["faults"][0]
        return receipt

    @contextmanager
    def lasting(self, fault: str, kind: str = "lvm", **parameters: str) -> Iterator[None]:
        """Have a fault strike inside the block whenever it can."""
        number = self.arm(fault, kind=kind, times=None, **parameters)
        yield
        assert self.heal(number)["firings"]

    def crash(self) -> None:
        self.verb("crash")
        self.start()

    def start(self) -> None:
        self.verb("restart")
        self.log_in()

    def crash_at(self, operation: str, step: str, name: str, *params: Any) -> bool:
        """Call with a crash armed; tell whether the step was reached. The host is up again afterwards."""
        self.verb("crash", at={"operation": operation, "step": step})
        reached = self.lose_power(name, *params)
        if reached:
            self.start()
        return reached

    def lose_power(self, name: str, *params: Any) -> bool:
        """Call; tell whether the host went down on the way. It stays down then."""
        try:
            self.call(name, *params)
        except HostDownError:
            return True
        return False


@contextmanager
def laboratory(**options: Any) -> Iterator[Laboratory]:
    with asyncio.Runner() as runner:
        yield Laboratory(runner, Options(restart_s=0.0, data_destroy_wait_s=0.02, **options))
