"""Learns what a target can do by reading alone, before anything is written to it."""

from collections.abc import Callable, Mapping, Sequence

from xencbt.harness.capabilities import SR_KINDS, STORAGE, Capabilities, Capability
from xencbt.harness.consents import CALLS_OF_A_CONSENT, role_of
from xencbt.harness.hosts import PoolHost, connected, in_words, read_hosts
from xencbt.harness.outcome import Failed, Indeterminate, Ok
from xencbt.harness.product import Product
from xencbt.harness.rawdisk import handler_answers
from xencbt.harness.repositories import Repository
from xencbt.harness.roles import denied, lacking, least_role
from xencbt.harness.session import Session
from xencbt.harness.xe import Xe

CBT_CALLS = ("VDI.enable_cbt", "VDI.disable_cbt", "VDI.list_changed_blocks", "VDI.data_destroy", "VDI.get_cbt_enabled")

CBT_API = (2, 8)
"""The API version that brought changed block tracking, for hosts that do not list their methods."""

NBD_CALLS = ("VDI.get_nbd_info", "network.add_purpose")
"""They came with changed block tracking, and are no part of it."""

YOUNGER = frozenset({"network-purpose", "migrate"})
"""Consents about calls that not every host has: the others are as old as the API."""

NOT_FOUND = 404

XE_PROBE_DEADLINE_S = 15.0

NO_VDI = "00000000-0000-0000-0000-000000000000"


def probe(
    session: Session, product: Product, main: Repository, srs: Mapping[str, str], *, controlled: bool, xe: Xe
) -> Capabilities:
    """Learn what the target can do, by reads only.

    `main` is the SR of the run, `srs` the uuids of the others by kind, `controlled` whether the emulator's control
    interface is at hand, `xe` the way to a command line. Raises HarnessError when the target stops answering.
    """
    hosts = read_hosts(session, product.host_ref)
    probed = [
        Capability("hosts", present=True, detail=in_words(hosts, connected(session, main.ref))),
        _role(session),
        _cbt_calls(session, product),
        _cbt_licensed(session, product),
        _driver(main, "sr-cbt", "VDI_CONFIG_CBT", 1),
        _driver(main, "reset-on-boot", "VDI_RESET_ON_BOOT", 2),
        *(_sr_kind(kind, srs) for kind in SR_KINDS),
        *(rule(controlled) for rule in _CONTROLLED),
        *_raw_disks(session),
        _vm_power(session, hosts),
        *(_may(session, consent) for consent in CALLS_OF_A_CONSENT if consent != "vm-power"),
        _nbd(session, product),
        _xe(session, xe),
        *_storage(main),
    ]
    return Capabilities(tuple(probed))


def _role(session: Session) -> Capability:
    lacks = lacking(session.value("session.get_record", session.ref), listed_methods(session))
    if not lacks:
        return Capability("role", present=True, detail=f"{session.user} may make the calls that judging takes")
    detail = f"the role of {session.user} does not allow {', '.join(lacks)}: it takes {least_role(lacks)} or higher"
    return Capability("role", present=False, detail=detail)


def listed_methods(session: Session) -> list[str] | None:
    """Return the calls that the target says it has; None where it does not say."""
    listed = session.call("system.listMethods")
    return listed.value if isinstance(listed, Ok) and isinstance(listed.value, list) else None


def _cbt_calls(session: Session, product: Product) -> Capability:
    listed = listed_methods(session)
    if listed is not None:
        unlisted = [call for call in CBT_CALLS if call not in listed]
        detail = f"the host does not list {', '.join(unlisted)}" if unlisted else "the host lists the calls"
        return Capability("cbt-calls", not unlisted, f"{detail} (API {product.api_version})")
    detail = f"API {product.api_version}; changed block tracking came with {CBT_API[0]}.{CBT_API[1]}"
    return Capability("cbt-calls", _is_recent(product), detail)


def _cbt_licensed(session: Session, product: Product) -> Capability:
    pool = next(iter(session.value("pool.get_all_records").values()))
    sources = {
        "pool.restrictions": pool.get("restrictions", {}),
        "host.license_params": session.value("host.get_license_params", product.host_ref),
    }
    for source, values in sources.items():
        if values.get("restrict_cbt") == "true":
            return Capability("cbt-licensed", present=False, detail=f"{source} has restrict_cbt = true")
    return Capability("cbt-licensed", present=True, detail="neither the pool nor its licence restricts it")


def _driver(main: Repository, name: str, feature: str, version: int) -> Capability:
    has = main.features.get(feature, 0)
    if has >= version:
        return Capability(name, present=True, detail=f"the driver {main.driver} has {feature} {has}")
    lacks = f"{feature} {has}, not {version}" if has else f"no {feature}"
    return Capability(name, present=False, detail=f"the driver {main.driver} of SR {main.uuid} has {lacks}")


def _sr_kind(kind: str, srs: Mapping[str, str]) -> Capability:
    detail = f"SR {srs[kind]}" if kind in srs else f"no SR of kind {kind!r} was named"
    return Capability(f"sr:{kind}", kind in srs, detail)


