"""`xencbt plan`: what it says, that it only reads, and that a run does what it said."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.command import Ran, xencbt
from xencbt.fixtures.targets import Target, start_emulator

READING = re.compile(r"system\.listMethods|session\.\w+|\w+\.get_\w+")
SUITES = ("--suite", "status", "--suite", "faults", "--suite", "disable")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Target]:
    with start_emulator() as target:
        yield target


def as_host(target: Target, *, user: str | None = None) -> tuple[str, ...]:
    """Name an emulated host without its control token: then it is a host like any other."""
    return ("--target", target.url, "--user", user or target.user, "--sr", target.srs["lvm"])


def planned(folder: Path, target: Target, *words: str, user: str | None = None) -> Ran:
    return xencbt(folder, "plan", *as_host(target, user=user), *words, extra={"XENCBT_PASSWORD": target.password})


def counted(target: Target) -> dict[str, int]:
    assert target.control is not None
    return {method: sum(sessions.values()) for method, sessions in target.control.call_counts().items()}


def test_it_only_reads_and_leaves_no_trace(emulator: Target, tmp_path: Path) -> None:
    before = counted(emulator)
    ran = planned(tmp_path, emulator)
    assert ran.exit == 0, ran.stderr
    made = {method for method, count in counted(emulator).items() if count != before.get(method, 0)}
    assert "SR.get_record" in made
    assert [method for method in made if not READING.fullmatch(method)] == []
    assert [path.name for path in tmp_path.iterdir() if path.name != ".hypothesis"] == []


@pytest.mark.heavy
def test_a_host_is_disturbed_by_nothing_that_was_not_allowed(emulator: Target, tmp_path: Path) -> None:
    ran = planned(tmp_path, emulator, *SUITES, "--json")
    plan = json.loads(ran.stdout)
    assert set(plan["disturbing"]) == {"sr-unplug", "vm-power", "toolstack-restart", "faults", "special-vdi-types"}
    assert not any(step["allowed"] for step in plan["disturbing"].values())
    reasons = plan["not_run"]
    assert len(reasons["needs consent: --allow faults"]) == 17
    assert reasons["needs consent: --allow toolstack-restart"] == [
        "suites.test_status::test_the_status_survives[toolstack restart]"
    ]
    assert any("control interface" in reason for reason in plan["unsupported"])
    assert not any("consent" in reason for reason in plan["unsupported"])


@pytest.mark.heavy
def test_consent_moves_tests_from_not_run_to_run(emulator: Target, tmp_path: Path) -> None:
    allowed = json.loads(planned(tmp_path, emulator, *SUITES, "--allow", "faults,sr-unplug", "--json").stdout)
    running = {test["id"] for test in allowed["run"]}
    assert "suites.test_status::test_the_status_survives[PBD unplug and plug]" in running
    assert sum(test.startswith("suites.test_faults") for test in running) == 17
    assert allowed["disturbing"]["faults"]["allowed"]
    assert not allowed["disturbing"]["vm-power"]["allowed"]


@pytest.mark.heavy
def test_it_tells_objects_sizes_roles_calls_and_time(emulator: Target, tmp_path: Path) -> None:
    plan = json.loads(planned(tmp_path, emulator, *SUITES, "--json").stdout)
    assert plan["created"]["VDI"] >= plan["at_once"]["VDI"] > 1
    assert plan["largest_disk"] >= 4 << 20
    assert plan["role"] == "vm-admin"
    assert plan["disturbing"]["sr-unplug"]["role"] == "pool-operator"
    assert plan["calls"] > 100
    assert 0 < plan["latency_s"] < 5
    assert plan["duration_s"] == pytest.approx(plan["calls"] * plan["latency_s"], rel=0.01)
    assert plan["budget_s"] == 1800


def test_a_run_does_what_the_plan_said(emulator: Target, tmp_path: Path) -> None:
    words = ("--requirement", "STATUS-04", "--seed", "3", "--allow", "sr-unplug")
    plan = json.loads(planned(tmp_path, emulator, *words, "--json").stdout)
    before = counted(emulator)
    ran = xencbt(tmp_path, "run", *as_host(emulator), *words, extra={"XENCBT_PASSWORD": emulator.password})
    passed = {test["id"] for test in ran.document["tests"] if test["verdict"] == "pass"}
    assert passed == {test["id"] for test in plan["run"]} != set()
    left_out = {test["id"]: test["reason"] for test in ran.document["tests"] if test["verdict"] == "not run"}
    assert left_out == {test: reason for reason, tests in plan["not_run"].items() for test in tests} != {}
    assert counted(emulator).get("host.restart_agent", 0) == before.get("host.restart_agent", 0)
    assert ran.stdout.index("plan     2 tests would run") < ran.stdout.index("1/3")
    calls = sum(test["calls"] for test in ran.document["tests"])
    assert plan["calls"] == pytest.approx(calls, rel=0.3)


@pytest.mark.heavy
def test_an_emulated_host_of_our_own_consents_to_everything(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, "plan", "--suite", "faults")
    assert ran.exit == 0, ran.stderr
    assert "17 tests would run, 0 unsupported, 0 not run" in ran.stdout
    assert not (tmp_path / "xencbt-out").exists()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--allow", "everything"), 3, "--allow does not know everything; known: sr-unplug"),
        (("--sr-kind", "slow=00000000-0000-0000-0000-000000000000"), 3, "KIND one of second"),
        (("--sr-kind", "second=not-a-uuid"), 3, "no uuid"),
        (("--sr-kind", "full=00000000-0000-0000-0000-000000000000"), 3, "name a VDI"),
        (("--sr-kind", "second=00000000-0000-0000-0000-000000000000"), 3, "has no SR"),
        (("--vm", "00000000-0000-0000-0000-000000000000"), 3, "has no VM"),
        (("--require", "guest-wriet"), 3, "did you mean guest-write"),
        (("--budget", "soon"), 3, "--budget takes a time"),
        (("--budget", "0m"), 3, "--budget takes a time"),
        (("--requirement", "ENABLE-99"), 3, "ENABLE-99"),
        (("--requirement", "ENABLE-02", "--suite", "disable"), 2, "no test was selected"),
    ],
)
def test_bad_input_is_refused_with_its_reason(
    emulator: Target, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    ran = planned(tmp_path, emulator, *words)
    assert ran.exit == code, ran.stdout + ran.stderr
    assert said in ran.stderr


@pytest.mark.heavy
def test_a_target_that_cannot_be_reached_is_4(emulator: Target, tmp_path: Path) -> None:
    ran = xencbt(tmp_path, "plan", *as_host(emulator), extra={"XENCBT_PASSWORD": "not-the-password"})
    assert ran.exit == 4
    assert "wrong user name or password" in ran.stderr


@pytest.mark.heavy
def test_sizes_that_are_not_allowed_are_told_and_the_row_is_decided_by_smaller_ones(
    emulator: Target, tmp_path: Path
) -> None:
    """By the plan and by the run alike: a pass at 1 GiB is none at 2040 GiB, and says so."""
    words = ("--requirement", "LIST-03", "--requirement", "DESTROY-01", "--seed", "3", "--strict")
    plan = json.loads(planned(tmp_path, emulator, *words, "--json").stdout)
    (reason,) = plan["sizes_not_run"]
    assert reason == "disks above 1 GiB (--max-size 1 GiB)"
    cut = set(plan["sizes_not_run"][reason])
    assert cut == {
        "suites.test_destroy::test_more_than_4_gib_are_destroyed_like_less",
        "suites.test_listing::test_writes_next_to_each_power_of_two_mark_no_other_block",
    }
    assert plan["largest_disk"] == 1 << 30
    ran = xencbt(tmp_path, "run", *as_host(emulator), *words, extra={"XENCBT_PASSWORD": emulator.password})
    assert {row["id"]: (row["verdict"], row["sizes_not_run"]) for row in ran.document["requirements"]} == {
        "LIST-03": ("pass", reason),
        "DESTROY-01": ("not run", reason),  # no SRs of special kinds were named
    }
    tests = {test["id"]: test for test in ran.document["tests"]}
    assert {name for name, test in tests.items() if test["sizes_not_run"]} == cut
    assert {tests[name]["largest_disk"] for name in cut} == {1 << 30}
    assert re.search(r"sizes not run +LIST-03, DESTROY-01: disks above 1 GiB \(--max-size 1 GiB\)", ran.stdout)
    assert "1 pass (1 with sizes not run)" in ran.stdout
    assert ran.exit == 2, "nothing of DESTROY was seen to hold"


@pytest.mark.heavy
def test_sizes_that_are_allowed_are_run(emulator: Target, tmp_path: Path) -> None:
    words = ("--requirement", "DESTROY-06", "--seed", "3", "--max-size", "5GiB", "--max-total", "25GiB")
    assert json.loads(planned(tmp_path, emulator, *words, "--json").stdout)["sizes_not_run"] == {}
    ran = xencbt(tmp_path, "run", *as_host(emulator), *words, extra={"XENCBT_PASSWORD": emulator.password})
    assert [row["sizes_not_run"] for row in ran.document["requirements"]] == [None]
    assert max(test["largest_disk"] for test in ran.document["tests"] if test["verdict"] == "pass") > 4 << 30
    assert "sizes not run" not in ran.stdout
