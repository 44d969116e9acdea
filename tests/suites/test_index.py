import importlib
from collections.abc import Iterable, Iterator

import pytest

from xencbt.harness.catalogue import CATALOGUE, IMPLEMENTED
from xencbt.suites.index import deciding_tests, suite_modules, suite_names


def named_by(marks: Iterable[pytest.Mark]) -> frozenset[str]:
    return frozenset(requirement for mark in marks if mark.name == "decides" for requirement in mark.args)


def sets_of(mark: pytest.Mark) -> list[frozenset[str]]:
    """Return what each parameter set of a `parametrize` mark decides by a mark of its own."""
    names_and_sets = [*mark.args, mark.kwargs.get("argvalues")]
    return [
        named_by(one.mark if isinstance(one, pytest.MarkDecorator) else one for one in getattr(each, "marks", ()))
        for each in names_and_sets[1]
    ]


def is_brought(test: str) -> bool:
    """Tell whether a test runs only with a plan that the user brings, and so decides nothing by itself."""
    module, _, name = test.partition("::")
    marks = getattr(vars(importlib.import_module(module))[name], "pytestmark", ())
    return any(mark.name == "planned_faults" for mark in marks)


def decided() -> Iterator[tuple[str, frozenset[str], bool]]:
    """Yield every test of the suites: its name, what it decides, and whether it does so with every parameter."""
    for name in suite_modules():
        for test, value in vars(importlib.import_module(name)).items():
            if test.startswith(("test_", "Test")):
                marks = getattr(value, "pytestmark", ())
                own = named_by(marks)
                sets = [sets_of(mark) for mark in marks if mark.name == "parametrize"]
                by_parameter = [requirements for one in sets for requirements in one]
                always = bool(own) or any(one and all(one) for one in sets)
                yield f"{name}::{test}", own.union(*by_parameter), always


def test_every_id_that_a_suite_names_exists() -> None:
    named = {requirement for _, requirements, _ in decided() for requirement in requirements}
    assert named
    assert [requirement for requirement in sorted(named) if requirement not in CATALOGUE] == []


def test_every_test_says_what_it_decides() -> None:
    assert [test for test, _, always in decided() if not always] == []


@pytest.mark.parametrize("chapter", sorted(IMPLEMENTED))
def test_every_requirement_of_an_implemented_chapter_has_a_test(chapter: str) -> None:
    with_test = deciding_tests()
    assert [requirement.id for requirement in CATALOGUE.of_chapter(chapter) if requirement.id not in with_test] == []


def test_the_index_knows_every_test_and_all_it_decides() -> None:
    indexed = {(test, requirement) for requirement, tests in deciding_tests().items() for test in tests}
    said = {
        (test.removeprefix("xencbt."), requirement)
        for test, all_of_it, _ in decided()
        for requirement in all_of_it
        if not is_brought(test)
    }
    assert indexed == said


def test_every_suite_has_a_name_to_call_it_by() -> None:
    assert {"disable", "faults"} <= set(suite_names())
