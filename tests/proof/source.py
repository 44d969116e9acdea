"""The suites as source: imported anew with something changed, and the places in them at which a test failed."""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import pytest

import xencbt.suites

SUITES = Path(xencbt.suites.__path__[0])

Change = Callable[[str, str], ast.Module]
"""Makes of a module's name and source what is compiled instead."""


@cache
def closure_hash(module: str) -> str:
    """Return the SHA-256 (hex) of a module of the suites and of all those that it comes to import."""
    found, left = {module}, [module]
    while left:
        new = set(_imported(left.pop())) - found
        found |= new
        left += new
    return hashlib.sha256(b"\0".join((SUITES / f"{each}.py").read_bytes() for each in sorted(found))).hexdigest()


def _imported(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse((SUITES / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            package, _, name = node.module.rpartition(".")
            yield from [name] if package == xencbt.suites.__name__ else ()
            yield from (each.name for each in node.names if node.module == xencbt.suites.__name__)


def import_changed(change: Change, given: Mapping[str, object] | None = None) -> None:
    """Import the suites anew, each of them changed, before pytest looks for them; each module finds what is `given`."""
    for name in [name for name in sys.modules if name.startswith(f"{xencbt.suites.__name__}.")]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Finder(change, given or {}))
    for place in sorted(SUITES.glob("test_*.py")):
        importlib.import_module(f"{xencbt.suites.__name__}.{place.stem}")


def frames_of(call: pytest.CallInfo[None]) -> list[tuple[str, int]]:
    """Return the module and line of each frame in the suites that a failure came through; none where all went well."""
    if call.excinfo is None:
        return []
    places = [(Path(str(entry.path)), entry.lineno + 1) for entry in call.excinfo.traceback]
    return [(path.stem, line) for path, line in places if path.resolve().parent == SUITES.resolve()]


class _Finder(MetaPathFinder):
    def __init__(self, change: Change, given: Mapping[str, object]) -> None:
        self._change = change
        self._given = given

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> ModuleSpec | None:
        """Find any module of the suites."""
        package, _, name = fullname.rpartition(".")
        place = SUITES / f"{name}.py"
        if package != xencbt.suites.__name__ or not place.exists():
            return None
        loader = _Loader(fullname, str(place), self._change, self._given)
        return importlib.util.spec_from_file_location(fullname, place, loader=loader)


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, change: Change, given: Mapping[str, object]) -> None:
        super().__init__(fullname, path)
        self._change = change
        self._given = given

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, which finds what it is given."""
        vars(module).update(self._given)
        super().exec_module(module)

    def get_code(self, _fullname: str) -> CodeType:
        """Compile the changed source; nothing is read from a cache, or written to one."""
        place = Path(self.path)
        changed = self._change(place.stem, place.read_text(encoding="utf-8"))
        code: CodeType = compile(changed, self.path, "exec")
        return code
