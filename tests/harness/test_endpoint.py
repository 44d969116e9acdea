"""A target's address: what is accepted, and why the rest is not."""

import ssl
from pathlib import Path

import pytest

from xencbt.harness.endpoint import Endpoint
from xencbt.harness.errors import UsageError
from xencbt.harness.trust import Trust


@pytest.mark.parametrize(
    ("url", "netloc"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://127.8.9.10/", "127.8.9.10:80"),
        ("https://host.example", "host.example:443"),
        ("https://[::1]:8443/", "[::1]:8443"),
        ("http://localhost:1", "localhost:1"),
    ],
)
def test_host_and_port_are_read(url: str, netloc: str) -> None:
    assert Endpoint.parse(url).netloc == netloc


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://192.0.2.1", "loopback only"),
        ("http://localhost.example", "loopback only"),
        ("https://root:secret@127.0.0.1", "must not carry a user"),
        ("ftp://127.0.0.1", "is no target"),
        ("127.0.0.1", "is no target"),
        ("https://127.0.0.1/RPC2", "after host and port"),
        ("https://127.0.0.1:port", "is no URL"),
    ],
)
def test_anything_else_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        Endpoint.parse(url)
    assert "secret" not in str(caught.value)


def test_tls_verifies_certificate_and_name() -> None:
    context = Endpoint.parse("https://127.0.0.1").tls()
    assert context is not None
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


def test_plain_http_has_no_tls() -> None:
    assert Endpoint.parse("http://127.0.0.1").tls() is None


def test_an_unreadable_ca_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="CA file"):
        Endpoint.parse("https://127.0.0.1", tmp_path / "none.pem").tls()


def test_plain_http_beyond_loopback_must_be_said() -> None:
    assert Endpoint.parse("http://192.0.2.1", Trust(insecure=True)).netloc == "192.0.2.1:80"


def test_verification_is_the_same_on_all_versions_of_python() -> None:
    context = Endpoint.parse("https://127.0.0.1").tls()
    assert context is not None
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN


@pytest.mark.parametrize(
    ("url", "address", "moved"),
    [
        ("https://xen2.example:8443", "Xen1.example", "https://xen1.example:8443"),
        ("https://192.0.2.2", "192.0.2.1", "https://192.0.2.1:443"),
        ("https://192.0.2.2", "2001:db8::1", "https://[2001:db8::1]:443"),
        ("http://127.0.0.2:80", "127.0.0.1", "http://127.0.0.1:80"),
        ("http://127.0.0.2:80", "::ffff:127.0.0.1", "http://127.0.0.1:80"),
    ],
)
def test_a_master_is_reached_in_the_same_way(url: str, address: str, moved: str) -> None:
    trust = Trust(fingerprint="ab" * 32)
    assert Endpoint.parse(url, trust).moved_to(address) == Endpoint.parse(moved, trust)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1", "192.0.2.1"),
        ("http://127.0.0.1", "evil.example"),
        ("https://192.0.2.2", "127.0.0.1"),
        ("https://192.0.2.2", "localhost"),
        ("https://192.0.2.2", "127.1"),
        ("https://192.0.2.2", "0x7f000001"),
        ("https://192.0.2.2", "0.0.0.0"),
        ("https://192.0.2.2", "224.0.0.1"),
        ("https://192.0.2.2", "fe80::1%eth0"),
        ("https://192.0.2.2", "::ffff:127.0.0.1"),
        ("https://192.0.2.2", ""),
        ("https://192.0.2.2", "host.example:99"),
        ("https://192.0.2.2", "user@host.example"),
        ("https://192.0.2.2", "host.example/path"),
        ("https://192.0.2.2", "host\r\nX-Header: 1"),
        ("https://192.0.2.2", "a" * 64 + ".example"),
        ("https://192.0.2.2", ".".join(["abc"] * 70)),
    ],
)
def test_an_address_that_a_host_names_is_not_believed_blindly(url: str, address: str) -> None:
    with pytest.raises(UsageError):
        Endpoint.parse(url).moved_to(address)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.8.7", True),
        ("[::1]", True),
        ("localhost", True),
        ("localhost.evil.org", False),
        ("127.0.0.1.evil.org", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback_is_told_by_form_and_no_name_is_looked_up(host: str, expected: bool) -> None:
    assert Endpoint.parse(f"https://{host}").is_loopback is expected
