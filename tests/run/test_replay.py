"""A failed run leaves bundles; replaying and the stand-alone scripts show the failure again, or that it is gone."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.run.at_target import disks, secrets_of
from tests.run.command import Ran, xencbt
from xencbt.fixtures.targets import Target, start_emulator

DOCS = Path(__file__).parents[2] / "docs"
SHIM = Path(__file__).with_name("xe_shim.py")
DEFECTS = ("enable-takes-snapshots", "writes-mark-their-first-block")
CHOSEN = ("--requirement", "ENABLE-15", "--requirement", "ENABLE-04", "--seed", "1")
AMONG = ("--", "-k", "a_snapshot_is_refused or marks_the_blocks or any_write_marks")


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run two requirements against a host with two defects."""
    ran = xencbt(tmp_path_factory.mktemp("failed"), "run", *CHOSEN, *(f"--defect={each}" for each in DEFECTS), *AMONG)
    assert ran.exit == 1, ran.stdout + ran.stderr
    return ran


@pytest.fixture(scope="module")
def wrong() -> Iterator[Target]:
    with start_emulator(tls=True, defects=DEFECTS) as target:
        yield target


@pytest.fixture(scope="module")
def right() -> Iterator[Target]:
    with start_emulator(tls=True) as target:
        yield target


def replays(ran: Ran) -> dict[str, dict[str, Any]]:
    return {name: test["evidence"]["replay"] for name, test in ran.tests.items() if test["verdict"] == "fail"}


def a_replay(ran: Ran, part: str) -> dict[str, Any]:
    return next(replay for name, replay in replays(ran).items() if part in name)


PARTS = ("a_snapshot_is_refused", "any_write_marks_every_block")


def test_each_failure_has_a_short_bundle_as_documented(failed: Ran) -> None:
    assert len(replays(failed)) > 2
    schema = json.loads((DOCS / "bundle.schema.json").read_text())
    for name, replay in replays(failed).items():
        assert replay is not None, (name, failed.tests[name]["evidence"]["unreplayable"])
        bundle = json.loads((failed.folder / replay["bundle"]).read_text())
        jsonschema.Draft202012Validator(schema).validate(bundle)
        assert bundle["target"]["defects"] == list(DEFECTS)
        assert replay["steps"] == bundle["words"]
        assert len(bundle["steps"]) <= 8, bundle["words"]
        assert "OpaqueRef" not in json.dumps([bundle["steps"], bundle["check"], bundle["words"]])
    jsonschema.Draft202012Validator(json.loads((DOCS / "run.schema.json").read_text())).validate(failed.document)


@pytest.mark.parametrize("part", PARTS)
def test_replay_says_whether_the_failure_is_still_there(failed: Ran, tmp_path: Path, part: str) -> None:
    bundle = str(failed.folder / a_replay(failed, part)["bundle"])
    fixed = xencbt(tmp_path, "replay", bundle)
    assert (fixed.exit, fixed.stdout.splitlines()[-1].split(":")[0]) == (0, "FIXED"), fixed.stdout + fixed.stderr
    assert "drift: was" in fixed.stdout
    again = xencbt(tmp_path, "replay", bundle, *(f"--defect={each}" for each in DEFECTS))
    assert again.exit == 1
    assert "FAILED: wrong in the same way" in again.stdout
    assert "drift" not in again.stdout


def test_replay_at_a_target_leaves_nothing_there(failed: Ran, wrong: Target, tmp_path: Path) -> None:
    before = disks(wrong)
    bundle = str(failed.folder / a_replay(failed, PARTS[0])["bundle"])
    where = ("--target", wrong.url, "--ca", str(wrong.certificate), "--sr", wrong.srs["lvm"])
    ran = xencbt(tmp_path, "replay", bundle, *where, extra=secrets_of(wrong))
    assert ran.exit == 1, ran.stdout + ran.stderr
    assert disks(wrong) == before
    without_control = {"XENCBT_PASSWORD": wrong.password}
    assert xencbt(tmp_path, "replay", bundle, *where, extra=without_control).exit == 1
    assert disks(wrong) == before


