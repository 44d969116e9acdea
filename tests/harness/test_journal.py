"""The journal: what is ours can be told from its lines alone, whatever moment a run was killed at."""

import fcntl
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from xencbt.harness.errors import HarnessError
from xencbt.harness.journal import (
    FILE,
    Header,
    Item,
    Journal,
    LiveJournal,
    State,
    Summary,
    UnreadableJournal,
    directory,
    journals_below,
    read,
    still_there,
    summarise,
)

HEADER = {
    "entry": "header",
    "version": 1,
    "run_id": "run-1",
    "url": "https://host",
    "user": "root",
    "trust": [],
    "pool": "pool",
    "sr": "sr-uuid",
    "own": False,
}


def entries(*lines: dict[str, Any]) -> list[str]:
    return [json.dumps(line) for line in (HEADER, *lines)]


def items(lines: Iterable[str]) -> tuple[Item, ...]:
    return read(lines).items


INTENT = {"entry": "intended", "token": "t1", "cls": "VDI", "how": "create", "origin": "sr-uuid"}
MADE = {"entry": "created", "token": "t1", "ref": "OpaqueRef:1", "uuid": "u1"}
SECOND = {"entry": "intended", "token": "t2", "cls": "VM", "how": "create", "origin": ""}


def test_an_intent_without_an_answer_may_exist() -> None:
    (item,) = still_there(items(entries(INTENT)))
    assert item.state is State.INTENDED
    assert (item.token, item.cls, item.origin) == ("t1", "VDI", "sr-uuid")


def test_a_created_thing_is_there_until_it_is_removed() -> None:
    (item,) = still_there(items(entries(INTENT, MADE)))
    assert (item.state, item.ref, item.uuid) == (State.CREATED, "OpaqueRef:1", "u1")
    assert still_there(items(entries(INTENT, MADE, {"entry": "removed", "token": "t1"}))) == ()


def test_a_refused_thing_never_was() -> None:
    known = items(entries(INTENT, {"entry": "refused", "token": "t1"}))
    assert still_there(known) == ()
    assert summarise(known) == Summary(created=0, removed=0)


def test_what_is_left_comes_newest_first() -> None:
    assert [item.token for item in still_there(items(entries(INTENT, MADE, SECOND)))] == ["t2", "t1"]


def test_the_summary_names_what_is_left() -> None:
    summary = summarise(items(entries(INTENT, MADE, SECOND)))
    assert (summary.created, summary.removed) == (1, 0)
    assert summary.left == ("VM with token t2 (its answer was lost)", "VDI u1")
    assert summary.as_json()["left"] == list(summary.left)


def test_a_last_line_cut_short_is_left_out() -> None:
    assert len(items([*entries(INTENT, MADE), '{"entry": "rem'])) == 1


@pytest.mark.parametrize(
    "lines",
    [
        ['{"entry"', json.dumps(INTENT)],
        [json.dumps(INTENT)],
        entries(HEADER),
        entries({**INTENT, "twice": "yes"}),
        [json.dumps({**HEADER, "trust": ["--ca", "a", "--insecure"]})],
        [json.dumps({**HEADER, "trust": "--insecure"})],
        entries({"entry": "disturbed", "token": "t1", "what": "SR.name_label", "uuid": "u", "before": True}),
        entries({"entry": "restored", "token": "t9"}),
        [json.dumps({**HEADER, "version": 2})],
        [],
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
        assert items(journal.path.read_text().splitlines()) == journal.items
        journal.created(token, ref="OpaqueRef:1", uuid="u1")
        lost = journal.intend("VDI", origin="sr")
        journal.removed_ref("OpaqueRef:1")
        journal.removed_ref("OpaqueRef:nobody's")
        known = journal.items
    assert items(journal.path.read_text().splitlines()) == known
    assert [item.token for item in still_there(known)] == [lost]
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


def test_a_change_must_be_undone_until_it_is_restored(tmp_path: Path) -> None:
    with Journal(tmp_path, "run-1") as journal:
        token = journal.disturb("PBD.currently_attached", "pbd", before=True)
        (line,) = summarise(journal.items, journal.changes).left
        assert line == "PBD.currently_attached of pbd, which was true and is not restored"
        journal.restored(token)
        assert summarise(journal.items, journal.changes).left == ()
        assert read(journal.path.read_text().splitlines()).changes == journal.changes


def test_the_size_is_that_of_what_exists_or_may_exist(tmp_path: Path) -> None:
    with Journal(tmp_path, "run-1") as journal:
        first, second, third = (journal.intend("VDI", size=size) for size in (1, 2, 4))
        assert journal.size == 7
        journal.refused(first)
        journal.created(second, ref="OpaqueRef:2", uuid="u2")
        journal.removed(second)
        assert journal.size == 4
        journal.created(third, ref="OpaqueRef:3", uuid="u3")
        assert journal.size == 4


def test_it_owns_what_it_created_until_that_is_removed(tmp_path: Path) -> None:
    with Journal(tmp_path, "run-1") as journal:
        token = journal.intend("VDI")
        journal.created(token, ref="OpaqueRef:1", uuid="u1")
        assert journal.owns("OpaqueRef:1")
        assert not journal.owns("OpaqueRef:2")
        journal.removed_ref("OpaqueRef:1")
        assert not journal.owns("OpaqueRef:1")


def test_what_is_intended_while_calls_may_repeat_says_so(tmp_path: Path) -> None:
    with Journal(tmp_path, "run-1") as journal:
        with journal.repeating():
            journal.intend("VDI")
        journal.intend("VDI")
        assert [item.twice for item in journal.items] == [True, False]


def test_a_dead_run_s_journal_is_taken_up_where_it_ended(tmp_path: Path) -> None:
    header = Header("run-1", url="https://host", trust=("--ca", "/x.pem"), pool="pool", own=True)
    with Journal(tmp_path, "run-1", header) as journal:
        token = journal.intend("VDI", origin="sr", sr="sr", size=8)
        journal.created(token, ref="OpaqueRef:1", uuid="u1")
        lost = journal.intend("VDI", origin="sr", sr="sr", size=8)
        known = journal.items
    with (tmp_path / FILE).open("a") as torn:
        torn.write('{"entry": "removed", "tok')
    with Journal.reopen(tmp_path / FILE) as journal:
        assert (journal.header, journal.items, journal.size) == (header, known, 16)
        assert journal.owns("OpaqueRef:1")
        journal.removed(token)
        journal.refused(lost)
    assert still_there(items((tmp_path / FILE).read_text().splitlines())) == ()


def test_a_run_that_died_before_its_first_word_left_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"entry": "hea')
    with Journal.reopen(tmp_path / FILE) as journal:
        assert journal.items == ()


def test_a_live_run_s_journal_is_not_taken_up(tmp_path: Path) -> None:
    with Journal(tmp_path, "run-1") as journal:
        before = journal.path.read_bytes()
        with pytest.raises(LiveJournal, match="is locked"):
            Journal.reopen(journal.path)
        assert journal.path.read_bytes() == before


def test_journals_are_found_by_pool_and_run_by_run_and_alone(tmp_path: Path) -> None:
    Journal(tmp_path / "pool" / "run", "run").close()
    path = tmp_path / "pool" / "run" / FILE
    assert journals_below(tmp_path) == journals_below(tmp_path / "pool") == journals_below(path.parent) == (path,)
