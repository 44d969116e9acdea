"""A target beyond loopback, as a user meets it: judged, and with every fence up."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.command import Ran, finding_tests, xencbt
from tests.run.test_plan import counted
from xencbt.fixtures.targets import Target, start_emulator
from xencbt.harness.trust import fingerprint_of


@pytest.fixture(scope="module")
def emulator() -> Iterator[Target]:
    with start_emulator(tls=True) as target:
        yield target


def far(folder: Path, target: Target, *words: str, token: bool = False) -> Ran:
    """Judge the target under a name that is not on loopback; its certificate is for another one, and pinned."""
    assert target.certificate is not None
    assert target.control is not None
    pin = fingerprint_of(ssl.PEM_cert_to_DER_cert(target.certificate.read_text()))
    extra = {"XENCBT_PASSWORD": target.password, **finding_tests()}
    extra |= {"XENCBT_CONTROL_TOKEN": target.control.token} if token else {}
    url = f"https://host.example:{target.endpoint.port}"
    named = ("--target", url, "--fingerprint", pin, "--sr", target.srs["lvm"])
    return xencbt(folder, "run", "--seed", "4", *named, *words, "--", "-p", "tests.run.resolving", extra=extra)


def test_it_is_judged_without_being_disturbed(emulator: Target, tmp_path: Path) -> None:
    before = counted(emulator)
    ran = far(tmp_path, emulator, "--requirement", "STATUS-01", "--requirement", "STATUS-04")
    assert ran.exit == 0, ran.stdout + ran.stderr
    assert ran.verdicts == {"STATUS-01": "pass", "STATUS-04": "not run"}
    document = ran.document
    assert document["target"]["url"].startswith("https://host.example:")
    assert document["target"]["tls"] == "pinned"
    assert document["journal"]["created"] == document["journal"]["removed"] > 0
    assert "within a budget of 30 min" in " ".join(ran.stdout.split())
    reasons = {test["reason"] for test in document["tests"] if test["verdict"] == "not run"}
    assert {"needs consent: --allow sr-unplug", "needs consent: --allow toolstack-restart"} <= reasons
    after = counted(emulator)
    disturbing = ("PBD.unplug", "host.restart_agent", "VM.start")
    assert {name: after.get(name, 0) - before.get(name, 0) for name in disturbing} == dict.fromkeys(disturbing, 0)


def test_a_control_token_consents_to_nothing_there(emulator: Target, tmp_path: Path) -> None:
    before = counted(emulator)
    ran = far(tmp_path, emulator, "--requirement", "STATUS-04", token=True)
    assert ran.exit == 3, ran.stdout
    assert "a control interface is on loopback only" in ran.stderr
    assert counted(emulator) == before
