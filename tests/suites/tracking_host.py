"""A host in memory that tracks changed blocks honestly, until it is told to twist the answer of one method."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from xencbt.harness.bitmap import BLOCK, Bitmap, touched
from xencbt.harness.exchange import Recorder
from xencbt.harness.masking import Secrets
from xencbt.harness.outcome import Failed, Ok, Outcome
from xencbt.harness.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SPACE = {"get_physical_size": str(2**40), "get_physical_utilisation": "0"}
"""The SR of the host, as far as anybody asks."""

UNRELATED = Failed(
    "SR_BACKEND_FAILURE_460",
    ("", "Failed to calculate changed blocks [opterr=Source and target VDI are unrelated]", ""),
)


class TrackingHost(Session):
    """Disks are records; a tracked one has a place in a chain: (chain, position), with the blocks written there.

    `twists` by method get the honest answer and give the one that is sent.
    """

    ref = "session"
    user = "root"

    def __init__(self) -> None:
        self.recorder = Recorder(Secrets())
        self.records: dict[str, dict[str, Any]] = {}
        self.chains: list[list[set[int]]] = []
        self.places: dict[str, tuple[int, int]] = {}
        self.twists: dict[str, Callable[[Outcome], Outcome]] = {}

    def call(self, method: str, *params: object, deadline_s: float | None = None) -> Outcome:
        del deadline_s
        cls, _, name = method.partition(".")
        if cls == "session":
            return Ok("session-uuid")
        if cls == "SR":
            return Ok(SPACE.get(name, {}))
        assert cls == "VDI", method
        answer: Callable[..., Outcome] = getattr(self, f"_{name}", partial(self._field, name))
        honest = answer(*params)
        return self.twists[method](honest) if method in self.twists else honest

    def value(self, method: str, *params: object) -> Any:
        outcome = self.call(method, *params)
        assert isinstance(outcome, Ok), f"{method}: {outcome}"
        return outcome.value

    def write(self, ref: str, writes: Sequence[tuple[int, bytes]]) -> Outcome:
        if ref in self.places:
            chain, position = self.places[ref]
            for offset, data in writes:
                self.chains[chain][position] |= set(touched(offset, len(data)))
        return Ok("")

    def _field(self, getter: str, ref: str) -> Outcome:
        if ref not in self.records:
            return Failed("HANDLE_INVALID", ("VDI", ref))
        return Ok(self.records[ref][getter.removeprefix("get_")])

    def _get_snapshots(self, ref: str) -> Outcome:
        return Ok(self._snapshots(ref))

    def _snapshots(self, ref: str) -> list[str]:
        return [name for name, record in self.records.items() if record.get("snapshot_of") == ref]

    def _get_record(self, ref: str) -> Outcome:
        return Ok(dict(self.records[ref]) | {"snapshots": self._snapshots(ref)})

    def _create(self, record: Mapping[str, Any]) -> Outcome:
        return Ok(
            self._add(
                {
                    **record,
                    "virtual_size": str(record["virtual_size"]),
                    "cbt_enabled": False,
                    "is_a_snapshot": False,
                    "VBDs": [],
                    "current_operations": {},
                }
            )
        )

    def _add(self, record: Mapping[str, Any]) -> str:
        ref = f"disk-{len(self.records)}"
        self.records[ref] = dict(record) | {"uuid": f"uuid-{len(self.records)}"}
        return ref

    def _set_other_config(self, ref: str, value: Mapping[str, str]) -> Outcome:
        self.records[ref]["other_config"] = dict(value)
        return Ok("")

    def _enable_cbt(self, ref: str) -> Outcome:
        if self.records[ref]["is_a_snapshot"]:
            return Failed("OPERATION_NOT_ALLOWED", (f"VDI is a snapshot: {ref}",))
        if ref not in self.places:
            self.chains.append([set()])
            self.places[ref] = (len(self.chains) - 1, 0)
            self.records[ref]["cbt_enabled"] = True
        return Ok("")

    def _disable_cbt(self, ref: str) -> Outcome:
        self.places.pop(ref, None)
        self.records[ref]["cbt_enabled"] = False
        return Ok("")

    def _snapshot(self, ref: str, _: object) -> Outcome:
        taken = self._add(self.records[ref] | {"is_a_snapshot": True, "snapshot_of": ref})
        if ref in self.places:
            chain, position = self.places[taken] = self.places[ref]
            self.chains[chain].append(set())
            self.places[ref] = (chain, position + 1)
        return Ok(taken)

    def _resize(self, ref: str, size: int) -> Outcome:
        whole = -(-size // BLOCK) * BLOCK
        self.records[ref]["virtual_size"] = str(whole)
        return Ok("")

    def _destroy(self, ref: str) -> Outcome:
        del self.records[ref]
        return Ok("")

    def _list_changed_blocks(self, earlier: str, later: str) -> Outcome:
        first, last = self.places.get(earlier), self.places.get(later)
        if first is None or last is None or first[0] != last[0] or first[1] >= last[1]:
            return UNRELATED
        blocks = set[int]().union(*self.chains[first[0]][first[1] + 1 : last[1] + 1])
        return Ok(Bitmap.of(blocks, int(self.records[later]["virtual_size"])).to_base64())
