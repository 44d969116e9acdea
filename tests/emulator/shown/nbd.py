"""Disks over NBD and images that come in: wrong bytes, wrong addresses, and whoever asks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.emulator.laboratory import MIB, marked
from tests.emulator.served import serve
from tests.emulator.shown.showing import Shown, blocks, content, outcome
from tests.emulator.test_xva import Travels
from xencbt.fixtures.emulator import identity, nbd_info
from xencbt.fixtures.emulator import nbd_protocol as nbd
from xencbt.fixtures.emulator.blocks import BLOCK
from xencbt.fixtures.emulator.control_domain import attached
from xencbt.fixtures.emulator.defects import switch
from xencbt.fixtures.emulator.errors import Refusal
from xencbt.fixtures.emulator.inventory import furnish
from xencbt.fixtures.emulator.nbd import NbdConnection
from xencbt.fixtures.emulator.values import NULL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.emulator.laboratory import Laboratory
    from xencbt.fixtures.emulator.host import EmulatedHost
    from xencbt.fixtures.emulator.image import Part
    from xencbt.fixtures.emulator.values import Ref

PORT = 10809
SIZE = 4 * MIB


def serving(lab: Laboratory, *, purpose: str = "insecure_nbd") -> Ref:
    """Make a snapshot of a disk full of sevens on a host that serves it, and then fill the disk with nines."""
    lab.host.nbd_ports[lab.host.ref] = PORT
    lab.host.certificates[lab.host.ref] = "a certificate"
    if purpose:
        (network,) = lab.call("network.get_all")
        lab.call("network.add_purpose", network, purpose)
    vdi = lab.tracked_disk()
    lab.fill(vdi, 0, SIZE)
    taken = lab.snapshot(vdi)
    lab.fill(vdi, 0, SIZE, 9)
    return taken


def parts(offset: int, length: int, *, first: int = 7) -> Callable[[Laboratory], list[tuple[int, int]]]:
    """Read a range as NBD does, the first block filled with `first`: runs of length and byte."""

    async def read(lab: Laboratory, vdi: Ref) -> list[Part]:
        async with attached(lab.host, vdi, writing=False) as disk:
            return list(disk.parts(offset, length))

    def scene(lab: Laboratory) -> list[tuple[int, int]]:
        vdi = lab.disk()
        lab.fill(vdi, 0, SIZE)
        lab.fill(vdi, 0, BLOCK, first)
        return [(part.length, part.byte) for part in lab.run(read(lab, vdi))]

    return scene


def found(lab: Laboratory, name: str) -> Ref | str:
    try:
        return lab.host.defects.context.run(nbd_info.find, lab.host, name)
    except Refusal as refusal:
        return refusal.code


def serves_the_snapshot(lab: Laboratory) -> bool:
    taken = serving(lab)
    return found(lab, lab.call("VDI.get_nbd_info", taken)[0]["exportname"]) == taken


def taken_write(lab: Laboratory) -> tuple[int, int]:
    """Ask an export to take a write; the error, and what the snapshot's first byte is then."""
    taken = serving(lab)

    async def ask() -> int:
        async with attached(lab.host, taken, writing=False) as disk:
            wire = _Wire(bytes((1,)) * BLOCK)
            client = _Client(lab, wire)
            await client.answer(disk, nbd.Request(0, nbd.Command.WRITE, 7, 0, BLOCK))
            return int.from_bytes(wire.said[4:8], "big")

    return lab.run(ask()), content(lab, taken, 0)


class _Wire:
    """What a client sent, and what was said to it."""

    def __init__(self, sent: bytes) -> None:
        self.sent, self.said = sent, b""

    async def read(self, count: int, _patience_s: float) -> bytes:
        given, self.sent = self.sent[:count], self.sent[count:]
        return given

    async def write(self, data: bytes, _patience_s: float, *, more: bool = False) -> None:
        del more
        self.said += data


class _Client(NbdConnection):
    def __init__(self, lab: Laboratory, wire: Any) -> None:
        self._host, self._limits, self.wire = lab.host, lab.host.options.limits, wire


def beyond_the_end(lab: Laboratory) -> int:
    request = nbd.Request(0, nbd.Command.READ, 7, SIZE, 512)
    return int(lab.host.defects.context.run(nbd.objection, request, SIZE))


