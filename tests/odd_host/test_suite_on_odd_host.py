"""The suites judge by the documentation: a host that shares no habit with the emulated one passes, and only as it is.

Each run is the real command against an odd host served here. The runs are started together and waited for one by one,
so that they take no longer than the machine needs.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.odd_host.habits import Habits, Wrong
from tests.odd_host.server import Served, served
from tests.run.command import Ran, finding_tests, xencbt

pytestmark = pytest.mark.heavy  # whole runs, one of them slow on purpose

PASSWORD = "odd & <quoted>"
SEED = "11"
SHORTLY = ("-p", "tests.odd_host.brief")

CONSENTS = ("--allow", "sr-unplug,vm-power,toolstack-restart,special-vdi-types,faults,migrate")

OVER_REPORTED = {"ENABLE-19", "LIST-03"}
"""Level S: a block never written is not marked. A host that marks whole granules does not hold to it, on purpose."""

CONTROLLED_ONLY = "the target has no control interface"
NO_VM_FILES = "/export is not served (HTTP 404)"
NO_VISITORS = "the host takes no VM in: host.migrate_receive: MESSAGE_METHOD_UNKNOWN[host.migrate_receive]"
NO_XE = "the thin CLI of "
"""How the reason begins; the address and what the host said follow."""

NO_VHD = "the target exports no VHD: asked for a disk as VHD it gave "
"""How the reason begins as well."""

LACKING = {CONTROLLED_ONLY, NO_VM_FILES, NO_VISITORS, NO_XE}
"""Why something is not judged on this host."""

BREAKABLE = ("ENABLE-04", "ENABLE-10", "ENABLE-13")
"""What the broken hosts are judged by: each breaks one of these, and the others stand beside it as control."""

BRIEF = (*SHORTLY, "-k", "not (any_situation or each_power_of_two)")

PRECISE, SLOWLY = ("ENABLE-01", "ENABLE-19", "LIST-01", "LIST-03"), ("DISABLE-01", "STATUS-02")
"""What an exact host is judged by (with one row of level M for each chapter), and what a slow one."""

LONG = (
    *("test_disturbed_calls", "test_races", "test_disasters", "done_with_faults"),
    *("tells_whether_an_unanswered", "whatever_was_lost", "as_good_as_one_delivery", "restore_every_snapshot"),
    *("what_the_snapshot_told", "snapshots_go_in_any_order", "status_its_disk_had", "nobody_else_notices"),
    *("data_destroy_in_any_situation", "reverting_to_any_snapshot", "any_call_on_any_history"),
)
"""Left out of the run of everything, for time alone: the first three have a run of their own, of a part of each."""

ABSENT = ("test_exporting", "test_restoring", "of_two", "served_over_nbd", "more_than_4_gib")
"""Left out as well: it serves no NBD, exports no VHD, and its disks are small; an undecided chapter would be exit 2."""


DISTURBED = (
    "completely_or_not_at_all and not background and (enable_cbt or snapshot or list_changed)",
    "each_kind_of_fault and (answer or reset or refused or http or api or session)",
    *("data_destroy_after_a_lost_answer", "request_twice and direct and (enable_cbt or clone)", "late_duplicate"),
    *("serial_outcome and (all_enable or snapshot_while or different)", "begin_one_set and all_enable"),
    *("another_order and (disabling or destroying)", "test_disasters"),
)
"""Of the suites about disturbed calls, races, disasters: of each question some. It has no calls in the background."""


def required(*ids: str) -> tuple[str, ...]:
    """Return the words that select requirements."""
    return tuple(word for one in ids for word in ("--requirement", one))


def named(host: Served) -> tuple[str, ...]:
    """Return the words that name every special SR, and the disk to look at where nothing can be created."""
    furnished = host.host.furnished
    places = {kind: f"{sr}/{furnished[kind]}" if kind in furnished else sr for kind, sr in host.host.srs.items()}
    return tuple(f"--sr-kind={kind}={place}" for kind, place in places.items() if kind != "main")


@dataclass(frozen=True)
class Story:
    """One run: the host's habits, what is selected, what goes to pytest, and whether all is named and consented to."""

    habits: Habits
    words: tuple[str, ...] = ()
    own: tuple[str, ...] = SHORTLY
    consenting: bool = True


