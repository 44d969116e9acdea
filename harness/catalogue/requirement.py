"""The catalogue's values: requirement, chapter, source page, and the catalogue that holds them."""

import difflib
import enum
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

from xencbt.harness.errors import UsageError


class UnknownRequirement(UsageError):
    """An id or a chapter that the catalogue does not hold; the message names near matches."""


class Level(enum.StrEnum):
    """How binding a requirement is: must, should (decides only with --strict), informational (never decides)."""

    MUST = "M"
    SHOULD = "S"
    INFORMATIONAL = "I"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the public documentation; `url` is empty where there is none."""

    key: str
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter of the catalogue; `implemented` once every requirement of it must have a test."""

    name: str
    title: str
    implemented: bool


@dataclass(frozen=True, slots=True)
class Requirement:
    """One testable statement of the documentation, in our words.

    `page` and `section` say where it comes from; `calls` are the XenAPI calls and `codes` the error codes it is about.
    """

    id: str
    level: Level
    chapter: str
    statement: str
    page: Page
    section: str
    calls: tuple[str, ...]
    codes: tuple[str, ...]

    @property
    def url(self) -> str:
        """Return the address of the source page, empty where there is none."""
        return self.page.url

    @property
    def source(self) -> str:
        """Return the source for a reader: page title and section."""
        return f"{self.page.title}, “{self.section}”"


@dataclass(frozen=True)
class Catalogue:
    """All requirements by id and all chapters by name, both in the order of the source."""

    requirements: Mapping[str, Requirement]
    chapters: Mapping[str, Chapter]

    def __iter__(self) -> Iterator[Requirement]:
        return iter(self.requirements.values())

    def __len__(self) -> int:
        return len(self.requirements)

    def __contains__(self, requirement: object) -> bool:
        return requirement in self.requirements

    def __getitem__(self, requirement: str) -> Requirement:
        """Return the requirement with this id; raises UnknownRequirement with near matches."""
        try:
            return self.requirements[requirement]
        except KeyError:
            raise _unknown("requirement", requirement, self.requirements) from None

    def chapter(self, name: str) -> Chapter:
        """Return the chapter with this name; raises UnknownRequirement with near matches."""
        try:
            return self.chapters[name]
        except KeyError:
            raise _unknown("chapter", name, self.chapters) from None

    def of_chapter(self, name: str) -> tuple[Requirement, ...]:
        """Return the requirements of one chapter in order; raises UnknownRequirement."""
        chapter = self.chapter(name)
        return tuple(requirement for requirement in self if requirement.chapter == chapter.name)

    @property
    def implemented(self) -> frozenset[str]:
        """Names of the chapters whose every requirement must have a test."""
        return frozenset(chapter.name for chapter in self.chapters.values() if chapter.implemented)

    @cached_property
    def hash(self) -> str:
        """sha256 (hex) of what the catalogue says, whatever the layout of its file."""
        content = {
            "requirements": [asdict(requirement) for requirement in self],
            "chapters": [asdict(chapter) for chapter in self.chapters.values()],
        }
        canonical = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def _unknown(kind: str, wanted: str, known: Mapping[str, object]) -> UnknownRequirement:
    near = difflib.get_close_matches(wanted.upper(), known, n=3, cutoff=0.6)
    hint = f"did you mean {', '.join(near)}?" if near else "see `xencbt requirements` for the list"
    return UnknownRequirement(f"unknown {kind} {wanted!r}: {hint}")
