"""The NBD server byte by byte: options, requests, who gets in, and what broken clients can do to it."""

from __future__ import annotations

import asyncio
import ssl
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.laboratory import MIB, Laboratory, laboratory
from xencbt.fixtures.emulator import identity
from xencbt.fixtures.emulator.certificate import self_signed
from xencbt.fixtures.emulator.errors import Refusal
from xencbt.fixtures.emulator.nbd import CONNECTIONS, NbdServer
from xencbt.fixtures.emulator.nbd_negotiation import OPTIONS
from xencbt.fixtures.emulator.nbd_protocol import OPTION_BYTES, READ_BYTES, Command, Errno, Option, Reply
from xencbt.fixtures.emulator.options import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from xencbt.fixtures.emulator.values import Ref

DEADLINE_S = 20.0
GREETING = b"NBDMAGICIHAVEOPT\x00\x03"
FIXED, NO_ZEROES = 1, 2
EXPORT = struct.pack(">QH", 4 * MIB, 0b1_0000_0011)
UNKNOWN_OPTIONS = {"STRUCTURED_REPLY": 8, "LIST_META_CONTEXT": 9, "PEEK_EXPORT": 4, "nonsense": 77}


class Client:
    """A client that says what it is told to say."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read(self, count: int) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            return await self.reader.readexactly(count)

    async def rest(self) -> bytes:
        """Everything up to the end, an abrupt one included."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def greet(self, flags: int = FIXED | NO_ZEROES) -> Client:
        assert await self.read(len(GREETING)) == GREETING
        self.send(struct.pack(">I", flags))
        return self

    async def ask(self, option: int, data: bytes = b"") -> list[tuple[int, bytes]]:
        """Ask for an option; all that is answered, up to the acknowledgement or an error."""
        self.send(struct.pack(">8sII", b"IHAVEOPT", option, len(data)) + data)
        answers = []
        while True:
            magic, answered, kind, length = struct.unpack(">QIII", await self.read(20))
            assert (magic, answered) == (0x3E889045565A9, option)
            answers.append((kind, await self.read(length)))
            if kind == Reply.ACK or kind >> 31:
                return answers

    async def go(self, name: str, *wanted: int, option: int = Option.GO) -> list[tuple[int, bytes]]:
        return await self.ask(option, named(name, *wanted))

    def request(self, command: int, offset: int = 0, length: int = 0, handle: int = 7, data: bytes = b"") -> None:
        self.send(struct.pack(">IHHQQI", 0x25609513, 0, command, handle, offset, length) + data)

    async def answer(self, length: int = 0) -> tuple[int, int, bytes]:
        """Read a reply: error, handle, and `length` bytes where there is no error."""
        magic, error, handle = struct.unpack(">IIQ", await self.read(16))
        assert magic == 0x67446698
        return error, handle, b"" if error else await self.read(length)

    async def close(self) -> None:
        self.writer.transport.abort()


def named(name: str, *wanted: int) -> bytes:
    encoded = name.encode()
    kinds = struct.pack(f">H{len(wanted)}H", len(wanted), *wanted)
    return struct.pack(">I", len(encoded)) + encoded + kinds


