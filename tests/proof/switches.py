"""The suites with every assertion behind a switch: one process can do without any of them, one at a time.

Each also tells when it comes to pass, and when it has passed.
"""

import ast
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

from tests.proof.sites import Site, asserts, is_block, sites
from tests.proof.source import import_changed

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
    """Import the suites anew, with their assertions behind `switches`."""

    def change(module: str, source: str) -> ast.Module:
        first, found = len(switches.sites), sites(module, source)
        switches.sites += found
        return switched(source, found, first)

    import_changed(change, {NAME: switches})
