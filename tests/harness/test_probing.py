"""What probing concludes from what a host says."""

from itertools import chain
from typing import Any

import pytest

from tests.fixtures.fake_host import FakeSession
from xencbt.harness.capabilities import SR_KINDS, Capabilities
from xencbt.harness.consents import CALLS_OF_A_CONSENT
from xencbt.harness.errors import UsageError
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.probing import CBT_CALLS, NBD_CALLS, YOUNGER, probe
from xencbt.harness.product import Product
from xencbt.harness.repositories import Repository, find_repository, require_attached
from xencbt.harness.roles import LEAST_ROLES
from xencbt.harness.xe_words import XeResult

POOL = {"uuid": "pool", "master": "host", "restrictions": {"restrict_cbt": "false"}}
HOST = {"address": "192.0.2.1", "enabled": True}
BESIDE = {"address": "192.0.2.2", "enabled": True}
MODERN: dict[object, Outcome] = {
    "system.listMethods": Ok(
        [*CBT_CALLS, *NBD_CALLS, "VDI.create", *chain.from_iterable(CALLS_OF_A_CONSENT[name] for name in YOUNGER)]
    ),
    "network.get_all_records": Ok({"ref": {"purpose": ["nbd"]}}),
    "pool.get_all_records": Ok({"ref": POOL}),
    "host.get_license_params": Ok({}),
    "host.get_all_records": Ok({"host": HOST}),
    "SR.get_PBDs": Ok(["pbd"]),
    "PBD.get_currently_attached": Ok(value=True),
    "PBD.get_host": Ok("host"),
    "session.get_record": Ok({"is_local_superuser": True, "rbac_permissions": []}),
    "VDI.get_all": Ok(["vdi"]),
    "VDI.get_uuid": Ok("vdi uuid"),
}
FEATURES = {"VDI_CONFIG_CBT": 1, "VDI_RESET_ON_BOOT": 2}


class Probed(FakeSession):
    """A fake host that can be probed: its raw disk handlers have no wire to answer on."""

    ref = "session"
    user = "root"


class FakeXe:
    """Answers every command alike."""

    def __init__(self, result: XeResult | Indeterminate = XeResult(0, "vdi uuid\n", "")) -> None:  # noqa: B008  frozen
        self.result = result
        self.ran: list[tuple[str, ...]] = []

    def __repr__(self) -> str:
        return "the fake"

    def run(self, *words: str, deadline_s: float = 60.0) -> XeResult | Indeterminate:
        assert deadline_s <= 60.0
        self.ran.append(words)
        return self.result


def product(api_version: str = "2.21") -> Product:
    return Product("XenServer", "8.4.0", "1", api_version, "pool", {}, "host")


def probed(
    monkeypatch: pytest.MonkeyPatch,
    answers: dict[object, Outcome] | None = None,
    *,
    features: dict[str, int] | None = None,
    api_version: str = "2.21",
    handler: Outcome = Ok(401),  # noqa: B008  a frozen value
    controlled: bool = False,
    xe: FakeXe | None = None,
) -> Capabilities:
    monkeypatch.setattr("xencbt.harness.probing.handler_answers", lambda *_: handler)
    session = Probed(MODERN | (answers or {}))
    main = Repository("main", "ref", "uuid", "lvm", FEATURES if features is None else features, frozenset())
    found = probe(session, product(api_version), main, {"file": "u1"}, controlled=controlled, xe=xe or FakeXe())
    reads = ("get_", "system.")
    assert all(any(word in str(call[0]) for word in reads) for call in session.made)
    return found


def lacking(capabilities: Capabilities) -> set[str]:
    return {name for name, capability in capabilities.items() if not capability.present and not name.startswith("sr:")}


def test_a_modern_host_lacks_only_what_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    control = {"control", "guest-write", "licence", "sr-state", "crash", "call-counts", "roles"}
    unconfigured = {"sr-create", "sr-snapshot", "sr-resize"}  # its SR allows nothing now
    assert lacking(probed(monkeypatch)) == control | unconfigured
    assert lacking(probed(monkeypatch, controlled=True)) == unconfigured


def test_the_hosts_of_a_pool_are_named_the_master_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert probed(monkeypatch)["hosts"].detail == "one host, at 192.0.2.1"
    third = {"address": "192.0.2.0", "enabled": False}
    hosts = {"other": BESIDE, "third": third, "host": HOST}
    found = probed(monkeypatch, {"host.get_all_records": Ok(hosts)})
    assert found["hosts"].detail == (
        "3 hosts, at 192.0.2.1 (master), 192.0.2.0 (disabled), 192.0.2.2; connected to the SR: 192.0.2.1"
    )
    shared: dict[object, Outcome] = {
        "host.get_all_records": Ok({"other": BESIDE, "host": HOST}),
        "SR.get_PBDs": Ok(["pbd", "another"]),
        ("PBD.get_host", "another"): Ok("other"),
    }
    assert probed(monkeypatch, shared)["hosts"].detail.endswith("all of them")


