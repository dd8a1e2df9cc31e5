"""Counting the work of a submission, the same on every Python version.

The parsed source gets a tick at every function entry, loop pass and comprehension pass, and a charge of the
container's length where one built-in call walks a whole container (`sum(xs)`, `x in xs`, `xs.index(x)`).
Iterators written in C (`map`, `itertools.product`) tick for every item that such a call, another of them, or
`*` takes from them. Bytecode or line events would differ between interpreters; these do not. The tick is a C
iterator's `__next__`, so that counting costs little and leaves nothing that the submission could reach and
set back.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from operator import itemgetter
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from grader.sandbox.policy.names import FORMAT, OWN, SCAN, SCAN_IN, SCAN_LAZILY, TICK, TYPE, VARS

_WALKING_CALLS = frozenset(
    [
        "sum",
        "min",
        "max",
        "sorted",
        "any",
        "all",
        "list",
        "tuple",
        "set",
        "frozenset",
        "dict",
        "Counter",
        "deque",
        "fsum",
        "prod",
        "mean",
        "fmean",
        "median",
        "mode",
        "nlargest",
        "nsmallest",
        "heapify",
        "copy",
        "deepcopy",
        "dumps",
        "extend",
        "join",
        "reduce",
        "update",
        "fromkeys",
        "union",
        "intersection",
        "difference",
        "issubset",
        "issuperset",
        "isdisjoint",
        "filter",
        "filterfalse",
        "compress",
        "dropwhile",
    ]
)
_LAZY_CALLS = frozenset(
    (
        *("map", "zip", "enumerate", "chain", "from_iterable", "islice", "accumulate", "takewhile"),
        *("starmap", "zip_longest", "groupby", "pairwise", "cycle", "tee"),
    )
)
"""Give iterators that take from others; what they take is counted when it is taken."""
_WALKING_METHODS = frozenset({"index", "count", "remove", "sort", "reverse", "copy", "extend", "join"})
_SIZED = (list, tuple, dict, set, frozenset, deque)
_SCANNED = (list, tuple, deque)
_FIRST = itemgetter(0)


_TICKING = (GeneratorType, CoroutineType, AsyncGeneratorType)
"""Their own code ticks."""


class Counter:
    """Counts ticks up to a budget; `exhausted` runs at the tick after the last one and must not return."""

    def __init__(self, budget: int, exhausted: Callable[[], None]) -> None:
        self._left = repeat(None, budget)
        self._budget = budget
        self._ticks = chain(self._left, _then(exhausted))
        self.tick = self._ticks.__next__

    @property
    def names(self) -> dict[str, Any]:
        """What the names in an instrumented source stand for."""
        return {
            TICK: self.tick,
            SCAN: self.scan,
            SCAN_IN: self.scan_in,
            SCAN_LAZILY: self.scan_lazily,
        }

    @property
    def steps(self) -> int:
        """Ticks so far."""
        return self._budget - self._left.__length_hint__()

    def charge(self, steps: int) -> None:
        """Count several ticks at once."""
        for _ in repeat(None, steps):
            self.tick()

    def scan(self, value: Any) -> Any:
        """Charge a walk through the value, which is returned."""
        if type(value) in _SIZED:
            self.charge(len(value))
        return self.scan_lazily(value)

    def scan_in(self, value: Any) -> Any:
        """Charge a search in the value: sets and dicts find at once, sequences are walked."""
        if type(value) in _SCANNED:
            self.charge(len(value))
        return self.scan_lazily(value)

    def scan_lazily(self, value: Any) -> Any:
        """An iterator written in C as one that ticks for each item that is taken; anything else as it is."""
        kind = type(value)
        if (
            hasattr(kind, "__next__")
            and kind.__module__ in ("builtins", "itertools")
            and kind not in _TICKING
        ):
            return map(_FIRST, zip(value, self._ticks, strict=False))
        return value


def _then(exhausted: Callable[[], None]) -> Iterator[None]:
    exhausted()
    yield None


def prepare(tree: ast.Module) -> ast.Module:
    """Send every `__dict__`, `__class__`, `format` and attribute that is set through a guard; counts nothing.

    Changes the tree in place.
    """
    changed: ast.Module = ast.fix_missing_locations(_Guarded().visit(tree))
    return changed


def instrument(tree: ast.Module) -> ast.Module:
    """Add the ticks and charges. Changes the tree in place."""
    changed: ast.Module = ast.fix_missing_locations(_Ticking().visit(tree))
    return changed


class _Guarded(ast.NodeTransformer):
    def visit_Attribute(self, node: ast.Attribute) -> Any:
        self.generic_visit(node)
        guards = {"__dict__": VARS, "__class__": TYPE}
        if node.attr in guards and isinstance(node.ctx, ast.Load):
            return _located(_call(guards[node.attr], node.value), node)
        if node.attr in ("format", "format_map") and isinstance(node.ctx, ast.Load):
            return _located(_call(FORMAT, node), node)
        if not isinstance(node.ctx, ast.Load):
            node.value = _located(_call(OWN, node.value), node.value)
        return node


class _Ticking(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        has_doc = ast.get_docstring(node, clean=False) is not None
        node.body.insert(1 if has_doc else 0, _tick_statement(node.body[0]))
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self.generic_visit(node)
        pair = ast.Tuple([_call(TICK), node.body], ast.Load())
        node.body = _located(ast.Subscript(pair, ast.Constant(1), ast.Load()), node.body)
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        node.body.insert(0, _tick_statement(node.body[0]))
        return node

    def visit_While(self, node: ast.While) -> ast.AST:
        self.generic_visit(node)
        node.body.insert(0, _tick_statement(node.body[0]))
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        node.ifs.insert(0, _located(ast.UnaryOp(ast.Not(), _call(TICK)), node.target))
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        func = node.func
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        if isinstance(func, ast.Attribute) and name in _WALKING_METHODS and not _is_plain_method(name, node):
            func.value = _located(_call(SCAN, func.value), func.value)
        if name in _LAZY_CALLS or name in ("filter", "filterfalse", "dropwhile"):
            node.args = [
                each
                if isinstance(each, ast.Starred)
                else _located(_call(SCAN if name not in _LAZY_CALLS else SCAN_LAZILY, each), each)
                for each in node.args
            ]
            return node
        if name in _WALKING_CALLS and len(node.args) >= 1:
            place = 1 if name in ("nlargest", "nsmallest", "reduce") and len(node.args) > 1 else 0
            if not isinstance(node.args[place], ast.Starred):
                node.args[place] = _located(_call(SCAN, node.args[place]), node.args[place])
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        for place, operator in enumerate(node.ops):
            right = node.comparators[place]
            if isinstance(operator, ast.In | ast.NotIn) and not isinstance(
                right, ast.Constant | ast.Tuple | ast.List
            ):
                node.comparators[place] = _located(_call(SCAN_IN, right), right)
        return node

    def visit_Starred(self, node: ast.Starred) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load):
            node.value = _located(_call(SCAN, node.value), node.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        targets = [each for target in node.targets for each in ast.walk(target)]
        if any(isinstance(each, ast.Starred) for each in targets):
            node.value = _located(_call(SCAN, node.value), node.value)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        self.generic_visit(node)
        if isinstance(node.slice, ast.Slice) and isinstance(node.ctx, ast.Load):
            return _located(_call(SCAN, node), node)
        return node


def _is_plain_method(name: str, node: ast.Call) -> bool:
    """`xs.extend(ys)` and `sep.join(ys)` walk their argument, not the object."""
    return name in ("extend", "join") and bool(node.args)


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])


def _tick_statement(first: ast.stmt) -> Any:
    return _located(ast.Expr(_call(TICK)), first)


def _located(new: Any, old: ast.AST) -> Any:
    """The new node at the old one's place, so that tracebacks keep their line numbers."""
    for child in ast.walk(new):
        if not hasattr(child, "lineno") and isinstance(child, ast.expr | ast.stmt):
            ast.copy_location(child, old)
    return new
