"""`xencbt clean` as a user meets it: what dead runs left goes, everything else stays, and each trouble has its code."""

import json
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.proxies.host import make_certificate
from tests.run.command import Ran, xencbt
from xencbt.fixtures.bench import Bench
from xencbt.fixtures.lab import Lab
from xencbt.fixtures.targets import Target, start_emulator
from xencbt.harness.claim import Claim
from xencbt.harness.exchange import Recorder
from xencbt.harness.journal import FILE, Header, Journal
from xencbt.harness.masking import Secrets
from xencbt.harness.session import Session
from xencbt.harness.trust import Trust, fingerprint_of


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with start_emulator() as target:
        yield replace(target, ours=False)


@pytest.fixture
def session(target: Target) -> Iterator[Session]:
    session = Session.login(target.endpoint, target.user, target.password, Recorder(Secrets()))
    yield session
    session.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journals"


def disks(session: Session) -> set[str]:
    return set(session.value("VDI.get_all"))


def dead_run(target: Target, folder: Path, run_id: str = "dead") -> Path:
    """Leave what a run leaves that dies: a running VM with a disk that has a snapshot, and a PBD that is unplugged."""
    bench = alive(target, folder, run_id)
    disk = Lab(bench, "test").create_disk()
    disk.snapshot()
    Lab(bench, "test").create_vm(disk, power_state="Running")
    (pbd,) = bench.session.value("SR.get_PBDs", bench.repositories["second"].ref)
    bench.journal.disturb("PBD.currently_attached", bench.session.value("PBD.get_uuid", pbd), before=True)
    bench.session.value("PBD.unplug", pbd)
    bench.session.close()
    bench.journal.close()
    return bench.journal.path


def alive(target: Target, folder: Path, run_id: str) -> Bench:
    return Bench.open(target, seed=1, run_id=run_id, environment={}, journal_dir=folder)


def cleaned(target: Target, tmp_path: Path, *words: str, password: str | None = None) -> Ran:
    extra = {"XENCBT_PASSWORD": target.password if password is None else password}
    return xencbt(tmp_path, "clean", *words, extra=extra)


def test_what_a_dead_run_left_is_shown_then_removed_once(
    target: Target, session: Session, folder: Path, tmp_path: Path
) -> None:
    before = disks(session)
    path = dead_run(target, folder)
    left, journal = disks(session), path.read_bytes()
    shown = cleaned(target, tmp_path, "--journal-dir", str(folder), "--dry-run")
    assert shown.exit == 1
    assert shown.stdout.count("would remove VDI") == 2
    assert "would restore PBD.currently_attached" in shown.stdout
    assert "0 removed, 0 restored, 5 left" in shown.stdout
    assert (disks(session), path.read_bytes()) == (left, journal)

    done = cleaned(target, tmp_path, "--journal-dir", str(folder))
    assert (done.exit, done.stderr) == (0, "")
    assert "1 journals: 4 removed, 1 restored, 0 left, 0 of live runs skipped" in done.stdout
    assert disks(session) == before
    again = cleaned(target, tmp_path, "--journal-dir", str(folder), password="not even asked for")
    assert (again.exit, again.stdout) == (0, "1 journals: 0 removed, 0 restored, 0 left, 0 of live runs skipped\n")
    assert target.password not in done.stdout + shown.stdout + path.read_text()


def test_a_live_run_is_named_and_skipped(target: Target, session: Session, folder: Path, tmp_path: Path) -> None:
    bench = alive(target, folder, "alive")
    try:
        disk = Lab(bench, "test").create_disk()
        written = bench.journal.path.read_bytes()
        done = cleaned(target, tmp_path, "--journal-dir", str(folder))
        assert done.exit == 0
        assert f"{bench.journal.path} is locked: its run lives: skipped" in done.stdout
        assert bench.journal.path.read_bytes() == written
        assert disk.ref in disks(session)
    finally:
        assert bench.close().left == ()


def test_by_default_all_journals_of_the_user_are_cleaned(target: Target, session: Session, tmp_path: Path) -> None:
    before = disks(session)
    dead_run(target, tmp_path / "state" / "xencbt" / "some-pool")
    assert cleaned(target, tmp_path).exit == 0
    assert disks(session) == before


