"""From the trace of a test to steps by alias; what has no word is said."""

from datetime import UTC, datetime
from typing import Any

import pytest

from xencbt.harness.faults import AnswerLost, Firing, Planned, Receipt
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.witness.deriving import Inexpressible, World, steps_from
from xencbt.harness.witness.steps import read_steps
from xencbt.harness.witness.traces import Called, Did, Event, Trace
from xencbt.harness.witness.witness import step_in_words

SR, HOST = "OpaqueRef:00000000-0000-4000-8000-0000000000aa", "OpaqueRef:00000000-0000-4000-8000-0000000000bb"
VM = "OpaqueRef:20000000-0000-4000-8000-000000000001"
DISK, SNAPSHOT = "OpaqueRef:10000000-0000-4000-8000-000000000001", "OpaqueRef:10000000-0000-4000-8000-000000000002"
UUID = "20000000-0000-4000-8000-000000000001"
WORLD = World({"main": (SR, "a-uuid"), "lvm": (SR, "a-uuid")}, "root", HOST)
RECORD = {"SR": SR, "virtual_size": 1 << 22, "type": "user", "sm_config": {}, "other_config": {"xencbt": "secret"}}


def called(method: str, *params: object, outcome: Outcome | None = None, **more: object) -> Called:
    return Called(method, params, outcome or Ok(""), user=str(more.pop("user", "root")), **more)  # type: ignore[arg-type]


CREATED = called("VDI.create", RECORD, outcome=Ok(DISK))
UUID_READ = called("VDI.get_uuid", DISK, outcome=Ok(UUID))
TAKEN = called("VDI.snapshot", DISK, {}, outcome=Ok(SNAPSHOT))


def words(*events: Event) -> list[str]:
    steps = steps_from(events, WORLD)
    assert read_steps([step.as_json() for step in steps]) == steps
    told = str([step.as_json() for step in steps])
    assert "OpaqueRef" not in told
    assert UUID not in told
    assert "secret" not in told
    return [step_in_words(step) for step in steps]


def test_calls_become_steps_over_aliases_and_the_harness_own_reads_are_left_out() -> None:
    assert words(
        called("SR.get_physical_size", SR, outcome=Ok("1")),
        CREATED,
        UUID_READ,
        called("VDI.set_other_config", DISK, {"xencbt": "secret"}),
        called("VDI.enable_cbt", DISK),
        TAKEN,
        called("task.create", "x", "", outcome=Ok("OpaqueRef:t")),
        Did("write", {"vdi": DISK, "writes": ((65536, b"abc"), (0, bytes(10)))}, Ok("")),
        called("VDI.list_changed_blocks", SNAPSHOT, DISK, outcome=Ok("gAAAAAAAAAA=")),
    ) == [
        "create disk-1: 4194304 bytes of type user on sr:main",
        "enable disk-1",
        "snapshot disk-1 as snapshot-1",
        "write to disk-1: 3 bytes at 65536, 10 bytes at 0",
        "list changed blocks from snapshot-1 to disk-1",
    ]


def test_what_a_call_made_is_named_in_what_was_seen_of_it() -> None:
    steps = steps_from([CREATED, TAKEN, called("VM.create", {}, outcome=Ok("OpaqueRef:vm"))], WORLD)
    assert [step.saw for step in steps] == [{"ok": "disk-1"}, {"ok": "snapshot-1"}, {"ok": "vm-1"}]


def test_healing_tells_what_the_host_answered_that_no_client_saw() -> None:
    busy = Failed("VDI_IN_USE", ("VDI", DISK))
    answers: list[tuple[str, Outcome | None]] = [
        ("VDI.enable_cbt", Ok("")),
        ("VDI.snapshot", Ok(SNAPSHOT)),
        ("VDI.enable_cbt", busy),
    ]
    unseen = [*answers, ("Async.VDI.enable_cbt", Ok("OpaqueRef:task")), ("VDI.enable_cbt", None)]
    at = datetime(2026, 1, 1, tzinfo=UTC)
    firings = tuple(Firing(at, 1, method, answer) for method, answer in unseen)
    (_, healed) = steps_from(
        [CREATED, Did("heal", {"receipts": (Receipt(Planned(AnswerLost(), "VDI.*"), at, firings),)})], WORLD
    )
    assert healed.saw == {
        "ok": {
            "unseen answer 1 to enable": "done",
            "unseen answer 1 to snapshot": "done",
            "unseen answer 2 to enable": {"failed": "VDI_IN_USE", "params": ["VDI", "disk-1"]},
        }
    }


def test_a_vm_is_sent_without_what_the_receiving_host_gave_out() -> None:
    given: tuple[object, ...] = ({"session_id": "secret"}, False, {DISK: SR}, {}, {}, {})
    assert words(
        CREATED,
        called("VM.create", {}, outcome=Ok(VM)),
        called("VM.assert_can_migrate", VM, *given),
        called("VM.migrate_send", VM, *given, outcome=Ok(VM)),
    )[2:] == ["can-send-vm vm-1 disk-1 sr:main", "send-vm vm-1 disk-1 sr:main"]


