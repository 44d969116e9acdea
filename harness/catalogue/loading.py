"""Read the catalogue from its TOML text, strictly: a slip in the data stops at once, naming the place."""

import re
import tomllib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from xencbt.harness.catalogue.requirement import Catalogue, Chapter, Level, Page, Requirement
from xencbt.harness.errors import HarnessError

_ID = re.compile(r"(?P<chapter>[A-Z]+)-\d\d")
_CALL = re.compile(r"[A-Za-z]+\.[A-Za-z_]+")
_CODE = re.compile(r"[A-Z][A-Z0-9_]+")
_Entry = TypeVar("_Entry")
_ROW = {"id", "level", "statement", "page", "section", "calls", "codes"}


class BadCatalogue(HarnessError):
    """The catalogue's data is wrong; the message names the table or row and what is wrong with it."""


def parse(text: str) -> Catalogue:
    """Read a catalogue from TOML `text`; raises BadCatalogue.

    The tables `pages`, `chapters` and the rows `requirements` must hold exactly the keys they are known to hold.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadCatalogue(f"the catalogue is no TOML: {error}") from error
    _exact_keys("the catalogue", data, {"pages", "chapters", "requirements"})
    pages = {key: _page(key, entry) for key, entry in _table("pages", data["pages"]).items()}
    chapters = {name: _chapter(name, entry) for name, entry in _table("chapters", data["chapters"]).items()}
    rows = data["requirements"]
    if not isinstance(rows, list) or not rows:
        raise BadCatalogue("requirements: at least one [[requirements]] row is needed")
    requirements: dict[str, Requirement] = {}
    for number, row in enumerate(rows, start=1):
        requirement = _requirement(f"requirement {number}", row, pages, chapters)
        if requirement.id in requirements:
            raise BadCatalogue(f"{requirement.id}: the id is used twice")
        requirements[requirement.id] = requirement
    empty = chapters.keys() - {requirement.chapter for requirement in requirements.values()}
    if empty:
        raise BadCatalogue(f"chapters without a requirement: {', '.join(sorted(empty))}")
    return Catalogue(MappingProxyType(requirements), MappingProxyType(chapters))


def _page(key: str, entry: object) -> Page:
    where = f"page {key}"
    table = _exact_keys(where, entry, {"title", "url"})
    url = _text(where, table, "url", empty=True)
    if url and not url.startswith("https://"):
        raise BadCatalogue(f"{where}: url must be empty or start with https://, not {url!r}")
    return Page(key, _text(where, table, "title"), url)


def _chapter(name: str, entry: object) -> Chapter:
    where = f"chapter {name}"
    table = _exact_keys(where, entry, {"title", "implemented"})
    implemented = table["implemented"]
    if not isinstance(implemented, bool):
        raise BadCatalogue(f"{where}: implemented must be true or false, not {implemented!r}")
    return Chapter(name, _text(where, table, "title"), implemented)


def _requirement(where: str, entry: object, pages: Mapping[str, Page], chapters: Mapping[str, Chapter]) -> Requirement:
    if isinstance(entry, dict) and isinstance(entry.get("id"), str):
        where = entry["id"]
    table = _exact_keys(where, entry, _ROW)
    name = _text(where, table, "id")
    match = _ID.fullmatch(name)
    if match is None:
        raise BadCatalogue(f"{where}: an id is a chapter, a hyphen and two digits, not {name!r}")
    return Requirement(
        id=name,
        level=_level(where, table["level"]),
        chapter=_known(where, "chapter", match["chapter"], chapters).name,
        statement=_text(where, table, "statement"),
        page=_known(where, "page", table["page"], pages),
        section=_text(where, table, "section"),
        calls=_texts(where, table, "calls", _CALL),
        codes=_texts(where, table, "codes", _CODE),
    )


def _level(where: str, value: object) -> Level:
    try:
        return Level(str(value))
    except ValueError:
        raise BadCatalogue(f"{where}: level must be one of {', '.join(Level)}, not {value!r}") from None


def _known(where: str, kind: str, name: object, known: Mapping[str, _Entry]) -> _Entry:
    if not isinstance(name, str) or name not in known:
        raise BadCatalogue(f"{where}: {kind} {name!r} is none of {', '.join(known)}")
    return known[name]


def _table(where: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise BadCatalogue(f"{where}: must be a table")
    return value


def _exact_keys(where: str, entry: object, keys: set[str]) -> dict[str, Any]:
    table = _table(where, entry)
    if table.keys() != keys:
        missing, extra = sorted(keys - table.keys()), sorted(table.keys() - keys)
        raise BadCatalogue(f"{where}: missing keys {missing}, unknown keys {extra}")
    return table


def _text(where: str, table: Mapping[str, object], key: str, *, empty: bool = False) -> str:
    value = table[key]
    if not isinstance(value, str) or value != value.strip() or not (value or empty):
        raise BadCatalogue(f"{where}: {key} must be a text without outer blanks, not {value!r}")
    return value


def _texts(where: str, table: Mapping[str, object], key: str, shape: re.Pattern[str]) -> tuple[str, ...]:
    values = table[key]
    if not isinstance(values, list):
        raise BadCatalogue(f"{where}: {key} must be a list")
    for value in values:
        if not isinstance(value, str) or not shape.fullmatch(value):
            raise BadCatalogue(f"{where}: {value!r} is not how {key} are written")
    if len(set(values)) != len(values):
        raise BadCatalogue(f"{where}: {key} repeats an entry")
    return tuple(values)
