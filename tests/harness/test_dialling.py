"""Logging in at the wrong place: each trouble in its own words, and a pool's member that leads to its master once."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.scripted_host import ScriptedHost, answer, failure
from tests.proxies.host import fingerprint, make_certificate, running_host
from xencbt.harness.endpoint import Endpoint
from xencbt.harness.errors import TargetUnreachable
from xencbt.harness.exchange import Recorder
from xencbt.harness.masking import Secrets
from xencbt.harness.session import MemberOfPool, Session
from xencbt.harness.trust import Trust

PASSWORD = "correct horse"


def login(url: str, trust: Trust | None = None, *, follow: bool = True) -> Session:
    return Session.login(Endpoint.parse(url, trust), "root", PASSWORD, Recorder(Secrets()), follow=follow)


def member_of(master: str, at: tuple[str, int]) -> ScriptedHost:
    return ScriptedHost({"session.login_with_password": answer(failure("HOST_IS_SLAVE", master))}, at)


@contextmanager
def saying(words: bytes, *, echo: bool = False) -> Iterator[int]:
    """Serve one connection on a loopback port: say `words` (or what was said) and close."""

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(10)
            said = sock.recv(100_000)
            sock.sendall(said if echo else words)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


WRONG_PORTS = {
    "ssh": (b"SSH-2.0-OpenSSH_9.2\r\n", "begins with 'SSH-2.0-OpenSSH_9.2'"),
    "terminal trick": (b"\x1b]0;owned\x07\r\n", r"begins with '\x1b]0;owned\x07'"),
    "closes at once": (b"", "if that port is for TLS, use https"),
    "page": (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "not as the XenAPI does"),
    "no such page": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404 Not Found"),
    "sends people to https": (
        b"HTTP/1.1 301 Moved Permanently\r\nContent-Length: 0\r\n\r\n",
        "HTTP 301 Moved Permanently; if that port is for TLS, use https",
    ),
    "TLS behind a web server": (
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "HTTP 400 Bad Request; if that port is for TLS, use https",
    ),
    "TLS alert": (b"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS: use https"),
}


@pytest.mark.parametrize("name", WRONG_PORTS)
def test_another_service_is_told_apart(name: str) -> None:
    words, why = WRONG_PORTS[name]
    with saying(words) as port:
        with pytest.raises(TargetUnreachable) as caught:
            login(f"http://127.0.0.1:{port}")
        assert why in str(caught.value)
        assert f"127.0.0.1:{port}" in str(caught.value)


def test_a_service_that_repeats_everything_does_not_make_us_repeat_the_password() -> None:
    with saying(b"", echo=True) as port, pytest.raises(TargetUnreachable) as caught:
        login(f"http://127.0.0.1:{port}")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("words", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_tls_where_there_is_none_is_told_apart(words: bytes) -> None:
    with saying(words) as port, pytest.raises(TargetUnreachable, match=r"TLS with .*(does not speak TLS|no TLS on)"):
        login(f"https://127.0.0.1:{port}")


def test_plain_http_to_a_port_for_tls_says_so(tmp_path: Path) -> None:
    with running_host(make_certificate(tmp_path / "host.pem")) as host:
        with pytest.raises(TargetUnreachable, match="use https"):
            login(host.url.replace("https", "http"))
        assert host.requests == []


def test_a_member_leads_to_its_master() -> None:
    with ScriptedHost() as master, member_of("127.0.0.1", ("127.0.0.2", master.port)) as member:
        session = login(member.url)
        session.close()
        assert session.endpoint.url == master.url
        assert member.requests.total() == 1
        assert master.requests["session.login_with_password"] == 1


def test_a_member_leads_on_once_only() -> None:
    with (
        member_of("127.0.0.3", ("127.0.0.1", 0)) as second,
        member_of("127.0.0.1", ("127.0.0.2", second.port)) as first,
    ):
        with pytest.raises(TargetUnreachable, match=r"127\.0\.0\.2:.*127\.0\.0\.1.*127\.0\.0\.3"):
            login(first.url)
        assert (first.requests.total(), second.requests.total()) == (1, 1)


def test_a_member_is_not_followed_where_that_was_not_wanted() -> None:
    with member_of("127.0.0.1", ("127.0.0.2", 0)) as member, pytest.raises(MemberOfPool, match=r"127\.0\.0\.1"):
        login(member.url, follow=False)


@pytest.mark.parametrize("address", ["192.0.2.1", "evil.example", "127.0.0.1:22", "x\r\ny", "0.0.0.0", ""])
def test_a_member_leads_nowhere_else(address: str) -> None:
    with member_of(address, ("127.0.0.2", 0)) as member:
        with pytest.raises(TargetUnreachable, match="not followed") as caught:
            login(member.url)
        assert "\n" not in str(caught.value)


def secured(host: ScriptedHost, certificate: Path) -> ScriptedHost:
    host.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    host.tls.load_cert_chain(certificate)
    return host


@pytest.mark.parametrize("how", ["ca", "fingerprint"])
def test_a_master_is_trusted_by_the_same_rules(tmp_path: Path, how: str) -> None:
    own = make_certificate(tmp_path / "member.pem", address="127.0.0.2")
    other = make_certificate(tmp_path / "master.pem")
    trust = Trust(ca_file=own) if how == "ca" else Trust(fingerprint=fingerprint(own))
    words = "no known authority" if how == "ca" else "has the fingerprint"
    with (
        secured(ScriptedHost(), other) as master,
        secured(member_of("127.0.0.1", ("127.0.0.2", master.port)), own) as member,
    ):
        with pytest.raises(TargetUnreachable, match=rf"was followed; there: .*127\.0\.0\.1.*{words}"):
            login(member.url, trust)
        assert member.requests.total() == 1
        assert master.requests.total() == 0
        session = login(member.url, Trust(insecure=True))
        session.close()
        assert session.endpoint.url == master.url
