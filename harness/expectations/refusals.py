"""Every refusal the catalogue names, ready made: one function per reason, returning the allowed codes.

References are optional: with one given, the parameters must name it. `SUCCESS` stands beside them as positive control.
"""

from xencbt.harness.expectations.engine import Expectation, Refused, Succeeds, expect
from xencbt.harness.expectations.parameters import NamesType, mentioning, reference, starting
from xencbt.harness.expectations.vdi_type import VdiType

SUCCESS: Expectation = expect(Succeeds())

_READ_ONLY = ("read-only", "read only", "readonly", "writable", "writeable", "write-protected", "EROFS")
_NO_SPACE = ("space", "ENOSPC", "no room", "not enough", "is full", "free extents", "quota")


def unknown_vdi(ref: str) -> Expectation:
    """Expect refusal: no VDI has this reference (ENABLE-12, DISABLE-04): VDI_MISSING, or HANDLE_INVALID by D-01."""
    return expect(Refused("VDI_MISSING"), Refused("HANDLE_INVALID", starting("VDI", ref), deviation="D-01"))


def unknown_uuid(uuid: str) -> Expectation:
    """Expect refusal: no VDI has this uuid (ENABLE-12, DISABLE-04): UUID_INVALID when it is resolved."""
    return expect(Refused("UUID_INVALID", starting("VDI", uuid)))


def wrong_type(kind: VdiType | str, ref: str | None = None) -> Expectation:
    """Expect refusal: the VDI's type does not allow it, and is named (ENABLE-10, DISABLE-04, DESTROY-05)."""
    return expect(Refused("VDI_INCOMPATIBLE_TYPE", starting(reference(ref), NamesType(VdiType(kind)))))


def on_boot_reset() -> Expectation:
    """Expect refusal: the VDI is reset at every boot (ENABLE-11, DISABLE-04)."""
    return expect(Refused("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"))


def is_a_snapshot() -> Expectation:
    """Expect refusal: a snapshot can be neither enabled nor disabled (ENABLE-15, DISABLE-04)."""
    return expect(Refused("OPERATION_NOT_ALLOWED"))


def metadata_only(ref: str, *, ordered: bool) -> Expectation:
    """Expect refusal: what data_destroy left is of a type of its own, and still a snapshot.

    Either is reason enough, unless the host's order of checks is known: then the type comes first (xapi's check order).
    """
    by_type = wrong_type(VdiType.CBT_METADATA, ref)
    return by_type if ordered else by_type | is_a_snapshot()


def sr_not_attached() -> Expectation:
    """Expect refusal: no PBD of the SR is plugged (ENABLE-07, DISABLE-04); both codes are documented."""
    return expect(Refused("SR_NOT_ATTACHED"), Refused("SR_HAS_NO_PBDS"))


def driver_without_cbt(sr: str | None = None) -> Expectation:
    """Expect refusal: the SR's driver has no CBT (ENABLE-16, DISABLE-04, and ENABLE-08 on such a driver)."""
    return expect(Refused("SR_OPERATION_NOT_SUPPORTED", starting(reference(sr))))


def read_only_sr() -> Expectation:
    """Expect refusal: the SR of a CBT-capable driver cannot be written (ENABLE-08): 457 with the cause in it."""
    return expect(Refused("SR_BACKEND_FAILURE_457", mentioning(*_READ_ONLY)))


def full_sr() -> Expectation:
    """Expect refusal: the SR has no room for the log (ENABLE-09): 457 naming the lack of space, or 44, which is it."""
    return expect(Refused("SR_BACKEND_FAILURE_457", mentioning(*_NO_SPACE)), Refused("SR_BACKEND_FAILURE_44"))


def raw_vdi() -> Expectation:
    """Expect refusal: the VDI is raw on a capable SR (ENABLE-16): storage error 66, or not supported."""
    return expect(Refused("SR_BACKEND_FAILURE_66"), Refused("SR_OPERATION_NOT_SUPPORTED"))