def records(field: str = "", *, purpose: str = "insecure_nbd") -> Callable[[Laboratory], Any]:
    def scene(lab: Laboratory) -> Any:
        told = lab.call("VDI.get_nbd_info", serving(lab, purpose=purpose))
        return told[0][field] if field else len(told)

    return scene


def offered(lab: Laboratory) -> Any:
    serving(lab, purpose="nbd")
    return lab.host.defects.context.run(nbd_info.offer, lab.host, lab.host.ref)


def mixed_purposes(lab: Laboratory) -> str:
    serving(lab, purpose="nbd")
    (network,) = lab.call("network.get_all")
    return outcome(lab, "network.add_purpose", network, "insecure_nbd")


def opened_with(token: Callable[[Laboratory, str], str]) -> Callable[[Laboratory], bool]:
    """Open a snapshot by its name, after `token` made another of it; tell whether it was refused."""

    def scene(lab: Laboratory) -> bool:
        name = lab.call("VDI.get_nbd_info", serving(lab))[0]["exportname"]
        return str(found(lab, token(lab, name))) in {"SESSION_INVALID", "UUID_INVALID"}

    return scene


def nobodys(_lab: Laboratory, name: str) -> str:
    return name.partition("session_id=")[0] + "session_id=OpaqueRef:nobody"


def outlived(lab: Laboratory, name: str) -> str:
    lab.call("session.logout")
    lab.log_in()
    return name


def of_nothing(_lab: Laboratory, name: str) -> str:
    return "/00000000-0000-0000-0000-000000000000?" + name.partition("?")[2]


def own_token(lab: Laboratory) -> bool:
    taken = serving(lab)
    lab.call("VDI.get_nbd_info", taken)
    lab.log_in("vm-admin")
    name: str = lab.call("VDI.get_nbd_info", taken)[0]["exportname"]
    return name.endswith(lab.session)


def imported(data: bytes, look: Callable[[Laboratory, Ref], Any], offset: int = 0) -> Callable[[Laboratory], Any]:
    """Write to a tracked disk as an import does."""

    def scene(lab: Laboratory) -> Any:
        vdi = lab.tracked_disk()
        base = lab.snapshot(vdi)

        async def write() -> None:
            async with attached(lab.host, vdi, writing=True) as disk:
                disk.write(offset, data)

        lab.run(write())
        return look(lab, vdi) if look is not changed else blocks(lab, base, vdi)

    return scene


def changed(_lab: Laboratory, _vdi: Ref) -> None:
    """Stand for the listing since before the import."""


def last_byte(lab: Laboratory, vdi: Ref) -> int:
    return lab.read_by_control_domain(vdi, SIZE - 1, 1)[0]


@contextmanager
def travelling(lab: Laboratory) -> Iterator[Travels]:
    """Serve another host with the same defects."""

    def furnishing(host: EmulatedHost) -> None:
        host.lab = furnish(host)
        switch(host, lab.host.defects.names)

    with serve(furnishing=furnishing) as served:
        yield Travels(served)


def carry(travels: Travels, form: str, source: Ref, made: Ref) -> None:
    """Export a whole image over HTTP, and import it into another disk."""
    image = moved(travels, "GET", "/export_raw_vdi", form, source).partition(b"\r\n\r\n")[2]
    moved(travels, "PUT", "/import_raw_vdi", form, made, image)


def image_imported(form: str) -> Callable[[Laboratory], int]:
    """Import a whole image of sevens over HTTP into a disk of another host with the same defects; the last byte."""

    def scene(lab: Laboratory) -> int:
        with travelling(lab) as travels:
            source, made = travels.disk("lvm", SIZE), travels.disk("lvm", SIZE)
            travels.write(source, SIZE - 1, 7)
            carry(travels, form, source, made)
            return travels.content(made)[-1]

    return scene


