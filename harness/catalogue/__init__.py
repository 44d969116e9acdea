"""What the documentation requires, as data: `CATALOGUE`, read once from requirements.toml when first asked for."""

from functools import cache
from importlib import resources

from xencbt.harness.catalogue.loading import BadCatalogue, parse
from xencbt.harness.catalogue.requirement import Catalogue, Chapter, Level, Page, Requirement, UnknownRequirement

__all__ = [
    "CATALOGUE",
    "IMPLEMENTED",
    "BadCatalogue",
    "Catalogue",
    "Chapter",
    "Level",
    "Page",
    "Requirement",
    "UnknownRequirement",
    "catalogue",
    "catalogue_hash",
    "parse",
]

CATALOGUE: Catalogue
"""The requirement catalogue of this version."""

IMPLEMENTED: frozenset[str]
"""Names of the chapters whose every requirement must have a test."""


@cache
def catalogue() -> Catalogue:
    """Return the catalogue of this version, read at the first call; raises BadCatalogue."""
    return parse(resources.files(__name__).joinpath("requirements.toml").read_text(encoding="utf-8"))


def catalogue_hash() -> str:
    """Return the sha256 (hex) of what the catalogue says: equal in two runs that judged by the same requirements."""
    return catalogue().hash


def __getattr__(name: str) -> object:
    if name == "CATALOGUE":
        return catalogue()
    if name == "IMPLEMENTED":
        return catalogue().implemented
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
