"""A target's address: what is accepted, and why the rest is not."""

from pathlib import Path

import pytest

from xencbt.harness.endpoint import Endpoint
from xencbt.harness.errors import UsageError


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
