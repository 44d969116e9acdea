"""The emulator's method table against the calls of the API reference."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from xencbt.fixtures.emulator import api
from xencbt.fixtures.emulator.accessors import accessors
from xencbt.fixtures.emulator.methods import METHODS, Method

TABLE = Path(__file__).parents[1] / "data" / "calls.txt"
SIGNATURE = re.compile(r"([\w.]+)\((.*)\) -> (.+)")
MADE_BY_CLIENTS = ("VDI", "VM", "VBD", "PBD", "network")
BEYOND = frozenset(
    {
        *(f"{cls}.{call}" for cls in MADE_BY_CLIENTS for call in ("create", "destroy")),
        "system.listMethods",
        "VDI.checksum",  # hidden, and called by real clients
        "VM.get_possible_hosts",  # this and the next: how clients of pools choose a host
        "VM.start_on",
        "VM.assert_can_migrate",  # this and the next: how clients move VMs
        "host.migrate_receive",
    }
)
"""Calls that may be there although the table has none."""

NAMED_OTHERWISE = frozenset(
    {
        *("host.enable", "host.disable", "host.evacuate", "VM.assert_can_boot_here"),
        *("VM.pool_migrate", "VM.migrate_send"),
    }
)
"""Calls whose handlers name parameters in their own way, which only FIELD_TYPE_ERROR shows: types are compared."""


def documented() -> dict[str, tuple[str, str]]:
    found = {}
    for line in TABLE.read_text().splitlines():
        if not line.startswith("#"):
            signature = SIGNATURE.fullmatch(line)
            assert signature, line
            found[signature[1]] = (signature[2], signature[3].replace("an event batch", "event record"))
    return found


@cache
def served() -> dict[str, Method]:
    api.load()
    return accessors() | METHODS


def signature(method: Method) -> tuple[str, str]:
    """Write a call as the table does, which does not say where null references are accepted."""
    params = ", ".join(f"{param.name}:{param.type.text}" for param in method.params)
    return params.replace("?", ""), method.result.text


def types(params: str) -> list[str]:
    """Take the types out of a table's parameters."""
    return [part.partition(":")[2] for part in params.split(", ")]


@pytest.mark.parametrize("name", sorted(set(documented()) - NAMED_OTHERWISE))
def test_a_documented_call_is_served_with_its_parameters_and_result(name: str) -> None:
    assert signature(served()[name]) == documented()[name]


@pytest.mark.parametrize("name", sorted(NAMED_OTHERWISE & served().keys()))
def test_a_call_that_names_its_parameters_otherwise_has_their_types(name: str) -> None:
    (params, result), (wanted, wanted_result) = signature(served()[name]), documented()[name]
    assert (types(params), result) == (types(wanted), wanted_result)


def test_nothing_is_served_that_is_neither_documented_nor_named_here() -> None:
    served()
    assert set(METHODS) - set(documented()) - BEYOND == set()


@pytest.mark.parametrize("cls", MADE_BY_CLIENTS)
def test_records_that_clients_make_have_create_and_destroy(cls: str) -> None:
    assert signature(served()[f"{cls}.create"])[1] == f"{cls} ref"
    assert [param.type.text for param in served()[f"{cls}.destroy"].params] == [f"{cls} ref"]


def test_the_generic_calls_are_those_of_every_class() -> None:
    for call in ("get_record", "get_all", "get_all_records", "get_by_uuid"):
        for cls in (
            "session",
            "task",
            "pool",
            "host",
            "network",
            "PIF",
            "SM",
            "SR",
            *MADE_BY_CLIENTS,
            "VIF",
            "message",
        ):
            assert f"{cls}.{call}" in served()
