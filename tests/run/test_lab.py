"""`xencbt run --lab` as a user meets it: several targets side by side, and how each ends."""

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.run.at_target import WAITING, disks, interrupted, secrets_of
from tests.run.command import Ran, start, xencbt
from xencbt.fixtures.targets import Target, start_emulator
from xencbt.harness.cli import main

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "lab.schema.json").read_text(encoding="utf-8"))
ONE = 'requirement = ["ENABLE-02"]\nseed = 7\n'


@pytest.fixture(scope="module")
def emulator() -> Iterator[Target]:
    with start_emulator() as target:
        yield target


def table(name: str, target: Target, *srs: str, more: str = "") -> str:
    named = json.dumps([target.srs[kind] for kind in srs])
    return f'[targets.{name}]\nurl = "{target.url}"\nsr = {named}\n{more}'


def judged(folder: Path, text: str, *words: str, extra: dict[str, str] | None = None) -> Ran:
    (folder / "xencbt.toml").write_text(text)
    return xencbt(folder, "run", "--lab", *words, extra=extra)


def lab_of(ran: Ran) -> dict[str, Any]:
    lab: dict[str, Any] = json.loads((ran.folder / "lab.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SCHEMA).validate(lab)
    return lab


def targets_of(ran: Ran) -> dict[str, dict[str, Any]]:
    return {target["name"]: target for target in lab_of(ran)["targets"]}


def run_of(ran: Ran, name: str) -> dict[str, Any]:
    run: dict[str, Any] = json.loads((ran.folder / name / "run.json").read_text(encoding="utf-8"))
    return run


class Refused(Protocol):
    """Runs `xencbt run WORDS` in this process, expects that it is refused, and returns what was said."""

    def __call__(self, *words: str) -> str: ...


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("XENCBT_")]:
        monkeypatch.delenv(name)

    def run(*words: str) -> str:
        assert main(["run", *words]) == 3
        said = capsys.readouterr()
        assert said.out == ""
        return said.err

    return run


@pytest.fixture(scope="module")
def three(emulator: Target, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Return what came of a lab with a host of its own, one that was started separately, and one that is not there."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "secret").write_text(f"{emulator.password}\n")
    (folder / "secret").chmod(0o600)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        gone = f'[targets.gone]\nurl = "http://127.0.0.1:{taken.getsockname()[1]}"\nsr = "x"\n'
        own = '[targets.own]\nurl = "emulator"\nprofile = "documented"\n'
        separate = table("separate", emulator, "lvm", more='password_file = "secret"\n')
        ran = judged(folder, ONE + own + separate + gone, extra=secrets_of(emulator))
    (folder / "secret").unlink()
    return ran


def test_every_target_has_a_run_of_its_own_and_one_that_is_unreachable_stops_no_other(three: Ran) -> None:
    assert three.exit == 4, three.stdout + three.stderr
    assert {name: target["exit"] for name, target in targets_of(three).items()} == {"own": 0, "separate": 0, "gone": 4}
    for name in ("own", "separate"):
        run = run_of(three, name)
        assert (run["complete"], run["exit"], run["seed"], run["counts"]) == (True, 0, 7, {"pass": 1})
        assert (three.folder / name / "junit.xml").is_file()
    assert run_of(three, "own")["profile"] == "documented"
    assert "cannot connect" in run_of(three, "gone")["problems"][0]["reason"]


def test_the_summary_says_how_each_target_did_and_where_they_differ(three: Ran) -> None:
    lab = lab_of(three)
    assert (lab["complete"], lab["interrupted"], lab["exit"]) == (False, False, 4), (
        "what is not there was not judged to the end"
    )
    (row,) = lab["requirements"]
    assert row == {"id": "ENABLE-02", "verdicts": {"own": "pass", "separate": "pass", "gone": "not run"}}
    assert "emulated host" in targets_of(three)["separate"]["product"]
    assert three.stdout.splitlines()[-1].startswith("3 targets: exit 0: 2, exit 4: 1")
    assert "ENABLE-02  pass  pass      not run" in three.stdout


def test_lines_carry_the_name_of_their_target_and_are_few_where_nobody_watches(three: Ran) -> None:
    told = three.stdout[: three.stdout.index("\ndiffers")].splitlines()
    assert {line.partition(" |")[0].strip() for line in told} == {"own", "separate", "gone"}
    assert not any("\x1b" in line for line in told)
    assert not [line for line in told if re.search(r"\| +\d+/\d+  pass", line)]
    assert not any("can, and will be judged" in line for line in told)


def test_no_secret_is_written_or_shown(three: Ran, emulator: Target) -> None:
    assert emulator.control is not None
    secrets = (emulator.password, emulator.control.token)
    written = [path for path in three.folder.parent.rglob("*") if path.is_file()]
    assert {path.name for path in written} >= {"lab.json", "run.json", "events.jsonl"}
    for path in written:
        assert not any(secret in path.read_text("utf-8", "replace") for secret in secrets), path
    assert not any(secret in three.stdout + three.stderr for secret in secrets)


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("seed = 1\n", (), "names no target"),
        ('[targets.a]\nurl = "emulator"\npassword = "hunter2"\n', ("--targets", "a"), "a secret does not belong"),
        ('[targets.a]\nurl = "emulator"\n', ("--suite", "enabel"), "did you mean enable"),
        ('[targets.a]\nurl = "emulator"\nrequirement = ["ENABLE-99"]\n', (), "ENABLE-99"),
        ('[targets.a]\nurl = "emulator"\n', ("-n", "0"), "-n takes how many"),
        ('[targets.a]\nurl = "http://127.0.0.1:1"\nsr = "x"\n', (), "targets.a: no password"),
    ],
)
def test_a_lab_that_cannot_be_judged_is_3_and_leaves_no_folder(
    refused: Refused, tmp_path: Path, text: str, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "xencbt.toml").write_text(text)
    told = refused("--lab", *words)
    assert message in told
    assert "hunter2" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["xencbt.toml"]