STORIES = {
    "everything": Story(Habits(), own=(*SHORTLY, "-k", f"not ({' or '.join(LONG + ABSENT)})")),
    "disturbed": Story(
        Habits(seed=8),
        ("--suite", "disturbed_calls", "--suite", "races", "--suite", "disasters"),
        own=(*SHORTLY, "-k", " or ".join(f"({each})" for each in DISTURBED)),
    ),
    "as a user": Story(
        Habits(seed=5, reference="{id}", slow=frozenset({"VDI.enable_cbt", "VDI.snapshot"})),
        ("--suite", "status", "--suite", "faults"),
        own=("-k", "not after_any_sequence"),
        consenting=False,
    ),
    "exact": Story(
        Habits(exact=True, lists_methods=True, reference="OpaqueRef:{id}/{cls}", slow=frozenset({"VDI.disable_cbt"})),
        required(*PRECISE, *SLOWLY),
        own=(*SHORTLY, "-k", "not each_power_of_two"),
    ),
    **{wrong.name: Story(Habits(exact=True, wrong=wrong), required(*BREAKABLE), BRIEF) for wrong in Wrong},
}


class Runs:
    """The runs that tests of this process ask for, each made once."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self.hosts: dict[str, Served] = {}
        self._folder = folder
        self._opened = opened
        self._ran: dict[str, Ran] = {}

    def __getitem__(self, name: str) -> Ran:
        if name not in self._ran:
            story, folder = STORIES[name], self._folder / str(len(self._ran))
            folder.mkdir()
            host = self.hosts[name] = self._opened.enter_context(served(PASSWORD, story.habits))
            self._ran[name] = self._run(folder, story, host)
        return self._ran[name]

    def _run(self, folder: Path, story: Story, host: Served) -> Ran:
        words = ["run", "--target", host.url, "--sr", host.host.srs["main"], "--seed", SEED, *story.words]
        words += (*CONSENTS, *named(host)) if story.consenting else ()
        extra = {"XENCBT_PASSWORD": PASSWORD, **finding_tests()}
        return xencbt(folder, *words, *(("--", *story.own) if story.own else ()), extra=extra)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with ExitStack() as opened:
        yield Runs(tmp_path_factory.mktemp("odd"), opened)


def verdicts(ran: Ran, *wanted: str) -> set[str]:
    """Return the requirements with one of these verdicts."""
    return {requirement for requirement, verdict in ran.verdicts.items() if verdict in wanted}


def assert_sound(runs: Runs, name: str) -> Ran:
    """Expect what holds of every run, whatever it says of the host: it was all judged, and all cleaned away."""
    ran = runs[name]
    document = ran.document
    astray = [test for test in document["tests"] if test["verdict"] in {"error", "blocked", "not exercised", "stale"}]
    assert [(test["id"], test["verdict"], test["reason"]) for test in astray] == [], ran.stderr
    assert verdicts(ran, "error", "blocked", "not exercised", "stale") == set(), ran.stderr
    assert document["complete"] is True
    assert document["journal"]["left"] == []
    assert document["journal"]["created"] == document["journal"]["removed"] > 0
    reasons = {row["reason"] for row in document["requirements"] if row["verdict"] in {"unsupported", "not run"}}
    assert "" not in reasons
    assert None not in reasons
    assert runs.hosts[name].troubles == []
    for file in (file for file in ran.folder.parent.rglob("*") if file.is_file()):
        assert PASSWORD not in file.read_text(encoding="utf-8", errors="replace"), file
    return ran


def test_nothing_that_must_hold_fails_on_a_host_with_other_habits(runs: Runs) -> None:
    ran = assert_sound(runs, "everything")
    assert verdicts(ran, "fail") == OVER_REPORTED, ran.stdout
    assert {row["level"] for row in ran.document["requirements"] if row["verdict"] == "fail"} == {"S"}
    assert ran.exit == 0, ran.stdout
    assert {row["deviation"] for row in ran.document["requirements"]} <= {None, ""}


def test_disturbed_calls_and_races_are_judged_on_a_host_with_other_habits(runs: Runs) -> None:
    ran = assert_sound(runs, "disturbed")
    assert verdicts(ran, "fail") == set(), ran.stdout
    assert verdicts(ran, "unsupported") == {"FAULT-03", "FAULT-05", "FAULT-06"}, "nobody can tell this host to fail"
    assert {test["verdict"] for test in ran.document["tests"]} == {"pass", "unsupported"}, ran.stdout
    assert ran.exit == 0, ran.stdout


def plain(reason: str) -> str:
    """Return a reason without what differs from run to run."""
    return next((beginning for beginning in (NO_XE, NO_VHD) if reason.startswith(beginning)), reason)


def test_what_the_host_lacks_is_unsupported_and_says_why(runs: Runs) -> None:
    ran = runs["everything"]
    rows = ran.document["requirements"]
    assert {plain(row["reason"]) for row in rows if row["verdict"] == "unsupported"} == LACKING
    assert verdicts(ran, "not run") == set()
    tests = ran.document["tests"]
    assert {plain(test["reason"]) for test in tests if test["verdict"] == "unsupported"} == LACKING | {NO_VHD}


def test_every_kind_of_refusal_was_met_in_its_other_wording(runs: Runs) -> None:
    tests = runs["everything"].tests
    met = (
        "test_enabling_needs_an_sr_with_a_pbd",
        "test_enabling_needs_a_plugged_pbd[enabled]",
        "test_enabling_needs_a_writable_sr",
        "test_enabling_needs_space_for_the_log",
        "test_a_driver_without_tracking_is_refused",
        "test_a_raw_disk_is_refused",
        "test_a_snapshot_that_is_metadata_only_is_refused",
        "test_an_unknown_reference_is_refused[destroyed]",
        "test_the_status_survives[toolstack restart]",
    )
    assert {name: tests[name]["verdict"] for name in met} == dict.fromkeys(met, "pass")


def test_an_unknown_brand_is_judged_by_the_documentation_with_a_warning(runs: Runs) -> None:
    ran = runs["everything"]
    assert ran.document["profile"] == "documented"
    assert ran.document["target"]["kind"] == "host"
    assert "warning  the product brand 'Odd Host' is not a known one" in ran.stdout


def test_without_consent_the_fault_chapter_is_undecided_and_nothing_else(runs: Runs) -> None:
    """Exit 2 has one reason: a selected chapter without a pass, because nobody consented to faults."""
    ran = assert_sound(runs, "as a user")
    assert ran.exit == 2, ran.stdout
    assert verdicts(ran, "fail") == set()
    assert verdicts(ran, "pass") == {"STATUS-01", "STATUS-02"}
    assert verdicts(ran, "unsupported") == {"STATUS-03"}
    assert verdicts(ran, "not run") == {"STATUS-04", "FAULT-01", "FAULT-02", "FAULT-04"}
    reasons = {row["reason"] for row in ran.document["requirements"] if row["verdict"] == "not run"}
    assert all(reason.startswith("needs consent: --allow") for reason in reasons), reasons


def test_exact_bitmaps_pass_the_guidance_too_and_slowness_is_no_fault(runs: Runs) -> None:
    ran = assert_sound(runs, "exact")
    assert verdicts(ran, "pass") == {*PRECISE, *SLOWLY}, ran.stdout
    assert ran.exit == 0
    assert "the host lists the calls" in ran.stdout


@pytest.mark.parametrize(
    ("wrong", "requirement"),
    [
        (Wrong.LOSES_A_BLOCK, "ENABLE-04"),
        (Wrong.ENABLING_RESTARTS, "ENABLE-13"),
        (Wrong.MISNAMED_REFUSAL, "ENABLE-10"),
    ],
    ids=lambda value: value.name if isinstance(value, Wrong) else value,
)
def test_a_host_that_is_wrong_is_found_wrong_in_the_right_place(runs: Runs, wrong: Wrong, requirement: str) -> None:
    ran = assert_sound(runs, wrong.name)
    assert verdicts(ran, "fail") == {requirement}, ran.stdout
    assert ran.exit == 1
