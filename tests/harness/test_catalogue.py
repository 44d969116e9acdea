import re

import pytest

from xencbt.harness import catalogue as package
from xencbt.harness.catalogue import CATALOGUE, IMPLEMENTED, BadCatalogue, Level, UnknownRequirement, parse
from xencbt.harness.catalogue.requirement import Requirement
from xencbt.harness.errors import UsageError
from xencbt.harness.verdicts import chapter_of

GOOD = """
[pages.using]
title = "Using it"
url = "https://docs.example/using"
[chapters.SET]
title = "Sets"
implemented = true
[[requirements]]
id = "SET-01"
level = "M"
statement = "It works."
page = "using"
section = "Sets"
calls = ["VDI.enable_cbt"]
codes = ["VDI_MISSING"]
"""


def test_the_catalogue_holds_every_row_once() -> None:
    numbers = {
        "SET": 7, "ENABLE": 20, "DISABLE": 7, "STATUS": 4, "LIST": 12, "DESTROY": 8, "EXPORT": 4, "RESTORE": 2,
        "LIFE": 8, "FAULT": 7,
    }  # fmt: skip
    assert {name: len(CATALOGUE.of_chapter(name)) for name in CATALOGUE.chapters} == numbers
    for name, number in numbers.items():
        ids = {requirement.id for requirement in CATALOGUE.of_chapter(name)}
        assert ids == {f"{name}-{n:02}" for n in range(1, number + 1)}


def test_every_requirement_says_where_it_comes_from() -> None:
    for requirement in CATALOGUE:
        assert requirement.chapter == chapter_of(requirement.id)
        assert requirement.statement.endswith(".")
        assert requirement.section
        assert requirement.url.startswith("https://") or requirement.chapter == "FAULT"
        assert requirement.page.title in requirement.source
        assert set(re.findall(r"VDI_[A-Z_]{4,}(?<!_FAILED)(?<!INCONSISTENT)\b", requirement.statement)) <= set(
            requirement.codes
        )


def test_levels_are_those_of_the_documentation() -> None:
    others = {requirement.id: requirement.level for requirement in CATALOGUE if requirement.level is not Level.MUST}
    assert others == {
        "ENABLE-19": Level.SHOULD,
        "LIST-03": Level.SHOULD,
        "LIST-12": Level.SHOULD,
        "DESTROY-08": Level.INFORMATIONAL,
    }


def test_the_first_chapters_are_implemented() -> None:
    first = {"SET", "ENABLE", "DISABLE", "STATUS", "LIST", "DESTROY", "EXPORT", "RESTORE", "LIFE"}
    assert first <= IMPLEMENTED


def test_it_is_read_once() -> None:
    assert package.catalogue() is package.catalogue() is package.CATALOGUE
    with pytest.raises(AttributeError, match="no attribute"):
        _ = package.__getattr__("CATALOG")


@pytest.mark.parametrize(
    ("wanted", "near"), [("ENABLE-21", "ENABLE-2"), ("enable-1", "ENABLE-1"), ("STATUS01", "STATUS-01")]
)
def test_an_unknown_id_suggests_near_ones(wanted: str, near: str) -> None:
    with pytest.raises(UnknownRequirement, match=f"unknown requirement '{wanted}': did you mean .*{near}") as caught:
        _ = CATALOGUE[wanted]
    assert isinstance(caught.value, UsageError)
    assert wanted not in CATALOGUE


def test_an_unknown_chapter_suggests_near_ones() -> None:
    with pytest.raises(UnknownRequirement, match="unknown chapter 'ENABEL': did you mean ENABLE"):
        CATALOGUE.of_chapter("ENABEL")
    with pytest.raises(UnknownRequirement, match="see `xencbt requirements`"):
        CATALOGUE.of_chapter("xyzzy")


def test_the_hash_follows_the_content_not_the_layout() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", package.catalogue_hash())
    assert parse(GOOD).hash == parse("# a comment\n" + GOOD).hash
    assert parse(GOOD).hash != parse(GOOD.replace("It works.", "It works well.")).hash
    assert parse(GOOD).hash != parse(GOOD.replace('level = "M"', 'level = "S"')).hash


def test_a_good_text_is_read() -> None:
    read = parse(GOOD)
    requirement = read["SET-01"]
    assert isinstance(requirement, Requirement)
    assert requirement.codes == ("VDI_MISSING",)
    assert requirement.source == "Using it, “Sets”"
    assert len(read) == 1


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('level = "M"', 'level = "X"', "SET-01: level must be one of M, S, I, not 'X'"),
        ('level = "M"', "", r"SET-01: missing keys \['level'\]"),
        ('level = "M"', 'level = "M"\nextra = 1', r"unknown keys \['extra'\]"),
        ('id = "SET-01"', 'id = "SET-1"', "an id is a chapter, a hyphen and two digits"),
        ('id = "SET-01"', 'id = "GET-01"', "GET-01: chapter 'GET' is none of SET"),
        ('page = "using"', 'page = "usign"', "SET-01: page 'usign' is none of using"),
        ('"It works."', '" "', "SET-01: statement must be a text"),
        ('["VDI.enable_cbt"]', '["enable_cbt"]', "SET-01: 'enable_cbt' is not how calls are written"),
        ('["VDI_MISSING"]', '"VDI_MISSING"', "SET-01: codes must be a list"),
        ('["VDI_MISSING"]', '["VDI_MISSING", "VDI_MISSING"]', "SET-01: codes repeats an entry"),
        ('url = "https:', 'url = "http:', "page using: url must be empty or start with https://"),
        ("implemented = true", "implemented = 1", "chapter SET: implemented must be true or false"),
        ("[chapters.SET]", '[chapters.GET]\ntitle = "x"\nimplemented = false\n[chapters.SET]', "a requirement: GET"),
        ("[pages.using]", "[pages.using", "the catalogue is no TOML"),
        ("[[requirements]]", "[requirements]", r"requirements: at least one \[\[requirements\]\] row"),
    ],
)  # fmt: skip
def test_a_slip_in_the_data_is_named(old: str, new: str, complaint: str) -> None:
    assert old in GOOD
    with pytest.raises(BadCatalogue, match=complaint):
        parse(GOOD.replace(old, new))


def test_an_id_is_never_used_twice() -> None:
    row = GOOD[GOOD.index("[[requirements]]") :]
    with pytest.raises(BadCatalogue, match="SET-01: the id is used twice"):
        parse(GOOD + row)
