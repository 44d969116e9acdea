"""Records, inverse fields, and the history of changes."""

import pytest

from xencbt.fixtures.emulator import database as module
from xencbt.fixtures.emulator.database import INVERSES, Database, HistoryLostError
from xencbt.fixtures.emulator.errors import Refusal
from xencbt.fixtures.emulator.schema import CLASSES
from xencbt.fixtures.emulator.values import Kind, Ref


@pytest.fixture
def db() -> Database:
    return Database()


def test_unknown_records_are_refused_by_name(db: Database) -> None:
    with pytest.raises(Refusal) as refused:
        db.get("VDI", "OpaqueRef:x")
    assert refused.value.description == ("HANDLE_INVALID", "VDI", "OpaqueRef:x")
    with pytest.raises(Refusal) as refused:
        db.by_uuid("VDI", "x")
    assert refused.value.description == ("UUID_INVALID", "VDI", "x")


@pytest.mark.parametrize(
    "fields", [{"virtual_size": "1"}, {"type": "floppy"}, {"nonesuch": 1}, {"tags": [1]}, {"managed": 1}]
)
def test_values_that_do_not_fit_are_refused(db: Database, fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        db.add("VDI", ref=None, **fields)
    vdi = db.add("VDI")
    with pytest.raises(ValueError, match="cannot be"):
        db.update("VDI", vdi, **fields)


def test_a_uuid_is_taken_once(db: Database) -> None:
    db.add("VDI", uuid="u")
    with pytest.raises(ValueError, match="exists already"):
        db.add("VDI", uuid="u")


def test_inverse_fields_of_the_table_exist() -> None:
    for (cls, field), inverse in INVERSES.items():
        target = CLASSES[cls].fields[field].type
        listing = CLASSES[target.of].fields[inverse].type
        assert target.kind is Kind.REF
        assert listing.item
        assert (listing.kind, listing.item.of) == (Kind.SET, cls)


@pytest.mark.parametrize(("cls", "field"), INVERSES)
def test_inverse_fields_follow(db: Database, cls: str, field: str) -> None:
    inverse, target = INVERSES[cls, field], CLASSES[cls].fields[field].type.of
    first, second = db.add(target), db.add(target)
    ref = db.add(cls, **{field: first})
    assert db.get(target, first)[inverse] == [ref]
    db.update(cls, ref, **{field: second})
    assert (db.get(target, first)[inverse], db.get(target, second)[inverse]) == ([], [ref])
    db.remove(cls, ref)
    assert db.get(target, second)[inverse] == []


def test_a_record_handed_out_does_not_change(db: Database) -> None:
    sr = db.add("SR")
    before = db.get("SR", sr)
    db.add("VDI", SR=sr)
    assert before["VDIs"] == []


def test_history_has_one_entry_per_object(db: Database) -> None:
    old, gone = db.add("VDI"), db.add("VDI")
    then = db.generation
    new = db.add("VDI")
    db.update("VDI", new, name_label="a")
    db.update("VDI", old, name_label="a")
    db.update("VDI", old, name_label="b")
    db.remove("VDI", db.add("VDI"))
    db.remove("VDI", gone)
    assert [(c.operation, c.ref) for c in db.changes_since(then)] == [("add", new), ("mod", old), ("del", gone)]
    assert db.changes_since(db.generation) == []
    assert {(c.operation, c.ref) for c in db.changes_since(0)} == {("add", new), ("add", old)}


def test_an_update_that_changes_nothing_is_no_change(db: Database) -> None:
    vdi = db.add("VDI", name_label="a")
    then = db.generation
    db.update("VDI", vdi, name_label="a")
    assert db.generation == then


def test_sessions_are_no_news(db: Database) -> None:
    ref = db.add("session")
    db.update("session", ref, originator="x")
    db.remove("session", ref)
    assert db.changes_since(0) == []


def test_history_is_bounded(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DELETIONS_KEPT", 3)
    refs: list[Ref] = [db.add("VDI") for _ in range(5)]
    then = db.generation
    for ref in refs:
        db.remove("VDI", ref)
    assert db.changes_since(0) == []
    assert len(db.changes_since(db.generation - 1)) == 1
    with pytest.raises(HistoryLostError):
        db.changes_since(then)