def test_targets_need_a_lab(refused: Refused) -> None:
    assert "--targets needs --lab" in refused("--targets", "a")


def test_two_targets_on_one_sr_are_refused_before_anything_is_touched(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, emulator: Target
) -> None:
    before = disks(emulator)
    other = table("b", emulator, "second", "lvm").replace("127.0.0.1", "localhost")
    (tmp_path / "xencbt.toml").write_text(ONE + table("a", emulator, "lvm") + other)
    for name, secret in secrets_of(emulator).items():
        monkeypatch.setenv(name, secret)
    assert f"a and b name the same SR {emulator.srs['lvm']}" in refused("--lab")
    assert ([path.name for path in tmp_path.iterdir()], disks(emulator)) == (["xencbt.toml"], before)


@pytest.mark.heavy
def test_a_target_that_refuses_its_run_is_an_error_of_the_lab_with_the_reason(tmp_path: Path, emulator: Target) -> None:
    """By what only a look at the target shows: here an SR that it does not have."""
    unknown = table("a", emulator, "lvm").replace(emulator.srs["lvm"], "00000000-0000-0000-0000-000000000000")
    ran = judged(tmp_path, ONE + unknown + table("b", emulator, "second"), extra=secrets_of(emulator))
    assert ran.exit == 4, ran.stdout + ran.stderr
    refused = targets_of(ran)["a"]
    assert (refused["exit"], refused["run"], refused["complete"]) == (3, None, False)
    assert "the target has no SR 00000000" in refused["reason"]
    assert "No verdict: the target has no SR 00000000" in ran.stdout
    assert targets_of(ran)["b"]["exit"] == 0


@pytest.mark.heavy
def test_an_interrupted_lab_is_130_cleans_up_everywhere_and_begins_nothing_more(
    tmp_path: Path, emulator: Target
) -> None:
    before = disks(emulator)
    (tmp_path / "test_own.py").write_text(WAITING)
    text = table("a", emulator, "lvm", "second") + table("b", emulator, "file") + '[targets.c]\nurl = "emulator"\n'
    (tmp_path / "xencbt.toml").write_text(text)
    words = ("run", "--lab", "-n", "2", "--", str(tmp_path / "test_own.py"))
    ran = interrupted(start(tmp_path, *words, extra=secrets_of(emulator)), tmp_path, 3, signal.SIGTERM)
    assert ran.exit == 130, ran.stdout + ran.stderr
    lab = lab_of(ran)
    assert (lab["interrupted"], lab["complete"], lab["exit"]) == (True, False, 130)
    assert {name: target["exit"] for name, target in targets_of(ran).items()} == {"a": 130, "b": 130, "c": None}
    for name, workers in (("a", 2), ("b", 1)):
        run = run_of(ran, name)
        assert (run["complete"], run["exit"], run["journal"]["left"]) == (False, 130, [])
        assert (run["journal"]["created"], targets_of(ran)[name]["workers"]) == (workers, workers)
    assert disks(emulator) == before


@pytest.mark.heavy
def test_a_run_of_the_lab_that_is_killed_is_an_error_and_its_run_json_is_made_from_what_it_told(
    tmp_path: Path, emulator: Target
) -> None:
    (tmp_path / "test_own.py").write_text(
        "import os, signal\n"
        "from xencbt.harness.decides import decides\n"
        "@decides('ENABLE-02')\n"
        "def test_is_killed(disk):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ran = judged(
        tmp_path, table("a", emulator, "file"), "--", str(tmp_path / "test_own.py"), extra=secrets_of(emulator)
    )
    assert ran.exit == 4, ran.stdout + ran.stderr
    killed = targets_of(ran)["a"]
    assert (killed["exit"], killed["complete"]) == (4, False)
    assert killed["reason"] == "its process was killed by signal 9"
    assert run_of(ran, "a")["complete"] is False
    cleaned = xencbt(tmp_path, "clean", extra=secrets_of(emulator))
    assert cleaned.exit == 0, cleaned.stdout + cleaned.stderr
