"""What a target can do, as data: each capability with what showed it, and the names of all that are looked for."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from xencbt.harness.consents import CALLS_OF_A_CONSENT

MAIN = "main"

SR_KINDS = ("lvm", "file", "unrounded", "second", "no-cbt", "read-only", "full", "no-pbd", "iso")
"""The kinds of SR that suites ask for; an emulated host has them all, a real one what the user names."""

BY_CONTROL = frozenset({"control", "guest-write", "licence", "sr-state", "crash", "call-counts", "roles"})
"""Capabilities that only the control interface of an emulated host gives."""

STORAGE = {"sr-create": "vdi_create", "sr-snapshot": "vdi_snapshot", "sr-resize": "vdi_resize"}
"""Capabilities of the run's SR, with the operation that it must allow."""

PROBED = (
    *("role", "cbt-calls", "cbt-licensed", "sr-cbt", "reset-on-boot", "hosts"),
    *(f"sr:{kind}" for kind in SR_KINDS),
    *sorted(BY_CONTROL),
    *("raw-export", "raw-import", *CALLS_OF_A_CONSENT, "nbd", "xe", *STORAGE),
)
"""The names of all capabilities that are probed."""


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing a target can do or not, with what shows it."""

    name: str
    present: bool
    detail: str

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)


class Capabilities(Mapping[str, Capability]):
    """All that was probed, by name; asking for a name that was never probed is a KeyError."""

    def __init__(self, probed: tuple[Capability, ...]) -> None:
        self._by_name = {capability.name: capability for capability in probed}

    def __getitem__(self, name: str) -> Capability:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def telling(self, details: Mapping[str, str]) -> "Capabilities":
        """Return the same with other details, by name; names that were not probed are left out."""
        return Capabilities(tuple(replace(one, detail=details.get(one.name, one.detail)) for one in self.values()))

    def as_json(self) -> list[dict[str, Any]]:
        """Return plain JSON data, in the order of probing."""
        return [capability.as_json() for capability in self.values()]