class Bench:
    """A furnished host that serves a snapshot with content."""

    def __init__(self, lab: Laboratory, folder: Path) -> None:
        self.lab = lab
        certificate = self_signed(folder, identity.HOSTNAME, "127.0.0.1")
        lab.host.certificates[lab.host.ref] = certificate.pem
        self.context = certificate.server_context()
        self.trust = ssl.create_default_context(cafile=certificate.path)
        self.server = NbdServer(lab.host, lab.host.ref, self.context)
        (self.network,) = lab.call("network.get_all")
        self.disk = lab.tracked_disk()
        self.content = bytearray(4 * MIB)
        self.content[3 * 65536 : 3 * 65536 + 9] = b"some data"
        self.content[MIB : MIB + 65536] = b"\x11" * 65536
        store = lab.store()
        uuid = lab.record(self.disk)["uuid"]
        store.write(uuid, 3 * 65536, b"some data")
        store.fill(uuid, MIB, 65536, 0x11)
        self.vdi = lab.snapshot(self.disk)
        store.fill(uuid, 0, 4 * MIB, 0xFF)

    def offer(self, purpose: str) -> None:
        self.lab.call("network.add_purpose", self.network, purpose)

    @property
    def name(self) -> str:
        return self.name_of(self.vdi)

    def name_of(self, vdi: Ref) -> str:
        return f"/{self.lab.record(vdi)['uuid']}?session_id={self.lab.session}"

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        port = self.lab.host.nbd_ports[self.lab.host.ref]
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        try:
            yield client
        finally:
            await client.close()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Client]:
        """Give a client that has the snapshot open."""
        async with self.client() as client:
            await client.greet()
            assert (await client.go(self.name))[-1] == (Reply.ACK, b"")
            yield client

    def run(self, story: Callable[[Bench], Awaitable[Any]]) -> None:
        async def served() -> None:
            self.server.start()
            try:
                await story(self)
            finally:
                await self.server.close()

        self.lab.runner.run(served())

    async def until_free(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.lab.record(self.vdi)["VBDs"]:
                await self.lab.host.events.wait(DEADLINE_S)


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
def bench(limits: Limits, tmp_path: Path) -> Iterator[Bench]:
    with laboratory(limits=limits) as lab:
        yield Bench(lab, tmp_path)


@pytest.fixture
def plain(bench: Bench) -> Bench:
    bench.offer("insecure_nbd")
    return bench


@pytest.fixture
def secured(bench: Bench) -> Bench:
    bench.offer("nbd")
    return bench


def test_options_are_answered_one_after_the_other(plain: Bench) -> None:
    async def story(bench: Bench) -> None:
        async with bench.client() as client:
            await client.greet()
            for option in UNKNOWN_OPTIONS.values():
                assert await client.ask(option, b"data") == [(Reply.ERR_UNSUP, b"")]
            assert await client.ask(Option.LIST) == [(Reply.ACK, b"")]
            assert await client.ask(Option.LIST, b"data") == [(Reply.ERR_INVALID, b"")]
            assert await client.ask(Option.STARTTLS) == [(Reply.ERR_POLICY, b"")]
            told = (Reply.INFO, b"\0\0" + EXPORT)
            sizes = (Reply.INFO, struct.pack(">HIII", 3, 1, 65536, READ_BYTES))
            assert await client.go(bench.name, option=Option.INFO) == [told, (Reply.ACK, b"")]
            assert await client.go(bench.name, 3, 1, option=Option.INFO) == [told, sizes, (Reply.ACK, b"")]
            assert bench.lab.record(bench.vdi)["VBDs"] == []
            assert await client.go(bench.name, 0, 3) == [told, sizes, (Reply.ACK, b"")]
            assert len(bench.lab.record(bench.vdi)["VBDs"]) == 1

    plain.run(story)


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\0\1", b"\0\0\0\1x", named("x") + b"x", struct.pack(">IH", 9999, 0), b"\0\0\0\1\xff\0\0"]
)
@pytest.mark.parametrize("option", [Option.GO, Option.INFO])
def test_a_malformed_question_is_answered_and_another_may_follow(plain: Bench, option: Option, data: bytes) -> None:
    async def story(bench: Bench) -> None:
        async with bench.client() as client:
            await client.greet()
            assert await client.ask(option, data) == [(Reply.ERR_INVALID, b"")]
            assert (await client.go(bench.name))[-1] == (Reply.ACK, b"")

    plain.run(story)


@pytest.mark.parametrize(("flags", "padding"), [(FIXED, bytes(124)), (0, bytes(124)), (FIXED | NO_ZEROES, b"")])
def test_the_oldest_option_is_answered_without_a_frame(plain: Bench, flags: int, padding: bytes) -> None:
    async def story(bench: Bench) -> None:
        async with bench.client() as client:
            await client.greet(flags)
            name = bench.name.encode()
            client.send(struct.pack(">8sII", b"IHAVEOPT", Option.EXPORT_NAME, len(name)) + name)
            assert await client.read(10 + len(padding)) == EXPORT + padding
            client.request(Command.READ, 3 * 65536, 9)
            assert await client.answer(9) == (0, 7, b"some data")
        async with bench.client() as client:
            await client.greet(flags)
            client.send(struct.pack(">8sII", b"IHAVEOPT", Option.EXPORT_NAME, 4) + b"\xff\xfe/x")
            assert await client.rest() == b""

    plain.run(story)


def test_abort_is_acknowledged_and_ends_it(plain: Bench) -> None:
    async def story(bench: Bench) -> None:
        async with bench.client() as client:
            await client.greet()
            assert await client.ask(Option.ABORT) == [(Reply.ACK, b"")]
            assert await client.rest() == b""

    plain.run(story)


