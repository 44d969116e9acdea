"""What a target says it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xencbt.harness.session import Session


@dataclass(frozen=True, slots=True)
class Product:
    """What the target says it is."""

    product: str
    version: str
    build: str
    api_version: str
    pool_uuid: str
    software_version: Mapping[str, str]
    host_ref: str


def identify(session: Session) -> Product:
    """Ask the target what it is; raises Violation or HarnessError when it does not say."""
    pool = session.value("pool.get_all_records")
    record: dict[str, Any] = next(iter(pool.values()))
    host = str(record["master"])
    software: dict[str, str] = session.value("host.get_software_version", host)
    major = session.value("host.get_API_version_major", host)
    minor = session.value("host.get_API_version_minor", host)
    return Product(
        product=software.get("product_brand", ""),
        version=software.get("product_version", ""),
        build=software.get("build_number", ""),
        api_version=f"{major}.{minor}",
        pool_uuid=str(record["uuid"]),
        software_version=software,
        host_ref=host,
    )
