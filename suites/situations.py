"""Generated situations as pure data: type, on_boot, SR, VM, snapshot, CBT before, and what lies beside the disk."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st

from xencbt.harness.capabilities import MAIN, SR_KINDS
from xencbt.harness.consents import NEVER_CREATED, PLAIN_TYPES
from xencbt.harness.model import OnBoot, VdiType
from xencbt.harness.needs import needs
from xencbt.harness.verdicts import Unsupported

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from _pytest.mark import ParameterSet

    from xencbt.fixtures.lab import Lab
    from xencbt.fixtures.vms import PowerState

FURNISHED = ("read-only", "full", "no-pbd", "iso")
"""Kinds of SR on which nothing can be created: the disk under test is the one they already have."""

WRITABLE = (MAIN, MAIN, MAIN, "file", "unrounded", "second", "no-cbt")
"""Kinds of SR on which disks are created; the run's own comes up more often."""

WITH_CBT = frozenset({MAIN, "file", "unrounded", "second"})
"""Kinds of SR on which disks are created and CBT works."""

INELIGIBLE = frozenset(kind for kind in VdiType if not kind.eligible)
"""Types of VDI that cannot be tracked."""

POWER_STATES: tuple[PowerState, ...] = ("Halted", "Running", "Paused", "Suspended")


ASKED_FOR = (
    "sr-unplug",
    "vm-power",
    "special-vdi-types",
    "reset-on-boot",
    "raw-import",
    *(f"sr:{kind}" for kind in SR_KINDS),
)
"""The capabilities and consents that a drawn situation makes use of where they are there."""

IN_POWER_STATES = [pytest.param(state, marks=needs("vm-power") if state != "Halted" else ()) for state in POWER_STATES]
"""The power states as parameters of a test: all but the first take starting a VM."""


def of_types(kinds: Iterable[VdiType]) -> list[ParameterSet]:
    """Return types of VDI as parameters of a test, those that take consent marked."""
    return [
        pytest.param(kind, marks=() if kind.value in PLAIN_TYPES else needs("special-vdi-types"), id=str(kind.value))
        for kind in sorted(kinds, key=lambda one: one.value)
    ]


class Beside(enum.Enum):
    """What lies beside the disk under test; the value is the block written to it, each a different one."""

    SAME_VM = 3
    SAME_SR = 9
    CLONE = 17
    SNAPSHOT = 33


