"""`xencbt clean` with journals that were edited, copied or written by somebody else: nothing foreign is touched."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.run.command import Ran, xencbt
from xencbt.fixtures.bench import Bench
from xencbt.fixtures.lab import Lab
from xencbt.fixtures.targets import Target, start_emulator
from xencbt.harness.exchange import Recorder
from xencbt.harness.journal import Header, Journal
from xencbt.harness.masking import Secrets
from xencbt.harness.session import Session


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with start_emulator() as target:
        yield replace(target, ours=False)


@pytest.fixture
def session(target: Target) -> Iterator[Session]:
    session = Session.login(target.endpoint, target.user, target.password, Recorder(Secrets()))
    yield session
    session.close()


def dead(target: Target, folder: Path) -> Journal:
    """Return the journal, still open, of a run that made one disk and died."""
    bench = Bench.open(target, seed=1, run_id="dead", environment={}, journal_dir=folder)
    Lab(bench, "test").create_disk()
    bench.session.close()
    return bench.journal


def cleaned(target: Target, tmp_path: Path, folder: Path, *words: str) -> Ran:
    extra = {"XENCBT_PASSWORD": target.password}
    return xencbt(tmp_path, "clean", "--journal-dir", str(folder), *words, extra=extra)


def test_strangers_named_by_an_edited_journal_are_left_and_said(
    target: Target, session: Session, tmp_path: Path
) -> None:
    folder = tmp_path / "journals"
    vm = session.value("VM.get_by_uuid", target.vm)
    vdi = session.value("VDI.get_by_uuid", target.vdi)
    sr = session.value("SR.get_by_uuid", target.srs["second"])
    network = session.value("network.get_all")[0]
    session.value("VM.start", vm, False, False)
    session.value("VM.set_name_label", vm, "precious \u202e")
    try:
        with dead(target, folder) as journal:
            for cls, ref in (("VM", vm), ("VDI", vdi), ("SR", sr), ("network", network)):
                journal.created(journal.intend(cls), ref=ref, uuid=session.value(f"{cls}.get_uuid", ref))
        shown = cleaned(target, tmp_path, folder, "--dry-run")
        done = cleaned(target, tmp_path, folder)
        assert session.value("VM.get_power_state", vm) == "Running"
    finally:
        session.value("VM.hard_shutdown", vm)
    assert (shown.exit, done.exit) == (1, 1)
    assert shown.stdout.count("would leave") == 4
    assert shown.stdout.count("would remove VDI") == 1
    assert "1 removed, 0 restored, 4 left" in done.stdout
    assert f'VM {target.vm} "precious \\u202e" carries no mark of this run: left' in done.stdout
    assert f"VDI {target.vdi}" in done.stdout
    assert "\u202e" not in shown.stdout + done.stdout
    for cls, ref in (("VM", vm), ("VDI", vdi), ("SR", sr), ("network", network)):
        assert ref in session.value(f"{cls}.get_all")


def test_changes_that_no_run_made_are_not_undone(target: Target, session: Session, tmp_path: Path) -> None:
    folder = tmp_path / "journals"
    (pbd,) = session.value("SR.get_PBDs", session.value("SR.get_by_uuid", target.srs["second"]))
    vdi = session.value("VDI.get_by_uuid", target.vdi)
    tracked = session.value("VDI.get_cbt_enabled", vdi)
    with dead(target, folder) as journal:
        journal.disturb("PBD.currently_attached", session.value("PBD.get_uuid", pbd), before=False)
        journal.disturb("VDI.cbt_enabled", str(target.vdi), before=not tracked)
    shown = cleaned(target, tmp_path, folder, "--dry-run")
    assert (shown.exit, shown.stdout.count("would leave")) == (1, 2)
    done = cleaned(target, tmp_path, folder)
    assert done.exit == 1
    assert "a run only unplugs, so cleaning only plugs: left" in done.stdout
    assert "does not name it as a disk that the run was lent: left" in done.stdout
    assert session.value("PBD.get_currently_attached", pbd)
    assert session.value("VDI.get_cbt_enabled", vdi) is tracked


@pytest.mark.parametrize("what", ["file", "folder", "link", "owner"])
def test_a_journal_that_others_can_have_written_is_refused(
    what: str, target: Target, session: Session, tmp_path: Path
) -> None:
    folder = tmp_path / "journals"
    with dead(target, folder) as journal:
        path = journal.path
    before = session.value("VDI.get_all")
    match what:
        case "file":
            path.chmod(0o620)
        case "folder":
            path.parent.chmod(0o777)
        case "link":
            path.rename(tmp_path / "elsewhere.jsonl")
            path.symlink_to(tmp_path / "elsewhere.jsonl")
        case _:
            if os.geteuid() != 0:
                pytest.skip("only root can give a file away")
            os.chown(path, 12345, -1)
    done = cleaned(target, tmp_path, folder)
    assert done.exit == 3
    assert f"refused journal {path}: " in done.stdout
    assert "logging in" not in done.stdout
    assert session.value("VDI.get_all") == before


def test_plain_http_beyond_loopback_is_refused_whatever_the_journal_says(target: Target, tmp_path: Path) -> None:
    folder = tmp_path / "journals"
    header: dict[str, Any] = {"url": "http://192.0.2.1", "user": "root", "pool": "p"}
    for run_id, trust in (("plain", ()), ("insecure", ("--insecure",))):
        with Journal(folder / run_id, run_id, Header(run_id, **header, trust=trust)) as journal:
            journal.created(journal.intend("VDI"), ref="OpaqueRef:1", uuid="u1")
    done = cleaned(target, tmp_path, folder)
    assert done.exit == 3
    assert "plain http is for loopback only" in done.stdout
    assert "say --insecure again" in done.stdout
    assert "logging in" not in done.stdout


def test_a_journal_with_its_run_changed_leads_to_nothing(target: Target, session: Session, tmp_path: Path) -> None:
    folder = tmp_path / "journals"
    before = session.value("VDI.get_all")
    with dead(target, folder) as journal:
        path = journal.path
    left = session.value("VDI.get_all")
    lines = path.read_text().splitlines()
    header = json.loads(lines[0])
    path.write_text("\n".join([json.dumps(header | {"run_id": "another"}), *lines[1:], ""]))
    assert cleaned(target, tmp_path, folder).exit == 1
    assert session.value("VDI.get_all") == left
    path.write_text("\n".join([*lines, ""]))
    assert cleaned(target, tmp_path, folder).exit == 0
    assert session.value("VDI.get_all") == before