def test_a_vm_that_came_in_again_has_a_name_and_so_have_its_disks() -> None:
    came, vbd, disk = "OpaqueRef:came", "OpaqueRef:vbd", "OpaqueRef:disk"
    assert words(
        called("VM.create", {}, outcome=Ok(VM)),
        Did("reimport-vm", {"vm": VM, "sr": SR}, Ok(came)),
        called("VM.get_VBDs", came, outcome=Ok([vbd])),
        called("VBD.get_VDI", vbd, outcome=Ok(disk)),
        called("VDI.get_cbt_enabled", disk, outcome=Ok(True)),
    )[1:] == [
        "reimport-vm vm-1 sr:main as vm-2",
        "read VBDs of vm-2",
        "read VDI of vbd-1",
        "read cbt_enabled of disk-1",
    ]


def test_equal_content_is_written_as_equal_and_zeros_as_zeros() -> None:
    (_, first, again) = steps_from(
        [
            CREATED,
            Did("write", {"vdi": DISK, "writes": ((0, b"x" * 9),)}, Ok("")),
            Did("write", {"vdi": DISK, "writes": ((9, b"y"), (1, b"x" * 9), (99, bytes(4)))}, Ok("")),
        ],
        WORLD,
    )
    assert [one[2] for one in first.given["ranges"]] == [1]
    assert [one[2] for one in again.given["ranges"]] == [2, 1, 0]


def test_an_object_that_an_answer_told_of_is_named_by_its_place() -> None:
    vbd = "OpaqueRef:30000000-0000-4000-8000-000000000003"
    steps = steps_from(
        [
            CREATED,
            called("VDI.get_VBDs", DISK, outcome=Ok(["OpaqueRef:other", vbd])),
            called("VBD.unplug", vbd),
        ],
        WORLD,
    )
    assert steps[1].names == {"vbd-1": (1,)}
    assert step_in_words(steps[2]) == "unplug vbd-1"


def test_what_nobody_ever_told_of_is_nobodys() -> None:
    refused = Failed("HANDLE_INVALID", ("VDI", "OpaqueRef:40000000-0000-4000-8000-000000000004"))
    (step,) = steps_from([called("VDI.enable_cbt", refused.params[1], outcome=refused)], WORLD)
    assert step.given == {"disk": "nobody"}
    assert step.saw == {"failed": "HANDLE_INVALID", "params": ["VDI", "<reference>"]}


def test_a_session_of_another_user_and_one_with_faults_are_lines_of_their_own() -> None:
    lost = called("VDI.snapshot", DISK, {}, outcome=Indeterminate("gone"), disturbed=True, line=7)
    steps = steps_from([CREATED, called("VDI.enable_cbt", DISK, user="vm-admin", line=8), lost], WORLD)
    assert [step.line for step in steps] == ["", "vm-admin", "disturbed"]
    assert steps[2].saw == {"lost": True}
    assert steps[2].makes == "snapshot-1"


def followed(task: str, *statuses: dict[str, object], **more: Any) -> list[Called]:
    """Return how the harness waits for a task that goes through `statuses`."""
    asked = [
        called(
            "event.from", [f"task/{task}"], "", 30.0, outcome=Ok({"token": "t", "events": [{"snapshot": each}]}), **more
        )
        for each in statuses
    ]
    return [*asked, called("task.destroy", task, **more)]


PENDING: dict[str, object] = {"status": "pending"}
MADE: dict[str, object] = {"status": "success", "result": f"<value>{SNAPSHOT}</value>"}
REFUSED: dict[str, object] = {"status": "failure", "error_info": ["VDI_IN_USE", DISK, "enable_cbt"]}


def test_a_call_in_the_background_is_one_step_and_came_to_what_its_task_came_to() -> None:
    task, other = "OpaqueRef:task", "OpaqueRef:other"
    taken, refused, listed = steps = steps_from(
        [
            CREATED,
            called("Async.VDI.snapshot", DISK, {}, outcome=Ok(task)),
            *followed(task, PENDING, MADE),
            called("Async.VDI.enable_cbt", DISK, outcome=Ok(other)),
            *followed(other, REFUSED),
            called("VDI.list_changed_blocks", SNAPSHOT, DISK, outcome=Ok("gAAAAAAAAAA=")),
        ],
        WORLD,
    )[1:]
    assert [step_in_words(step) for step in steps] == [
        "snapshot disk-1 as snapshot-1 in the background",
        "enable disk-1 in the background",
        "list changed blocks from snapshot-1 to disk-1",
    ]
    assert [taken.saw, refused.saw] == [
        {"ok": "snapshot-1"},
        {"failed": "VDI_IN_USE", "params": ["disk-1", "enable_cbt"]},
    ]
    assert [step.background for step in steps] == [True, True, False]
    assert "background" not in listed.as_json()


