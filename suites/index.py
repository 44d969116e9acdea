"""Which test of the suites decides which requirement, read from the marks; nothing is run."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from inspect import signature
from types import ModuleType

import xencbt.suites
from xencbt.harness.searching import is_property
from xencbt.harness.selection import id_of, suite_of


def suite_modules() -> Iterator[str]:
    """Yield the module names of the suites, in order."""
    for module in sorted(pkgutil.iter_modules(xencbt.suites.__path__), key=lambda found: found.name):
        if module.name.startswith("test_"):
            yield f"{xencbt.suites.__name__}.{module.name}"


def suite_names() -> tuple[str, ...]:
    """Return the names that `--suite` takes."""
    return tuple(suite_of(module) for module in suite_modules())


def deciding_tests() -> dict[str, tuple[str, ...]]:
    """Return the ids of the deciding tests by requirement id, for every requirement some test decides."""
    decided: dict[str, list[str]] = {}
    for name in suite_modules():
        module = importlib.import_module(name)
        for test, requirements in _marked(module):
            for requirement in requirements:
                decided.setdefault(requirement, []).append(id_of(name, test))
    return {requirement: tuple(tests) for requirement, tests in decided.items()}


def searching_tests() -> frozenset[str]:
    """Return the ids of the tests that draw what they do: hypothesis arguments, or a state machine calls."""
    return frozenset(
        id_of(name, test)
        for name in suite_modules()
        for test, value in vars(importlib.import_module(name)).items()
        if test.startswith("test_") and callable(value) and _draws(value)
    )


def _draws(test: Callable[..., object]) -> bool:
    return is_property(test) or "search" in signature(test).parameters


def _marked(module: ModuleType) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, value in vars(module).items():
        if name.startswith("test_") and callable(value):
            marks = getattr(value, "pytestmark", ())
            of_parameters = (
                mark
                for parametrized in marks
                if parametrized.name == "parametrize"
                for case in parametrized.args[1]
                for mark in getattr(case, "marks", ())
            )
            if any(mark.name == "planned_faults" for mark in marks):
                continue  # it decides nothing by itself: the user brings the plan
            deciding = [mark for mark in (*marks, *of_parameters) if mark.name == "decides"]
            yield name, tuple(dict.fromkeys(requirement for mark in deciding for requirement in mark.args))
