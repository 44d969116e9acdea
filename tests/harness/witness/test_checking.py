"""What the last step has to give is told from a right answer and a wrong one, and decided as data."""

from typing import Any

import pytest

from xencbt.harness.witness.checking import (
    Answer,
    Check,
    check_of,
    difference,
    last_difference,
    read_check,
    saw_in_words,
)
from xencbt.harness.witness.steps import BadWitness, Step

OK: dict[str, Any] = {"ok": ""}
BUSY: dict[str, Any] = {"failed": "VDI_IN_USE", "params": ["disk-1"]}


def marks(*blocks: int, size: int = 8) -> dict[str, Any]:
    return {"ok": {"marks": [[block, 1] for block in blocks], "bytes": size}}


def made(right: dict[str, Any], wrong: dict[str, Any], *alternatives: dict[str, Any]) -> Check:
    check = check_of(right, wrong, alternatives)
    assert check is not None
    assert read_check(check.as_json()) == check
    return check


def test_a_call_that_had_to_be_refused() -> None:
    check = made(BUSY, OK, {"failed": "OTHER_OPERATION_IN_PROGRESS"})
    assert check.decide(OK) is Answer.SAME
    assert check.decide({"failed": "VDI_IN_USE", "params": ["other words"]}) is Answer.RIGHT
    assert check.decide({"failed": "OTHER_OPERATION_IN_PROGRESS", "params": []}) is Answer.RIGHT
    assert check.decide({"failed": "INTERNAL_ERROR", "params": []}) is Answer.OTHER
    assert check.decide({"lost": True}) is Answer.OTHER


def test_an_alternative_that_allows_what_was_wrong_is_left_out() -> None:
    assert made(BUSY, OK, {"succeeds": True}).expected == ({"failed": "VDI_IN_USE"},)


def test_a_call_that_had_to_succeed() -> None:
    check = made(OK, BUSY)
    other: dict[str, Any] = {"failed": "X", "params": []}
    assert [check.decide(each) for each in (OK, BUSY, other)] == [
        Answer.RIGHT,
        Answer.SAME,
        Answer.OTHER,
    ]


def test_a_refusal_that_names_the_wrong_object() -> None:
    check = made(BUSY, {"failed": "VDI_IN_USE", "params": ["disk-2"]})
    assert check.decide(BUSY) is Answer.RIGHT
    assert check.decide({"failed": "VDI_IN_USE", "params": ["disk-2"]}) is Answer.SAME


def test_texts_for_people_make_no_difference() -> None:
    assert difference({"failed": "X", "params": ["a long text"]}, {"failed": "X", "params": ["another text"]}) is None


def test_a_text_that_is_documented_has_to_be_mentioned() -> None:
    said: dict[str, Any] = {"failed": "X", "params": ["", "They Are Unrelated, those"]}
    unsaid: dict[str, Any] = {"failed": "X", "params": ["", "whatever it was"]}
    mentions = {"failed": "X", "mentions": ["are unrelated", "share nothing"]}
    check = made(said, unsaid, {"failed": "Y"}, mentions)
    assert check.expected == (mentions, {"failed": "Y"})
    assert check.decide({"failed": "X", "params": ["they share nothing"]}) is Answer.RIGHT
    assert check.decide(unsaid) is Answer.SAME
    assert check.decide({"failed": "Z", "params": ["are unrelated"]}) is Answer.OTHER
    assert made(said, OK, mentions).expected == (mentions,)
    assert "mentioning “are unrelated” or “share nothing”" in check.words()[0]
    steps = (Step("list"), Step("list"))
    assert last_difference(steps, (BUSY, said), (OK, unsaid), (mentions,)) == 1
    assert last_difference(steps, (BUSY, said), (OK, unsaid)) == 0


def test_lost_blocks_are_asked_for_and_more_may_be_marked() -> None:
    check = made(marks(3, 7), marks(3))
    assert check.decide(marks(3, 7)) is Answer.RIGHT
    assert check.decide(marks(3, 7, 9)) is Answer.RIGHT
    assert check.decide(marks(3, 9)) is Answer.SAME
    assert check.decide(marks(3, 7, size=9)) is Answer.OTHER
    assert check.decide({"ok": {"no bitmap": "?"}}) is Answer.OTHER


def test_superfluous_blocks_may_not_be_marked_and_fewer_is_another_matter() -> None:
    check = made(marks(3), marks(3, 4))
    assert check.decide(marks(3)) is Answer.RIGHT
    assert check.decide(marks(3, 4)) is Answer.SAME