def _by_control(name: str, what: str) -> Callable[[bool], Capability]:
    def rule(controlled: bool) -> Capability:  # noqa: FBT001  a table of rules, all called the same way
        detail = f"the control interface {what}" if controlled else "the target has no control interface"
        return Capability(name, controlled, detail)

    return rule


_CONTROLLED = (
    _by_control("control", "answers"),
    _by_control("guest-write", "writes as a guest does"),
    _by_control("licence", "switches the licence"),
    _by_control("sr-state", "makes SRs full or read-only"),
    _by_control("crash", "stops the host uncleanly"),
    _by_control("call-counts", "counts executions"),
    _by_control("roles", "belongs to a host with a user for each role"),
)


def _raw_disks(session: Session) -> tuple[Capability, Capability]:
    """Knock at the export handler without credentials: a host that has none says that the path is unknown."""
    shown = handler_answers(session, "/export_raw_vdi")
    if isinstance(shown, Ok) and shown.value != NOT_FOUND:
        said = f"/export_raw_vdi is served (HTTP {shown.value} without credentials)"
        return (
            Capability("raw-export", present=True, detail=said),
            Capability("raw-import", present=True, detail=f"{said}, and hosts serve both or none"),
        )
    lacks = f"/export_raw_vdi is not served ({f'HTTP {NOT_FOUND}' if isinstance(shown, Ok) else shown})"
    return Capability("raw-export", present=False, detail=lacks), Capability("raw-import", present=False, detail=lacks)


def _vm_power(session: Session, hosts: Sequence[PoolHost]) -> Capability:
    enabled = any(host.enabled for host in hosts)
    subject = "the host is" if len(hosts) == 1 else "a host is" if enabled else "all hosts are"
    if not enabled:
        return Capability("vm-power", present=False, detail=f"{subject} disabled, so that no VM can start")
    may = _may(session, "vm-power")
    return Capability("vm-power", may.present, f"{subject} enabled, and {may.detail}" if may.present else may.detail)


def _may(session: Session, consent: str) -> Capability:
    """Whether the host has the calls that a consent lets a run make, and the session's role allows them."""
    calls = CALLS_OF_A_CONSENT[consent]
    listed = listed_methods(session) if consent in YOUNGER else None
    unknown = [call for call in calls if listed is not None and call not in listed]
    refused = denied(session.value("session.get_record", session.ref), calls)
    if unknown:
        return Capability(consent, present=False, detail=f"the host does not list {', '.join(unknown)}")
    if refused:
        takes = f"it takes {role_of(consent)} or higher"
        detail = f"the role of {session.user} does not allow {', '.join(refused)}: {takes}"
        return Capability(consent, present=False, detail=detail)
    return Capability(consent, present=True, detail=f"{session.user} may call {', '.join(calls)}")


def _storage(main: Repository) -> tuple[Capability, ...]:
    return tuple(
        Capability(
            name,
            operation in main.allowed_operations,
            f"SR {main.uuid} {'allows' if operation in main.allowed_operations else 'does not allow'} {operation} now",
        )
        for name, operation in STORAGE.items()
    )


def _nbd(session: Session, product: Product) -> Capability:
    """Whether the target serves disks over NBD, or could if its networks were given a purpose for it."""
    listed = listed_methods(session)
    knows = _is_recent(product) if listed is None else all(call in listed for call in NBD_CALLS)
    if not knows:
        return Capability("nbd", present=False, detail=f"the host lacks {' or '.join(NBD_CALLS)}")
    read = session.call("network.get_all_records")
    if not isinstance(read, Ok) or not isinstance(read.value, dict):
        return Capability("nbd", present=False, detail=f"the networks cannot be read: {read}")
    purposes = sorted({str(purpose) for record in read.value.values() for purpose in record.get("purpose", ())})
    now = f"a network has the purpose {', '.join(purposes)}" if purposes else "no network has a purpose for it yet"
    return Capability("nbd", present=True, detail=f"the host knows {' and '.join(NBD_CALLS)}; {now}")


def _is_recent(product: Product) -> bool:
    major, _, minor = product.api_version.partition(".")
    return (int(major), int(minor)) >= CBT_API


def _xe(session: Session, xe: Xe) -> Capability:
    """Have xe read the uuid of a VDI: one that the target knows, so that a command for another pool is found out."""
    known = session.value("VDI.get_all")
    uuid = str(session.value("VDI.get_uuid", known[0])) if known else NO_VDI
    result = xe.run("vdi-param-get", "param-name=uuid", f"uuid={uuid}", deadline_s=XE_PROBE_DEADLINE_S)
    if isinstance(result, Indeterminate):
        return Capability("xe", present=False, detail=f"{xe!r} does not run xe: {result.why}")
    present = result.stdout.strip() == uuid and result.exit_code == 0
    if not known:
        present = isinstance(result.outcome, Failed) and result.outcome.code == "UUID_INVALID"
    said = "reads what the session reads" if present else f"does not read VDI {uuid}: {result.stderr.strip()[:200]}"
    return Capability("xe", present, f"{xe!r} {said}")
