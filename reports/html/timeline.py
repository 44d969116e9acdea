"""The faults of a test on one line of time: when each was armed, struck and healed, in seconds of the test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

WIDTH = 600
"""Units of the drawing from the first to the last moment."""

LANE = 36
"""Units of the drawing that a fault takes in height."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One firing: the second it struck, where that is in the drawing, and what is known of it in words."""

    second: float
    x: float
    words: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One planned fault. `healed` is None where nobody healed it; `note` says why it did not strike, where known.

    The same fault, planned again and again, shares one height `y`; the `first` of them bears the name.
    """

    y: int
    first: bool
    name: str
    where: str
    armed: float
    healed: float | None
    x: float
    width: float
    strikes: tuple[Strike, ...]
    fired: bool
    note: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The lanes of one test, from second `begin` to second `end`; `height` in units of the drawing."""

    lanes: tuple[Lane, ...]
    begin: float
    end: float
    height: int


def timeline(receipts: Sequence[Mapping[str, Any]]) -> Timeline | None:
    """Return the line of time of `receipts`; None where there are none, or they tell no times."""
    told = [receipt for receipt in receipts if receipt.get("armed")]
    try:
        return _laid_out(told) if told else None
    except (TypeError, ValueError):  # of an older version, or somebody else's: its receipts are still listed
        return None


def _laid_out(told: Sequence[Mapping[str, Any]]) -> Timeline:
    zero = min(datetime.fromisoformat(receipt["armed"]) for receipt in told)
    moments = [_times(receipt, zero) for receipt in told]
    begin = min(moment[0] for moment in moments)
    end = max(last for armed, healed, struck in moments for last in (armed, healed or armed, *struck))
    scale = WIDTH / (end - begin) if end > begin else 0.0
    lanes = []
    heights: dict[tuple[str, str], int] = {}
    for receipt, (armed, healed, struck) in zip(told, moments, strict=True):
        kind = str(receipt.get("fault", "fault")), _where(receipt)
        first = kind not in heights
        y = heights.setdefault(kind, len(heights) * LANE)
        strikes = tuple(
            Strike(second, (second - begin) * scale, _struck(firing))
            for second, firing in zip(struck, receipt.get("firings", ()), strict=True)
        )
        until = healed if healed is not None else end
        lanes.append(
            Lane(
                y=y,
                first=first,
                name=kind[0],
                where=kind[1],
                armed=armed,
                healed=healed,
                x=(armed - begin) * scale,
                width=max((until - armed) * scale, 2.0),
                strikes=strikes,
                fired=bool(receipt.get("fired")),
                note=str(receipt.get("note", "")),
            )
        )
    return Timeline(tuple(lanes), begin, end, len(heights) * LANE)


def _times(receipt: Mapping[str, Any], zero: datetime) -> tuple[float, float | None, list[float]]:
    """Return seconds armed, healed and struck: of the test where the receipt counts them, else since the first one."""
    struck = [_second(firing, "time", zero) for firing in receipt.get("firings", ())]
    healed = _second(receipt, "healed", zero) if receipt.get("healed") else None
    return _second(receipt, "armed", zero), healed, struck


def _second(told: Mapping[str, Any], name: str, zero: datetime) -> float:
    counted = told.get(f"{name}_s")
    if isinstance(counted, int | float):
        return float(counted)
    return (datetime.fromisoformat(told[name]) - zero).total_seconds()


def _where(receipt: Mapping[str, Any]) -> str:
    phase, method = receipt.get("phase", ""), receipt.get("method", "")
    nth = receipt.get("nth")
    call = f"call {nth} of {method}" if nth and method else method
    return " ".join(word for word in (phase, call) if word)


def _struck(firing: Mapping[str, Any]) -> str:
    words = []
    if firing.get("method"):
        words.append(f"{firing['method']}, call {firing.get('call')}")
    if firing.get("at"):
        words.append(f"at {firing['at']}")
    if firing.get("byte") is not None:
        words.append(f"byte {firing['byte']}")
    if firing.get("answer"):
        words.append(f"the host had answered {firing['answer']}")
    return "; ".join(words)
