"""Whole runs against a host with TLS: however it is trusted, the record says how, and a wrong one ends everything."""

import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.scripted_host import ScriptedHost, answer, failure
from tests.proxies.host import make_certificate, running_host
from tests.run.command import Ran, xencbt
from xencbt.fixtures.targets import Target, start_emulator

ONE = ("--requirement", "ENABLE-02", "--seed", "7")
FAULTS = ("--suite", "faults", "--seed", "7", "--", "-k", "immediate_duplicate")
"""Passes the interceptor, and sends a second delivery on a connection of its own."""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Target]:
    with start_emulator(tls=True) as target:
        yield target


def fingerprint(target: Target) -> str:
    assert target.certificate is not None
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(target.certificate.read_text())).hexdigest()


def run(folder: Path, target: Target, url: str, *words: str) -> Ran:
    assert target.control is not None
    extra = {"XENCBT_PASSWORD": target.password, "XENCBT_CONTROL_TOKEN": target.control.token}
    return xencbt(folder, "run", "--target", url, "--sr", target.srs["lvm"], *words, extra=extra)


def test_a_pinned_certificate_is_enough_for_everything_that_connects(tmp_path: Path, emulator: Target) -> None:
    ran = run(tmp_path, emulator, emulator.url, "--fingerprint", fingerprint(emulator), *FAULTS)
    assert ran.exit == 0, ran.stdout + ran.stderr
    assert ran.document["target"]["tls"] == "pinned"
    receipts = [receipt for test in ran.document["tests"] for receipt in test["receipts"]]
    assert receipts
    assert all(receipt["fired"] for receipt in receipts)


def test_insecure_is_told_loudly(tmp_path: Path, emulator: Target) -> None:
    ran = run(tmp_path, emulator, emulator.url, "--insecure", *ONE)
    assert ran.exit == 0, ran.stdout + ran.stderr
    assert ran.document["target"]["tls"] == "not verified"
    assert "NOT VERIFIED (--insecure)" in ran.stdout


def test_another_certificate_than_the_pinned_one_is_4(tmp_path: Path) -> None:
    with running_host(make_certificate(tmp_path / "host.pem")) as host:
        words = ("--target", host.url, "--sr", "x", "--fingerprint", "ab" * 32)
        ran = xencbt(tmp_path, "run", *ONE, *words, extra={"XENCBT_PASSWORD": "unread-word"})
        assert host.requests == []
    assert ran.exit == 4, ran.stdout + ran.stderr
    assert "not the pinned AB:AB" in ran.document["problems"][0]["reason"]


def test_an_expired_certificate_is_4(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "host.pem", valid_from=-9)
    with running_host(certificate) as host:
        words = ("--target", host.url, "--sr", "x", "--ca", str(certificate))
        ran = xencbt(tmp_path, "run", *ONE, *words, extra={"XENCBT_PASSWORD": "unread-word"})
        assert host.requests == []
    assert ran.exit == 4, ran.stdout + ran.stderr
    assert "it has expired" in ran.document["problems"][0]["reason"]


def test_a_run_at_a_member_judges_the_master_and_says_so(tmp_path: Path) -> None:
    with start_emulator() as master:
        port = int(master.url.rpartition(":")[2])
        slave = answer(failure("HOST_IS_SLAVE", "127.0.0.1"))
        with ScriptedHost({"session.login_with_password": slave}, ("127.0.0.2", port)) as member:
            words = ("--target", member.url, "--sr", master.srs["lvm"], *ONE)
            ran = xencbt(tmp_path, "run", *words, extra={"XENCBT_PASSWORD": master.password})
            assert member.requests.total() == 1
    assert ran.exit in {0, 2}, ran.stdout + ran.stderr  # without a control token not everything can be judged
    assert ran.document["target"]["url"] == master.url
    assert "pass" in {test["verdict"] for test in ran.document["tests"]}
