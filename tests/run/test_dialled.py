"""A target that was started separately: same verdicts as with an emulated host of the run's own, and no secret told."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.command import Ran, xencbt
from xencbt.fixtures.targets import Target, start_emulator

SUITES = ("--suite", "status", "--suite", "faults", "--seed", "11")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Target]:
    with start_emulator(tls=True) as target:
        yield target


@pytest.fixture(scope="module")
def dialled(emulator: Target, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    assert emulator.control is not None
    folder = tmp_path_factory.mktemp("dialled")
    secrets = {"password": emulator.password, "token": emulator.control.token}
    for name, secret in secrets.items():
        (folder / name).write_text(secret + "\n")
        (folder / name).chmod(0o600)
    words = ["--target", emulator.url, "--sr", emulator.srs["lvm"], "--ca", str(emulator.certificate)]
    words += ["--password-file", "password", "--control-token-file", "token"]
    ran = xencbt(folder, "run", *SUITES, *words)
    for name in secrets:
        (folder / name).unlink()
    return ran


def test_verdicts_are_those_of_an_emulated_host_of_our_own(dialled: Ran, tmp_path: Path) -> None:
    own = xencbt(tmp_path, "run", *SUITES)
    assert dialled.exit == own.exit == 0, dialled.stdout + dialled.stderr
    assert dialled.verdicts == own.verdicts
    examples = {name: test["examples"] for name, test in own.tests.items()}
    assert {name: test["examples"] for name, test in dialled.tests.items()} == examples


def test_nothing_of_ours_is_left_on_the_target(dialled: Ran) -> None:
    journal = dialled.document["journal"]
    assert journal["created"] == journal["removed"] > 0
    assert journal["left"] == []


def test_a_target_by_url_says_that_it_is_emulated(dialled: Ran) -> None:
    assert dialled.document["target"]["kind"] == "emulator"
    assert "emulated host" in dialled.stdout


def test_no_secret_is_written_or_shown(dialled: Ran, emulator: Target) -> None:
    assert emulator.control is not None
    secrets = {emulator.password, emulator.control.token}
    secrets |= {base64.b64encode(f"{emulator.user}:{emulator.password}".encode()).decode()}
    written = [path for path in dialled.folder.parent.rglob("*") if path.is_file()]
    assert {path.name for path in written} >= {
        "run.json",
        "events.jsonl",
        "junit.xml",
        "journal.jsonl",
        "report.html",
        "summary.md",
    }
    for path in written:
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not [secret for secret in secrets if secret in text], path
    assert not [secret for secret in secrets if secret in dialled.stdout + dialled.stderr]


def test_session_references_are_masked_where_exchanges_are_kept(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "import pathlib\n"
        "from xencbt.harness.decides import decides\n"
        "@decides('ENABLE-01')\n"
        "def test_fails(disk):\n"
        "    pathlib.Path('reference').write_text(disk.lab.session.ref)\n"
        "    disk.write(block=1)\n"
        "    assert disk.cbt_enabled\n"
    )
    ran = xencbt(tmp_path, "run", "--", "test_own.py")
    reference = (tmp_path / "reference").read_text()
    assert reference.startswith("OpaqueRef:")
    (test,) = ran.document["tests"]
    assert "get_cbt_enabled" in test["evidence"]["exchange"]["request"]
    everything = [path.read_text() for path in ran.folder.rglob("*") if path.is_file()]
    assert not any(reference in text for text in [*everything, ran.stdout, ran.stderr, json.dumps(test)])