def test_of_a_record_only_the_fields_that_differ_count() -> None:
    right: dict[str, Any] = {"ok": {"type": "user", "cbt_enabled": True, "tags": []}}
    check = made(right, {"ok": {"type": "user", "cbt_enabled": False, "tags": []}})
    assert check.expected == ({"has": {"cbt_enabled": True}},)
    assert check.decide({"ok": {"type": "system", "cbt_enabled": True}}) is Answer.RIGHT
    assert check.decide({"ok": {"cbt_enabled": "no boolean"}}) is Answer.SAME


def test_of_the_records_of_several_objects_only_the_fields_that_differ_count() -> None:
    on: dict[str, Any] = {"disk-1": {"type": "user"}, "disk-2": {"type": "user", "cbt_enabled": True}}
    off: dict[str, Any] = {"disk-1": {"type": "user"}, "disk-2": {"type": "user", "cbt_enabled": False}}
    check = made({"ok": on}, {"ok": off})
    assert check.expected == ({"has": {"disk-2": {"cbt_enabled": True}}},)
    assert check.words() == ("cbt_enabled of disk-2 = true",)
    assert saw_in_words({"ok": off}, check.expected[0]) == "cbt_enabled of disk-2 = false"
    assert saw_in_words({"ok": {}}, check.expected[0]) == "cbt_enabled of disk-2 = absent"
    assert check.decide({"ok": {"disk-2": {"cbt_enabled": True}}}) is Answer.RIGHT
    assert check.decide({"ok": {"disk-1": {}}}) is Answer.SAME
    assert difference({"ok": on}, {"ok": on | {"disk-3": {}}}) is None
    assert made({"ok": on}, {"ok": {"disk-1": {"type": "user"}}}).words() == (
        "type of disk-2 = 'user'; cbt_enabled of disk-2 = true",
    )


def test_a_single_value() -> None:
    check = made({"ok": True}, {"ok": False})
    assert check.decide({"ok": True}) is Answer.RIGHT
    assert check.decide({"ok": False}) is Answer.SAME


@pytest.mark.parametrize("saw", [OK, BUSY, marks(1), {"ok": {"a": 1}}, {"lost": True}])
def test_nothing_tells_equal_answers_apart(saw: dict[str, Any]) -> None:
    assert check_of(saw, saw) is None


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"expected": [], "saw": OK},
        {"expected": [{"succeeds": True}], "saw": OK},
        {"expected": [{"matches": ".*"}], "saw": OK},
        {"expected": [{"marks": [[0, 1 << 40]], "bytes": 8}], "saw": OK},
        {"expected": [{"failed": 1}], "saw": OK},
        {"expected": [{"failed": "X", "mentions": []}], "saw": OK},
        {"expected": [{"failed": "X", "mentions": [1]}], "saw": OK},
        {"expected": [{"failed": "X", "mentions": "text"}], "saw": OK},
        {"expected": [{"failed": "X"}]},
        {"expected": [{"has": []}], "saw": OK},
    ],
)
def test_a_check_that_shows_nothing_is_refused(data: object) -> None:
    with pytest.raises(BadWitness):
        read_check(data)


def test_what_no_client_saw_counts_where_nothing_else_differs() -> None:
    steps = [Step("enable", {"disk": "disk-1"}), Step("field", {"of": "disk-1", "field": "cbt_enabled"}), Step("heal")]
    unseen: dict[str, Any] = {"ok": {"unseen answer 1 to enable": "done"}}
    refused: dict[str, Any] = {"ok": {"unseen answer 1 to enable": BUSY}}
    on, off = {"ok": True}, {"ok": False}
    assert last_difference(steps, [OK, on, unseen], [OK, off, refused]) == 1
    assert last_difference(steps, [OK, on, unseen], [OK, on, refused]) == 2
    assert last_difference(steps, [OK, on, unseen], [OK, on, unseen]) is None
    assert made(unseen, refused).expected == ({"has": {"unseen answer 1 to enable": "done"}},)


def test_more_blocks_astray_than_before_are_another_failure_and_fewer_are_the_same() -> None:
    lost = made(marks(3, 7, 9), marks(3))
    assert lost.decide(marks(3, 9)) is Answer.SAME
    assert [lost.decide(marks(*blocks)) for blocks in ((), (9,), (7, 9))] == [Answer.OTHER] * 3
    superfluous = made(marks(3), marks(3, 4, 6))
    assert superfluous.decide(marks(3, 6)) is Answer.SAME
    assert superfluous.decide(marks(3, 5)) is Answer.OTHER
