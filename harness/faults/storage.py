"""Faults of a host's storage, which only an emulated host can be told to have (through its control interface).

An operation of the storage asks questions, then takes named steps; the emulated host tells which (`faults`, steps):

    enable_cbt ──▶ pause? ──▶ medium? ──▶ log? ──▶ create_log ──▶ clear_flag ──▶ update_record

The host has seen the call by then, so a client that gets a refusal knows of it, and one whose host lost its power does
not. Parameters and their values are the emulated host's; `any` stands for every operation.
"""

from dataclasses import dataclass
from typing import Literal

from xencbt.harness.faults.kinds import Fault, FaultError, Layer, Phase, fault


@fault("no-space-for-log", Phase.DURING, layer=Layer.STORAGE)
@dataclass(frozen=True, slots=True)
class NoSpaceForLog(Fault):
    """There is no space for the log that `operation` has to make or to write anew."""

    operation: Literal["any", "enable_cbt", "snapshot", "resize"] = "any"


@fault("pause-refused", Phase.DURING, layer=Layer.STORAGE)
@dataclass(frozen=True, slots=True)
class PauseRefused(Fault):
    """A disk in use that `operation` has to pause cannot be."""

    operation: Literal["any", "enable_cbt", "disable_cbt", "snapshot", "clone", "resize", "destroy"] = "any"


@fault("sr-read-only", Phase.DURING, layer=Layer.STORAGE)
@dataclass(frozen=True, slots=True)
class SrReadOnly(Fault):
    """The medium takes no changes when `operation` is about to make some."""

    operation: str = "any"


@fault("pbd-unplugged", Phase.DURING, layer=Layer.STORAGE)
@dataclass(frozen=True, slots=True)
class PbdUnplugged(Fault):
    """The SR is cut off before `step` of `operation` is done, and plugged again when healed."""

    operation: str
    step: str

    def __post_init__(self) -> None:
        _require_named(operation=self.operation, step=self.step)


@fault("power-cut", Phase.DURING, layer=Layer.STORAGE)
@dataclass(frozen=True, slots=True)
class PowerCut(Fault):
    """The host loses its power before `step` of `operation` is done, and is started again when healed."""

    operation: str
    step: str

    def __post_init__(self) -> None:
        _require_named(operation=self.operation, step=self.step)


@fault("log-damaged", Phase.DURING, layer=Layer.STORAGE)
@dataclass(frozen=True, slots=True)
class LogDamaged(Fault):
    """The log of a disk is lost, truncated or corrupt as soon as it is armed; healing does not bring it back."""

    how: Literal["lost", "truncated", "corrupt"] = "lost"


@fault("nbd-disturbed", Phase.DURING, layer=Layer.STORAGE)
@dataclass(frozen=True, slots=True)
class NbdDisturbed(Fault):
    """A READ over NBD fails, ends half-way, is cut off unanswered, or brings other bytes."""

    how: Literal["error", "short-read", "cut", "wrong-bytes"] = "error"


def _require_named(**values: str) -> None:
    for name, value in values.items():
        if not value or value == "any":
            raise FaultError(name, f"must name one, not {value!r}")