def test_what_cannot_be_replayed_says_so(failed: Ran, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    assert xencbt(tmp_path, "replay", "bad.json").exit == 3
    assert xencbt(tmp_path, "replay", "absent.json").exit == 3
    bundle = str(failed.folder / a_replay(failed, PARTS[0])["bundle"])
    unreached = xencbt(
        tmp_path, "replay", bundle, "--target", "http://127.0.0.1:9", "--sr", "x", extra={"XENCBT_PASSWORD": "x"}
    )
    assert unreached.exit == 4
    lost = json.loads(Path(bundle).read_text())
    lost["steps"][0]["sr"] = "sr:no-such"
    (tmp_path / "lost.json").write_text(json.dumps(lost))
    ran = xencbt(tmp_path, "replay", "lost.json")
    assert ran.exit == 4
    assert "ERROR" in ran.stdout


@pytest.mark.parametrize("part", PARTS)
def test_the_scripts_say_failed_and_fixed(failed: Ran, wrong: Target, right: Target, tmp_path: Path, part: str) -> None:
    replay = a_replay(failed, part)
    (tmp_path / "again.py").write_text(replay["python"])
    (tmp_path / "again.sh").write_text(replay["xe"])
    for target, word, code in ((wrong, "FAILED", 1), (right, "FIXED", 0)):
        before = disks(target)
        for command, environment in (_python(target, tmp_path), _xe(target, tmp_path)):
            ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
            assert (ran.returncode, ran.stdout.splitlines()[-1:]) == (code, [word]), ran.stdout + ran.stderr
            assert target.password not in ran.stdout + ran.stderr
        assert disks(target) == before


def test_a_script_says_error_where_nothing_is_shown(failed: Ran, wrong: Target, tmp_path: Path) -> None:
    replay = a_replay(failed, PARTS[0])
    (tmp_path / "again.py").write_text(replay["python"])
    (tmp_path / "again.sh").write_text(replay["xe"])
    cut_off = tmp_path / "xe"
    cut_off.write_text(
        f'#!/bin/bash\n[ $1 = vdi-enable-cbt ] || exec {sys.executable} {SHIM} "$@"\necho "Error: $SAID" >&2; exit 1\n'
    )
    cut_off.chmod(0o700)
    command, environment = _xe(wrong, tmp_path)
    for said in ("Connection refused (calling connect )", "A refusal in words that nobody knows"):
        given = {**environment, "XE": str(cut_off), "SAID": said}
        ran = subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)
        assert (ran.returncode, ran.stdout.splitlines()[-1].split(":")[0]) == (4, "ERROR"), ran.stdout + ran.stderr
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        words = [f"http://127.0.0.1:{server.server_port}", "--sr", "x"]
        python = [sys.executable, str(tmp_path / "again.py"), *words]
        given = {**os.environ, "XENCBT_PASSWORD": "x"}
        ran = subprocess.run(python, env=given, capture_output=True, text=True, timeout=60, check=False)
        server.shutdown()
    assert (ran.returncode, ran.stdout.split(":")[0]) == (4, "ERROR"), ran.stdout + ran.stderr


def _python(target: Target, folder: Path) -> tuple[list[str], Mapping[str, str]]:
    words = [target.url, "--user", target.user, "--ca", str(target.certificate), "--sr", target.srs["lvm"]]
    return [sys.executable, str(folder / "again.py"), *words], {**os.environ, "XENCBT_PASSWORD": target.password}


def _xe(target: Target, folder: Path) -> tuple[list[str], Mapping[str, str]]:
    netrc = folder / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {target.user} password {target.password}\n")
    netrc.chmod(0o600)
    environment = {
        **os.environ,
        "XE": f"{sys.executable} {SHIM}",
        "SR": target.srs["lvm"],
        "URL": target.url,
        "NETRC": str(netrc),
        "CURL_CA": str(target.certificate),
        "SSL_CERT_FILE": str(target.certificate),
        "SHIM_URL": target.url,
        "SHIM_PASSWORD": target.password,
    }
    return ["bash", str(folder / "again.sh")], environment


def test_no_bundles_are_made_where_none_are_wanted(tmp_path: Path) -> None:
    chosen = ("--requirement", "ENABLE-15", "--seed", "1", f"--defect={DEFECTS[0]}", "--no-bundles")
    ran = xencbt(tmp_path, "run", *chosen, "--", "-k", "a_snapshot_is_refused")
    assert ran.exit == 1
    assert set(map(str, replays(ran).values())) == {"None"}
    assert not (ran.folder / "bundles").exists()


def test_a_failure_of_a_real_host_is_confirmed_there_once_and_holds_no_secret(wrong: Target, tmp_path: Path) -> None:
    """Without its control token the emulated host is like any other: nothing is shortened by trying on it."""
    where = ("--target", wrong.url, "--ca", str(wrong.certificate), "--sr", wrong.srs["lvm"])
    chosen = ("--requirement", "ENABLE-15", "--seed", "1")
    before = disks(wrong)
    ran = xencbt(tmp_path, "run", *chosen, *where, *AMONG, extra={"XENCBT_PASSWORD": wrong.password})
    assert disks(wrong) == before
    found = list((ran.folder / "bundles").iterdir())
    assert found
    for path in found:
        bundle = json.loads(path.read_text())
        expected = "shortened on an emulated host with the defect enable-takes-snapshots; confirmed once on the target"
        assert bundle["note"] == expected
        assert bundle["words"][-1] == "enable snapshot-1 → success; must give refused: OPERATION_NOT_ALLOWED"
        for secret in secrets_of(wrong).values():
            assert secret not in path.read_text()
