"""Recorded refusals come out the same, and the order of the checks is the hosts'."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xencbt.fixtures.emulator.checked import Attachment, Call, Pbds
from xencbt.fixtures.emulator.drivers import CBT_FEATURE, LVM, WITHOUT_CBT
from xencbt.fixtures.emulator.rules import refusal

RECORDED = Path(__file__).parent.parent / "data" / "guards.jsonl"
ROWS = [json.loads(line) for line in RECORDED.read_text().splitlines()]

ATTACHED = {
    "none": (),
    "ro": (Attachment(read_only=True),),
    "rw": (Attachment(),),
    "snapshot_vm": (Attachment(of_snapshot_vm=True),),
}


def call_of(row: dict[str, Any]) -> Call:
    return Call(
        operation=row["op"],
        sr="SR",
        vdi="VDI",
        features=LVM.features if row["driver_has_cbt"] else WITHOUT_CBT.features,
        type=row["type"],
        on_boot=row["on_boot"],
        is_a_snapshot=row["is_a_snapshot"],
        cbt_enabled=row["cbt_enabled"],
        attachments=ATTACHED[row["attached"]],
    )


def code(call: Call) -> str | None:
    refused = refusal(call)
    return refused.code if refused else None


def test_every_recorded_refusal_comes_out_the_same() -> None:
    assert len(ROWS) >= 736
    assert [row for row in ROWS if code(call_of(row)) != row["refusal"]] == []


IN_ORDER: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"upgrading": True}, ("NOT_SUPPORTED_DURING_UPGRADE",)),
    ({"features": {}}, ("SR_OPERATION_NOT_SUPPORTED", "SR")),
    ({"sr_operations": {"T": "scan"}}, ("OTHER_OPERATION_IN_PROGRESS", "SR", "SR", "scan", "T")),
    ({"vdi_operations": {"T": "update"}}, ("OTHER_OPERATION_IN_PROGRESS", "VDI", "VDI", "update", "T")),
    ({"vbd_operations": {"VBD": {"T": "unplug"}}}, ("OTHER_OPERATION_IN_PROGRESS", "VBD", "VBD", "unplug", "T")),
    ({"is_a_snapshot": True}, ("OPERATION_NOT_ALLOWED", "VDI is a snapshot: VDI")),
    ({"type": "pvs_cache"}, ("VDI_INCOMPATIBLE_TYPE", "VDI", "PVS cache")),
    ({"on_boot": "reset"}, ("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION",)),
    ({"pbds": Pbds.UNPLUGGED}, ("SR_HAS_NO_PBDS", "SR")),
]


@pytest.mark.parametrize("place", range(len(IN_ORDER)))
def test_refusals_win_in_this_order(place: int) -> None:
    """Each case also breaks every later rule, and none of the earlier."""
    changes: dict[str, Any] = {}
    for broken, _ in IN_ORDER[place:]:
        changes |= broken
    refused = refusal(replace(Call("enable_cbt", "SR", LVM.features, "VDI"), **changes))
    assert refused is not None
    assert refused.description == IN_ORDER[place][1]


def test_nothing_refuses_what_may_proceed() -> None:
    assert refusal(Call("enable_cbt", "SR", LVM.features, "VDI")) is None


def test_a_disk_being_copied_is_not_busy() -> None:
    assert refusal(Call("copy", "SR", LVM.features, "VDI", vdi_operations={"T": "copy"})) is None


@pytest.mark.parametrize(
    ("pbds", "expected"), [(Pbds.UNPLUGGED, "SR_NOT_ATTACHED"), (Pbds.NONE, "SR_HAS_NO_PBDS"), (Pbds.PLUGGED, None)]
)
def test_the_documentation_tells_unplugged_from_absent(pbds: Pbds, expected: str | None) -> None:
    assert code(Call("enable_cbt", "SR", LVM.features, "VDI", pbds=pbds, documented=True)) == expected


def test_resetting_on_boot_needs_the_second_version_of_the_feature() -> None:
    call = Call("set_on_boot", "SR", {"VDI_RESET_ON_BOOT": 1, CBT_FEATURE: 1}, "VDI")
    assert code(call) == "SR_OPERATION_NOT_SUPPORTED"
    assert code(replace(call, features={"VDI_RESET_ON_BOOT": 2})) is None


@pytest.mark.parametrize(
    ("changes", "operation", "expected"),
    [
        ({"type": "rrd"}, "destroy", "VDI_HAS_RRDS"),
        ({"type": "rrd"}, "forget", "VDI_HAS_RRDS"),
        ({"type": "redo_log", "ha_enabled": True}, "destroy", "HA_IS_ENABLED"),
        ({"type": "redo_log"}, "destroy", None),
        ({"sr_is_physical": True}, "destroy", "VDI_IS_A_PHYSICAL_DEVICE"),
        ({"sr_is_tools": True}, "destroy", "SR_OPERATION_NOT_SUPPORTED"),
        ({"sharable": True, "on_boot": "reset"}, "snapshot", "VDI_IS_SHARABLE"),
        ({"cbt_enabled": True}, "mirror", "VDI_CBT_ENABLED"),
        ({"cbt_enabled": True, "type": "cbt_metadata"}, "mirror", "VDI_INCOMPATIBLE_TYPE"),
        ({"attachments": (Attachment(),)}, "forget", "VDI_IN_USE"),
        ({"attachments": (Attachment(),)}, "data_destroy", "OPERATION_NOT_ALLOWED"),
        ({"vbd_operations": {"VBD": {"T": "plug"}}}, "data_destroy", "OPERATION_NOT_ALLOWED"),
        ({"pbds": Pbds.NONE}, "forget", None),
    ],
)
def test_rules_of_single_operations(changes: dict[str, Any], operation: str, expected: str | None) -> None:
    assert code(replace(Call(operation, "SR", LVM.features, "VDI"), **changes)) == expected
