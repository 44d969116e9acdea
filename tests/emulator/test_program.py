"""The emulator as a process: what it prints, how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import xmlrpc.client
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from xencbt.fixtures.emulator.defects import DEFECTS
from xencbt.fixtures.emulator.program import main

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_S = 30.0
KINDS = {"lvm", "file", "unrounded", "second", "no-cbt", "read-only", "full", "no-pbd", "iso"}


@contextmanager
def emulator(*options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [sys.executable, "-W", "error", "-m", "xencbt.fixtures.emulator", *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | environment
    ) as process:
        try:
            assert process.stdout
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def proxy(ready: dict[str, Any], context: ssl.SSLContext | None = None) -> Iterator[Any]:
    with xmlrpc.client.ServerProxy(ready["url"], context=context) as server:
        yield server


def login(server: Any, ready: dict[str, Any], user: str | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = server.session.login_with_password(user or ready["user"], ready["password"])
    return answer


def test_the_ready_line_says_all_a_client_needs() -> None:
    with emulator() as (process, ready), proxy(ready) as server:
        access = {"url", "user", "password", "certificate", "hosts", "nbd_port", "control", "defects"}
        assert set(ready) == access | {"srs", "vm", "vdi"}
        assert set(ready["srs"]) == KINDS
        assert (ready["user"], ready["certificate"]) == ("root", None)
        assert 0 < ready["nbd_port"] < 65_536
        (host,) = ready["hosts"]
        assert (host["url"], host["certificate"], host["local_sr"]) == (ready["url"], None, None)
        assert host["nbd_port"] == ready["nbd_port"]
        assert ready["url"].startswith("http://127.0.0.1:")
        session = login(server, ready)["Value"]
        for cls, uuid in [
            ("VM", ready["vm"]),
            ("VDI", ready["vdi"]),
            *(("SR", uuid) for uuid in ready["srs"].values()),
        ]:
            assert getattr(server, cls).get_by_uuid(session, uuid)["Status"] == "Success"
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=DEADLINE_S)[0] == ""
        assert process.returncode == 0


def test_every_field_of_every_record_there_is_reads_the_same_alone() -> None:
    with emulator() as (_, ready), proxy(ready) as server:
        session = login(server, ready)["Value"]
        for cls in ("pool", "host", "network", "PIF", "SM", "SR", "PBD", "VDI", "VBD", "VM"):
            records = getattr(server, cls).get_all_records(session)["Value"]
            assert records, cls
            (keys,) = {frozenset(record) for record in records.values()}
            ref, record = next(iter(records.items()))
            for name in keys:
                assert getattr(server, f"{cls}.get_{name}")(session, ref)["Value"] == record[name]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_even_while_clients_wait(number: signal.Signals) -> None:
    with emulator() as (process, ready):
        address = urlsplit(ready["url"])
        with proxy(ready) as server, socket.create_connection((address.hostname, address.port), DEADLINE_S) as waiting:
            session = login(server, ready)["Value"]
            token = getattr(server, "event.from")(session, ["*"], "", 0.0)["Value"]["token"]
            body = xmlrpc.client.dumps((session, ["*"], token, 600.0), "event.from")
            waiting.sendall(f"POST / HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            assert server.VM.get_all(session)["Status"] == "Success"
            process.send_signal(number)
            assert process.wait(DEADLINE_S) == 0
            assert waiting.recv(100) == b""


def test_it_ends_with_its_parent() -> None:
    with emulator("--until-stdin-closes") as (process, _):
        assert process.stdin
        process.stdin.close()
        assert process.wait(DEADLINE_S) == 0


def test_the_password_may_be_given_by_the_environment_only() -> None:
    with emulator("--user", "admin", XENCBT_EMULATOR_PASSWORD="given") as (process, ready), proxy(ready) as server:
        assert (ready["user"], ready["password"]) == ("admin", "given")
        assert login(server, ready)["Status"] == "Success"
        assert login(server, ready, "vm-operator")["Status"] == "Success"
        assert login(server, ready, "root")["Status"] == "Failure"
        assert "given" not in Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8")


def test_tls_and_its_certificate_go_with_the_process() -> None:
    with emulator("--tls") as (process, ready):
        certificate = Path(ready["certificate"])
        assert ready["url"].startswith("https://127.0.0.1:")
        with proxy(ready, ssl.create_default_context(cafile=certificate)) as server:
            assert login(server, ready)["Status"] == "Success"
        process.terminate()
        assert process.wait(DEADLINE_S) == 0
        assert not certificate.exists()


def test_the_documented_profile_and_the_old_host_are_switched_on_by_options() -> None:
    with emulator("--profile", "documented") as (_, ready), proxy(ready) as server:
        session = login(server, ready)["Value"]
        (host,) = server.host.get_all(session)["Value"]
        assert server.host.get_software_version(session, host)["Value"]["profile"] == "documented"
        assert server.VDI.enable_cbt(session, "x")["ErrorDescription"][0] == "VDI_MISSING"
    with emulator("--old-host") as (_, ready), proxy(ready) as server:
        session = login(server, ready)["Value"]
        assert server.VDI.enable_cbt(session, "x")["ErrorDescription"][0] == "MESSAGE_METHOD_UNKNOWN"


def test_without_the_licence_enabling_is_refused() -> None:
    with emulator("--no-cbt-licence") as (_, ready), proxy(ready) as server:
        session = login(server, ready)["Value"]
        vdi = server.VDI.get_by_uuid(session, ready["vdi"])["Value"]
        assert server.VDI.enable_cbt(session, vdi)["ErrorDescription"] == ["LICENCE_RESTRICTION", "CBT"]


def test_defects_are_switched_on_by_options_and_told() -> None:
    names = ["enable-takes-snapshots", "enable-takes-every-type"]
    with emulator(*(f"--defect={name}" for name in names)) as (_, ready), proxy(ready) as server:
        assert ready["defects"] == names
        session = login(server, ready)["Value"]
        vdi = server.VDI.get_by_uuid(session, ready["vdi"])["Value"]
        taken = server.VDI.snapshot(session, vdi, {})["Value"]
        assert server.VDI.enable_cbt(session, taken)["Status"] == "Success"


def test_the_defects_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--defects"]) == 0
    assert re.search(r"(?m)^roll-drops-bits +LIST-02, SET-02: A snapshot's log", capsys.readouterr().out)
    assert main(["--defects", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == next(iter(DEFECTS))


def test_the_control_token_opens_the_lab() -> None:
    with emulator() as (_, ready):
        request = Request(  # noqa: S310 - the emulator's own URL
            f"{ready['control']['url']}/lab", b"{}", {"Authorization": f"Bearer {ready['control']['token']}"}
        )
        with urlopen(request, timeout=DEADLINE_S) as response:  # noqa: S310 - the emulator's own URL
            lab = json.load(response)
    assert lab["srs"] == ready["srs"]
    assert [host["uuid"] for host in lab["hosts"]] == [host["uuid"] for host in ready["hosts"]]
    assert (lab["vm"], lab["vdi"], lab["profile"], lab["defects"]) == (ready["vm"], ready["vdi"], "xapi", [])


@pytest.mark.parametrize("options", [["--nonsense"], ["--port", "-1"], ["--port", "70000"], ["--profile", "x"]])
def test_bad_options_are_usage_errors(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_an_address_that_cannot_be_had_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 3
    output = capsys.readouterr()
    assert str(port) in output.err
    assert output.out == ""


def test_an_address_others_can_reach_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", "192.0.2.1"]) == 3
    assert "no loopback address" in capsys.readouterr().err