def marked_by_a_vhd(lab: Laboratory) -> set[int]:
    """Import a VHD with a byte in its first block into a disk that holds one in its last; the blocks marked."""
    with travelling(lab) as travels:
        source, made = travels.disk("lvm", SIZE), travels.disk("lvm", SIZE)
        travels.write(source, 0, 7)
        travels.write(made, SIZE - 1, 7)
        travels.call("VDI.enable_cbt", made)
        base = travels.call("VDI.snapshot", made, {})
        carry(travels, "vhd", source, made)
        found = marked(travels.call("VDI.list_changed_blocks", base, made))
        return found & {0, SIZE // BLOCK - 1}


def marked_by_a_copy(lab: Laboratory) -> set[int]:
    source, made = lab.disk(), lab.tracked_disk()
    lab.write(source, 3)
    base = lab.snapshot(made)
    lab.call("VDI.copy", source, NULL, NULL, made)
    return lab.changed(base, made)


def moved(travels: Travels, method: str, path: str, form: str, vdi: Ref, body: bytes = b"") -> bytes:
    words = f"session_id={travels.session}&vdi={vdi}&format={form}"
    head = f"{method} {path}?{words} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n"
    return travels.served.raw(head.encode() + body, end=method == "PUT")


def imported_vm(lab: Laboratory) -> bool:
    """Let a VM go out of another host with the same defects, and in again; tell whether a disk of it is tracked."""
    with travelling(lab) as travels:
        assert travels.import_(travels.archive())[0] == "success"
        vm = list(travels.db.all("VM"))[-1]
        devices = [travels.db.get("VBD", vbd) for vbd in travels.db.get("VM", vm)["VBDs"]]
        disks = [travels.db.get("VDI", device["VDI"]) for device in devices if not device["empty"]]
        return any(disk["cbt_enabled"] for disk in disks)


SHOWN = {
    "imported-vms-are-tracked": Shown(imported_vm, False, True),
    "nbd-reads-the-neighbour": Shown(parts(BLOCK - 1, 2, first=1), [(1, 1), (1, 7)], [(2, 1)]),
    "nbd-reads-zeros-at-the-end": Shown(parts(SIZE - 1024, 1024), [(1024, 7)], [(512, 7), (512, 0)]),
    "nbd-serves-the-live-disk": Shown(serves_the_snapshot, True, False),
    "nbd-takes-writes": Shown(taken_write, (nbd.Errno.EPERM, 7), (0, 1)),
    "nbd-reads-beyond-the-end": Shown(beyond_the_end, nbd.Errno.EINVAL, 0),
    "nbd-is-offered-on-every-network": Shown(records(purpose=""), 0, 1),
    "nbd-is-never-offered": Shown(records(), 1, 0),
    "nbd-addresses-come-twice": Shown(records(), 1, 2),
    "nbd-records-name-another-port": Shown(records("port"), PORT, 1),
    "nbd-records-name-another-subject": Shown(records("subject"), identity.HOSTNAME, "elsewhere.invalid"),
    "nbd-speaks-plainly-where-tls-is-due": Shown(offered, nbd_info.Offer.SECURED, nbd_info.Offer.PLAIN),
    "purposes-can-be-mixed": Shown(mixed_purposes, "NETWORK_INCOMPATIBLE_PURPOSES", "ok"),
    "nbd-asks-for-no-session": Shown(opened_with(nobodys), True, False),
    "nbd-tokens-outlive-their-session": Shown(opened_with(outlived), True, False),
    "nbd-names-carry-anothers-session": Shown(own_token, True, False),
    "nbd-finds-another-disk": Shown(opened_with(of_nothing), True, False),
    "imports-lose-the-last-sector": Shown(imported(bytes((7,)) * 512, last_byte, SIZE - 512), 7, 0),
    "raw-images-lose-their-last-sector": Shown(image_imported("raw"), 7, 0),
    "vhd-images-lose-their-last-block": Shown(image_imported("vhd"), 7, 0),
    "vhd-imports-are-not-tracked": Shown(marked_by_a_vhd, {0, SIZE // BLOCK - 1}, set()),
    "what-vhd-imports-empty-is-not-tracked": Shown(marked_by_a_vhd, {0, SIZE // BLOCK - 1}, {0}),
    "copies-into-a-disk-are-not-tracked": Shown(marked_by_a_copy, {3}, set()),
    "imports-are-not-tracked": Shown(imported(bytes((7,)) * BLOCK, changed), {0}, set()),
}
