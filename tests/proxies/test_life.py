"""Starting and stopping: bounded, complete, one at a time, and clear about what is wrong."""

import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import pytest

from tests.proxies.client import Client, seen
from tests.proxies.host import Host
from xencbt.harness.faults import AnswerLost, Fault, Plan, Planned
from xencbt.proxies import Interceptor, InterceptorError, interceptor
from xencbt.proxies.carriers.registry import CARRIERS

ENABLE = "VDI.enable_cbt"


def address_of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def test_it_listens_on_loopback_while_it_runs_and_leaves_nothing(plain_host: Host) -> None:
    before = set(threading.enumerate())
    with Interceptor(plain_host.url) as running:
        url = running.url
        assert url.startswith("http://127.0.0.1:")
        with Client(url) as client:
            assert seen(client, client.call(ENABLE)) == "success"
    with pytest.raises(ConnectionRefusedError), socket.create_connection(address_of(url), timeout=5):
        pass
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("xencbt-")]


def test_stopping_closes_connections_that_clients_hold(plain_host: Host) -> None:
    started = time.monotonic()
    with Interceptor(plain_host.url) as running:
        held = socket.create_connection(address_of(running.url), timeout=5)
        client = Client(running.url)
        assert seen(client, client.call(ENABLE)) == "success"
    with held, client:
        assert held.recv(1) == b""
        assert seen(client, client.call(ENABLE)) == "lost"
    assert time.monotonic() - started < 10


def test_one_per_process_and_another_after_it(plain_host: Host) -> None:
    with Interceptor(plain_host.url), pytest.raises(InterceptorError, match="add the upstream to that one"):
        Interceptor(plain_host.url).start()
    with Interceptor(plain_host.url) as again, Client(again.url) as client:
        assert seen(client, client.call(ENABLE)) == "success"


def test_what_does_not_run_says_so() -> None:
    idle = Interceptor("http://127.0.0.1:1")
    idle.stop()
    with pytest.raises(InterceptorError, match="does not run"):
        assert idle.url
    with pytest.raises(InterceptorError, match="does not run"):
        idle.add_upstream("http://127.0.0.1:1")
    with pytest.raises(InterceptorError, match="does not run"), idle.arm(Plan(), None):
        pass


def test_without_a_first_upstream_there_is_no_first_url() -> None:
    with Interceptor() as running, pytest.raises(InterceptorError, match="given no upstream"):
        assert running.url


def test_a_start_that_fails_says_why_and_leaves_the_place_free(
    monkeypatch: pytest.MonkeyPatch, plain_host: Host
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.tempdir", "/nonexistent")
        with pytest.raises(InterceptorError, match=r"could not start.*/nonexistent"):
            Interceptor(plain_host.url).start()
    with Interceptor(plain_host.url) as running:
        assert running.url


def test_a_start_that_hangs_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch, plain_host: Host) -> None:
    with Interceptor():  # imports the engine
        pass
    let_go = threading.Event()
    core = sys.modules["xencbt.proxies.engine"].Core

    def late_core() -> object:
        let_go.wait(10)
        return core()

    with monkeypatch.context() as patched:
        patched.setattr("xencbt.proxies.engine.Core", late_core)
        with pytest.raises(InterceptorError, match=r"did not start within 0\.2 s"):
            Interceptor(plain_host.url, deadline_s=0.2).start()
        with pytest.raises(InterceptorError, match="runs in this process already"):
            Interceptor(plain_host.url).start()  # the one given up still holds mitmproxy's global state
        let_go.set()
        for thread in threading.enumerate():
            if thread.name == "xencbt-interceptor":
                thread.join(10)
                assert not thread.is_alive()
    with Interceptor(plain_host.url) as running, Client(running.url) as client:
        assert seen(client, client.call(ENABLE)) == "success"


def test_a_fault_that_the_interceptor_cannot_carry_out_is_not_armed(
    monkeypatch: pytest.MonkeyPatch, plain_host: Host
) -> None:
    without: dict[type[Fault], object] = {kind: carrier for kind, carrier in CARRIERS.items() if kind is not AnswerLost}
    monkeypatch.setattr("xencbt.proxies.carriers.registry.CARRIERS", without)
    plan = Plan.of(Planned(AnswerLost(), ENABLE))
    with (
        Interceptor(plain_host.url) as running,
        pytest.raises(InterceptorError, match="cannot carry out answer-lost"),
        running.arm(plan, None),
    ):
        pass


def test_mitmproxy_is_imported_only_when_an_interceptor_starts() -> None:
    code = "import sys, xencbt.proxies; print('mitmproxy' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.strip() == "False"


def test_defaults_are_bounded() -> None:
    assert interceptor.START_STOP_S <= 30
    assert interceptor.REPEAT_S <= 60
