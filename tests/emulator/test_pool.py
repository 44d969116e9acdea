"""Pools of several hosts: who is connected to what, where VMs run, and what one host's end does to the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.emulator.laboratory import Laboratory, laboratory
from xencbt.fixtures.emulator.errors import Refusal, VerbRefusedError
from xencbt.fixtures.emulator.inventory import KINDS
from xencbt.fixtures.emulator.options import Options
from xencbt.fixtures.emulator.pool import reachable
from xencbt.fixtures.emulator.values import NULL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xencbt.fixtures.emulator.values import Ref

HOSTS = 3
MASTER = "192.0.2.1"


class Pool(Laboratory):
    """A laboratory of several hosts: `hosts` are their references, `local` the SR that each has for itself."""

    @property
    def hosts(self) -> list[Ref]:
        return [self.host.db.by_uuid("host", told.uuid) for told in self.host.lab.hosts]

    def local(self, number: int) -> Ref:
        return self.host.db.by_uuid("SR", self.host.lab.hosts[number].local_sr or "")

    def vm_on(self, sr: Ref) -> tuple[Ref, Ref]:
        """Make a halted VM with a disk on an SR."""
        vm: Ref = self.call("VM.create", {"name_label": "vm"})
        vdi: Ref = self.call("VDI.create", {"SR": sr, "virtual_size": 4 * 2**20, "type": "user"})
        self.call("VBD.create", {"VM": vm, "VDI": vdi, "userdevice": "0", "mode": "RW", "type": "Disk"})
        return vm, vdi

    def where(self, vm: Ref) -> Ref:
        resident: Ref = self.call("VM.get_resident_on", vm)
        return resident

    def pbd(self, sr: Ref, host: Ref) -> Ref:
        pbds: list[Ref] = self.host.db.get("SR", sr)["PBDs"]
        return next(pbd for pbd in pbds if self.host.db.get("PBD", pbd)["host"] == host)

    def uuid(self, number: int) -> str:
        return self.host.lab.hosts[number].uuid


@pytest.fixture
def pool() -> Iterator[Pool]:
    with asyncio.Runner() as runner:
        yield Pool(runner, Options(restart_s=0.0, data_destroy_wait_s=0.02, hosts=HOSTS, host=MASTER))


def test_every_host_has_an_address_a_card_and_a_domain_of_its_own(pool: Pool) -> None:
    records = [pool.host.db.get("host", ref) for ref in pool.call("host.get_all")]
    assert [record["address"] for record in records] == [MASTER, "192.0.2.2", "192.0.2.3"]
    for record, ref in zip(records, pool.hosts, strict=True):
        (card,) = record["PIFs"]
        assert pool.call("PIF.get_IP", card) == record["address"]
        assert pool.call("VM.get_resident_on", record["control_domain"]) == ref
        assert record["software_version"]["hostname"] == record["hostname"]
    for field in ("uuid", "hostname", "name_label", "control_domain"):
        assert len({record[field] for record in records}) == HOSTS
    assert len({pool.call("PIF.get_MAC", record["PIFs"][0]) for record in records}) == HOSTS
    (network,) = pool.call("network.get_all")
    assert len(pool.call("network.get_PIFs", network)) == HOSTS
    (record,) = pool.call("pool.get_all_records").values()
    assert record["master"] == pool.hosts[0]


def test_all_hosts_share_the_srs_but_for_one_of_each(pool: Pool) -> None:
    for kind, what in KINDS.items():
        record = pool.host.db.get("SR", pool.sr(kind))
        assert record["shared"] is True
        hosts = [pool.host.db.get("PBD", pbd)["host"] for pbd in record["PBDs"]]
        assert hosts == (pool.hosts if what.plugged else [])
    for number, host in enumerate(pool.hosts):
        record = pool.host.db.get("SR", pool.local(number))
        assert record["shared"] is False
        assert [pool.host.db.get("PBD", pbd)["host"] for pbd in record["PBDs"]] == [host]


def test_one_host_alone_shares_nothing_and_has_no_second_local_sr() -> None:
    with laboratory() as lab:
        assert len(lab.host.lab.hosts) == 1
        assert lab.host.lab.hosts[0].local_sr is None
        assert not lab.host.db.get("SR", lab.sr())["shared"]


def test_a_disk_is_reachable_at_the_hosts_connected_to_its_sr(pool: Pool) -> None:
    shared, local = pool.disk(), pool.call("VDI.create", {"SR": pool.local(2), "virtual_size": 2**21, "type": "user"})
    assert [address for _, address in reachable(pool.host, shared)] == [MASTER, "192.0.2.2", "192.0.2.3"]
    assert reachable(pool.host, local) == [(pool.hosts[2], "192.0.2.3")]
    pool.call("PBD.unplug", pool.pbd(pool.sr(), pool.hosts[1]))
    pool.verb("crash", host=pool.uuid(2))
    assert [address for _, address in reachable(pool.host, shared)] == [MASTER]
    assert reachable(pool.host, local) == []


# where VMs run


def test_vms_spread_over_the_hosts_and_stay_where_they_are_put(pool: Pool) -> None:
    vms = [pool.vm_on(pool.sr())[0] for _ in range(HOSTS)]
    for vm in vms:
        pool.call("VM.start", vm, False, False)
    assert {pool.where(vm) for vm in vms} == set(pool.hosts)
    there = pool.where(vms[1])
    pool.call("VM.pause", vms[1])
    pool.call("VM.unpause", vms[1])
    assert pool.where(vms[1]) == there
    assert vms[1] in pool.call("host.get_resident_VMs", there)
    pool.call("VM.hard_shutdown", vms[1])
    assert pool.where(vms[1]) == NULL
    pool.call("VM.start_on", vms[1], pool.hosts[2], False, False)
    assert pool.where(vms[1]) == pool.hosts[2]


def test_affinity_is_a_wish(pool: Pool) -> None:
    vm, _ = pool.vm_on(pool.sr())
    pool.call("VM.set_affinity", vm, pool.hosts[2])
    pool.call("VM.start", vm, False, False)
    assert pool.where(vm) == pool.hosts[2]
    pool.call("VM.hard_shutdown", vm)
    pool.call("host.disable", pool.hosts[2])
    pool.call("VM.start", vm, False, False)
    assert pool.where(vm) == pool.hosts[0]


def test_a_vm_runs_only_where_all_its_srs_are(pool: Pool) -> None:
    vm, vdi = pool.vm_on(pool.local(1))
    assert pool.call("VM.get_possible_hosts", vm) == [pool.hosts[1]]
    refused = ("VM_REQUIRES_SR", vm, pool.local(1))
    assert pool.refusal("VM.start_on", vm, pool.hosts[0], False, False) == refused
    assert pool.refusal("VM.assert_can_boot_here", vm, pool.hosts[0]) == refused
    assert pool.call("VM.assert_can_boot_here", vm, pool.hosts[1]) is None
    pool.call("VM.start", vm, False, False)
    assert pool.where(vm) == pool.hosts[1]
    assert pool.refusal("VM.pool_migrate", vm, pool.hosts[0], {}) == refused
    pool.call("VM.hard_shutdown", vm)
    other = pool.call("VDI.create", {"SR": pool.local(2), "virtual_size": 2**21, "type": "user"})
    pool.call("VBD.create", {"VM": vm, "VDI": other, "userdevice": "1", "mode": "RW", "type": "Disk"})
    assert pool.refusal("VM.start", vm, False, False) == ("NO_HOSTS_AVAILABLE",)
    assert pool.call("VDI.get_VBDs", vdi)
    assert pool.call("VM.get_power_state", vm) == "Halted"


def test_a_running_vm_takes_no_disk_that_its_host_does_not_see(pool: Pool) -> None:
    vm, _ = pool.vm_on(pool.sr())
    pool.call("VM.start_on", vm, pool.hosts[0], False, False)
    vdi = pool.call("VDI.create", {"SR": pool.local(2), "virtual_size": 2**21, "type": "user"})
    vbd = pool.call("VBD.create", {"VM": vm, "VDI": vdi, "userdevice": "1", "mode": "RW", "type": "Disk"})
    assert pool.refusal("VBD.plug", vbd) == ("SR_NOT_ATTACHED", pool.local(2))
    assert pool.call("VBD.get_currently_attached", vbd) is False
    pool.call("VM.pool_migrate", vm, pool.hosts[2], {})
    pool.call("VBD.plug", vbd)
    assert pool.refusal("VM.pool_migrate", vm, pool.hosts[0], {}) == ("VM_REQUIRES_SR", vm, pool.local(2))


def test_no_host_is_available_while_all_are_disabled(pool: Pool) -> None:
    vm, _ = pool.vm_on(pool.sr())
    for host in pool.hosts:
        pool.call("host.disable", host)
    assert pool.refusal("VM.start", vm, False, False) == ("NO_HOSTS_AVAILABLE",)
    assert pool.refusal("VM.start_on", vm, pool.hosts[1], False, False) == ("HOST_DISABLED", pool.hosts[1])
    pool.call("host.enable", pool.hosts[1])
    pool.call("VM.start", vm, False, False)
    assert pool.where(vm) == pool.hosts[1]


def test_a_vm_moves_with_its_tracked_disk_in_use(pool: Pool) -> None:
    vm, vdi = pool.vm_on(pool.sr())
    pool.call("VM.start_on", vm, pool.hosts[0], False, False)
    pool.call("VDI.enable_cbt", vdi)
    baseline = pool.snapshot(vdi)
    pool.call("VM.pool_migrate", vm, pool.hosts[2], {})
    assert pool.where(vm) == pool.hosts[2]
    assert vm not in pool.call("host.get_resident_VMs", pool.hosts[0])
    pool.write(vdi, 3)
    assert pool.changed(baseline, pool.snapshot(vdi)) == {3}
    pool.call("host.disable", pool.hosts[1])
    assert pool.refusal("VM.pool_migrate", vm, pool.hosts[1], {}) == ("HOST_DISABLED", pool.hosts[1])


def test_a_host_is_evacuated_to_the_others_or_not_at_all(pool: Pool) -> None:
    shared, local = pool.vm_on(pool.sr())[0], pool.vm_on(pool.local(0))[0]
    for vm in (shared, local):
        pool.call("VM.start_on", vm, pool.hosts[0], False, False)
    assert pool.refusal("host.evacuate", pool.hosts[0], NULL, 0) == ("NO_HOSTS_AVAILABLE",)
    assert pool.where(shared) == pool.hosts[0]
    pool.call("VM.hard_shutdown", local)
    pool.call("host.evacuate", pool.hosts[0], NULL, 0)
    assert pool.where(shared) in pool.hosts[1:]
    assert pool.call("VM.get_power_state", shared) == "Running"


# PBDs


def test_a_pbd_is_held_by_what_runs_at_its_host_only(pool: Pool) -> None:
    vm, vdi = pool.vm_on(pool.sr())
    pool.call("VM.start_on", vm, pool.hosts[1], False, False)
    pool.call("PBD.unplug", pool.pbd(pool.sr(), pool.hosts[0]))
    assert pool.refusal("PBD.unplug", pool.pbd(pool.sr(), pool.hosts[1])) == ("VDI_IN_USE", vdi, "unplug")
    assert pool.refusal("VM.pool_migrate", vm, pool.hosts[0], {}) == ("VM_REQUIRES_SR", vm, pool.sr())


def test_one_plugged_pbd_is_enough_for_tracking_and_none_is_not(pool: Pool) -> None:
    vdi = pool.disk()
    for host in pool.hosts[:2]:
        pool.call("PBD.unplug", pool.pbd(pool.sr(), host))
    pool.call("VDI.enable_cbt", vdi)
    pool.call("VDI.snapshot", vdi)
    pool.call("PBD.unplug", pool.pbd(pool.sr(), pool.hosts[2]))
    assert pool.refusal("VDI.disable_cbt", vdi) == ("SR_HAS_NO_PBDS", pool.sr())
    pool.call("PBD.plug", pool.pbd(pool.sr(), pool.hosts[0]))
    pool.call("VDI.disable_cbt", vdi)


# the end of a host


def test_a_crashed_member_takes_its_vms_with_it_and_leaves_the_rest_alone(pool: Pool) -> None:
    ours, lost = pool.vm_on(pool.sr()), pool.vm_on(pool.sr())
    for (vm, vdi), host in zip((ours, lost), pool.hosts, strict=False):
        pool.call("VDI.enable_cbt", vdi)
        pool.call("VM.start_on", vm, host, False, False)
    baselines = {vdi: pool.snapshot(vdi) for _, vdi in (ours, lost)}
    for _, vdi in (ours, lost):
        pool.write(vdi, 5)
    pool.verb("crash", host=pool.uuid(1))
    assert pool.call("VM.get_power_state", lost[0]) == "Halted"
    assert pool.call("VM.get_power_state", ours[0]) == "Running"
    with pytest.raises(VerbRefusedError, match="down already"):
        pool.verb("crash", host=pool.uuid(1))
    assert pool.refusal("VM.start_on", lost[0], pool.hosts[1], False, False) == ("HOST_OFFLINE", pool.hosts[1])
    pool.call("VM.start", lost[0], False, False)  # elsewhere: the log that was cut off ends the tracking
    assert pool.where(lost[0]) != pool.hosts[1]
    assert not pool.record(lost[1])["cbt_enabled"]
    assert pool.messages(lost[1]) == ["VDI_CBT_METADATA_INCONSISTENT"]
    assert pool.changed(baselines[ours[1]], pool.snapshot(ours[1])) == {5}
    assert pool.record(ours[1])["cbt_enabled"]
    pool.verb("restart", host=pool.uuid(1))
    assert pool.call("VM.assert_can_boot_here", lost[0], pool.hosts[1]) is None


def test_what_only_a_crashed_member_has_waits_for_it(pool: Pool) -> None:
    vm, vdi = pool.vm_on(pool.local(1))
    pool.call("VM.start", vm, False, False)
    pool.verb("crash", host=pool.uuid(1))
    assert pool.refusal("VDI.enable_cbt", vdi) == ("HOST_OFFLINE", pool.hosts[1])
    assert pool.refusal("SR.scan", pool.local(1)) == ("HOST_OFFLINE", pool.hosts[1])
    assert pool.refusal("VM.start", vm, False, False) == ("NO_HOSTS_AVAILABLE",)
    assert pool.refusal("host.restart_agent", pool.hosts[1]) == ("HOST_OFFLINE", pool.hosts[1])
    pool.verb("restart")
    pool.call("VDI.enable_cbt", vdi)
    pool.call("VM.start", vm, False, False)


def test_the_masters_end_ends_sessions_and_leaves_the_members_guests(pool: Pool) -> None:
    vm, vdi = pool.vm_on(pool.sr())
    pool.call("VDI.enable_cbt", vdi)
    pool.call("VM.start_on", vm, pool.hosts[2], False, False)
    baseline = pool.snapshot(vdi)
    pool.write(vdi, 1)
    pool.verb("crash", host=pool.uuid(0))
    assert not pool.host.serving
    pool.start()
    assert pool.call("VM.get_power_state", vm) == "Running"
    pool.write(vdi, 2)
    assert pool.changed(baseline, pool.snapshot(vdi)) == {1, 2}


def test_a_crash_without_a_name_is_one_of_all_hosts(pool: Pool) -> None:
    vm, _ = pool.vm_on(pool.sr())
    pool.call("VM.start_on", vm, pool.hosts[2], False, False)
    pool.verb("crash")
    assert pool.host.down == set(pool.hosts)
    pool.start()
    assert pool.host.down == set()
    assert pool.call("VM.get_power_state", vm) == "Halted"


def test_a_members_toolstack_restarts_without_anybody_noticing(pool: Pool) -> None:
    vm, _ = pool.vm_on(pool.sr())
    pool.call("VM.start_on", vm, pool.hosts[1], False, False)
    assert pool.verb("restart", host=pool.uuid(1)) == {"serving": True}
    assert pool.call("VM.get_power_state", vm) == "Running"  # by the same session
    pool.verb("restart")
    with pytest.raises(Refusal, match="SESSION_INVALID"):
        pool.call("VM.get_power_state", vm)


def test_a_host_that_is_none_is_a_bad_body(pool: Pool) -> None:
    for verb in ("crash", "restart"):
        with pytest.raises(VerbRefusedError, match="no uuid of a host"):
            pool.verb(verb, host="nonsense")


# members


@pytest.mark.parametrize("password", ["right", "wrong"])
def test_a_member_lets_nobody_in_and_names_the_master(pool: Pool, password: str) -> None:
    given = pool.host.options.password if password == "right" else "wrong"
    with pytest.raises(Refusal) as refused:
        pool.dispatcher.check("session.login_with_password", ["root", given, "1.0", "test"], MASTER)
    assert refused.value.description == ("HOST_IS_SLAVE", MASTER)


def test_a_session_of_the_master_is_no_use_at_a_member(pool: Pool) -> None:
    for name, args in (("VM.get_all", []), ("VDI.enable_cbt", [pool.vdi]), ("session.logout", [])):
        with pytest.raises(Refusal) as refused:
            pool.dispatcher.check(name, [pool.session, *args], MASTER)
        assert refused.value.description == ("HOST_IS_SLAVE", MASTER)
    with pytest.raises(Refusal, match="SESSION_INVALID"):
        pool.dispatcher.check("VM.get_all", ["OpaqueRef:none"], MASTER)
    assert pool.dispatcher.check("system.listMethods", [], MASTER).method.bare
    assert pool.call("VM.get_all")
