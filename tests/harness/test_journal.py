"""The journal: what is ours can be told from its lines alone, whatever moment a run was killed at."""

import fcntl
import json
from pathlib import Path

import pytest

from xencbt.harness.errors import HarnessError
from xencbt.harness.journal import (
    FILE,
    Journal,
    State,
    Summary,
    UnreadableJournal,
    directory,
    read,
    still_there,
    summarise,
)


def entries(*lines: dict[str, str]) -> list[str]:
    return [json.dumps(line) for line in lines]


INTENT = {"entry": "intended", "token": "t1", "cls": "VDI", "how": "create", "origin": "sr-uuid"}
MADE = {"entry": "created", "token": "t1", "ref": "OpaqueRef:1", "uuid": "u1"}
SECOND = {"entry": "intended", "token": "t2", "cls": "VM", "how": "create", "origin": ""}


def test_an_intent_without_an_answer_may_exist() -> None:
    (item,) = still_there(read(entries(INTENT)))
    assert item.state is State.INTENDED
    assert (item.token, item.cls, item.origin) == ("t1", "VDI", "sr-uuid")


def test_a_created_thing_is_there_until_it_is_removed() -> None:
    (item,) = still_there(read(entries(INTENT, MADE)))
    assert (item.state, item.ref, item.uuid) == (State.CREATED, "OpaqueRef:1", "u1")
    assert still_there(read(entries(INTENT, MADE, {"entry": "removed", "token": "t1"}))) == ()


def test_a_refused_thing_never_was() -> None:
    items = read(entries(INTENT, {"entry": "refused", "token": "t1"}))
    assert still_there(items) == ()
    assert summarise(items) == Summary(created=0, removed=0)


def test_what_is_left_comes_newest_first() -> None:
    assert [item.token for item in still_there(read(entries(INTENT, MADE, SECOND)))] == ["t2", "t1"]


def test_the_summary_names_what_is_left() -> None:
    summary = summarise(read(entries(INTENT, MADE, SECOND)))
    assert (summary.created, summary.removed) == (1, 0)
    assert summary.left == ("VM with token t2 (its answer was lost)", "VDI u1")
    assert summary.as_json()["left"] == list(summary.left)


def test_a_last_line_cut_short_is_left_out() -> None:
    assert len(read([*entries(INTENT, MADE), '{"entry": "rem'])) == 1


@pytest.mark.parametrize(
    "lines",
    [
        ['{"entry"', json.dumps(INTENT)],
        entries(INTENT, {"entry": "created", "token": "t1"}),
        entries({"entry": "removed", "token": "t9"}),
        entries({"entry": "vanished", "token": "t1"}),
        ["[]", json.dumps(INTENT)],
    ],
)
def test_anything_else_is_no_journal(lines: list[str]) -> None:
    with pytest.raises(UnreadableJournal, match="line "):
        read(lines)


def test_the_file_says_what_the_journal_knows(tmp_path: Path) -> None:
    with Journal(tmp_path / "a" / "b", "run-1") as journal:
        token = journal.intend("VDI", origin="sr")
        assert read(journal.path.read_text().splitlines()) == journal.items
        journal.created(token, ref="OpaqueRef:1", uuid="u1")
        lost = journal.intend("VDI", origin="sr")
        journal.removed_ref("OpaqueRef:1")
        journal.removed_ref("OpaqueRef:nobody's")
        items = journal.items
    assert read(journal.path.read_text().splitlines()) == items
    assert [item.token for item in still_there(items)] == [lost]
    assert journal.tag(lost) == {"xencbt": f"run-1/{lost}"}


def test_tokens_are_random(tmp_path: Path) -> None:
    with Journal(tmp_path, "run-1") as journal:
        assert len({journal.intend("VDI") for _ in range(50)}) == 50


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    with Journal(tmp_path / "new", "run-1") as journal:
        assert journal.path.stat().st_mode & 0o077 == 0
        assert journal.path.parent.stat().st_mode & 0o077 == 0


def test_it_is_locked_while_the_run_lives(tmp_path: Path) -> None:

    journal = Journal(tmp_path, "run-1")
    with (tmp_path / FILE).open() as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        journal.close()
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_journal_is_never_overwritten(tmp_path: Path) -> None:
    Journal(tmp_path, "run-1").close()
    with pytest.raises(HarnessError, match="cannot keep a journal"):
        Journal(tmp_path, "run-2")


def test_it_lives_in_the_state_folder_by_pool_and_run() -> None:
    assert directory("pool", "run", {"XDG_STATE_HOME": "/state"}) == Path("/state/xencbt/pool/run")
    assert directory("pool", "run", {"HOME": "/home/me"}) == Path("/home/me/.local/state/xencbt/pool/run")
