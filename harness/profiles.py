"""Profiles: named sets of accepted deviations.

The catalogue decides by the documentation; a profile says where real hosts are known to differ, and a requirement that
needed one says so ("pass, by deviation D-01").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from xencbt.harness.errors import UsageError


@dataclass(frozen=True, slots=True)
class Deviation:
    """One known difference between documentation and hosts: why it exists, and exactly what it accepts."""

    id: str
    title: str
    reason: str
    accepts: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of accepted deviations (ids).

    `ordered` where the hosts' order of checks is known, so that of several reasons to refuse the first must be named.
    """

    name: str
    deviations: frozenset[str]
    ordered: bool = False

    def accepts(self, deviation: str) -> bool:
        """Tell whether this profile accepts the deviation with this id."""
        return deviation in self.deviations


DEVIATIONS: Mapping[str, Deviation] = MappingProxyType(
    {
        deviation.id: deviation
        for deviation in (
            Deviation(
                "D-01",
                "An unknown reference is HANDLE_INVALID",
                "The dispatcher resolves the reference before the call begins, so a VDI without a record never reaches "
                "the code that raises VDI_MISSING; that one is left for a record whose storage is gone.",
                "HANDLE_INVALID [VDI, reference] where the documentation names VDI_MISSING",
            ),
            Deviation(
                "D-02",
                "An SR without a plugged PBD is SR_HAS_NO_PBDS",
                "The toolstack looks for a host with a plugged PBD before it asks the storage layer; SR_NOT_ATTACHED "
                "is left for an SR that the storage layer has lost although a PBD reads as plugged.",
                "SR_HAS_NO_PBDS [SR] where the documentation names only SR_NOT_ATTACHED",
            ),
            Deviation(
                "D-03",
                "VDI.allowed_operations leaves the CBT operations out",
                "They are kept from older peers of a pool, which would not know them; SR.allowed_operations has "
                "vdi_enable_cbt and the others.",
                "enable_cbt, disable_cbt, data_destroy, list_changed_blocks and set_on_boot absent from "
                "VDI.allowed_operations of a VDI on which they are allowed",
            ),
        )
    }
)

DOCUMENTED = Profile("documented", frozenset())
XAPI = Profile("xapi", frozenset({"D-01", "D-02", "D-03"}), ordered=True)

PROFILES: Mapping[str, Profile] = MappingProxyType({profile.name: profile for profile in (DOCUMENTED, XAPI)})

XAPI_BRANDS = frozenset({"xenserver", "xcp-ng", "citrix hypervisor"})
"""Product brands known to run xapi, in lower case."""


def profile_named(name: str) -> Profile:
    """Return the profile of this name; raises UsageError that lists the known ones."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UsageError(f"unknown profile {name!r}: known are {', '.join(PROFILES)}") from None


def profile_for(software_version: Mapping[str, str]) -> tuple[Profile, str | None]:
    """Choose the profile by `host.software_version`, with a warning where the product brand is not a known one."""
    brand = software_version.get("product_brand", "")
    if brand.strip().lower() in XAPI_BRANDS:
        return XAPI, None
    said = f"the product brand {brand!r} is not a known one" if brand else "the host names no product brand"
    return DOCUMENTED, f"{said}: judging by the documentation alone (--profile xapi accepts what xapi is known to do)"
