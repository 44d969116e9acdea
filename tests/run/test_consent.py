"""Fences crossed on purpose: an emulated host without its control token is a host like any other."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.command import Ran, xencbt
from tests.run.test_plan import as_host, counted
from xencbt.fixtures.bench import Bench
from xencbt.fixtures.lab import Lab
from xencbt.fixtures.targets import Target, dial, start_emulator
from xencbt.harness.errors import HarnessError, UsageError
from xencbt.harness.outcome import Outcome
from xencbt.harness.sizes import Limits
from xencbt.harness.verdicts import NotRun

DISTURBING = ("PBD.unplug", "VM.start", "host.restart_agent", "network.add_purpose", "VDI.pool_migrate")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Target]:
    with start_emulator() as target:
        yield target


def judged(folder: Path, target: Target, *words: str, user: str | None = None) -> Ran:
    extra = {"XENCBT_PASSWORD": target.password}
    return xencbt(folder, "run", "--seed", "5", *as_host(target, user=user), *words, extra=extra)


def bench_at(
    target: Target, folder: Path, *, sr: str | None = None, limits: Limits | None = None, **named: object
) -> Bench:
    plain = dial(target.url, target.user, target.password, **named)  # type: ignore[arg-type]  # any of its options
    main = sr or target.srs["lvm"]
    return Bench.open(plain, seed=1, run_id="r", environment={}, journal_dir=folder, sr=main, limits=limits)


def furnished(target: Target, kind: str, folder: Path) -> str:
    """Return the uuid of the disk that the SR of that kind was furnished with."""
    bench = bench_at(target, folder)
    ref = bench.session.value("SR.get_by_uuid", target.srs[kind])
    (vdi,) = bench.session.value("SR.get_VDIs", ref)
    uuid = str(bench.session.value("VDI.get_uuid", vdi))
    bench.close()
    return uuid


def test_without_consent_nothing_disturbing_is_called(emulator: Target, tmp_path: Path) -> None:
    before = counted(emulator)
    words = ("--requirement", "DISABLE-03", "--requirement", "ENABLE-07", "--requirement", "STATUS-04")
    ran = judged(tmp_path, emulator, *words)
    assert {name: counted(emulator).get(name, 0) - before.get(name, 0) for name in DISTURBING} == dict.fromkeys(
        DISTURBING, 0
    )
    reasons = {test["reason"] for test in ran.document["tests"] if test["verdict"] == "not run"}
    assert {"needs consent: --allow vm-power", "needs consent: --allow sr-unplug"} <= reasons
    assert ran.exit == 2  # of ENABLE nothing was judged, and that is said
    assert ran.document["journal"]["left"] == []


def test_a_test_cannot_help_itself_to_consent(emulator: Target, tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "from xencbt.harness.decides import decides\n"
        "@decides('ENABLE-01')\n"
        "def test_starts_a_vm(lab):\n"
        "    lab.create_vm(lab.create_disk()).to('Running')\n"
    )
    before = counted(emulator).get("VM.start", 0)
    ran = judged(tmp_path, emulator, "--", "test_own.py")
    assert ran.tests["test_starts_a_vm"]["verdict"] == "not run"
    assert counted(emulator).get("VM.start", 0) == before


@pytest.mark.heavy
@pytest.mark.parametrize(("name", "code"), [("guest-write", 1), ("raw-import", 0)])
def test_a_required_capability_that_is_absent_is_a_failure(
    emulator: Target, tmp_path: Path, name: str, code: int
) -> None:
    ran = judged(tmp_path, emulator, "--requirement", "STATUS-01", "--require", name)
    assert ran.exit == code, ran.stdout
    failed = {test["id"]: test["reason"] for test in ran.document["tests"] if test["verdict"] == "fail"}
    assert list(failed) == ([f"capability::{name}"] if code else [])
    assert all("no control interface" in reason for reason in failed.values())
    assert ran.document["complete"] is True


@pytest.mark.heavy
def test_the_least_role_suffices(emulator: Target, tmp_path: Path) -> None:
    words = ("--suite", "status", "--suite", "disable", "--allow", "vm-power,faults,special-vdi-types")
    ran = judged(tmp_path, emulator, *words, user="vm-admin")
    assert ran.exit == 0, ran.stdout
    assert not {"fail", "error", "blocked"} & {test["verdict"] for test in ran.document["tests"]}


@pytest.mark.heavy
@pytest.mark.parametrize("role", ["vm-operator", "read-only"])
def test_a_role_below_it_is_refused_before_anything_is_made(emulator: Target, tmp_path: Path, role: str) -> None:
    before = counted(emulator)
    ran = judged(tmp_path, emulator, "--suite", "status", user=role)
    assert ran.exit == 2
    assert {test["verdict"] for test in ran.document["tests"]} == {"unsupported"}
    reasons = {test["reason"] for test in ran.document["tests"]}
    assert any(f"the role of {role} does not allow VDI.create" in reason for reason in reasons)
    assert all("it takes vm-admin or higher" in reason for reason in reasons)
    assert counted(emulator).get("VDI.create", 0) == before.get("VDI.create", 0)


def test_a_disk_that_is_not_ours_can_only_be_switched(emulator: Target, tmp_path: Path) -> None:
    vdi = furnished(emulator, "read-only", tmp_path / "look")
    srs, disks = {"read-only": emulator.srs["read-only"]}, {"read-only": vdi}
    bench = bench_at(emulator, tmp_path / "j", srs=srs, disks=disks)
    before = counted(emulator)
    with Lab(bench, "crossing") as lab:
        disk = lab.seeded_disk("read-only")
        for crossing in (disk.snapshot, disk.destroy, disk.clone, disk.copy, disk.data_destroy):
            with pytest.raises(HarnessError, match="not ours"):
                crossing()
        with pytest.raises(HarnessError, match="not ours"):
            disk.resize(1 << 30)
        with pytest.raises(HarnessError, match="not ours"):
            disk.write(block=0)
    bench.close()
    assert counted(emulator).get("VDI.destroy", 0) == before.get("VDI.destroy", 0)


@pytest.mark.parametrize("enabled", [False, True])
def test_its_status_is_restored(emulator: Target, tmp_path: Path, enabled: bool) -> None:
    """The SR of a kind that refuses lets it happen after all: what was there before is there again afterwards."""
    owner = bench_at(emulator, tmp_path / "owner")
    with Lab(owner, "owner") as theirs:
        disk = theirs.create_disk()
        if enabled:
            disk.enable_cbt()
        # an SR named read-only that is not: the run's own serves, which the options would refuse
        bench = bench_at(
            emulator, tmp_path / "j", srs={"read-only": emulator.srs["lvm"]}, disks={"read-only": disk.uuid}
        )
        with Lab(bench, "switching") as lab:
            borrowed = lab.seeded_disk("read-only")
            (borrowed.disable_cbt if enabled else borrowed.enable_cbt)()
            assert disk.cbt_enabled is not enabled
        assert disk.cbt_enabled is enabled
        assert bench.close().created == 0
    owner.close()


@pytest.mark.heavy
def test_a_no_pbd_sr_is_unplugged_with_consent_only_and_plugged_again(emulator: Target, tmp_path: Path) -> None:
    named = ("--requirement", "ENABLE-07", "--sr-kind", f"no-pbd={emulator.srs['second']}")
    test = "test_enabling_needs_an_sr_with_a_pbd"
    ran = judged(tmp_path, emulator, *named)
    assert ran.tests[test]["verdict"] == "not run"
    (tmp_path / "allowed").mkdir()
    ran = judged(tmp_path / "allowed", emulator, *named, "--allow", "sr-unplug")
    assert ran.tests[test]["verdict"] == "pass", ran.stdout
    assert ran.document["journal"]["left"] == []
    bench = bench_at(emulator, tmp_path / "look")
    sr = bench.session.value("SR.get_by_uuid", emulator.srs["second"])
    assert all(bench.session.value("PBD.get_currently_attached", pbd) for pbd in bench.session.value("SR.get_PBDs", sr))
    bench.close()


def test_named_disks_must_be_where_they_were_named(emulator: Target, tmp_path: Path) -> None:
    vdi = furnished(emulator, "read-only", tmp_path / "look")
    srs, disks = {"full": emulator.srs["full"]}, {"full": vdi}
    with pytest.raises(UsageError, match="is not on SR"):
        bench_at(emulator, tmp_path / "j", srs=srs, disks=disks)
    with pytest.raises(UsageError, match=r"driver of SR .* has CBT"):
        bench_at(emulator, tmp_path / "j", srs={"no-cbt": emulator.srs["second"]})
    with pytest.raises(UsageError, match=r"is plugged nowhere, .* name a VDI on it"):
        bench_at(emulator, tmp_path / "j", srs={"no-pbd": emulator.srs["no-pbd"]})


def test_only_a_clone_of_the_named_vm_is_used(emulator: Target, tmp_path: Path) -> None:
    assert emulator.vm is not None
    bench = bench_at(emulator, tmp_path / "j", base_vm=emulator.vm)
    source = bench.session.value("VM.get_by_uuid", emulator.vm)
    before = bench.session.value("VM.get_record", source)
    with Lab(bench, "cloning") as lab:
        vm = lab.create_vm(lab.create_disk())
        assert vm.uuid != emulator.vm
        assert (len(vm.disks()), len(vm.every_disk())) == (1, 2)
        with pytest.raises(NotRun, match="--allow vm-power"):
            vm.to("Running")
    after = bench.session.value("VM.get_record", source)
    assert {name for name in before if before[name] != after[name]} <= {"allowed_operations", "current_operations"}
    summary = bench.close()
    assert summary.created == summary.removed > 0
    assert summary.left == ()


@pytest.mark.heavy
def test_clones_of_a_named_vm_serve_the_suites(emulator: Target, tmp_path: Path) -> None:
    """They have a disk of their own besides the one under test."""
    assert emulator.vm is not None
    requirements = (
        *("ENABLE-05", "LIST-07", "LIST-10", "DISABLE-03", "LIFE-01", "LIFE-07", "LIFE-08"),
        *("DESTROY-02", "DESTROY-08"),  # the second is of level I, and decides nothing alone
    )
    words = [word for each in requirements for word in ("--requirement", each)]
    ran = judged(tmp_path, emulator, *words, "--vm", emulator.vm, "--allow", "vm-power")
    assert ran.exit == 0, ran.stdout
    assert ran.verdicts == dict.fromkeys(requirements, "pass")
    assert ran.document["journal"]["left"] == []


def test_a_vm_on_an_sr_that_was_not_named_is_not_cloned(emulator: Target, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="on an SR that was not named"):
        bench_at(emulator, tmp_path / "j", base_vm=emulator.vm, sr=emulator.srs["second"])


def test_a_vm_whose_disk_is_larger_than_the_limit_is_not_cloned(emulator: Target, tmp_path: Path) -> None:
    bench = bench_at(emulator, tmp_path / "j", base_vm=emulator.vm, limits=Limits(size=4096))
    with Lab(bench, "cloning") as lab, pytest.raises(NotRun, match="larger than --max-size 4096"):
        lab.create_vm()
    assert bench.close().created == 0


def test_what_a_clone_brings_along_is_journalled_before_it_is_there(emulator: Target, tmp_path: Path) -> None:
    """Were the run to die right after VM.clone, no token leads to the disks of the clone: cleaning has to name them."""
    bench = bench_at(emulator, tmp_path / "j", base_vm=emulator.vm)
    lines: list[str] = []
    call = bench.session.call

    def watched(method: str, *params: object, **named: float) -> Outcome:
        if method == "VM.clone":
            lines.extend(bench.journal.path.read_text().splitlines())
        return call(method, *params, **named)

    setattr(bench.session, "call", watched)  # noqa: B010  only this session
    with Lab(bench, "cloning") as lab:
        lab.create_vm()
    intended = [json.loads(line) for line in lines]
    assert [(entry["cls"], entry["how"]) for entry in intended if entry["entry"] == "intended"] == [
        ("VM", "clone"),
        ("VDI", "clone"),
    ]
    assert bench.close().left == ()