def test_vms_can_start_while_any_host_of_the_pool_is_enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = {"host": HOST | {"enabled": False}, "other": BESIDE}
    assert probed(monkeypatch, {"host.get_all_records": Ok(hosts)})["vm-power"].present
    hosts["other"] = BESIDE | {"enabled": False}
    assert probed(monkeypatch, {"host.get_all_records": Ok(hosts)})["vm-power"].detail.startswith("all hosts are")


def test_every_capability_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(capability.detail for capability in probed(monkeypatch).values())


def test_nbd_can_be_had_where_no_network_offers_it_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    networks: dict[object, Outcome] = {"network.get_all_records": Ok({"ref": {"purpose": []}, "old": {}})}
    offered, not_yet = probed(monkeypatch)["nbd"], probed(monkeypatch, networks)["nbd"]
    assert offered.present
    assert "has the purpose nbd" in offered.detail
    assert not_yet.present
    assert "no network has a purpose for it yet" in not_yet.detail


def test_each_kind_of_sr_is_known_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = probed(monkeypatch)
    assert [kind for kind in SR_KINDS if found[f"sr:{kind}"].present] == ["file"]
    assert "no SR of kind 'iso'" in found["sr:iso"].detail


@pytest.mark.parametrize(
    ("answers", "changes", "name", "why"),
    [
        ({"system.listMethods": Ok(["VDI.create"])}, {}, "cbt-calls", "does not list VDI.enable_cbt"),
        (
            {"system.listMethods": Failed("MESSAGE_METHOD_UNKNOWN", ("system.listMethods",))},
            {"api_version": "2.7"},
            "cbt-calls",
            "came with 2.8",
        ),
        (
            {"pool.get_all_records": Ok({"ref": POOL | {"restrictions": {"restrict_cbt": "true"}}})},
            {},
            "cbt-licensed",
            "pool.restrictions has restrict_cbt",
        ),
        (
            {"host.get_license_params": Ok({"restrict_cbt": "true"})},
            {},
            "cbt-licensed",
            "host.license_params has restrict_cbt",
        ),
        ({}, {"features": {"VDI_RESET_ON_BOOT": 2}}, "sr-cbt", "no VDI_CONFIG_CBT"),
        (
            {},
            {"features": {"VDI_CONFIG_CBT": 1, "VDI_RESET_ON_BOOT": 1}},
            "reset-on-boot",
            "VDI_RESET_ON_BOOT 1, not 2",
        ),
        ({"system.listMethods": Ok(list(CBT_CALLS))}, {}, "nbd", "lacks VDI.get_nbd_info"),
        (
            {"network.get_all_records": Failed("RBAC_PERMISSION_DENIED")},
            {},
            "nbd",
            "the networks cannot be read: RBAC_PERMISSION_DENIED",
        ),
        ({}, {"handler": Ok(404)}, "raw-export", "HTTP 404"),
        ({}, {"handler": Ok(404)}, "raw-import", "HTTP 404"),
        ({"host.get_all_records": Ok({"host": HOST | {"enabled": False}})}, {}, "vm-power", "the host is disabled"),
        (
            {"session.get_record": Ok({"is_local_superuser": False, "rbac_permissions": []})},
            {},
            "toolstack-restart",
            "does not allow host.restart_agent: it takes pool-operator or higher",
        ),
        (
            {"session.get_record": Ok({"is_local_superuser": False, "rbac_permissions": ["vm.start"]})},
            {},
            "vm-power",
            "does not allow VM.pause",
        ),
        ({"system.listMethods": Ok(list(CBT_CALLS))}, {}, "migrate", "does not list VDI.pool_migrate"),
    ],
)
def test_what_is_absent_is_absent_for_a_reason(
    monkeypatch: pytest.MonkeyPatch, answers: dict[object, Outcome], changes: dict[str, Any], name: str, why: str
) -> None:
    capability = probed(monkeypatch, answers, **changes)[name]
    assert not capability.present
    assert why in capability.detail


SAVE_ENABLING = [call.lower() for call in LEAST_ROLES if call != "VDI.enable_cbt"]
SAVE_LISTING = [call.lower() for call in LEAST_ROLES if call != "VDI.list_changed_blocks"]


@pytest.mark.parametrize(
    ("permissions", "said", "unsaid"),
    [
        (["vdi.get_record"], ("VDI.create", "VDI.list_changed_blocks", "vm-admin or higher"), "vm-operator"),
        (SAVE_ENABLING, ("VDI.enable_cbt: it takes vm-admin",), "VDI.create"),
        (SAVE_LISTING, ("VDI.list_changed_blocks: it takes vm-operator",), "VDI.create"),
    ],
)
def test_a_role_that_is_too_low_says_for_what(
    monkeypatch: pytest.MonkeyPatch, permissions: list[str], said: tuple[str, ...], unsaid: str
) -> None:
    record = {"is_local_superuser": False, "rbac_permissions": permissions}
    listed = Ok([*LEAST_ROLES, *CBT_CALLS])
    found = probed(monkeypatch, {"session.get_record": Ok(record), "system.listMethods": listed})["role"]
    assert not found.present
    assert all(words in found.detail for words in said)
    assert unsaid not in found.detail


