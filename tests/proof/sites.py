"""The assertions of the suites as places in their source, and the source without one of them; pure.

An assertion is an `assert` statement, a statement that calls something asserting (`assert_…`, or one of ASSERTING), or
a block `with lab.unchanged(…)`. Where the value of an asserting call is used, it cannot be deleted, and is none.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ASSERTING = frozenset({"refuses", "check", "judge"})
BLOCKS = frozenset({"unchanged", "undisturbed"})


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """One assertion: the module of the suites, the lines at which it is seen when it fails, and its column."""

    module: str
    line: int
    end: int
    column: int
    function: str

    def is_among(self, frames: Iterable[tuple[str, int]]) -> bool:
        """Tell whether a failure came through it: one of the frames (module and line) stands there."""
        return any(self.module == module and self.line <= line <= self.end for module, line in frames)

    def __str__(self) -> str:
        return f"{self.module}:{self.line}:{self.column} in {self.function}"


def sites(module: str, source: str) -> tuple[Site, ...]:
    """Return the assertions in the source of `module`, top to bottom."""
    return tuple(sorted(_found(module, ast.parse(source), "")))


def _found(module: str, node: ast.AST, function: str) -> Iterator[Site]:
    for child in ast.iter_child_nodes(node):
        if asserts(child):
            yield Site(module, child.lineno, _end(child), child.col_offset, function)  # type: ignore[attr-defined]  # a statement
        named = isinstance(child, ast.FunctionDef | ast.ClassDef)
        yield from _found(module, child, f"{function}.{child.name}".lstrip(".") if named else function)  # type: ignore[attr-defined]


def asserts(node: ast.AST) -> bool:
    """Tell whether a statement is an assertion."""
    match node:
        case ast.Assert():
            return True
        case ast.Expr(value=ast.Call(func=func)):
            return _name(func).startswith("assert_") or _name(func) in ASSERTING
        case ast.With():
            return any(is_block(item) for item in node.items)
        case _:
            return False


def is_block(item: ast.withitem) -> bool:
    """Tell whether a part of a `with` asserts at its end."""
    return isinstance(item.context_expr, ast.Call) and _name(item.context_expr.func) in BLOCKS


def _name(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def _end(node: ast.AST) -> int:
    if isinstance(node, ast.With):
        return max(item.context_expr.end_lineno or node.lineno for item in node.items)
    end: int = node.end_lineno  # type: ignore[attr-defined]  # a statement
    return end


class _Without(ast.NodeTransformer):
    def __init__(self, site: Site) -> None:
        self._site = site
        self.done = False

    def visit(self, node: ast.AST) -> ast.AST:
        here = (getattr(node, "lineno", 0), getattr(node, "col_offset", -1)) == (self._site.line, self._site.column)
        if not (here and asserts(node)):
            return self.generic_visit(node)
        self.done = True
        if not isinstance(node, ast.With):
            return ast.copy_location(ast.Pass(), node)
        kept = [item for item in node.items if not is_block(item)]
        if kept:
            node.items = kept
            return node
        return ast.copy_location(ast.If(ast.copy_location(ast.Constant(value=True), node), node.body, []), node)


def without(source: str, site: Site) -> ast.Module:
    """Return the module of `source` without the assertion at `site`; raises ValueError where there is none."""
    transform = _Without(site)
    tree = ast.parse(source)
    transform.visit(tree)
    if not transform.done:
        raise ValueError(f"there is no assertion at {site}")
    return ast.fix_missing_locations(tree)