def test_a_task_of_which_a_fault_hid_the_beginning_or_the_end_came_to_nothing_that_is_known() -> None:
    there: dict[str, Any] = {"disturbed": True, "line": 7}
    hidden, endless = "OpaqueRef:hidden", "OpaqueRef:endless"
    steps = steps_from(
        [
            CREATED,
            called("Async.VDI.snapshot", DISK, {}, outcome=Indeterminate("gone"), **there),
            *followed(hidden, MADE),
            called("Async.VDI.enable_cbt", DISK, outcome=Ok(endless), **there),
            *followed(endless, PENDING, **there)[:-1],
        ],
        WORLD,
    )[1:]
    assert [(step.do, step.line, step.background, step.saw) for step in steps] == [
        ("snapshot", "disturbed", True, {"lost": True}),
        ("enable", "disturbed", True, {"lost": True}),
    ]
    assert steps[0].makes == "snapshot-1"


def test_a_call_of_another_session_before_a_task_ended_is_a_race() -> None:
    task = "OpaqueRef:task"
    began = called("Async.VDI.enable_cbt", DISK, outcome=Ok(task), line=1, began=1.0, ended=2.0)
    other = called("VDI.disable_cbt", DISK, line=2, began=3.0, ended=4.0)
    waited = followed(task, REFUSED, line=1, began=5.0, ended=6.0)
    with pytest.raises(Inexpressible, match="race"):
        steps_from([CREATED, began, other, *waited], WORLD)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (called("VM.migrate_send", "OpaqueRef:x", {}), "VM.migrate_send was called in a way that has no word"),
        (called("VM.assert_can_migrate", VM, {}, True, {DISK: SR}, {}, {}, {}), "in a way that has no word"),
        (called("VM.assert_can_migrate", VM, {}, False, {}, {}, {}, {}), "in a way that has no word"),
        (called("Async.VM.start", "OpaqueRef:x", False, False), "Async.VM.start has no word"),
        (called("Async.VDI.create", RECORD), "Async.VDI.create has no word"),
        (called("Async.VDI.enable_cbt", DISK, outcome=Ok("OpaqueRef:task")), "was never answered"),
        (called("VDI.enable_cbt", DISK, outcome=Indeterminate("late", silent=True)), "was never answered"),
        (Did("image", {}), "image has no word"),
        (called("VDI.snapshot", DISK, {"quiesce": "yes"}), "in a way that has no word"),
        (called("VDI.create", {**RECORD, "sharable": True}), "in a way that has no word"),
        (called("VDI.create", {**RECORD, "SR": "OpaqueRef:elsewhere"}), "an SR that is none of the run's"),
        (Did("xe", {"words": ("vdi-destroy", f"uuid={UUID}")}, Ok("")), "xe vdi-destroy has no word"),
    ],
)
def test_what_has_no_word_is_said(event: Event, said: str) -> None:
    with pytest.raises(Inexpressible, match=said.replace("(", r"\(")):
        steps_from([CREATED, event], WORLD)


def test_calls_that_overlapped_are_a_race() -> None:
    one = called("VDI.enable_cbt", DISK, line=1, began=1.0, ended=3.0)
    other = called("VDI.disable_cbt", DISK, line=2, began=2.0, ended=4.0)
    with pytest.raises(Inexpressible, match="race"):
        steps_from([CREATED, one, other], WORLD)


def test_a_trace_keeps_what_was_before_the_examples_and_the_last_example() -> None:
    trace = Trace()
    trace.begin()
    trace.note(CREATED)
    for _ in range(3):
        trace.forget_example()
        trace.note(UUID_READ)
        trace.note(TAKEN)
    assert trace.events == (CREATED, UUID_READ, TAKEN)
    trace.begin()
    assert not trace.events


def test_a_copy_into_a_disk_is_another_word_than_one_that_makes_a_disk() -> None:
    into, null = "OpaqueRef:10000000-0000-4000-8000-000000000003", "OpaqueRef:NULL"
    assert words(
        CREATED,
        called("VDI.create", RECORD, outcome=Ok(into)),
        called("VDI.copy", DISK, null, null, into, outcome=Ok(into)),
        called("VDI.copy", DISK, SR, null, null, outcome=Ok(SNAPSHOT)),
    )[2:] == ["copy-into disk-1 disk-2", "copy disk-1 sr:main as copy-1"]
    with pytest.raises(Inexpressible, match=r"VDI.copy was called in a way that has no word"):
        words(CREATED, called("VDI.copy", DISK, SR, SNAPSHOT, null, outcome=Ok(into)))


def test_a_vm_moves_to_its_own_host_or_there_is_no_word_for_where() -> None:
    made = called("VM.create", {}, outcome=Ok(VM))
    moving = called("VM.pool_migrate", VM, HOST, {"live": "true"})
    assert words(made, moving)[1:] == ["move-vm vm-1 host"]
    with pytest.raises(Inexpressible, match="another host of the pool"):
        words(made, called("VM.pool_migrate", VM, "OpaqueRef:elsewhere", {"live": "true"}))