def test_a_role_is_enough_by_its_permissions_or_as_local_superuser(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {"is_local_superuser": False, "rbac_permissions": [call.lower() for call in LEAST_ROLES]}
    assert probed(monkeypatch, {"session.get_record": Ok(named)})["role"].present
    assert probed(monkeypatch)["role"].present


def test_no_role_is_missing_for_a_call_that_the_host_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"is_local_superuser": False, "rbac_permissions": ["vdi.create"]}
    answers: dict[object, Outcome] = {"session.get_record": Ok(record), "system.listMethods": Ok(["VDI.create"])}
    assert probed(monkeypatch, answers)["role"].present


@pytest.mark.parametrize(
    ("pbds", "attached", "why"), [([], {}, "it has no PBD"), (["a", "b"], {"a": False, "b": False}, "is plugged")]
)
def test_a_detached_sr_is_refused(pbds: list[str], attached: dict[str, bool], why: str) -> None:
    answers: dict[object, Outcome] = {("PBD.get_currently_attached", pbd): Ok(on) for pbd, on in attached.items()}
    repository = Repository("main", "ref", "uuid", "lvm", {}, frozenset())
    with pytest.raises(UsageError, match=f"the SR uuid is attached to no host .*{why}"):
        require_attached(FakeSession(answers | {"SR.get_PBDs": Ok(pbds)}), repository)


def test_one_plugged_pbd_is_enough() -> None:
    answers: dict[object, Outcome] = {
        "SR.get_PBDs": Ok(["a", "b"]),
        ("PBD.get_currently_attached", "a"): Ok(value=False),
        ("PBD.get_currently_attached", "b"): Ok(value=True),
    }
    require_attached(FakeSession(answers), Repository("main", "ref", "uuid", "lvm", {}, frozenset()))


def test_a_host_that_lists_no_methods_is_judged_by_its_api_version(monkeypatch: pytest.MonkeyPatch) -> None:
    unlisted: dict[object, Outcome] = {"system.listMethods": Failed("MESSAGE_METHOD_UNKNOWN")}
    assert probed(monkeypatch, unlisted, api_version="2.10")["cbt-calls"].present


def test_an_sr_is_found_with_its_drivers_features() -> None:
    session = FakeSession(
        {
            "SR.get_by_uuid": Ok("ref"),
            "SR.get_record": Ok({"type": "lvm", "allowed_operations": ["vdi_enable_cbt"]}),
            "SM.get_all_records": Ok(
                {
                    "a": {"type": "iso", "features": {}},
                    "b": {"type": "lvm", "features": {"VDI_CONFIG_CBT": "1"}},
                }
            ),
        }
    )
    expected = Repository("main", "ref", "uuid", "lvm", {"VDI_CONFIG_CBT": 1}, frozenset({"vdi_enable_cbt"}))
    assert find_repository(session, "main", "uuid") == expected


def test_an_unknown_sr_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="has no SR nowhere"):
        find_repository(FakeSession({"SR.get_by_uuid": Failed("UUID_INVALID", ("SR", "nowhere"))}), "main", "nowhere")


UNKNOWN = "The uuid you supplied was invalid.\ntype: VDI\nuuid: 0\n"


@pytest.mark.parametrize(
    ("known", "result", "present", "why"),
    [
        (["vdi"], XeResult(0, "vdi uuid\n", ""), True, "reads what the session reads"),
        (["vdi"], XeResult(0, "another\n", ""), False, "does not read VDI vdi uuid"),
        (["vdi"], XeResult(1, "", UNKNOWN), False, "uuid you supplied was invalid"),
        ([], XeResult(1, "", UNKNOWN), True, "reads what the session reads"),
        ([], XeResult(1, "", "Authentication failed"), False, "Authentication failed"),
        ([], XeResult(0, "", ""), False, "does not read"),
        (["vdi"], Indeterminate("connection refused"), False, "the fake does not run xe: connection refused"),
    ],
)
def test_xe_is_there_where_it_reads_what_the_session_reads(
    monkeypatch: pytest.MonkeyPatch, known: list[str], result: XeResult | Indeterminate, present: bool, why: str
) -> None:
    xe = FakeXe(result)
    capability = probed(monkeypatch, {"VDI.get_all": Ok(known)}, xe=xe)["xe"]
    assert capability.present is present
    assert why in capability.detail
    assert [words[0] for words in xe.ran] == ["vdi-param-get"]
