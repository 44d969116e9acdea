"""A run of the suites without one of their assertions, in a process of its own; it tells what failed, and where."""

import importlib.util
import json
import sys
from collections.abc import Generator
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType

import pytest

import xencbt.suites
from tests.proof.sites import Site, without
from xencbt.harness.hunting import Errand, alone
from xencbt.harness.in_pytest import judged_by_pytest
from xencbt.harness.plugin.items import test_id
from xencbt.harness.plugin.stash import TRIAL
from xencbt.harness.run import Front

SUITES = Path(xencbt.suites.__path__[0])
FOUND = "found.json"


@dataclass(frozen=True, slots=True)
class Deletion(Errand):
    """A run by the tests `only` (ids; none: all that are selected), without the assertion at `site`, if any."""

    site: Site | None = None
    only: frozenset[str] = frozenset()


def run(errand: Errand) -> None:
    """Make the run; `found.json` in its folder tells the verdict of each test, and the frames at which it failed."""
    assert isinstance(errand, Deletion)
    with alone(errand.folder):
        if errand.site is not None:
            _import_without(errand.site)
        found = Found(errand.only)
        modules = sorted({test.partition("::")[0] for test in errand.only})
        places = [f"xencbt.{module}" for module in modules] or [xencbt.suites.__name__]
        front = Front(command=errand.command, shrink=False)
        judged_by_pytest(front, errand.arguments, ["--noconftest", "--pyargs", *places], plugins=[found])
        (errand.folder / FOUND).write_text(json.dumps(found.tests))


class Found:
    """A plugin of pytest: leaves out what is not wanted, and keeps verdicts and frames."""

    def __init__(self, only: frozenset[str]) -> None:
        self._only = only
        self.tests: dict[str, dict[str, object]] = {}
        self._frames: list[tuple[str, int]] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Keep the tests that are wanted."""
        yield
        items[:] = [item for item in items if not self._only or test_id(item) in self._only]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep where in the suites a test stood when it failed, and its verdict when it is over."""
        report = yield
        if call.when == "setup":
            self._frames = []
        if call.excinfo is not None:
            places = [(Path(str(entry.path)), entry.lineno + 1) for entry in call.excinfo.traceback]
            self._frames += [(path.stem, line) for path, line in places if path.resolve().parent == SUITES.resolve()]
        trial = item.stash.get(TRIAL, None)
        if trial is not None and call.when == "teardown":
            found = trial.finding()
            self.tests[found.id] = {"verdict": found.verdict.value, "frames": self._frames, "reason": found.reason}
        return report


def _import_without(site: Site) -> None:
    """Import the suites anew, one of them without an assertion, before pytest looks for them."""
    for name in [name for name in sys.modules if name.startswith(f"{xencbt.suites.__name__}.")]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Finder(site))
    for place in sorted(SUITES.glob("test_*.py")):
        importlib.import_module(f"{xencbt.suites.__name__}.{place.stem}")


class _Finder(MetaPathFinder):
    def __init__(self, site: Site) -> None:
        self._site = site

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> ModuleSpec | None:
        """Find the module that is changed."""
        if fullname != f"{xencbt.suites.__name__}.{self._site.module}":
            return None
        place = str(SUITES / f"{self._site.module}.py")
        return importlib.util.spec_from_file_location(fullname, place, loader=_Loader(fullname, place, self._site))


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, site: Site) -> None:
        super().__init__(fullname, path)
        self._site = site

    def get_code(self, _fullname: str) -> CodeType:
        """Compile the source without the assertion; nothing is read from a cache, or written to one."""
        source = Path(self.path).read_text(encoding="utf-8")
        code: CodeType = compile(without(source, self._site), self.path, "exec")
        return code
