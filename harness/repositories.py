"""An SR as it was found on the target, before anything is made on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xencbt.harness.errors import UsageError
from xencbt.harness.hosts import plugged_pbds
from xencbt.harness.outcome import Failed, Ok
from xencbt.harness.session import Session


@dataclass(frozen=True, slots=True)
class Repository:
    """One SR as it was found: `features` are its driver's, by name with version."""

    kind: str
    ref: str
    uuid: str
    driver: str
    features: Mapping[str, int]
    allowed_operations: frozenset[str]


def find_repository(session: Session, kind: str, uuid: str) -> Repository:
    """Look up the SR with `uuid`; raises UsageError when the target has none such."""
    answer = session.call("SR.get_by_uuid", uuid)
    if isinstance(answer, Failed):
        raise UsageError(f"the target has no SR {uuid}: {answer}")
    ref = str(answer.value) if isinstance(answer, Ok) else str(session.value("SR.get_by_uuid", uuid))
    record = session.value("SR.get_record", ref)
    drivers = session.value("SM.get_all_records").values()
    features: Mapping[str, Any] = next(
        (driver["features"] for driver in drivers if driver["type"] == record["type"]), {}
    )
    return Repository(
        kind=kind,
        ref=ref,
        uuid=uuid,
        driver=str(record["type"]),
        features={str(name): int(version) for name, version in features.items()},
        allowed_operations=frozenset(record["allowed_operations"]),
    )


def require_attached(session: Session, repository: Repository) -> None:
    """Go on only where a host is connected to the SR by a plugged PBD.

    Raises UsageError otherwise: nothing can be created on it, so that a run would end without having judged anything.
    """
    if not plugged_pbds(session, repository.ref):
        why = "none of its PBDs is plugged" if session.value("SR.get_PBDs", repository.ref) else "it has no PBD"
        raise UsageError(f"the SR {repository.uuid} is attached to no host ({why}): plug it, or name another")


def free_on(session: Session, repository: Repository) -> int:
    """Return the bytes that nothing uses yet on the SR."""
    size = int(session.value("SR.get_physical_size", repository.ref))
    return size - int(session.value("SR.get_physical_utilisation", repository.ref))