@dataclass(frozen=True, slots=True)
class Situation:
    """What a call about one disk meets.

    `sr` is a kind of SR, `vm` the power state of the VM that holds the disk (None: no VM). With `snapshot` the disk
    under test is a snapshot, and the VM holds its source; `enabled` says whether CBT was enabled before.
    """

    type: VdiType = VdiType.USER
    on_boot: OnBoot = OnBoot.PERSIST
    sr: str = MAIN
    vm: PowerState | None = None
    snapshot: bool = False
    enabled: bool = False
    beside: frozenset[Beside] = frozenset()

    @property
    def eligible(self) -> bool:
        """Whether type and on_boot allow CBT."""
        return self.type.eligible and self.on_boot is OnBoot.PERSIST

    @property
    def contradiction(self) -> str | None:
        """Say why no host can be brought into this situation; None where one can."""
        if self.sr in FURNISHED and self != Situation(sr=self.sr):
            return f"nothing can be made on the SR of kind {self.sr}"
        if self.enabled and (not self.eligible or self.sr == "no-cbt"):
            return "CBT cannot have been enabled"
        if Beside.SAME_VM in self.beside and self.vm is None:
            return "there is no VM that another disk could share"
        if Beside.SNAPSHOT in self.beside and self.on_boot is OnBoot.RESET and not self.snapshot:
            return "a disk that is reset at boot cannot be snapshotted"
        return None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a target lets situations be made of, and what a test narrows that to (with `dataclasses.replace`).

    What stands in a field more than once comes up more often; `resettable` are the SRs whose driver knows on_boot
    reset, `fewest_beside` the least number of other disks.
    """

    srs: tuple[str, ...] = (*WRITABLE, *FURNISHED)
    resettable: frozenset[str] = frozenset(WRITABLE)
    types: tuple[VdiType, ...] = tuple(
        kind for kind in VdiType if kind.value not in NEVER_CREATED and kind is not VdiType.CBT_METADATA
    )
    power_states: tuple[PowerState | None, ...] = (None, *POWER_STATES)
    on_boots: tuple[OnBoot, ...] = (OnBoot.PERSIST, OnBoot.PERSIST, OnBoot.RESET)
    snapshots: tuple[bool, ...] = (False, False, False, True)
    beside: frozenset[Beside] = frozenset(Beside)
    fewest_beside: int = 0

    @classmethod
    def of(cls, lab: Lab) -> Offer:
        """Return what the target of `lab` has and the user consented to."""
        every = cls()
        srs = tuple(kind for kind in every.srs if kind == MAIN or lab.may_look_at(kind))
        may_start, special = lab.offers("vm-power"), lab.offers("special-vdi-types")
        return cls(
            srs=srs,
            resettable=frozenset(kind for kind in srs if lab.sr(kind).features.get("VDI_RESET_ON_BOOT", 0) >= 2),
            types=tuple(kind for kind in every.types if special or kind.value in PLAIN_TYPES),
            power_states=every.power_states if may_start else (None, "Halted"),
        )

    def narrowed(
        self,
        *,
        srs: Collection[str] | None = None,
        types: Collection[VdiType] | None = None,
        on_boot: OnBoot | None = None,
        snapshot: bool | None = None,
        fewest_beside: int = 0,
    ) -> Offer:
        """Return what is left of this offer; raises Unsupported where that is nothing."""
        kept = [sr for sr in self.srs if srs is None or sr in srs]
        if on_boot is OnBoot.RESET:
            kept = [sr for sr in kept if sr in self.resettable]
        if not kept:
            raise Unsupported(f"the target has no SR of kind {' or '.join(sorted(srs or self.srs))} that can do it")
        return replace(
            self,
            srs=tuple(kept),
            types=tuple(kind for kind in self.types if types is None or kind in types),
            on_boots=self.on_boots if on_boot is None else (on_boot,),
            snapshots=self.snapshots if snapshot is None else (snapshot,),
            fewest_beside=fewest_beside,
        )


EVERYTHING = Offer()


@st.composite
def situations(draw: st.DrawFn, offer: Offer = EVERYTHING) -> Situation:
    """Draw a situation that `offer` allows and that contradicts nothing; most disks are of an eligible type.

    Where `offer` allows only on_boot reset, it must not name SRs that cannot do it.

    >>> situation = data.draw(situations(Offer.of(lab)))
    """
    sr = draw(st.sampled_from(offer.srs))
    if sr in FURNISHED:
        return Situation(sr=sr)
    eligible = [kind for kind in offer.types if kind.eligible]
    kind = draw(st.sampled_from(offer.types) | st.sampled_from(eligible or offer.types))
    resettable = sr in offer.resettable
    on_boot = draw(st.sampled_from([mode for mode in offer.on_boots if resettable or mode is OnBoot.PERSIST]))
    vm = draw(st.sampled_from(offer.power_states))
    snapshot = draw(st.sampled_from(offer.snapshots))
    may_be_enabled = kind.eligible and on_boot is OnBoot.PERSIST and sr != "no-cbt"
    neighbours = offer.beside if vm else offer.beside - {Beside.SAME_VM}
    if on_boot is OnBoot.RESET and not snapshot:
        neighbours -= {Beside.SNAPSHOT}
    return Situation(
        type=kind,
        on_boot=on_boot,
        sr=sr,
        vm=vm,
        snapshot=snapshot,
        enabled=may_be_enabled and draw(st.booleans()),
        beside=draw(_few(neighbours, offer.fewest_beside)),
    )


def _few(neighbours: frozenset[Beside], fewest: int) -> st.SearchStrategy[frozenset[Beside]]:
    ordered = sorted(neighbours, key=lambda one: one.value)
    return st.frozensets(st.sampled_from(ordered), min_size=fewest, max_size=2) if ordered else st.just(frozenset())