@pytest.mark.parametrize(
    "nonsense",
    [
        struct.pack(">I", 4),
        struct.pack(">I8sII", 3, b"IHAVEOPS", 3, 0),
        struct.pack(">I8sII", 3, b"IHAVEOPT", 3, OPTION_BYTES + 1),
        struct.pack(">I", 3) + struct.pack(">8sII", b"IHAVEOPT", 99, 0) * (OPTIONS + 1),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
    ids=["unknown flags", "no option", "endless option", "options without end", "http", "tls at once"],
)
def test_who_speaks_no_nbd_is_shown_the_door(plain: Bench, nonsense: bytes) -> None:
    async def story(bench: Bench) -> None:
        async with bench.client() as client:
            assert await client.read(len(GREETING)) == GREETING
            client.send(nonsense)
            await client.rest()
        async with bench.opened() as other:
            other.request(Command.READ, 0, 1)
            assert await other.answer(1) == (0, 7, b"\0")

    plain.run(story)


def test_nothing_is_answered_before_tls(secured: Bench) -> None:
    async def story(bench: Bench) -> None:
        async with bench.client() as client:
            await client.greet()
            for option in (Option.LIST, Option.INFO, Option.GO, *UNKNOWN_OPTIONS.values()):
                data = named(bench.name) if option in {Option.INFO, Option.GO} else b""
                assert await client.ask(option, data) == [(Reply.ERR_TLS_REQD, b"")]
            assert await client.ask(Option.STARTTLS, b"data") == [(Reply.ERR_INVALID, b"")]
            name = bench.name.encode()
            client.send(struct.pack(">8sII", b"IHAVEOPT", Option.EXPORT_NAME, len(name)) + name)
            assert await client.rest() == b""
        assert bench.lab.record(bench.vdi)["VBDs"] == []

    secured.run(story)


def test_tls_is_started_once_and_then_all_is_as_without(secured: Bench) -> None:
    async def story(bench: Bench) -> None:
        async with bench.client() as client:
            await client.greet()
            assert await client.ask(Option.STARTTLS) == [(Reply.ACK, b"")]
            await client.writer.start_tls(bench.trust, server_hostname=identity.HOSTNAME)
            assert await client.ask(Option.STARTTLS) == [(Reply.ERR_INVALID, b"")]
            assert await client.go(bench.name) == [(Reply.INFO, b"\0\0" + EXPORT), (Reply.ACK, b"")]
            client.request(Command.READ, 0, 4 * MIB)
            assert await client.answer(4 * MIB) == (0, 7, bytes(bench.content))

    secured.run(story)


def test_what_was_sent_in_clear_is_not_taken_for_secured(secured: Bench) -> None:
    """A man in the middle appends an option to STARTTLS: it must not be answered inside TLS."""

    async def story(bench: Bench) -> None:
        async with bench.client() as client:
            await client.greet()
            client.send(struct.pack(">8sII", b"IHAVEOPT", Option.STARTTLS, 0))
            client.send(struct.pack(">8sII", b"IHAVEOPT", Option.LIST, 0))
            assert (await client.read(20))[12:16] == struct.pack(">I", Reply.ACK)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await client.writer.start_tls(bench.trust, server_hostname=identity.HOSTNAME)

    secured.run(story)


def test_without_a_purpose_nobody_is_greeted(bench: Bench) -> None:
    async def story(bench: Bench) -> None:
        async with bench.client() as client:
            assert await client.rest() == b""

    bench.run(story)


def test_who_may_open_what(plain: Bench) -> None:
    lab = plain.lab
    root = lab.session
    lab.log_in("vm-operator")
    operator, lab.session = lab.session, root
    uuid = lab.record(plain.vdi)["uuid"]
    running = lab.disk()
    lab.plug_into_vm(running)
    lab.call("VM.start", lab.vm, False, False)
    metadata = lab.snapshot(plain.disk)
    lab.call("VDI.data_destroy", metadata)

    async def story(bench: Bench) -> None:
        refused = {
            f"/{uuid}?session_id={operator}": (Reply.ERR_POLICY, b"RBAC_PERMISSION_DENIED"),
            f"/{uuid}?session_id={root[:-1]}": (Reply.ERR_UNKNOWN, b"SESSION_INVALID"),
            f"/{uuid}?session_id=": (Reply.ERR_UNKNOWN, b"SESSION_INVALID"),
            f"/{uuid}": (Reply.ERR_UNKNOWN, b"SESSION_INVALID"),
            "": (Reply.ERR_UNKNOWN, b"SESSION_INVALID"),
            f"/{uuid[:-1]}?session_id={root}": (Reply.ERR_UNKNOWN, b"UUID_INVALID"),
            f"{bench.vdi}?session_id={root}": (Reply.ERR_UNKNOWN, b"UUID_INVALID"),
            bench.name_of(metadata): (Reply.ERR_POLICY, b"VDI_INCOMPATIBLE_TYPE"),
        }
        async with bench.client() as client:
            await client.greet()
            for name, answer in refused.items():
                assert await client.go(name) == [answer]
                assert await client.go(name, option=Option.INFO) == [answer]
            assert await client.go(bench.name_of(running)) == [(Reply.ERR_POLICY, b"VDI_IN_USE")]
            assert (await client.go(bench.name))[-1] == (Reply.ACK, b"")
        for name in refused:
            async with bench.client() as client:
                await client.greet()
                client.send(struct.pack(">8sII", b"IHAVEOPT", Option.EXPORT_NAME, len(name)) + name.encode())
                assert await client.rest() == b""

    plain.run(story)


def test_requests_that_were_sent_ahead_are_answered_in_turn(plain: Bench) -> None:
    async def story(bench: Bench) -> None:
        async with bench.opened() as client:
            ranges = [(0, 1), (3 * 65536 - 1, 12), (MIB - 1, 65538), (MIB, MIB), (4 * MIB - 1, 1), (0, 0)]
            for handle, (offset, length) in enumerate(ranges):
                client.request(Command.READ, offset, length, 2**63 + handle)
            for handle, (offset, length) in enumerate(ranges):
                wanted = bytes(bench.content[offset : offset + length])
                assert await client.answer(length) == (0, 2**63 + handle, wanted)

    plain.run(story)


def test_a_request_that_cannot_be_served_is_answered_and_the_next_one_is_served(plain: Bench) -> None:
    async def story(bench: Bench) -> None:
        async with bench.opened() as client:
            bad: list[tuple[int, int, int, bytes, Errno]] = [
                (Command.READ, 4 * MIB, 1, b"", Errno.EINVAL),
                (Command.READ, 2**64 - 1, 2, b"", Errno.EINVAL),
                (Command.READ, 0, READ_BYTES + 1, b"", Errno.EOVERFLOW),
                (Command.WRITE, 0, 5, b"mine!", Errno.EPERM),
                (Command.WRITE, 0, 3 * MIB, bytes(3 * MIB), Errno.EPERM),
                (Command.TRIM, 0, 65536, b"", Errno.EPERM),
                (Command.WRITE_ZEROES, 0, 65536, b"", Errno.EPERM),
                (3, 0, 0, b"", Errno.EINVAL),
                (99, 0, 0, b"", Errno.EINVAL),
            ]
            for command, offset, length, data, error in bad:
                client.request(command, offset, length, data=data)
                assert await client.answer() == (error, 7, b"")
                client.request(Command.READ, 0, 4 * MIB)
                assert await client.answer(4 * MIB) == (0, 7, bytes(bench.content))

    plain.run(story)


@pytest.mark.parametrize(
    "nonsense",
    [bytes(28), struct.pack(">IHHQQI", 0x25609513, 0, Command.WRITE, 1, 0, READ_BYTES + 1)],
    ids=["no request", "an endless write"],
)
def test_a_client_that_loses_its_way_is_cut_and_lets_go(plain: Bench, nonsense: bytes) -> None:
    async def story(bench: Bench) -> None:
        async with bench.opened() as client:
            client.send(nonsense)
            assert await client.rest() == b""
            assert bench.lab.record(bench.vdi)["VBDs"] == []

    plain.run(story)


def test_an_open_disk_is_in_use_until_its_last_reader_has_left(plain: Bench) -> None:
    async def story(bench: Bench) -> None:
        lab = bench.lab
        async with bench.opened() as first:
            async with bench.opened() as second:
                assert len(lab.record(bench.vdi)["VBDs"]) == 2
                second.request(Command.DISC)
                assert await second.rest() == b""
                assert len(lab.record(bench.vdi)["VBDs"]) == 1
            for call in ("VDI.destroy", "VDI.data_destroy"):
                with pytest.raises(Refusal, match="VDI_IN_USE"):
                    await lab.calling(call, bench.vdi)
            first.request(Command.READ, 0, 4 * MIB)
            assert await first.answer(4 * MIB) == (0, 7, bytes(bench.content))
        await bench.until_free()  # it left without a word
        await lab.calling("VDI.destroy", bench.vdi)

    plain.run(story)


def test_no_more_than_sixteen_come_in_at_a_time(plain: Bench) -> None:
    async def story(bench: Bench) -> None:
        clients = [
            Client(*await asyncio.open_connection("127.0.0.1", bench.lab.host.nbd_ports[bench.lab.host.ref]))
            for _ in range(CONNECTIONS)
        ]
        for client in clients:
            await client.greet()
        async with bench.client() as late:
            assert await late.rest() == b""
        assert await clients[0].ask(Option.ABORT) == [(Reply.ACK, b"")]
        assert await clients[0].rest() == b""
        async with bench.opened() as next_one:
            next_one.request(Command.READ, 0, 1)
            assert await next_one.answer(1) == (0, 7, b"\0")
        for client in clients:
            await client.close()

    plain.run(story)


@pytest.mark.parametrize("limits", [Limits(header_s=0.05)], ids=["hasty"])
def test_who_says_nothing_at_the_door_is_not_waited_for(plain: Bench) -> None:
    async def story(bench: Bench) -> None:
        async with bench.client() as client:
            assert await client.rest() == GREETING

    plain.run(story)


@pytest.mark.parametrize("limits", [Limits(idle_s=0.05, body_s=0.05)], ids=["hasty"])
def test_who_asks_or_takes_nothing_more_is_not_waited_for(plain: Bench) -> None:
    async def story(bench: Bench) -> None:
        async with bench.opened() as client:
            assert await client.rest() == b""
        async with bench.opened() as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport, typed as its base
            for _ in range(64):
                client.request(Command.READ, 0, 4 * MIB)
            await bench.until_free()

    plain.run(story)


@pytest.mark.parametrize("limits", [Limits(header_s=0.5)], ids=["hasty"])
def test_a_handshake_that_is_never_finished_is_not_waited_for(secured: Bench) -> None:
    async def story(bench: Bench) -> None:
        async with bench.client() as client:
            await client.greet()
            assert await client.ask(Option.STARTTLS) == [(Reply.ACK, b"")]
            assert await client.rest() == b""

    secured.run(story)


@pytest.mark.parametrize("unclean", [False, True])
def test_a_host_that_stops_lets_go_of_all(plain: Bench, unclean: bool) -> None:
    async def story(bench: Bench) -> None:
        host = bench.lab.host
        async with bench.opened() as client:
            host.go_down(unclean=unclean)
            assert await client.rest() == b""
            assert bench.lab.record(bench.vdi)["VBDs"] == []
            assert not bench.lab.store().is_used(bench.lab.record(bench.vdi)["uuid"])
        async with bench.client() as client:
            assert await client.rest() == b""
        host.come_up()
        async with bench.client() as client:
            await client.greet()
            assert await client.go(bench.name) == [(Reply.ERR_UNKNOWN, b"SESSION_INVALID")]

    plain.run(story)


def test_addresses_are_those_of_cards_and_storage_that_are_up(secured: Bench) -> None:
    lab = secured.lab
    secured.run(lambda _: asyncio.sleep(0))
    (record,) = lab.call("VDI.get_nbd_info", secured.vdi)
    assert record == {
        "exportname": secured.name,
        "address": "127.0.0.1",
        "port": lab.host.nbd_ports[lab.host.ref],
        "cert": lab.host.certificates[lab.host.ref],
        "subject": identity.HOSTNAME,
    }
    (card,) = lab.call("PIF.get_all")
    lab.call("PIF.unplug", card)
    assert lab.call("VDI.get_nbd_info", secured.vdi) == []
    lab.call("PIF.plug", card)
    away = lab.host.db.by_uuid("SR", lab.host.lab.srs["no-pbd"])
    assert lab.call("VDI.get_nbd_info", lab.call("SR.get_VDIs", away)[0]) == []
    assert lab.call("VDI.get_nbd_info", secured.vdi) == [record]
    lab.call("network.remove_purpose", secured.network, "nbd")
    assert lab.call("VDI.get_nbd_info", secured.vdi) == []
