"""The hosts of the pool that is judged, and which of them are connected to an SR."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from xencbt.harness.session import Session

UNKNOWN = "an unknown address"


@dataclass(frozen=True, slots=True)
class PoolHost:
    """One host of the pool: VMs can start there only while it is enabled."""

    ref: str
    address: str
    enabled: bool
    master: bool


def read_hosts(session: Session, master: str) -> tuple[PoolHost, ...]:
    """Read the hosts, the one with reference `master` first; raises Violation or HarnessError as `Session.value`."""
    records = session.value("host.get_all_records")
    hosts = [
        PoolHost(ref, str(record.get("address") or UNKNOWN), bool(record["enabled"]), ref == master)
        for ref, record in records.items()
    ]
    return tuple(sorted(hosts, key=lambda host: (not host.master, host.address)))


def plugged_pbds(session: Session, sr: str) -> frozenset[str]:
    """Return the PBDs of the SR with reference `sr` that are plugged; raises as `Session.value`."""
    pbds = session.value("SR.get_PBDs", sr)
    return frozenset(pbd for pbd in pbds if session.value("PBD.get_currently_attached", pbd))


def connected(session: Session, sr: str) -> frozenset[str]:
    """Return the hosts that have the SR with reference `sr` plugged; raises as `Session.value`."""
    return frozenset(str(session.value("PBD.get_host", pbd)) for pbd in plugged_pbds(session, sr))


def in_words(hosts: Sequence[PoolHost], connected_to_sr: Collection[str]) -> str:
    """Say which hosts there are, and which of several are connected to the SR of the run."""
    if len(hosts) == 1:
        return f"one host, at {hosts[0].address}"
    listed = ", ".join(_named(host) for host in hosts)
    those = [host.address for host in hosts if host.ref in connected_to_sr]
    at = "all of them" if len(those) == len(hosts) else ", ".join(those)
    return f"{len(hosts)} hosts, at {listed}; connected to the SR: {at}"


def _named(host: PoolHost) -> str:
    remarks = [word for word, said in (("master", host.master), ("disabled", not host.enabled)) if said]
    return f"{host.address} ({', '.join(remarks)})" if remarks else host.address
