"""The model against answers recorded from a real storage manager and a real toolstack."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xencbt.harness.bitmap import BLOCK, Bitmap
from xencbt.harness.expectations import Expectation, VdiType, either, judge, refusals
from xencbt.harness.model import (
    Attachment,
    Clone,
    Create,
    DataDestroy,
    Destroy,
    Disable,
    Enable,
    ListChanged,
    Model,
    OnBoot,
    Resize,
    Snapshot,
    Step,
    Storage,
    Write,
    rules,
)
from xencbt.harness.model.disk import CBT_OPERATIONS, Disk, Membership, SetId
from xencbt.harness.outcome import Failed, Ok, Outcome
from xencbt.harness.profiles import PROFILES

DATA = Path(__file__).parent.parent / "data"


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


STEPS: dict[str, Callable[[dict[str, Any]], Step]] = {
    "create": lambda step: Create(step["vdi"], step["size"]),
    "enable": lambda step: Enable(step["vdi"]),
    "disable": lambda step: Disable(step["vdi"]),
    "write": lambda step: Write(step["vdi"], step["offset"], step["length"]),
    "snapshot": lambda step: Snapshot(step["vdi"], step["as"]),
    "clone": lambda step: Clone(step["vdi"], step["as"]),
    "resize": lambda step: Resize(step["vdi"], step["size"]),
    "data_destroy": lambda step: DataDestroy(step["vdi"]),
    "destroy": lambda step: Destroy(step["vdi"]),
    "list": lambda step: ListChanged(step["from"], step["to"]),
}


def steps(recorded: dict[str, Any]) -> list[Step]:
    """Read one recorded step; a write of several blocks becomes a write of each."""
    if "blocks" in recorded:
        return [Write(recorded["vdi"], block * BLOCK, BLOCK) for block in recorded["blocks"]]
    return [STEPS[recorded["op"]](recorded)]


def outcome_of(recorded: dict[str, Any]) -> Outcome:
    if recorded["ok"]:
        return Ok(recorded.get("bitmap", ""))
    return Failed(recorded["error"], ("", recorded["message"], ""))


@pytest.mark.parametrize("history", lines("histories.jsonl"), ids=lambda history: f"seed-{history['seed']}")
def test_every_recorded_answer_is_allowed_and_exactly_as_bounded(history: dict[str, Any]) -> None:
    model = Model()
    for recorded in history["steps"]:
        outcome = outcome_of(recorded)
        for step in steps(recorded):
            expectation = model.allowed(step)
            judgement = judge(outcome, expectation, PROFILES["xapi"])
            assert judgement.allowed, f"{step}: {judgement.reason}; allowed: {expectation}"
            assert judgement.deviation is None
            assert len(expectation.alternatives) == 1, f"{step}: nothing of this is left open, yet {expectation}"
            if isinstance(step, ListChanged) and isinstance(outcome, Ok):
                bounds = model.bounds(step.earlier, step.later)
                bitmap = Bitmap.from_base64(outcome.value)
                assert bounds.fault(bitmap) is None
                assert bitmap.length == bounds.length
                assert bounds.missed(bitmap) == frozenset()
                assert bounds.superfluous(bitmap) == frozenset()
                assert bounds.allows(bitmap, precise=True)
            model.happened(step, outcome)
    assert len(model.states) == 1


def test_the_recorded_histories_reach_what_they_are_for() -> None:
    lists = [step for history in lines("histories.jsonl") for step in history["steps"] if step["op"] == "list"]
    assert sum(step["ok"] for step in lists) >= 300
    assert sum(not step["ok"] for step in lists) >= 1500


def allowed_for(guard: dict[str, Any], *, ordered: bool = False) -> Expectation:
    enabled = guard["cbt_enabled"]
    disk = Disk(
        name="disk",
        size=BLOCK,
        type=VdiType(guard["type"]),
        on_boot=OnBoot(guard["on_boot"]),
        snapshot_of="source" if guard["is_a_snapshot"] else None,
        attachment=Attachment(guard["attached"]),
        member=Membership(SetId("source", 1), 0) if enabled else None,
    )
    storage = Storage(lacks=frozenset() if guard["driver_has_cbt"] else CBT_OPERATIONS)
    return rules.allowed(rules.Situation(guard["op"], disk, storage, related=True, ordered=ordered))


def test_every_recorded_refusal_of_the_toolstack_is_allowed_and_nothing_it_refuses_may_succeed() -> None:
    guards = [guard for guard in lines("guards.jsonl") if guard["refusal"] is not None]
    assert len(guards) >= 400
    for guard in guards:
        expectation = allowed_for(guard)
        assert guard["refusal"] in expectation.codes, f"{guard}: allowed are {expectation}"
        assert not expectation.succeeds, f"{guard}: {expectation}"


def test_what_the_toolstack_lets_pass_may_succeed_unless_a_later_check_is_known() -> None:
    passing = [guard for guard in lines("guards.jsonl") if guard["refusal"] is None]
    assert len(passing) >= 200
    later = {"data_destroy": "VDI_IN_USE", "destroy": "VDI_HAS_RRDS", "set_on_boot": "VM_BAD_POWER_STATE"}
    for guard in passing:
        expectation = allowed_for(guard)
        known = later.get(guard["op"])
        assert expectation.succeeds or (known is not None and known in expectation.codes), f"{guard}: {expectation}"


def test_hosts_whose_order_of_checks_is_known_are_held_to_it() -> None:
    facts = {"op": "enable_cbt", "cbt_enabled": False, "attached": "none", "driver_has_cbt": True}
    everything = facts | {"type": "ephemeral", "on_boot": "reset", "is_a_snapshot": True}
    assert allowed_for(everything, ordered=True) == refusals.is_a_snapshot()
    assert allowed_for(everything | {"is_a_snapshot": False}, ordered=True) == refusals.wrong_type("ephemeral")
    metadata = everything | {"type": "cbt_metadata"}
    assert allowed_for(metadata, ordered=True) == refusals.wrong_type("cbt_metadata")


def test_of_several_reasons_any_may_be_named_and_none_that_does_not_hold() -> None:
    facts = {"op": "enable_cbt", "cbt_enabled": False, "attached": "none", "driver_has_cbt": True}
    everything = facts | {"type": "ephemeral", "on_boot": "reset", "is_a_snapshot": True}
    snapshot, kind, boot = refusals.is_a_snapshot(), refusals.wrong_type("ephemeral"), refusals.on_boot_reset()
    assert allowed_for(everything) == either(snapshot, kind, boot)
    assert allowed_for(everything | {"is_a_snapshot": False}) == either(kind, boot)
    assert allowed_for(everything | {"is_a_snapshot": False, "type": "user"}) == boot
    metadata = facts | {"type": "cbt_metadata", "on_boot": "persist", "is_a_snapshot": True}
    assert allowed_for(metadata) == either(refusals.wrong_type("cbt_metadata"), snapshot)
