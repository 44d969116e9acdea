"""The exit codes of `xencbt run`, each reached the way a user reaches it."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.command import finish, start, xencbt
from xencbt.fixtures.targets import Target, start_emulator

ONE = ("--requirement", "ENABLE-02", "--seed", "7")
WAITING = """
import pathlib, threading
from xencbt.harness.decides import decides
@decides('ENABLE-02')
def test_waits(disk):
    disk.enable_cbt()
    pathlib.Path('waiting').touch()
    threading.Event().wait(60)
"""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Target]:
    with start_emulator() as target:
        yield target


def dialled(target: Target) -> tuple[str, ...]:
    return ("--target", target.url, "--user", target.user, "--sr", target.srs["lvm"])


def secrets_of(target: Target) -> dict[str, str]:
    assert target.control is not None
    return {"XENCBT_PASSWORD": target.password, "XENCBT_CONTROL_TOKEN": target.control.token}


def test_a_conforming_host_is_0(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, "run", *ONE)
    assert ran.exit == 0, ran.stdout + ran.stderr
    assert ran.verdicts == {"ENABLE-02": "pass"}
    assert ran.document["complete"] is True
    assert ran.document["seed"] == 7
    assert "emulated host" in ran.stdout


def test_an_existing_folder_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "xencbt-out").mkdir()
    ran = xencbt(tmp_path, "run", *ONE)
    assert ran.exit == 0
    assert list((tmp_path / "xencbt-out").iterdir()) == []
    assert (tmp_path / "xencbt-out-2" / "run.json").is_file()


def test_a_conftest_where_the_run_is_started_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    for folder in (tmp_path, tmp_path / "tests"):
        (folder / "conftest.py").write_text("import pytest\n\n@pytest.fixture\ndef lab():\n    return None\n")
    ran = xencbt(tmp_path, "run", "--requirement", "STATUS-02")
    assert (ran.exit, ran.verdicts) == (0, {"STATUS-02": "pass"})


def test_an_empty_selection_is_2(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, "run", "--requirement", "ENABLE-02", "--suite", "disable")
    assert ran.exit == 2
    assert "no test was selected" in ran.stdout or "nothing that must hold" in ran.stdout


def test_a_filter_of_pytest_that_matches_nothing_is_2(tmp_path: Path) -> None:
    assert xencbt(tmp_path, "run", "--", "-k", " or ".join(["no_such_test"] * 30)).exit == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--requirement", "ENABLE-99"), "ENABLE-99"),
        (("--suite", "enabel"), "did you mean enable"),
        (("--require", "guest-wriet", "-n", "2"), "did you mean guest-write"),
        (("--seed", "many"), "whole number"),
        (("--speed", "slow"), "invalid choice"),
        (("-n", "two"), "-n takes a number of workers, or auto, not 'two'"),
        (("--nonsense",), "unrecognized arguments"),
        (("--target", "http://10.1.2.3", "--sr", "x"), "plain http is for loopback only"),
        (("--target", "http://127.0.0.1:1"), "--sr is needed"),
        (("--target", "https://127.0.0.1:1", "--sr", "x", "--ca", "x.pem", "--insecure"), "exclude each other"),
        (("--target", "https://127.0.0.1:1", "--sr", "x", "--fingerprint", "ab"), "64 hexadecimal digits"),
        (("--target", "http://127.0.0.1:1", "--sr", "x", "-n", "2"), "-n 2 with --target needs an SR for each worker"),
        (
            ("--password-file", "missing", "--target", "http://127.0.0.1:1", "--sr", "x"),
            "cannot read the password file",
        ),
        (("--target", "http://127.0.0.1:1", "--sr", "x"), "no password"),
        (("--", "--no-such-pytest-option"), "no-such-pytest-option"),
        (("--", "no_such_folder/test_x.py"), "no_such_folder"),
    ],
)
def test_a_usage_error_is_3_and_leaves_no_folder(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    ran = xencbt(tmp_path, "run", *words)
    assert ran.exit == 3, ran.stdout + ran.stderr
    assert (ran.stderr + ran.stdout).count(message) == 1, "told once"
    assert not ran.folder.exists()


def test_an_unreadable_configuration_is_3(tmp_path: Path) -> None:
    (tmp_path / "xencbt.toml").write_text("seed = [")
    ran = xencbt(tmp_path, "run", *ONE)
    assert ran.exit == 3
    assert "xencbt.toml" in ran.stderr


def test_whom_a_configuration_leads_to_is_said_before_anything_is_sent(tmp_path: Path, emulator: Target) -> None:
    """Nobody named the file: it lay in the folder. Here its host is not even asked for a password."""
    (tmp_path / "xencbt.toml").write_text(f'target = "{emulator.url}"\nsr = "{emulator.srs["lvm"]}"\ninsecure = true\n')
    ran = xencbt(tmp_path, "run", *ONE, "--quiet")
    assert (ran.exit, "no password" in ran.stderr) == (3, True), ran.stderr
    said = f"xencbt: {tmp_path / 'xencbt.toml'} says: target '{emulator.url}', INSECURE: any certificate is accepted"
    assert ran.stderr.startswith(said), ran.stderr
    (tmp_path / "xencbt.toml").chmod(0o666)
    refused = xencbt(tmp_path, "run", *ONE, extra=secrets_of(emulator))
    assert refused.exit == 3
    assert "is not believed: others can write to" in refused.stderr


def test_an_unknown_sr_is_3(tmp_path: Path, emulator: Target) -> None:
    words = ("--target", emulator.url, "--sr", "00000000-0000-0000-0000-000000000000")
    ran = xencbt(tmp_path, "run", *ONE, *words, extra=secrets_of(emulator))
    assert ran.exit == 3
    assert "no SR 00000000" in ran.stderr


def test_a_wrong_control_token_is_3(tmp_path: Path, emulator: Target) -> None:
    extra = secrets_of(emulator) | {"XENCBT_CONTROL_TOKEN": "wrong"}
    ran = xencbt(tmp_path, "run", *ONE, *dialled(emulator), extra=extra)
    assert ran.exit == 3
    assert "control token" in ran.stderr


def test_an_unreachable_host_is_4(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        ran = xencbt(tmp_path, "run", *ONE, "--target", url, "--sr", "x", extra={"XENCBT_PASSWORD": "x"})
    assert ran.exit == 4
    assert ran.document["problems"]
    assert ran.verdicts == {"ENABLE-02": "not run"}
    assert "No verdict" in ran.stdout


def test_a_wrong_password_is_4(tmp_path: Path, emulator: Target) -> None:
    ran = xencbt(tmp_path, "run", *ONE, *dialled(emulator), extra={"XENCBT_PASSWORD": "not-the-password"})
    assert ran.exit == 4
    assert "refused" in ran.document["problems"][0]["reason"]


def test_a_role_that_is_too_low_is_2_and_says_what_it_takes(tmp_path: Path, emulator: Target) -> None:
    words = ("--target", emulator.url, "--user", "vm-operator", "--sr", emulator.srs["lvm"])
    ran = xencbt(tmp_path, "run", *ONE, *words, extra=secrets_of(emulator))
    assert ran.exit == 2, ran.stdout + ran.stderr
    assert ran.verdicts == {"ENABLE-02": "unsupported"}
    reason = ran.document["requirements"][0]["reason"]
    assert "VDI.enable_cbt" in reason
    assert "vm-admin or higher" in reason


def test_an_sr_without_space_is_2_and_says_so(tmp_path: Path, emulator: Target) -> None:
    words = ("--target", emulator.url, "--sr", emulator.srs["full"])
    ran = xencbt(tmp_path, "run", *ONE, *words, extra=secrets_of(emulator))
    assert ran.exit == 2, ran.stdout + ran.stderr
    assert ran.verdicts == {"ENABLE-02": "blocked"}
    assert "bytes free: too few" in ran.document["requirements"][0]["reason"]


def test_a_detached_sr_is_3(tmp_path: Path, emulator: Target) -> None:
    words = ("--target", emulator.url, "--sr", emulator.srs["no-pbd"])
    ran = xencbt(tmp_path, "run", *ONE, *words, extra=secrets_of(emulator))
    assert ran.exit == 3, ran.stdout + ran.stderr
    assert "attached to no host (it has no PBD)" in ran.stderr
    assert not ran.folder.exists()


def test_a_second_run_on_the_same_sr_is_3_while_the_first_lives(tmp_path: Path, emulator: Target) -> None:
    (tmp_path / "test_own.py").write_text(WAITING)
    words = ("run", *dialled(emulator), "--journal-dir")
    first = start(tmp_path, *words, "first", "--", str(tmp_path / "test_own.py"), extra=secrets_of(emulator))
    try:
        wait_for(tmp_path / "waiting", first)
        second = xencbt(tmp_path, *words, "second", *ONE, "--out", "second-out", extra=secrets_of(emulator))
    finally:
        first.kill()
        first.communicate()
    assert second.exit == 3, second.stdout + second.stderr
    assert f"another run is at work on the SR {emulator.srs['lvm']}" in second.stderr
    assert f"process {first.pid}" in second.stderr
    assert not (tmp_path / "second-out").exists()
    third = xencbt(tmp_path, *words, "third", *ONE, "--out", "third-out", extra=secrets_of(emulator))
    assert third.exit == 0, third.stdout + third.stderr


@pytest.mark.parametrize(("option", "capability"), [("--old-host", "cbt-calls"), ("--no-cbt-licence", "cbt-licensed")])
def test_a_host_that_cannot_is_2_and_says_why(tmp_path: Path, option: str, capability: str) -> None:
    with start_emulator(options=[option]) as target:
        ran = xencbt(tmp_path, "run", "--suite", "disable", *dialled(target), extra=secrets_of(target))
    assert ran.exit == 2, ran.stdout
    assert set(ran.verdicts.values()) == {"unsupported"}
    capabilities = {each["name"]: each["present"] for each in ran.document["target"]["capabilities"]}
    assert capabilities[capability] is False
    assert all(row["reason"] for row in ran.document["requirements"])


def test_a_failing_host_is_1_and_names_the_requirement(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "from xencbt.harness.decides import decides\n"
        "@decides('ENABLE-01')\n"
        "def test_a_new_disk_is_enabled(disk):\n"
        "    assert disk.cbt_enabled\n"
    )
    ran = xencbt(tmp_path, "run", "--", "test_own.py")
    assert ran.exit == 1, ran.stdout + ran.stderr
    assert ran.verdicts == {"ENABLE-01": "fail"}
    assert "ENABLE-01" in ran.stdout
    evidence = ran.tests["test_a_new_disk_is_enabled"]["evidence"]
    assert any("VDI.get_cbt_enabled" in step for step in evidence["steps"])
    assert not any("VDI.destroy" in step for step in evidence["steps"]), "cleaning up is no step"
    assert evidence["rerun"].startswith("xencbt run --seed")


def test_a_host_that_is_gone_for_good_ends_the_run_with_4(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "from xencbt.harness.decides import decides\n"
        "@decides('ENABLE-01')\n"
        "def test_first(disk):\n"
        "    assert not disk.cbt_enabled\n"
        "    disk.lab.bench.gone = 'the target did not come back'\n"
        "@decides('ENABLE-02')\n"
        "def test_second(disk):\n"
        "    disk.enable_cbt()\n"
    )
    ran = xencbt(tmp_path, "run", "--", "test_own.py")
    assert ran.exit == 4, ran.stdout + ran.stderr
    assert ran.verdicts == {"ENABLE-01": "pass", "ENABLE-02": "not run"}
    assert "did not come back" in ran.document["problems"][0]["reason"]


def test_tests_that_cannot_be_collected_are_4_beside_others_that_pass(tmp_path: Path) -> None:
    (tmp_path / "test_broken.py").write_text("import no_such_module\n")
    (tmp_path / "test_own.py").write_text(
        "from xencbt.harness.decides import decides\n"
        "@decides('ENABLE-01')\n"
        "def test_passes(disk):\n"
        "    assert not disk.cbt_enabled\n"
    )
    ran = xencbt(tmp_path, "run", "--", "test_broken.py", "test_own.py", "--continue-on-collection-errors")
    assert ran.exit == 4, ran.stdout + ran.stderr
    assert ran.verdicts == {"ENABLE-01": "pass"}
    assert "no_such_module" in ran.document["problems"][0]["reason"]
    alone = xencbt(tmp_path, "run", "--", "test_broken.py")
    assert alone.exit == 4, alone.stdout + alone.stderr


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_130_and_leaves_nothing_behind(
    tmp_path: Path, emulator: Target, signum: signal.Signals
) -> None:
    (tmp_path / "test_own.py").write_text(WAITING)
    process = start(
        tmp_path, "run", *dialled(emulator), "--", str(tmp_path / "test_own.py"), extra=secrets_of(emulator)
    )
    wait_for(tmp_path / "waiting", process)
    process.send_signal(signum)
    ran = finish(process, tmp_path)
    assert ran.exit == 130, ran.stdout + ran.stderr
    assert ran.document["complete"] is False
    assert ran.document["journal"]["created"] >= 1
    assert ran.document["journal"]["left"] == []
    assert ran.verdicts == {"ENABLE-02": "error"} or ran.verdicts == {"ENABLE-02": "not run"}


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, "the run ended early"
        assert time.monotonic() < end
        time.sleep(0.02)  # between two looks at a condition that has a deadline
