"""Expressions that choose records."""

from __future__ import annotations

import pytest

from tests.emulator.laboratory import laboratory
from xencbt.fixtures.emulator.filtering import BadExpressionError, parse

RECORD = {"name": "a", "size": 5, "flag": True, "note": 'say "hi" \\ and go', "empty": ""}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("true", True),
        ("false", False),
        ('field "name" = "a"', True),
        ("field 'name' = 'b'", False),
        ('"a" = field "name"', True),
        ('field "size" = "5" and field "flag" = "true"', True),
        ('not field "size" = "5"', False),
        ('not (field "name" = "b") and true', True),
        ('field "name" = "b" or field "name" = "a"', True),
        ("true or false and false", True),
        ("(true or false) and false", False),
        ("not false and false", False),
        ('field "note" = "say \\"hi\\" \\\\ and go"', True),
        ('field "empty" = ""', True),
        ('  field"name"="a"  ', True),
        ("TRUE AND NOT FALSE", True),
        ('"true" = "true"', True),
    ],
)
def test_an_expression_holds_or_not(text: str, holds: bool) -> None:
    assert parse(text, frozenset(RECORD))(RECORD) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "maybe",
        "field",
        'field "name"',
        'field "name" =',
        'field "nonesuch" = "a"',
        'name = "a"',
        '"a"',
        "true true",
        "true and",
        "(true",
        "true)",
        "not",
        '"open',
        "true; drop",
        "field field = field",
        "(" * 40 + "true" + ")" * 40,
        "not " * 5000 + "true",
        "true or " * 5000 + "true",
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(BadExpressionError):
        parse(text, frozenset(RECORD))


def test_records_are_chosen_by_an_expression() -> None:
    with laboratory() as lab:
        vdi = lab.tracked_disk(name_label="wanted")
        lab.disk(name_label="wanted")
        chosen = lab.call("VDI.get_all_records_where", 'field "name_label" = "wanted" and field "cbt_enabled" = "true"')
        assert chosen == {vdi: lab.record(vdi)}
        uuid = lab.record(vdi)["uuid"]
        for name in ("FIRST", "SECOND"):
            lab.call("message.create", name, "3", "VDI", uuid, "body")
        (record,) = lab.call("message.get_all_records_where", 'field "name" = "SECOND"').values()
        assert (record["name"], record["obj_uuid"]) == ("SECOND", uuid)
        assert lab.refusal("message.get_all_records_where", "who knows")[:2] == ("INVALID_VALUE", "expr")