def test_a_broken_journal_is_named_with_its_line_and_the_others_are_cleaned(
    target: Target, session: Session, folder: Path, tmp_path: Path
) -> None:
    before = disks(session)
    path = dead_run(target, folder)
    broken = folder / "broken" / FILE
    broken.parent.mkdir()
    lines = path.read_text().splitlines(keepends=True)
    broken.write_text("".join([lines[0], "no line of ours\n", *lines[1:]]))
    done = cleaned(target, tmp_path, "--journal-dir", str(folder))
    assert done.exit == 3
    assert f"broken journal {broken}: line 2: " in done.stdout
    assert disks(session) == before


def test_what_cannot_be_removed_is_told_and_stays_journalled(
    target: Target, session: Session, folder: Path, tmp_path: Path
) -> None:
    bench = alive(target, folder, "stuck")
    disk = Lab(bench, "test").create_disk(sr="second")
    bench.session.close()
    bench.journal.close()
    (pbd,) = session.value("SR.get_PBDs", session.value("SR.get_by_uuid", target.srs["second"]))
    session.value("PBD.unplug", pbd)
    try:
        done = cleaned(target, tmp_path, "--journal-dir", str(folder))
    finally:
        session.value("PBD.plug", pbd)
    assert done.exit == 1
    assert f"VDI {disk.uuid} is left: SR_HAS_NO_PBDS" in done.stdout
    assert cleaned(target, tmp_path, "--journal-dir", str(folder)).exit == 0
    assert disk.ref not in disks(session)


def test_nothing_is_cleaned_beside_a_live_run_on_the_same_sr(
    target: Target, session: Session, folder: Path, tmp_path: Path
) -> None:
    before = disks(session)
    path = dead_run(target, folder)
    left, written = disks(session), path.read_bytes()
    with Journal.reopen(path) as journal:
        header = journal.header
    with Claim(tmp_path / "state" / "xencbt" / "claims", header.pool, header.sr, "run 7, process 123"):
        beside = cleaned(target, tmp_path, "--journal-dir", str(folder))
    assert beside.exit == 1
    assert "not cleaned: another run is at work on the SR" in beside.stdout
    assert "(run 7, process 123)" in beside.stdout
    assert (disks(session), path.read_bytes()) == (left, written)
    assert cleaned(target, tmp_path, "--journal-dir", str(folder)).exit == 0
    assert disks(session) == before


@pytest.fixture(scope="module")
def secured() -> Iterator[Target]:
    with start_emulator(tls=True) as target:
        yield replace(target, ours=False)


def trusted_by(target: Target, way: str) -> Target:
    """Return `target` as a run knows it that was told to trust it that way."""
    assert target.certificate is not None
    pin = fingerprint_of(ssl.PEM_cert_to_DER_cert(target.certificate.read_text()))
    ways = {"ca": target.trust, "fingerprint": Trust(fingerprint=pin), "insecure": Trust(insecure=True)}
    return replace(target, trust=ways[way])


@pytest.mark.parametrize("way", ["ca", "fingerprint", "insecure"])
def test_the_target_is_trusted_as_the_run_trusted_it(way: str, secured: Target, folder: Path, tmp_path: Path) -> None:
    known = trusted_by(secured, way)
    path = dead_run(known, folder)
    with Journal.reopen(path) as journal:
        assert journal.header.trust == tuple(known.trust.as_options())
    if way == "insecure":  # is not remembered: whoever cleans has to say it again
        before = path.read_bytes()
        unsaid = cleaned(known, tmp_path, "--journal-dir", str(folder))
        assert (unsaid.exit, "say --insecure again" in unsaid.stdout) == (3, True)
        assert "logging in" not in unsaid.stdout
        assert path.read_bytes() == before
    words = ("--insecure",) if way == "insecure" else ()
    done = cleaned(known, tmp_path, "--journal-dir", str(folder), *words)
    assert (done.exit, done.stderr) == (0, "")
    assert "4 removed, 1 restored, 0 left" in done.stdout
    assert done.stdout.index(f"logging in to {known.url} as {known.user}") < done.stdout.index("removing VDI")


