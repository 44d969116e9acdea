"""The fence around a host that matters: looked at before a call is sent, whoever wants to send it.

Fixtures keep within it by themselves; it is there for the test, ours or somebody else's, that does not.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from xencbt.harness.consents import CALLS_OF_A_CONSENT, NEVER_CREATED, PLAIN_TYPES
from xencbt.harness.errors import HarnessError
from xencbt.harness.outcome import Indeterminate, Ok, Outcome
from xencbt.harness.verdicts import NotRun

Read = Callable[..., Outcome]
"""Makes a call that only reads: `read("VDI.get_uuid", ref)`."""

SWITCHING = frozenset({"VDI.enable_cbt", "VDI.disable_cbt"})
"""What may be called for a VDI that is not ours, once its status is journalled."""

PLUGGING = frozenset({"PBD.unplug", "PBD.plug"})
ELSEWHERE = {"VDI.copy": 1, "VDI.pool_migrate": 1, "VM.copy": 2, "VM.migrate_send": 3}
"""Calls that name SRs to put something on, and the parameter in which they do: one, or a map from disks."""

INTO = 3
"""The parameter in which VDI.copy names a disk that is there, to write to that."""

NULL = "OpaqueRef:NULL"

HARMLESS = ("session.", "system.", "event.", "task.")
ALIKE: Mapping[str, tuple[str, ...]] = {
    "vm-power": ("VM.start_on", "VM.resume_on", "VM.clean_shutdown", "VM.clean_reboot", "VM.hard_reboot"),
    "migrate": ("VM.migrate_send", "VM.pool_migrate", "host.migrate_receive"),
}
"""What a consent is about besides the calls that a run cannot do without."""

TAKES_CONSENT = {
    call: consent for known in (CALLS_OF_A_CONSENT, ALIKE) for consent, calls in known.items() for call in calls
}
OF_THE_HOST = frozenset(call for call in TAKES_CONSENT if call.startswith(("host.", "network.")))


@dataclass(frozen=True, slots=True)
class Guard:
    """What a run may do to a host: reads, and with consent what consent is for, else only to what it made itself.

    `made` tells whether the run made what has that reference, `journalled` whether a change of the PBD or VDI with that
    uuid is written down and not undone yet; `srs` are references of the SRs it may create on, `to_clone` that of the VM
    it may clone.
    """

    consents: frozenset[str]
    made: Callable[[str], bool]
    journalled: Callable[[str], bool]
    srs: Collection[str] = field(default_factory=frozenset)
    to_clone: str | None = None

    def check(self, read: Read, method: str, *params: object) -> None:
        """Let a call pass, or raise: NotRun where consent is missing, HarnessError where no consent would help."""
        call = method.removeprefix("Async.")
        cls, _, verb = call.partition(".")
        if call.startswith(HARMLESS) or verb.startswith(("get_", "assert_")) or call == "VDI.list_changed_blocks":
            return
        self._consented(TAKES_CONSENT.get(call))
        first = params[0] if params else None
        if verb == "create" and isinstance(first, Mapping):
            self._creating(cls, first)
        elif call in SWITCHING | PLUGGING:
            self._changing(read, call, str(first))
        elif cls in {"VDI", "VM", "VBD"}:
            self._ours(read, call, str(first))
            if call == "VDI.copy" and len(params) > INTO and params[INTO] != NULL:
                self._ours(read, call, str(params[INTO]))
        elif call not in OF_THE_HOST and not (call == "SR.scan" and first in self.srs):
            raise HarnessError(f"{method} is nothing that a run may call on a host")
        self._elsewhere(call, params)

    def _consented(self, consent: str | None) -> None:
        if consent is not None and consent not in self.consents:
            raise NotRun(f"needs consent: --allow {consent}")

    def _creating(self, cls: str, record: Mapping[str, object]) -> None:
        if cls == "VDI":
            vdi_type = str(record.get("type"))
            if record.get("SR") not in self.srs:
                raise HarnessError("VDI.create on an SR that was not named: nothing is made there")
            if vdi_type in NEVER_CREATED:
                raise NotRun(f"a VDI of type {vdi_type} is never created: {NEVER_CREATED[vdi_type]}")
            self._consented(None if vdi_type in PLAIN_TYPES else "special-vdi-types")
        elif cls == "VBD":
            for what in ("VM", "VDI"):
                if not self.made(str(record.get(what))):
                    raise HarnessError(f"VBD.create with a {what} that is not ours")
        elif cls != "VM":
            raise HarnessError(f"{cls}.create is nothing that a run may call on a host")

    def _elsewhere(self, call: str, params: Sequence[object]) -> None:
        """Let a call put things only on SRs that were named; NULL stands for the one where the source is."""
        if call in ELSEWHERE and len(params) > ELSEWHERE[call]:
            named = params[ELSEWHERE[call]]
            for sr in named.values() if isinstance(named, Mapping) else [named]:
                if sr not in self.srs and sr != NULL:
                    raise HarnessError(f"{call} to an SR that was not named: nothing is made there")

    def _changing(self, read: Read, call: str, ref: str) -> None:
        """Let a state be changed that is not ours where it was written down first."""
        if self.made(ref):
            return
        uuid = _uuid(read, call, ref)
        if uuid is not None and not self.journalled(uuid):
            raise HarnessError(f"{call} of {uuid}, which is not ours and whose state is not journalled")

    def _ours(self, read: Read, call: str, ref: str) -> None:
        cls = call.partition(".")[0]
        if self.made(ref) or (call == "VM.clone" and ref == self.to_clone):
            return
        uuid = _uuid(read, call, ref)
        if uuid is None:
            return
        holder = read("VBD.get_VM", ref) if cls == "VBD" else None
        if not (isinstance(holder, Ok) and self.made(str(holder.value))):
            raise HarnessError(f"{call} of {cls} {uuid}, which the run did not make")


def _uuid(read: Read, call: str, ref: str) -> str | None:
    """Return the uuid behind `ref`; None where the host does not know it, so that it cannot come to harm."""
    outcome = read(f"{call.partition('.')[0]}.get_uuid", ref)
    if isinstance(outcome, Indeterminate):
        raise HarnessError(f"{call}: it cannot be read whose {ref} is: {outcome.why}")
    return str(outcome.value) if isinstance(outcome, Ok) else None
