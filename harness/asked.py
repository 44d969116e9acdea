"""What the user wrote, read into what it means: consents, special SRs, durations; pure."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from xencbt.harness.consents import CONSENTS
from xencbt.harness.errors import UsageError

CREATABLE = ("second", "no-cbt", "no-pbd", "file", "unrounded")
"""Kinds of SR on which disks are created."""

LOOKED_AT = ("read-only", "full", "iso")
"""Kinds of SR on which nothing can be created: a VDI must be named, and only its tracking is switched."""

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smh])")


@dataclass(frozen=True, slots=True)
class NamedRepository:
    """An SR of a special kind by uuid, and the VDI on it that may be looked at, if one was named."""

    kind: str
    sr: str
    vdi: str | None = None


def names_in(values: Sequence[str]) -> tuple[str, ...]:
    """Split lists with commas: `("a,b", "c")` names a, b and c."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


def consents_named(values: Sequence[str]) -> frozenset[str]:
    """Read the values of --allow; raises UsageError for a name nobody knows."""
    names = frozenset(names_in(values))
    unknown = sorted(names - CONSENTS.keys())
    if unknown:
        raise UsageError(f"--allow does not know {', '.join(unknown)}; known: {', '.join(CONSENTS)}")
    return names


def repositories_named(values: Sequence[str], main: str | None) -> tuple[NamedRepository, ...]:
    """Read the values of --sr-kind, `main` being the run's own SR.

    Raises UsageError for an unknown kind, a bad uuid, a VDI missing or out of place, or an SR or kind named twice.
    """
    found = tuple(_repository(value) for value in names_in(values))
    kinds = [named.kind for named in found]
    srs = [named.sr for named in found] + ([main.lower()] if main else [])
    for what, several in (("kind", kinds), ("SR", srs)):
        twice = next((one for one in several if several.count(one) > 1), None)
        if twice is not None:
            raise UsageError(f"--sr-kind: the {what} {twice} is named twice; each kind takes an SR of its own")
    return found


def budget_s(text: str) -> float:
    """Read a duration such as 90s, 30m or 2h into seconds; raises UsageError for anything else."""
    match = _DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise UsageError(f"--budget takes a time such as 90s, 30m or 2h, not {text!r}")
    return seconds


def _repository(value: str) -> NamedRepository:
    kind, equals, place = value.partition("=")
    if not equals or kind not in (*CREATABLE, *LOOKED_AT):
        known = ", ".join((*CREATABLE, *LOOKED_AT))
        raise UsageError(f"--sr-kind takes KIND=SR_UUID[/VDI_UUID] with KIND one of {known}, not {value!r}")
    sr, _, vdi = place.partition("/")
    for name in (sr, vdi) if vdi else (sr,):
        if not _is_uuid(name):
            raise UsageError(f"--sr-kind {kind}: {name!r} is no uuid")
    if kind in LOOKED_AT and not vdi:
        raise UsageError(f"--sr-kind {kind}: nothing can be created there, so name a VDI on it: {kind}={sr}/VDI_UUID")
    if vdi and kind in CREATABLE and kind != "no-pbd":
        raise UsageError(f"--sr-kind {kind}: the run creates its disks there itself, so name no VDI")
    return NamedRepository(kind, sr.lower(), vdi.lower() or None)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
