"""The suites with every assertion behind a switch: one process can do without any of them, one at a time.

Each also tells when it comes to pass, and when it has passed.
"""

import ast
import importlib.util
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType

import xencbt.suites
from tests.proof.sites import Site, asserts, is_block, sites

SUITES = Path(xencbt.suites.__path__[0])
NAME = "__switches__"


class Switches:
    """Which assertion is `off`, if any; `told` is called with each that begins (True) or has passed (False)."""

    def __init__(self, told: Callable[[Site, bool], None] = lambda _site, _begins: None) -> None:
        self.off: Site | None = None
        self.told = told
        self.sites: list[Site] = []

    def begins(self, number: int) -> bool:
        """Tell whether the assertion is to be made."""
        site = self.sites[number]
        if site == self.off:
            return False
        self.told(site, True)
        return True

    def passed(self, number: int) -> None:
        """Hear that the assertion has held."""
        self.told(self.sites[number], False)

    def block(self, number: int, make: Callable[[], AbstractContextManager[object]]) -> AbstractContextManager[object]:
        """Return the block that asserts at its end, or one that does not."""
        return _Told(self, number, make()) if self.sites[number] != self.off else nullcontext()


class _Told(AbstractContextManager[object]):
    """A block that asserts at its end: it is told of what it does at its beginning, and again at its end."""

    def __init__(self, switches: Switches, number: int, block: AbstractContextManager[object]) -> None:
        self._switches = switches
        self._number = number
        self._block = block

    def __enter__(self) -> object:
        self._switches.begins(self._number)
        entered = self._block.__enter__()
        self._switches.passed(self._number)
        return entered

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._switches.begins(self._number)
        swallowed = self._block.__exit__(kind, error, trace)
        self._switches.passed(self._number)
        return swallowed


class _Switched(ast.NodeTransformer):
    def __init__(self, numbers: dict[tuple[int, int], int]) -> None:
        self._numbers = numbers

    def visit(self, node: ast.AST) -> ast.AST:
        number = self._numbers.get((getattr(node, "lineno", 0), getattr(node, "col_offset", -1)))
        node = self.generic_visit(node)
        if number is None or not asserts(node):
            return node
        if not isinstance(node, ast.With):
            assert isinstance(node, ast.stmt)
            last = ast.Expr(_call("passed", ast.Constant(number)))
            return ast.copy_location(ast.If(_call("begins", ast.Constant(number)), [node, last], []), node)
        for item in filter(is_block, node.items):
            nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
            block = _call("block", ast.Constant(number), ast.Lambda(nothing, item.context_expr))
            item.context_expr = ast.copy_location(block, item.context_expr)
        return node


def _call(what: str, *given: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name(NAME, ast.Load()), what, ast.Load()), list(given), [])


def switched(source: str, found: Sequence[Site], first: int) -> ast.Module:
    """Return the module of `source` with its assertions `found` behind switches, numbered from `first` on."""
    numbers = {(site.line, site.column): first + at for at, site in enumerate(found)}
    tree = ast.parse(source)
    _Switched(numbers).visit(tree)
    return ast.fix_missing_locations(tree)


def import_suites(switches: Switches) -> None:
    """Import the suites anew, with their assertions behind `switches`, before pytest looks for them."""
    for name in [name for name in sys.modules if name.startswith(f"{xencbt.suites.__name__}.")]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Finder(switches))
    for place in sorted(SUITES.glob("test_*.py")):
        importlib.import_module(f"{xencbt.suites.__name__}.{place.stem}")


class _Finder(MetaPathFinder):
    def __init__(self, switches: Switches) -> None:
        self._switches = switches

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> ModuleSpec | None:
        """Find any module of the suites."""
        package, _, name = fullname.rpartition(".")
        place = SUITES / f"{name}.py"
        if package != xencbt.suites.__name__ or not place.exists():
            return None
        loader = _Loader(fullname, str(place), self._switches)
        return importlib.util.spec_from_file_location(fullname, place, loader=loader)


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, switches: Switches) -> None:
        super().__init__(fullname, path)
        self._switches = switches

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, which finds its switches."""
        vars(module)[NAME] = self._switches
        super().exec_module(module)

    def get_code(self, _fullname: str) -> CodeType:
        """Compile the source with switches; nothing is read from a cache, or written to one."""
        place = Path(self.path)
        source = place.read_text(encoding="utf-8")
        first, found = len(self._switches.sites), sites(place.stem, source)
        self._switches.sites += found
        code: CodeType = compile(switched(source, found, first), self.path, "exec")
        return code
