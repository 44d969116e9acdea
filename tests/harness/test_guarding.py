"""The guard as a pure rule: what passes, what takes consent, and what nobody can consent to."""

import pytest

from xencbt.harness.consents import CALLS_OF_A_CONSENT, CONSENTS
from xencbt.harness.errors import HarnessError
from xencbt.harness.guarding import ALIKE, Guard
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.verdicts import NotRun

OURS = frozenset({"our-vdi", "our-vm", "our-vbd"})
THEIRS = frozenset(
    {"their-vdi", "their-vm", "their-vbd", "their-pbd", "noted-vdi", "noted-pbd", "vbd-of-our-vm", "to-clone"}
)


def read(method: str, ref: str) -> Outcome:
    if method == "VBD.get_VM":
        return Ok("our-vm" if ref == "vbd-of-our-vm" else "their-vm")
    if ref == "silent":
        return Indeterminate("no answer")
    return Ok(f"uuid of {ref}") if ref in OURS | THEIRS else Failed("HANDLE_INVALID", ("VDI", ref))


def check(method: str, *params: object, consents: frozenset[str] = frozenset(CONSENTS)) -> None:
    journalled = {"uuid of noted-vdi", "uuid of noted-pbd"}
    guard = Guard(consents, OURS.__contains__, journalled.__contains__, frozenset({"sr", "second"}), "to-clone")
    guard.check(read, method, *params)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("VDI.get_record", ("their-vdi",)),
        ("VDI.list_changed_blocks", ("their-vdi", "our-vdi")),
        ("system.listMethods", ()),
        ("event.from", (["vdi"], "", 1.0)),
        ("task.create", ("a", "b")),
        ("SR.scan", ("sr",)),
        ("VDI.create", ({"SR": "sr", "type": "user"},)),
        ("VDI.create", ({"SR": "sr", "type": "metadata"},)),
        ("VM.create", ({},)),
        ("VBD.create", ({"VM": "our-vm", "VDI": "our-vdi"},)),
        ("VDI.destroy", ("our-vdi",)),
        ("Async.VDI.destroy", ("our-vdi",)),
        ("VDI.copy", ("our-vdi", "second", "x", "y")),
        ("VDI.copy", ("our-vdi", "OpaqueRef:NULL", "OpaqueRef:NULL", "our-vdi")),
        ("VDI.pool_migrate", ("our-vdi", "second", {})),
        ("VDI.destroy", ("a reference that the host does not know",)),
        ("VDI.enable_cbt", ("noted-vdi",)),
        ("VBD.unplug", ("vbd-of-our-vm",)),
        ("VM.clone", ("to-clone", "name")),
        ("VM.copy", ("our-vm", "name", "second")),
        ("VM.copy", ("our-vm", "name", "OpaqueRef:NULL")),
        ("VM.migrate_send", ("our-vm", {}, True, {"our-vdi": "second"})),
        ("VM.assert_can_migrate", ("our-vm", {}, True, {"our-vdi": "anywhere"})),
        ("host.migrate_receive", ("host", "network", {})),
        ("VM.start", ("our-vm", False, False)),
        ("PBD.unplug", ("noted-pbd",)),
        ("host.restart_agent", ("host",)),
        ("network.add_purpose", ("network", "nbd")),
    ],
)
def test_what_passes(method: str, params: tuple[object, ...]) -> None:
    check(method, *params)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("VDI.destroy", ("their-vdi",)),
        ("Async.VDI.destroy", ("their-vdi",)),
        ("VDI.forget", ("their-vdi",)),
        ("VDI.import", ("their-vdi",)),
        ("VDI.snapshot", ("their-vdi", {})),
        ("VDI.data_destroy", ("their-vdi",)),
        ("VDI.enable_cbt", ("their-vdi",)),
        ("VDI.destroy", ("silent",)),
        ("VDI.enable_cbt", ("silent",)),
        ("VDI.destroy", ("noted-vdi",)),
        ("VDI.create", ({"SR": "somebody else's", "type": "user"},)),
        ("VDI.copy", ("our-vdi", "somebody else's", "x", "y")),
        ("VDI.copy", ("our-vdi", "OpaqueRef:NULL", "OpaqueRef:NULL", "their-vdi")),
        ("Async.VDI.copy", ("our-vdi", "second", "OpaqueRef:NULL", "noted-vdi")),
        ("VDI.pool_migrate", ("our-vdi", "somebody else's", {})),
        ("VM.copy", ("our-vm", "name", "somebody else's")),
        ("VM.migrate_send", ("our-vm", {}, True, {"our-vdi": "somebody else's"})),
        ("VM.migrate_send", ("their-vm", {}, True, {})),
        ("VBD.create", ({"VM": "their-vm", "VDI": "our-vdi"},)),
        ("VBD.create", ({"VM": "our-vm", "VDI": "their-vdi"},)),
        ("VBD.unplug", ("their-vbd",)),
        ("VM.clone", ("their-vm", "name")),
        ("VM.start", ("their-vm", False, False)),
        ("VM.start", ("to-clone", False, False)),
        ("VM.destroy", ("to-clone",)),
        ("PBD.unplug", ("their-pbd",)),
        ("PBD.destroy", ("noted-pbd",)),
        ("SR.scan", ("somebody else's",)),
        ("SR.destroy", ("sr",)),
        ("SR.forget", ("sr",)),
        ("SR.create", ({},)),
        ("host.shutdown", ("host",)),
        ("pool.set_name_label", ("pool", "x")),
        ("message.create", ("a", 1)),
        ("host.restart_agents", ("host",)),
    ],
)
def test_what_no_consent_allows(method: str, params: tuple[object, ...]) -> None:
    with pytest.raises(HarnessError):
        check(method, *params)


DISTURBING = [
    (consent, call) for known in (CALLS_OF_A_CONSENT, ALIKE) for consent, calls in known.items() for call in calls
]


@pytest.mark.parametrize(("consent", "method"), DISTURBING)
def test_each_disturbing_call_takes_its_own_consent(consent: str, method: str) -> None:
    cls = method.partition(".")[0]
    params = {"PBD": ("noted-pbd",), "VDI": ("our-vdi", "second")}.get(cls, ("our-vm",))
    with pytest.raises(NotRun, match=f"--allow {consent}$"):
        check(method, *params, consents=frozenset(CONSENTS) - {consent})
    check(method, *params, consents=frozenset({consent}))


@pytest.mark.parametrize("vdi_type", ["metadata", "ha_statefile", "redo_log", "cbt_metadata", "a type of tomorrow"])
def test_special_types_take_consent(vdi_type: str) -> None:
    record = {"SR": "sr", "type": vdi_type}
    with pytest.raises(NotRun, match="--allow special-vdi-types"):
        check("VDI.create", record, consents=frozenset(CONSENTS) - {"special-vdi-types"})
    check("VDI.create", record)


def test_rrd_is_never_created() -> None:
    with pytest.raises(NotRun, match="never created"):
        check("VDI.create", {"SR": "sr", "type": "rrd"})
