"""What the odd host does its own way: habits that the documentation leaves free, and ways to be wrong on purpose."""

import enum
from dataclasses import dataclass


class Wrong(enum.Enum):
    """Ways in which the host can break what is documented."""

    LOSES_A_BLOCK = "of a write that touches several blocks, the last one is not recorded"
    ENABLING_RESTARTS = "enabling what is enabled starts a new set"
    MISNAMED_REFUSAL = "a disk of the wrong type is refused with another error code"


@dataclass(frozen=True, slots=True)
class Habits:
    """The host's ways.

    `exact` bitmaps, or such as mark whole granules of four blocks; `lists_methods` answers system.listMethods;
    `reference` is a format with `{cls}` and `{id}`; one call in `pause_every` takes some milliseconds, and those named
    in `slow` take 50 each time.
    """

    exact: bool = False
    lists_methods: bool = False
    reference: str = "{cls}<{id}>&co"
    pause_every: int = 16
    slow: frozenset[str] = frozenset()
    wrong: Wrong | None = None
    seed: int = 20
