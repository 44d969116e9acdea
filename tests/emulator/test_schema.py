"""The table of classes: complete, typed, and read as it is written."""

import pytest

from xencbt.fixtures.emulator.schema import CLASSES, ENUMS, Access, blank, fits
from xencbt.fixtures.emulator.values import Kind, Type

NAMED = (
    *("session", "task", "event", "pool", "host", "network", "PIF", "SM", "SR", "PBD", "VDI", "VBD", "VM", "VIF"),
    *("console", "message", "vdi_nbd_server_info"),
)


def test_the_classes_this_host_knows() -> None:
    assert tuple(CLASSES) == NAMED
    assert [name for name, cls in CLASSES.items() if not cls.stored] == ["event", "vdi_nbd_server_info"]


@pytest.mark.parametrize("cls", [name for name, cls in CLASSES.items() if cls.stored])
def test_a_blank_record_has_every_field_typed(cls: str) -> None:
    record = blank(cls)
    assert list(record) == list(CLASSES[cls].fields)
    for name, field in CLASSES[cls].fields.items():
        assert fits(field.type, record[name]), name


@pytest.mark.parametrize("cls", NAMED)
def test_types_are_written_as_they_are_read_and_enums_are_known(cls: str) -> None:
    for field in CLASSES[cls].fields.values():
        assert Type.parse(field.type.text) == field.type
        inner = field.type.item or field.type
        assert inner.kind is not Kind.ENUM or inner.of in ENUMS


def test_access_is_that_of_the_api_reference() -> None:
    vdi = CLASSES["VDI"].fields
    assert (vdi["cbt_enabled"].access, vdi["type"].access, vdi["tags"].access) == (
        Access.READ_ONLY,
        Access.CREATE,
        Access.SETTABLE,
    )
    assert {field.name for field in CLASSES["PBD"].creation_fields} == {"host", "SR", "device_config", "other_config"}


def test_what_an_old_host_lacks() -> None:
    assert CLASSES["VDI"].absent_before_cbt == {"cbt_enabled"}
    assert CLASSES["network"].absent_before_cbt == {"purpose"}
    assert ENUMS["vdi_type"].since_cbt == {"cbt_metadata"}
    assert ENUMS["vdi_operations"].since_cbt == {"enable_cbt", "disable_cbt", "data_destroy", "list_changed_blocks"}


@pytest.mark.parametrize("text", ["", "strin", "VDI", "enum", "(a -> b) set", "(string) map", "VDI ref ref"])
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a type"):
        Type.parse(text)
