"""Which requirements a certificate of a level needs: data beside the catalogue."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from xencbt.harness.catalogue import Catalogue, Level, catalogue


@dataclass(frozen=True, slots=True)
class Certified:
    """A level of certificates: its name, what it means, and the ids that must have passed, in the catalogue's order."""

    name: str
    title: str
    required: tuple[str, ...]


def levels_from(text: str, known: Catalogue) -> Mapping[str, Certified]:
    """Read levels from TOML `text`; raises UnknownRequirement for a chapter that the catalogue `known` has not."""
    levels = {}
    for name, table in tomllib.loads(text).items():
        chapters = tuple(known.chapter(chapter).name for chapter in table["chapters"])
        required = tuple(row.id for row in known if row.chapter in chapters and row.level == Level.MUST)
        levels[name] = Certified(name, table["title"], required)
    return levels


@cache
def certificate_levels() -> Mapping[str, Certified]:
    """Return the levels of this version by name."""
    text = resources.files("xencbt.harness.catalogue").joinpath("levels.toml").read_text(encoding="utf-8")
    return levels_from(text, catalogue())