def unlicensed() -> Expectation:
    """Expect refusal: the licence lacks the feature (ENABLE-17); the code is spelt so."""
    return expect(Refused("LICENCE_RESTRICTION"))


def cannot_disable() -> Expectation:
    """Expect refusal: the log cannot be removed: 458, or 457 where the active disk could not be paused."""
    return expect(Refused("SR_BACKEND_FAILURE_458"), Refused("SR_BACKEND_FAILURE_457"))


def cbt_enabled(ref: str | None = None) -> Expectation:
    """Expect refusal: CBT is enabled, which excludes it: set_on_boot (ENABLE-18), migration (LIFE-03)."""
    return expect(Refused("VDI_CBT_ENABLED", starting(reference(ref))))


def unrelated() -> Expectation:
    """Expect refusal: no common set, or the wrong way round (SET-06, LIST-06, LIST-08); the message is documented."""
    return expect(Refused("SR_BACKEND_FAILURE_460", mentioning("Source and target VDI are unrelated")))


def doubtful_log() -> Expectation:
    """Expect refusal: a log between the two met an unclean stop and cannot be trusted (storage layer, error 459)."""
    return expect(Refused("SR_BACKEND_FAILURE_459"))


def same_vdi() -> Expectation:
    """Expect refusal: earlier and later VDI are one and the same: 460, in words that are not documented."""
    return expect(Refused("SR_BACKEND_FAILURE_460"))


def unrelated_across_srs() -> Expectation:
    """Expect refusal: the earlier VDI is on another SR, where the later one's storage layer may not even find it."""
    return unrelated() | expect(Refused("SR_BACKEND_FAILURE_46"), Refused("VDI_MISSING"))


def in_use(ref: str | None = None) -> Expectation:
    """Expect refusal: the VDI is attached, or a VBD refers to it (LIST-07, DESTROY-04)."""
    return expect(Refused("VDI_IN_USE", starting(reference(ref))))


def not_a_snapshot() -> Expectation:
    """Expect refusal: data_destroy is for snapshots only (DESTROY-03)."""
    return expect(Refused("OPERATION_NOT_ALLOWED"))


def no_cbt_metadata(ref: str | None = None) -> Expectation:
    """Expect refusal: data_destroy needs CBT metadata to keep (DESTROY-03)."""
    return expect(Refused("VDI_NO_CBT_METADATA", starting(reference(ref))))


def sharable(ref: str | None = None) -> Expectation:
    """Expect refusal: a sharable VDI cannot be snapshotted (xapi's check order)."""
    return expect(Refused("VDI_IS_SHARABLE", starting(reference(ref))))


def shrinking() -> Expectation:
    """Expect refusal: disks only grow (storage layer, error 79)."""
    return expect(Refused("SR_BACKEND_FAILURE_79"))


def no_space() -> Expectation:
    """Expect refusal: the SR has no room for another image (storage layer, error 44)."""
    return expect(Refused("SR_BACKEND_FAILURE_44"))


def bad_power_state() -> Expectation:
    """Expect refusal: a VM that uses the VDI is not halted (xapi's check order of set_on_boot)."""
    return expect(Refused("VM_BAD_POWER_STATE"))


def has_rrds() -> Expectation:
    """Expect refusal: the host's own statistics VDI cannot be destroyed."""
    return expect(Refused("VDI_HAS_RRDS"))


def not_permitted() -> Expectation:
    """Expect refusal: the caller's role does not allow the call."""
    return expect(Refused("RBAC_PERMISSION_DENIED"))


def incompatible_purposes() -> Expectation:
    """Expect refusal: networks serve NBD over TLS or plain, not both (EXPORT-03)."""
    return expect(Refused("NETWORK_INCOMPATIBLE_PURPOSES"))


def unknown_method(method: str) -> Expectation:
    """Expect refusal: the host is too old to know the call."""
    return expect(Refused("MESSAGE_METHOD_UNKNOWN", starting(method)))