def test_another_way_to_trust_may_be_said_and_a_wrong_certificate_is_not_talked_to(
    secured: Target, folder: Path, tmp_path: Path
) -> None:
    dead_run(trusted_by(secured, "ca"), folder)
    other = make_certificate(tmp_path / "other.pem")
    for words in (("--fingerprint", "ab" * 32), ("--ca", str(other))):
        wrong = cleaned(secured, tmp_path, "--journal-dir", str(folder), *words)
        assert (wrong.exit, "not cleaned" in wrong.stdout) == (4, True), wrong.stdout + wrong.stderr
    twice = cleaned(secured, tmp_path, "--journal-dir", str(folder), "--insecure", "--ca", str(other))
    assert (twice.exit, "exclude each other" in twice.stderr) == (3, True)
    pin = str(trusted_by(secured, "fingerprint").trust.fingerprint)
    assert cleaned(secured, tmp_path, "--journal-dir", str(folder), "--fingerprint", pin).exit == 0


def journalled(folder: Path, header: Header) -> Path:
    with Journal(folder / header.run_id, header.run_id, header) as journal:
        journal.created(journal.intend("VDI"), ref="OpaqueRef:1", uuid="u1")
    return journal.path


def test_a_target_that_is_not_there_or_another_one_is_told_and_nothing_is_forgotten(
    target: Target, session: Session, folder: Path, tmp_path: Path
) -> None:
    before = disks(session)
    path = journalled(folder, Header("elsewhere", url="http://127.0.0.1:9", user="root", pool="p"))
    text = path.read_text()
    gone = cleaned(target, tmp_path, "--journal-dir", str(folder))
    assert (gone.exit, "not cleaned" in gone.stdout) == (4, True)
    other = cleaned(target, tmp_path, "--journal-dir", str(folder), "--target", target.url)
    assert other.exit == 4
    assert "and the run was on pool p" in other.stdout
    wrong = cleaned(target, tmp_path, "--journal-dir", str(folder), "--target", target.url, password="wrong")
    assert wrong.exit == 4
    assert "wrong user name or password" in wrong.stdout
    assert path.read_text() == text
    assert disks(session) == before


def test_an_emulated_host_of_the_run_s_own_ended_with_it(target: Target, folder: Path, tmp_path: Path) -> None:
    journalled(folder, Header("own", url="http://127.0.0.1:9", user="root", pool="p", own=True))
    assert "ended with its run" in cleaned(target, tmp_path, "--journal-dir", str(folder)).stdout
    assert cleaned(target, tmp_path, "--journal-dir", str(folder)).exit == 0


def test_usage_is_told(target: Target, folder: Path, tmp_path: Path) -> None:
    nowhere = cleaned(target, tmp_path, "--journal-dir", str(folder))
    assert (nowhere.exit, "no such folder" in nowhere.stderr) == (3, True)
    dead = journalled(folder, Header("dead", url=target.url, user="root", pool="p"))
    unasked = cleaned(target, tmp_path, "--journal-dir", str(dead.parent), password="")
    assert (unasked.exit, "no password" in unasked.stderr) == (3, True)


FAILING = """
from xencbt.harness.decides import decides


@decides("ENABLE-01")
def test_fails(disk):
    disk.enable_cbt().snapshot()
    assert False, "on purpose"


@decides("ENABLE-01")
def test_passes(disk):
    disk.enable_cbt()
"""


def test_what_a_failed_test_created_is_kept_listed_and_cleaned(
    target: Target, session: Session, tmp_path: Path
) -> None:
    before = disks(session)
    (tmp_path / "test_failing.py").write_text(FAILING)
    assert target.control is not None
    ran = xencbt(
        tmp_path,
        *("run", "--target", target.url, "--sr", target.srs["lvm"], "--keep-on-failure", "--", "test_failing.py"),
        extra={"XENCBT_PASSWORD": target.password, "XENCBT_CONTROL_TOKEN": target.control.token},
    )
    assert ran.exit == 1, ran.stdout + ran.stderr
    kept = disks(session) - before
    assert len(kept) == 2
    journal = ran.document["journal"]
    uuids = {session.value("VDI.get_uuid", ref) for ref in kept}
    assert {line.removeprefix("VDI ") for line in journal["left"]} == uuids
    (command,) = journal["clean"]
    assert command.startswith("xencbt clean --journal-dir /")
    assert "xencbt clean" in ran.stdout
    assert json.dumps(journal).count(target.password) == 0
    assert cleaned(target, tmp_path, *command.split()[2:]).exit == 0
    assert disks(session) == before


def test_keeping_on_an_emulated_host_that_ends_with_the_run_is_refused(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, "run", "--keep-on-failure")
    assert (ran.exit, "needs --target" in ran.stderr) == (3, True)
