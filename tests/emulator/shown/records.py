"""What records, events, messages and the command line say of tracking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.emulator.laboratory import MIB
from tests.emulator.shown.showing import Shown, enabled, outcome, unclean_stop
from xencbt.fixtures.emulator import cli_errors, cli_protocol
from xencbt.fixtures.emulator.cli_commands import COMMANDS, Asked
from xencbt.fixtures.emulator.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.emulator.laboratory import Laboratory
    from xencbt.fixtures.emulator.values import Ref

NOBODY = "00000000-0000-0000-0000-000000000000"


def first_reading(lab: Laboratory) -> bool:
    vdi = lab.disk()
    enabled(lab, vdi)
    lab.call("VDI.enable_cbt", vdi)
    return enabled(lab, vdi)


def of_another_session(lab: Laboratory) -> bool:
    """Read the status of a disk that another session enabled since it was read last."""
    vdi, own = lab.disk(), lab.session
    enabled(lab, vdi)
    lab.log_in()
    lab.call("VDI.enable_cbt", vdi)
    lab.session = own
    return enabled(lab, vdi)


def of_a_snapshot(lab: Laboratory) -> bool:
    vdi = lab.tracked_disk()
    taken = lab.snapshot(vdi)
    lab.call("VDI.disable_cbt", vdi)
    return enabled(lab, taken)


def in_a_record(lab: Laboratory) -> bool:
    vdi = lab.disk()
    lab.call("VDI.get_record", vdi)
    lab.call("VDI.enable_cbt", vdi)
    status: bool = lab.call("VDI.get_record", vdi)["cbt_enabled"]
    return status


def in_all_records(lab: Laboratory) -> bool:
    vdi = lab.tracked_disk()
    status: bool = lab.call("VDI.get_all_records")[vdi]["cbt_enabled"]
    return status


def in_events(lab: Laboratory) -> list[bool]:
    """Give the status as events show it: of a new disk, and after it was enabled, where there is an event then."""
    vdi = lab.disk()
    seen = lab.call("event.from", ["vdi"], "", 0.0)
    lab.call("VDI.enable_cbt", vdi)
    later = lab.call("event.from", ["vdi"], seen["token"], 0.0)
    told = [event for answer in (seen, later) for event in answer["events"] if event["ref"] == vdi]
    return [event["snapshot"]["cbt_enabled"] for event in told]


def after_a_scan(lab: Laboratory) -> bool:
    vdi = lab.tracked_disk()
    lab.call("SR.scan", lab.sr())
    return enabled(lab, vdi)


def plugged_again(lab: Laboratory) -> bool:
    vdi = lab.tracked_disk()
    (pbd,) = lab.host.db.get("SR", lab.sr())["PBDs"]
    lab.call("PBD.unplug", pbd)
    lab.call("PBD.plug", pbd)
    return enabled(lab, vdi)


def after_a_restart(lab: Laboratory) -> bool:
    vdi = lab.tracked_disk()
    lab.start()
    return enabled(lab, vdi)


def inside(lab: Laboratory, work: Callable[..., Any], *given: Any) -> Any:
    return lab.host.defects.context.run(work, *given)


def xe(lab: Laboratory, command: str, **parameters: str) -> Any:
    async def run() -> Any:
        return await COMMANDS[command](Asked(lab.calling, parameters))

    return lab.run(run())


def xe_switched(command: str) -> Callable[[Laboratory], bool]:
    def scene(lab: Laboratory) -> bool:
        vdi = lab.disk() if command == "vdi-enable-cbt" else lab.tracked_disk()
        xe(lab, command, uuid=lab.record(vdi)["uuid"])
        return enabled(lab, vdi)

    return scene


def xe_disables_a_snapshot(lab: Laboratory) -> str:
    try:
        xe(lab, "vdi-disable-cbt", uuid=lab.record(lab.snapshot(lab.disk()))["uuid"])
    except Refusal as refusal:
        return refusal.code
    return "ok"


def xe_prints(lab: Laboratory) -> Any:
    return xe(lab, "vdi-param-get", uuid=lab.record(lab.tracked_disk())["uuid"], **{"param-name": "cbt-enabled"})


def xe_tells(lab: Laboratory) -> bytes:
    told: bytes = inside(lab, cli_errors.tells, lab.host.db, Refusal("VDI_IN_USE", "x", "y"))
    return told


def messages_after(what: str) -> Callable[[Laboratory], list[str]]:
    def scene(lab: Laboratory) -> list[str]:
        return lab.messages(switched_off(lab, what))

    return scene


def switched_off(lab: Laboratory, what: str) -> Ref:
    """Have the host switch the tracking of a disk off."""
    if what == "attach":
        vdi = unclean_stop(lab)
        lab.call("VM.start", lab.vm, False, False)
        return vdi
    vdi = lab.tracked_disk()
    with lab.lasting("no-space-for-log"):
        lab.call(f"VDI.{what}", vdi, *((8 * MIB,) if what == "resize" else ()))
    return vdi


INCONSISTENT, SNAPSHOT, RESIZE = (
    f"VDI_CBT_{why}" for why in ("METADATA_INCONSISTENT", "SNAPSHOT_FAILED", "RESIZE_FAILED")
)
IN_USE = cli_errors.REFERENCE["VDI_IN_USE"].sentence.encode()

SHOWN = {
    "the-status-is-a-text": Shown(lambda lab: repr(enabled(lab, lab.disk())), "False", "'false'"),
    "the-status-lags-behind": Shown(first_reading, True, False),
    "sessions-see-their-own-changes-only": Shown(of_another_session, True, False),
    "the-status-of-snapshots-is-their-disks": Shown(of_a_snapshot, True, False),
    "records-keep-their-first-status": Shown(in_a_record, True, False),
    "lists-of-records-lack-the-status": Shown(in_all_records, True, False),
    "events-show-the-first-status": Shown(in_events, [False, True], [False, False]),
    "changes-of-disks-are-no-events": Shown(in_events, [False, True], [False]),
    "scans-forget-the-status": Shown(after_a_scan, True, False),
    "plugging-forgets-the-status": Shown(plugged_again, True, False),
    "restarts-forget-the-status": Shown(after_a_restart, True, False),
    "unknown-uuids-find-a-disk": Shown(lambda lab: outcome(lab, "VDI.get_by_uuid", NOBODY), "UUID_INVALID", "ok"),
    "unknown-references-are-internal-errors": Shown(
        lambda lab: outcome(lab, "VDI.enable_cbt", "OpaqueRef:x"), "HANDLE_INVALID", "INTERNAL_ERROR"
    ),
    "unknown-references-are-ignored": Shown(
        lambda lab: outcome(lab, "VDI.enable_cbt", "OpaqueRef:x"), "HANDLE_INVALID", "ok"
    ),
    "failed-resizes-are-not-told": Shown(messages_after("resize"), [RESIZE], []),
    "failed-rolls-are-not-told": Shown(messages_after("snapshot"), [SNAPSHOT], []),
    "inconsistent-logs-are-not-told": Shown(messages_after("attach"), [INCONSISTENT], []),
    "messages-name-another-disk": Shown(messages_after("snapshot"), [SNAPSHOT], []),
    "messages-have-one-name": Shown(messages_after("snapshot"), [SNAPSHOT], [INCONSISTENT]),
    "disks-switched-off-by-the-host-read-as-enabled": Shown(
        lambda lab: enabled(lab, switched_off(lab, "snapshot")), False, True
    ),
    "xe-enables-nothing": Shown(xe_switched("vdi-enable-cbt"), True, False),
    "xe-disables-nothing": Shown(xe_switched("vdi-disable-cbt"), False, True),
    "xe-keeps-disabling-errors-quiet": Shown(xe_disables_a_snapshot, "OPERATION_NOT_ALLOWED", "ok"),
    "xe-prints-yes-or-no": Shown(xe_prints, "true", "yes"),
    "xe-always-prints-false": Shown(xe_prints, "true", "false"),
    "xe-always-ends-well": Shown(
        lambda lab: inside(lab, cli_protocol.ends, 1), cli_protocol.ends(1), cli_protocol.ends(0)
    ),
    "xe-errors-are-all-alike": Shown(lambda lab: IN_USE in xe_tells(lab), True, False),
}
