"""A pool as a process: an address and a certificate for each host, members that lead to the master, standard ports."""

from __future__ import annotations

import errno
import http.client
import json
import socket
import ssl
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from xmlrpc.client import ServerProxy

import pytest

from tests.emulator.test_program import DEADLINE_S, emulator
from xencbt.fixtures.emulator import listening
from xencbt.fixtures.emulator.options import Options
from xencbt.fixtures.emulator.program import main

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MIB = 2**20


class Client:
    """One client of every host of a pool that runs as a process."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.ready = ready
        self.hosts = ready["hosts"]
        self.session = self.value(0, "session.login_with_password", ready["user"], ready["password"])

    def call(self, number: int, method: str, *params: object) -> Any:
        host = self.hosts[number]
        context = ssl.create_default_context(cafile=host["certificate"]) if host["certificate"] else None
        with ServerProxy(host["url"], context=context, allow_none=True) as server:
            return getattr(server, method)(*params)

    def value(self, number: int, method: str, *params: object) -> Any:
        answer = self.call(number, method, *params)
        assert answer["Status"] == "Success", answer
        return answer["Value"]

    def do(self, method: str, *params: object) -> Any:
        """Call at the master, in its session."""
        return self.value(0, method, self.session, *params)

    def refusal(self, number: int, method: str, *params: object) -> list[str]:
        description: list[str] = self.call(number, method, *params)["ErrorDescription"]
        return description

    def verb(self, verb: str, number: int = 0, **body: object) -> dict[str, Any]:
        connection = self.http(number)
        headers = {"Authorization": f"Bearer {self.ready['control']['token']}"}
        connection.request("POST", f"/_control/{verb}", json.dumps(body), headers)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def http(self, number: int) -> http.client.HTTPConnection:
        url = urlsplit(self.hosts[number]["url"])
        assert url.hostname
        return http.client.HTTPConnection(url.hostname, url.port, timeout=DEADLINE_S)

    def begin_import(self, number: int, vdi: str) -> socket.socket:
        """Send the first byte of many; the disk is attached once the host has answered, and until the end."""
        url = urlsplit(self.hosts[number]["url"])
        transfer = socket.create_connection((url.hostname, url.port), DEADLINE_S)
        path = f"/import_raw_vdi?session_id={self.session}&vdi={vdi}"
        transfer.sendall(f"PUT {path} HTTP/1.0\r\nContent-Length: {MIB}\r\n\r\nx".encode())
        assert transfer.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        return transfer

    def disk(self, sr: str) -> str:
        ref = self.do("SR.get_by_uuid", sr)
        disk = {"SR": ref, "virtual_size": str(2 * MIB), "type": "user", "name_label": "disk"}
        made: str = self.do("VDI.create", disk)
        return made


@pytest.fixture(scope="module")
def pool() -> Iterator[Client]:
    with emulator("--hosts", "3") as (_, ready):
        yield Client(ready)


def test_each_host_listens_on_an_address_of_its_own_and_the_same_port(pool: Client) -> None:
    urls = [urlsplit(host["url"]) for host in pool.hosts]
    assert [url.hostname for url in urls] == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    assert len({url.port for url in urls}) == 1
    assert pool.ready["url"] == pool.hosts[0]["url"]
    for host in pool.hosts:
        ref = pool.do("host.get_by_uuid", host["uuid"])
        assert pool.do("host.get_address", ref) == host["address"]
    assert [host["uuid"] for host in pool.verb("lab", 2)["hosts"]] == [host["uuid"] for host in pool.hosts]


def test_members_lead_to_the_master(pool: Client) -> None:
    led = ["HOST_IS_SLAVE", "127.0.0.1"]
    for number in (1, 2):
        assert pool.refusal(number, "session.login_with_password", "root", pool.ready["password"]) == led
        assert pool.refusal(number, "VM.get_all", pool.session) == led
        assert pool.refusal(number, "VM.get_all", "OpaqueRef:none") == ["SESSION_INVALID", "OpaqueRef:none"]
        assert "VDI.enable_cbt" in pool.call(number, "system.listMethods")
    assert pool.do("session.get_uuid", pool.session)


def test_a_member_says_so_in_json_too(pool: Client) -> None:
    def error(number: int, method: str, *params: str) -> Any:
        connection = pool.http(number)
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        connection.request("POST", "/jsonrpc", json.dumps(call), {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer.get("error")

    led = {"code": 1, "message": "HOST_IS_SLAVE", "data": ["127.0.0.1"]}
    for number in (1, 2):
        assert error(number, "session.login_with_password", "root", pool.ready["password"]) == led
        assert error(number, "VM.get_all", pool.session) == led
    assert error(0, "VM.get_all", pool.session) is None


def test_a_member_tells_the_command_line_where_the_master_is(pool: Client) -> None:
    words = ["vdi-param-get", f"uuid={pool.ready['vdi']}", "param-name=uuid", "username=root"]
    body = "\n".join([*words, f"password={pool.ready['password']}"]).encode()
    url = urlsplit(pool.hosts[1]["url"])
    with socket.create_connection((url.hostname, url.port), DEADLINE_S) as talk:
        talk.sendall(b"POST /cli HTTP/1.0\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        talk.sendall(b"XenSource thin CLI protocol" + struct.pack("<II", 0, 2))
        said = bytearray()
        while data := talk.recv(65536):
            said += data
    assert b"Master IP address: 127.0.0.1" in said
    assert pool.ready["vdi"].encode() not in said


def test_content_is_served_by_the_hosts_that_reach_it_and_the_others_send_there(pool: Client) -> None:
    local = pool.disk(pool.hosts[2]["local_sr"])
    path = f"/export_raw_vdi?session_id={pool.session}&vdi={local}&format=raw"
    for number in (0, 1):
        connection = pool.http(number)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 302
        url = urlsplit(answer.headers["Location"])
        assert f"{url.scheme}://{url.netloc}" == pool.hosts[2]["url"]
        assert f"{url.path}?{unquote(url.query)}" == path
        assert answer.read() == b""
        connection.close()
    shared = pool.disk(pool.ready["srs"]["lvm"])
    for number, vdi in ((2, local), (0, shared), (1, shared)):
        connection = pool.http(number)
        connection.request("PUT", f"/import_raw_vdi?session_id={pool.session}&vdi={vdi}", b"x" * MIB)
        assert connection.getresponse().read() == b""
        connection.close()
        connection = pool.http(number)
        connection.request("GET", f"/export_raw_vdi?session_id={pool.session}&vdi={vdi}")
        assert connection.getresponse().read() == b"x" * MIB + bytes(MIB)
        connection.close()


def test_a_transfer_takes_place_in_the_domain_of_the_host_asked(pool: Client) -> None:
    shared = pool.disk(pool.ready["srs"]["lvm"])
    for number in range(3):
        begun = pool.begin_import(number, shared)
        (vbd,) = pool.do("VDI.get_VBDs", shared)
        domain = pool.do("VBD.get_VM", vbd)
        assert pool.do("host.get_uuid", pool.do("VM.get_resident_on", domain)) == pool.hosts[number]["uuid"]
        begun.close()
        _until_let_go(pool, shared)


def _until_let_go(pool: Client, vdi: str) -> None:
    token = ""
    while pool.do("VDI.get_VBDs", vdi):
        token = pool.do("event.from", ["vbd", "vdi"], token, 10.0)["token"]


def test_a_crashed_member_answers_nobody_and_the_others_go_on(pool: Client) -> None:
    kept = pool.http(1)
    kept.request("POST", "/", b"")
    kept.getresponse().read()
    pool.verb("crash", number=1, host=pool.hosts[1]["uuid"])
    with pytest.raises((http.client.HTTPException, OSError)):
        pool.call(1, "system.listMethods")
    kept.close()
    assert pool.do("VM.get_all")
    assert pool.refusal(2, "session.login_with_password", "root", "x")[0] == "HOST_IS_SLAVE"
    assert pool.verb("restart", number=1, host=pool.hosts[1]["uuid"]) == {"serving": True}
    assert pool.refusal(1, "session.login_with_password", "root", "x")[0] == "HOST_IS_SLAVE"


def test_a_crash_of_a_member_ends_the_transfers_there_and_no_others(pool: Client) -> None:
    disks = [pool.disk(pool.ready["srs"]["lvm"]) for _ in range(2)]
    begun = [pool.begin_import(number, vdi) for number, vdi in enumerate(disks)]
    pool.verb("crash", host=pool.hosts[1]["uuid"])
    _until_let_go(pool, disks[1])
    assert pool.do("VDI.get_VBDs", disks[0])
    for transfer in begun:
        transfer.close()
    _until_let_go(pool, disks[0])
    pool.verb("restart", host=pool.hosts[1]["uuid"])


def test_the_master_gone_members_still_say_who_it_was(pool: Client) -> None:
    pool.verb("crash", number=2, host=pool.hosts[0]["uuid"])
    with pytest.raises((http.client.HTTPException, OSError)):
        pool.call(0, "system.listMethods")
    assert pool.refusal(2, "session.login_with_password", "root", "x") == ["HOST_IS_SLAVE", "127.0.0.1"]
    pool.verb("restart", number=2)
    pool.session = pool.value(0, "session.login_with_password", "root", pool.ready["password"])


def test_every_host_has_a_certificate_for_its_address() -> None:
    with emulator("--hosts", "2", "--tls") as (_, ready):
        client = Client(ready)
        assert client.refusal(1, "session.login_with_password", "root", "x") == ["HOST_IS_SLAVE", "127.0.0.1"]
        assert len({host["certificate"] for host in client.hosts}) == 2
        for host in client.hosts:
            told = client.do("host.get_server_certificate", client.do("host.get_by_uuid", host["uuid"]))
            assert told == Path(host["certificate"]).read_text(encoding="ascii")
            assert told in Path(ready["certificate"]).read_text(encoding="ascii")
        swapped = ssl.create_default_context(cafile=client.hosts[1]["certificate"])
        with ServerProxy(client.hosts[0]["url"], context=swapped) as server, pytest.raises(ssl.SSLError):
            server.system.listMethods()


def test_many_idle_clients_at_several_addresses_leave_room_for_others() -> None:
    with emulator("--hosts", "3") as (_, ready):
        client = Client(ready)
        idle = []
        for number in range(600):
            url = urlsplit(client.hosts[number % 3]["url"])
            idle.append(socket.create_connection((url.hostname, url.port), DEADLINE_S))
        assert client.do("VM.get_all")
        assert client.refusal(2, "session.login_with_password", "root", "x")[0] == "HOST_IS_SLAVE"
        for connection in idle:
            connection.close()


# NBD


def test_disks_are_offered_over_nbd_at_the_hosts_that_reach_them(pool: Client) -> None:
    (network,) = pool.do("network.get_all")
    pool.do("network.add_purpose", network, "insecure_nbd")
    local, shared = pool.disk(pool.hosts[2]["local_sr"]), pool.disk(pool.ready["srs"]["lvm"])
    offered = pool.do("VDI.get_nbd_info", shared)
    assert [(record["address"], int(record["port"])) for record in offered] == [
        (host["address"], host["nbd_port"]) for host in pool.hosts
    ]
    assert len({record["cert"] for record in offered}) == len({record["subject"] for record in offered}) == 3
    (record,) = pool.do("VDI.get_nbd_info", local)
    assert record["address"] == pool.hosts[2]["address"]
    assert opens(record["address"], record["port"], record["exportname"])
    assert not opens(pool.hosts[0]["address"], pool.hosts[0]["nbd_port"], record["exportname"])
    pool.verb("crash", host=pool.hosts[2]["uuid"])
    assert pool.do("VDI.get_nbd_info", local) == []
    assert len(pool.do("VDI.get_nbd_info", shared)) == 2
    assert not opens(record["address"], record["port"], record["exportname"])
    pool.verb("restart", host=pool.hosts[2]["uuid"])
    pool.do("network.remove_purpose", network, "insecure_nbd")


def opens(address: str, port: object, name: str) -> bool:
    """Ask for an export in the oldest way, which is answered by its size, or by the end of the connection."""
    with socket.create_connection((address, int(str(port))), DEADLINE_S) as client, client.makefile("rb") as answers:
        if answers.read(18)[:16] != b"NBDMAGICIHAVEOPT":
            return False
        client.sendall(struct.pack(">I", 3) + struct.pack(">QII", 0x49484156454F5054, 1, len(name)) + name.encode())
        size = answers.read(8)
        return bool(size) and struct.unpack(">Q", size)[0] == 2 * MIB


# standard ports


def may_use_standard_ports() -> bool:
    try:
        listening.listen(listening.somewhere_in_loopback(), listening.HTTP).close()
    except PermissionError:
        return False
    except OSError:  # taken, so it may be used
        return True
    return True


def test_standard_ports_are_those_of_real_hosts_on_addresses_of_their_own() -> None:
    if not may_use_standard_ports():
        pytest.skip("ports below 1024 are not ours to use")
    with (
        emulator("--hosts", "2", "--standard-ports") as (_, ready),
        emulator("--standard-ports") as (_, other),
    ):
        client = Client(ready)
        addresses = [host["address"] for host in client.hosts]
        assert [host["url"] for host in client.hosts] == [f"https://{address}" for address in addresses]
        assert other["hosts"][0]["address"] not in addresses
        assert client.do("host.get_all")
        for number, address in enumerate(addresses):
            with ServerProxy(f"http://{address}") as server:
                answer: Any = server.session.login_with_password("root", ready["password"])
            assert answer["Status"] == ("Failure" if number else "Success")
        assert client.refusal(1, "session.login_with_password", "root", "x") == ["HOST_IS_SLAVE", addresses[0]]


def test_without_the_right_to_them_standard_ports_are_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_address: str, _port: int) -> socket.socket:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(listening, "listen", refuse)
    assert main(["--standard-ports"]) == 3
    assert "CAP_NET_BIND_SERVICE" in capsys.readouterr().err


def test_an_address_that_is_taken_is_left_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = ["127.20.0.1", "127.20.0.2"]
    drawn = iter([*taken, "127.20.0.9"])
    opened: list[tuple[str, int]] = []

    def listen(address: str, port: int) -> socket.socket:
        if address in taken:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        opened.append((address, port))
        return socket.socket()

    monkeypatch.setattr(listening, "listen", listen)
    monkeypatch.setattr(listening, "somewhere_in_loopback", lambda: next(drawn))
    options = Options(own_address=True, standard_ports=True, hosts=2, tls=True)
    doors = listening.open_doors(options)
    listening.close([door.listening for door in doors.doors])
    assert options.addresses == ("127.20.0.9", "127.20.0.10")
    assert opened == [("127.20.0.9", 443), ("127.20.0.9", 80), ("127.20.0.10", 443), ("127.20.0.10", 80)]


def test_a_port_that_a_member_cannot_have_is_not_taken_anywhere() -> None:
    first, second = Options(host=listening.somewhere_in_loopback(), hosts=2).addresses
    with socket.create_server((second, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="Address already in use"):
            listening.listen_on_each((first, second), port)
        listening.close(listening.listen_on_each((first,), port))


@pytest.mark.parametrize(
    "options",
    [
        ["--hosts", "0"],
        ["--hosts", "4"],
        ["--hosts", "2", "--host", "localhost"],
        ["--hosts", "3", "--host", "255.255.255.254"],
        ["--port", "1234", "--standard-ports"],
    ],
)
def test_pools_that_cannot_be_are_usage_errors(options: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err
