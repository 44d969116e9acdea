"""VDIs: their content, their tracking, and the calls about them, refused in an order of this host's own."""

import base64
from typing import Any

from tests.odd_host import tracking
from tests.odd_host.habits import Wrong
from tests.odd_host.records import NULL, Records, Refusal
from tests.odd_host.tracking import BLOCK, BackupSet, Place

MIB = 2**20

DEFAULTS: dict[str, Any] = {
    "name_label": "",
    "name_description": "",
    "allowed_operations": [],
    "current_operations": {},
    "crash_dumps": [],
    "physical_utilisation": "0",
    "sharable": False,
    "read_only": False,
    "storage_lock": False,
    "location": "shelf 4",
    "managed": True,
    "missing": False,
    "parent": NULL,
    "xenstore_data": {},
    "is_a_snapshot": False,
    "snapshot_of": NULL,
    "snapshot_time": "19700101T00:00:00Z",
    "tags": ["odd", "even", "prime"],
    "allow_caching": False,
    "on_boot": "persist",
    "metadata_of_pool": NULL,
    "metadata_latest": False,
    "is_tools_iso": False,
    "cbt_enabled": False,
}

Content = dict[int, bytes]
"""Blocks that were written, by number; all others are zero."""


class Disks:
    """The calls of class VDI, by name; each takes the references and values that came over the wire."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self._content: dict[str, Content] = {}
        self._places: dict[str, Place] = {}
        self._activations = 0

    def create(self, wanted: dict[str, Any]) -> str:
        sr = self.records.row("SR", wanted["SR"])
        if wanted["type"] == "cbt_metadata":
            raise Refusal("VDI_INCOMPATIBLE_TYPE", "", "cbt_metadata")
        self._attached(wanted["SR"])
        rounding = int(sr["other_config"]["rounding"])
        size = -(-int(wanted["virtual_size"]) // rounding) * rounding
        taken = ("SR", "type", "name_label", "name_description", "other_config", "sm_config")
        kept = {name: wanted[name] for name in taken if name in wanted}
        return self.add(virtual_size=str(size), **kept)

    def enable_cbt(self, ref: str) -> str:
        row = self._switchable("enable_cbt", ref)
        if row["SR"] in self.records.refs("SR", content_type="frozen"):
            raise Refusal("SR_BACKEND_FAILURE_457", "No log could be made: EROFS, write protection is on")
        if row["SR"] in self.records.refs("SR", content_type="crammed"):
            raise Refusal("SR_BACKEND_FAILURE_44", "The shelf is full")
        if row["sm_config"].get("type") == "raw":
            raise Refusal("SR_OPERATION_NOT_SUPPORTED", row["SR"])
        if ref not in self._places or self.records.habits.wrong is Wrong.ENABLING_RESTARTS:
            self._places[ref] = Place(BackupSet())
        self._activate(ref)
        self.records.set("VDI", ref, cbt_enabled=True)
        return ""

    def disable_cbt(self, ref: str) -> str:
        self._switchable("disable_cbt", ref)
        self._places.pop(ref, None)
        self._activate(ref)
        self.records.set("VDI", ref, cbt_enabled=False)
        return ""

    def set_on_boot(self, ref: str, mode: str) -> str:
        row = self.records.row("VDI", ref)
        if row["cbt_enabled"]:
            raise Refusal("VDI_CBT_ENABLED", ref)
        self._needs("VDI_RESET_ON_BOOT", row["SR"])
        self.records.set("VDI", ref, on_boot=mode)
        return ""

    def snapshot(self, ref: str, _: object) -> str:
        row = self._with_data(ref)
        if row["on_boot"] == "reset":
            raise Refusal("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION")
        taken = self._copied(ref, is_a_snapshot=True, snapshot_of=ref, cbt_enabled=row["cbt_enabled"])
        if ref in self._places:
            place = self._places[ref]
            self._places[taken] = (
                place.within.snapshot() if place.moment is None else place.beside(self._places.values())
            )
        self._activate(ref)
        return taken

    def clone(self, ref: str, _: object) -> str:
        self._with_data(ref)
        return self._copied(ref)

    def copy(self, ref: str, sr: str, _base: str = NULL, into: str = NULL) -> str:
        """Copy to the SR, where sizes round up in its own way, or into a disk that is there, whole."""
        row = self._with_data(ref)
        if row["on_boot"] == "reset":
            raise Refusal("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION")
        if into != NULL:
            self.write(into, 0, self.read(ref))
            return into
        self._attached(sr)
        made = self._copied(ref)
        self.records.set("VDI", made, SR=sr)
        return made

    def pool_migrate(self, ref: str, sr: str, _options: object) -> str:
        """Move the disk, which stays the same object: nothing but its SR changes."""
        row = self._with_data(ref)
        if not self.records.refs("VBD", VDI=ref):
            raise Refusal("VDI_NEEDS_VM_FOR_MIGRATE", ref)
        if row["cbt_enabled"]:
            raise Refusal("VDI_CBT_ENABLED", ref)
        self._attached(sr)
        self.records.set("VDI", ref, SR=sr)
        return ref

    def put_back(self, ref: str, snapshot: str) -> None:
        """Give a disk the content of its snapshot again, in place; what is overwritten thereby counts as written."""
        content = self._content[ref]
        kept = dict(self._content[snapshot])
        if ref in self._places:
            differing = {block for block in {*content, *kept} if content.get(block) != kept.get(block)}
            self._places[ref].within.history.append(frozenset(differing))
        self._content[ref] = kept
        self.records.set("VDI", ref, virtual_size=self.records.row("VDI", snapshot)["virtual_size"])
        self._activate(ref)

    def get_nbd_info(self, ref: str) -> list[Any]:
        """Say that the disk is served nowhere, as long as there is something to serve."""
        self._with_data(ref)
        return []

    def resize(self, ref: str, size: str) -> str:
        row = self._with_data(ref)
        if self.in_use(ref):
            raise Refusal("VDI_IN_USE", ref, "resize")
        rounding = int(self.records.row("SR", row["SR"])["other_config"]["rounding"])
        grown = -(-int(size) // rounding) * rounding
        if grown < int(row["virtual_size"]):
            raise Refusal("SR_BACKEND_FAILURE_79", "disks do not shrink here")
        self.records.set("VDI", ref, virtual_size=str(grown))
        return ""

    def data_destroy(self, ref: str) -> str:
        row = self.records.row("VDI", ref)
        self._attached(row["SR"])
        if not row["is_a_snapshot"]:
            raise Refusal("OPERATION_NOT_ALLOWED", "only old pictures can be forgotten")
        if not row["cbt_enabled"]:
            raise Refusal("VDI_NO_CBT_METADATA", ref)
        if self.records.refs("VBD", VDI=ref):
            raise Refusal("VDI_IN_USE", ref, "data_destroy")
        self._content.pop(ref, None)
        self.records.set("VDI", ref, type="cbt_metadata")
        return ""

    def destroy(self, ref: str) -> str:
        row = self.records.row("VDI", ref)
        self._attached(row["SR"])
        if self.in_use(ref):
            raise Refusal("VDI_IN_USE", ref, "destroy")
        self._content.pop(ref, None)
        self._places.pop(ref, None)
        self.records.remove("VDI", ref)
        return ""

    def list_changed_blocks(self, earlier: str, later: str) -> str:
        first, last = self.records.row("VDI", earlier), self.records.row("VDI", later)
        self._needs("VDI_CONFIG_CBT", last["SR"])
        self._attached(last["SR"])
        if first["SR"] != last["SR"]:
            raise Refusal("VDI_MISSING", earlier)
        if self.in_use(later):
            raise Refusal("VDI_IN_USE", later, "list_changed_blocks")
        blocks = tracking.blocks_between(self._places.get(earlier), self._places.get(later))
        if blocks is None:
            raise Refusal("SR_BACKEND_FAILURE_460", "Cannot compare. Source and target VDI are unrelated!")
        marked = blocks if self.records.habits.exact else tracking.coarse(blocks)
        return base64.b64encode(tracking.bitmap(marked, int(last["virtual_size"]))).decode()

    def get_VBDs(self, ref: str) -> list[str]:  # noqa: N802  the call's own name
        self.records.row("VDI", ref)
        return self.records.refs("VBD", VDI=ref)

    def write(self, ref: str, offset: int, data: bytes) -> None:
        """Put `data` on the disk and record which blocks that touched."""
        row = self._with_data(ref)
        if row["is_a_snapshot"]:
            raise Refusal("VDI_READONLY", ref)
        if self.in_use(ref):
            raise Refusal("VDI_IN_USE", ref, "import")
        if offset + len(data) > int(row["virtual_size"]):
            raise Refusal("VDI_TOO_SMALL", ref)
        content = self._content[ref]
        blocks = tracking.touched(offset, len(data))
        for block in blocks:
            start = max(offset, block * BLOCK)
            part = data[start - offset : (block + 1) * BLOCK - offset]
            old = content.get(block, bytes(BLOCK))
            content[block] = old[: start - block * BLOCK] + part + old[start - block * BLOCK + len(part) :]
        if ref in self._places:
            lost = {max(blocks)} if self.records.habits.wrong is Wrong.LOSES_A_BLOCK and len(blocks) > 1 else set()
            self._places[ref].within.history.append(blocks - lost)
        self._activate(ref)

    def read(self, ref: str) -> bytes:
        """Return the whole content."""
        size = int(self._with_data(ref)["virtual_size"])
        content = self._content[ref]
        return b"".join(content.get(block, bytes(BLOCK)) for block in range(-(-size // BLOCK)))[:size]

    def in_use(self, ref: str) -> bool:
        """Tell whether a VM has the disk attached now."""
        return bool(self.records.refs("VBD", VDI=ref, currently_attached=True))

    def _switchable(self, operation: str, ref: str) -> dict[str, Any]:
        row = self.records.row("VDI", ref)
        if row["on_boot"] == "reset":
            raise Refusal("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION", ref, operation)
        if row["is_a_snapshot"]:
            raise Refusal("OPERATION_NOT_ALLOWED", "old pictures stay as they are")
        if row["type"] not in {"user", "system"}:
            if self.records.habits.wrong is Wrong.MISNAMED_REFUSAL:
                raise Refusal("VDI_IS_A_PHYSICAL_DEVICE", ref)
            raise Refusal("VDI_INCOMPATIBLE_TYPE", ref, row["type"])
        self._attached(row["SR"])
        self._needs("VDI_CONFIG_CBT", row["SR"])
        return row

    def _with_data(self, ref: str) -> dict[str, Any]:
        row = self.records.row("VDI", ref)
        if row["type"] == "cbt_metadata":
            raise Refusal("VDI_INCOMPATIBLE_TYPE", ref, "cbt_metadata")
        self._attached(row["SR"])
        return row

    def _attached(self, sr: str) -> None:
        if not self.records.refs("PBD", SR=sr, currently_attached=True):
            raise Refusal("SR_NOT_ATTACHED", sr)

    def _needs(self, feature: str, sr: str) -> None:
        (driver,) = self.records.refs("SM", type=self.records.row("SR", sr)["type"])
        if feature not in self.records.row("SM", driver)["features"]:
            raise Refusal("SR_OPERATION_NOT_SUPPORTED", sr)

    def add(self, **fields: Any) -> str:
        ref = self.records.add("VDI", **{**DEFAULTS, "VBDs": [], "snapshots": [], "sm_config": {}, **fields})
        self._content[ref] = {}
        return ref

    def _copied(self, ref: str, **fields: Any) -> str:
        row = self.records.row("VDI", ref)
        kept = {name: row[name] for name in ("name_label", "SR", "type", "virtual_size", "sm_config")}
        made = self.add(**kept, other_config={}, **fields)
        self._content[made] = dict(self._content[ref])
        return made

    def _activate(self, ref: str) -> None:
        """Leave the driver's note on the disk that it was worked at, as drivers do."""
        self._activations += 1
        noted = {**self.records.row("VDI", ref)["sm_config"], "odd-activation": str(self._activations)}
        self.records.set("VDI", ref, sm_config=noted)
