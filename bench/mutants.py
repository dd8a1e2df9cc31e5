"""How many small bugs the grader sees: mechanical mutants of six correct solutions, each graded.

    python bench/mutants.py [--list] [--jobs N]

A mutant is one change of one place: a comparison, constant, operator, key, slice, sort, accumulation, branch
or loop bound. It is killed when it scores less than the solution it was made from. Those that behave as the
solution does were sorted out by hand; `EQUIVALENT` gives the reason for each. What else survives is printed,
and is a hole.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if sys.path[0] == str(ROOT / "bench"):  # run as a script: there `grader` would be the benchmark of that name
    sys.path[0] = str(ROOT)

from grader import grade  # noqa: E402

FOLDER = ROOT / "tests" / "grader" / "solutions"
SOLUTIONS = (
    "good_heapq",
    "good_dataclass",
    "good_generators",
    "good_while_loop",
    "good_class_with_methods",
    "good_running_mean_and_rank",
)
FULL = 120


@dataclass(frozen=True)
class Mutant:
    """One changed source. name: solution, line and columns, kind and change, alike on every version."""

    name: str
    kind: str
    source: str


_DAYS = "what a user without a single active day scores is left open by the brief"
_VALUE = "what a value that is no number counts is left open by the brief"
_MISSING = "what a missing days_active counts is left open by the brief"
_RANK = "a key of the solution's own is nobody's matter"
EQUIVALENT = {
    "good_heapq:13.15-18: constant: 0.0 -> 1.0": _VALUE,
    "good_heapq:13.15-18: constant: 0.0 -> -1.0": _VALUE,
    "good_heapq:19.15-18: constant: 0.0 -> 1.0": _DAYS,
    "good_heapq:19.15-18: constant: 0.0 -> -1.0": _DAYS,
    "good_dataclass:17.18-22: constant: True -> False": "nothing is ever written to the frozen window",
    "good_dataclass:27.4-18: branch: if isinstance(value, bool): -> if False:": "the brief knows no booleans",
    "good_dataclass:28.8-18: branch: return 0.0 -> return None": "the brief knows no booleans",
    "good_dataclass:28.15-18: constant: 0.0 -> 1.0": "the brief knows no booleans",
    "good_dataclass:28.15-18: constant: 0.0 -> -1.0": "the brief knows no booleans",
    "good_dataclass:38.15-18: constant: 0.0 -> 1.0": _DAYS,
    "good_dataclass:38.15-18: constant: 0.0 -> -1.0": _DAYS,
    "good_generators:25.67-70: constant: 0.0 -> 1.0": _DAYS,
    "good_generators:25.67-70: constant: 0.0 -> -1.0": _DAYS,
    "good_while_loop:15.115-116: constant: 0 -> 1": _MISSING,
    "good_while_loop:15.115-116: constant: 0 -> -1": _MISSING,
    "good_while_loop:16.16-17: constant: 0 -> -1": "the last value is looked at twice",
    "good_while_loop:19.32-33: constant: 0 -> 1": _VALUE,
    "good_while_loop:19.32-33: constant: 0 -> -1": _VALUE,
    "good_while_loop:24.24-25: constant: 0 -> 1": _DAYS,
    "good_while_loop:24.24-25: constant: 0 -> -1": _DAYS,
    "good_class_with_methods:36.81-84: constant: 0.0 -> 1.0": _DAYS,
    "good_class_with_methods:36.81-84: constant: 0.0 -> -1.0": _DAYS,
    "good_running_mean_and_rank:13.12-29: branch: if isinstance(value, str): -> if False:": _VALUE,
    "good_running_mean_and_rank:17.28-29: constant: 0 -> 1": _VALUE,
    "good_running_mean_and_rank:17.28-29: constant: 0 -> -1": _VALUE,
    "good_running_mean_and_rank:18.73-74: constant: 0 -> 1": _VALUE,
    "good_running_mean_and_rank:18.73-74: constant: 0 -> -1": _VALUE,
    "good_running_mean_and_rank:20.83-84: constant: 0 -> 1": _DAYS,
    "good_running_mean_and_rank:20.83-84: constant: 0 -> -1": _DAYS,
    "good_running_mean_and_rank:25.19-25: key: 'rank' -> 'rank_'": _RANK,
    "good_running_mean_and_rank:25.70-71: constant: 1 -> 2": _RANK,
    "good_running_mean_and_rank:25.70-71: constant: 1 -> 0": _RANK,
}
"""Mutants that do what the solution does, as far as the brief says what that is."""

_COMPARE = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPERATORS = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.Div),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Div,),
}


def mutants_of(name: str) -> list[Mutant]:
    """Every mutant of one solution, each source once."""
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    seen = {ast.unparse(tree)}
    found = []
    for place, node in enumerate(ast.walk(tree)):
        for kind, change, changed in _changes(node):
            text = ast.unparse(_replaced(tree, place, changed))
            if text not in seen:
                seen.add(text)
                place_in_text = _columns(node)
                found.append(Mutant(f"{name}:{place_in_text}: {kind}: {change}", kind, text + "\n"))
    return found


def _columns(node: Any) -> str:
    return f"{node.lineno}.{node.col_offset}-{node.end_col_offset}"


def _replaced(tree: ast.Module, place: int, changed: ast.AST) -> ast.Module:
    """A copy of the tree with the node at this place of the walk changed."""
    other = copy.deepcopy(tree)
    node = next(each for i, each in enumerate(ast.walk(other)) if i == place)
    node.__class__ = changed.__class__  # type: ignore[assignment]
    node.__dict__.update({name: copy.deepcopy(value) for name, value in ast.iter_fields(changed)})
    return ast.fix_missing_locations(other)


def _changes(node: ast.AST) -> Iterator[tuple[str, str, ast.AST]]:
    """Kind, change and new node for every mutation of one node."""
    before = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt) else ""
    for kind, changed in _new_nodes(node):
        if isinstance(node, ast.BinOp) and isinstance(changed, ast.BinOp):
            yield kind, f"{type(node.op).__name__} -> {type(changed.op).__name__}", changed
            continue
        yield kind, f"{_first_line(before)} -> {_first_line(ast.unparse(_located(changed)))}", changed


def _located(node: ast.AST) -> ast.AST:
    node = copy.deepcopy(node)
    node.lineno = node.col_offset = 1  # type: ignore[attr-defined]
    return ast.fix_missing_locations(node)


def _first_line(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= 70 else f"{line[:67]}..."


def _new_nodes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Compare):
        yield from _compared(node)
    elif isinstance(node, ast.Constant):
        yield from (("key" if isinstance(node.value, str) else "constant", each) for each in _constants(node))
    elif isinstance(node, ast.BinOp):
        for other in _OPERATORS.get(type(node.op), ()):
            yield "operator", ast.BinOp(node.left, other(), node.right)
    elif isinstance(node, ast.BoolOp):
        other_op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "branch", ast.BoolOp(other_op, node.values)
        for index in range(len(node.values)):
            left = [value for i, value in enumerate(node.values) if i != index]
            yield "branch", left[0] if len(left) == 1 else ast.BoolOp(node.op, left)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        yield from _slices(node)
    elif isinstance(node, ast.Call):
        yield from _sorts(node)
    elif isinstance(node, ast.IfExp):
        yield "branch", node.body
        yield "branch", node.orelse
    elif isinstance(node, ast.stmt):
        yield from _statements(node)


def _compared(node: ast.Compare) -> Iterator[tuple[str, ast.AST]]:
    for index, operator in enumerate(node.ops):
        for other in _COMPARE.get(type(operator), ()):
            ops = [other() if i == index else each for i, each in enumerate(node.ops)]
            yield "comparison", ast.Compare(node.left, ops, node.comparators)


def _constants(node: ast.Constant) -> Iterator[ast.Constant]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        for other in (value + 1, value - 1, value * 2, 0):
            if other != value:
                yield ast.Constant(other)
    elif isinstance(value, str) and value.isidentifier():
        yield ast.Constant(f"{value}_")


def _slices(node: ast.Subscript) -> Iterator[tuple[str, ast.AST]]:
    part = node.slice
    if isinstance(part, ast.Slice) and part.step is None:
        yield "slice", ast.Subscript(node.value, ast.Slice(part.upper, part.lower), node.ctx)
        yield "slice", ast.Subscript(node.value, ast.Slice(ast.Constant(1), part.upper), node.ctx)
        yield "slice", node.value


def _sorts(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in ("sort", "sorted", "max", "min", "nlargest"):
        for keyword in node.keywords:
            left = [each for each in node.keywords if each is not keyword]
            yield "sort key", ast.Call(node.func, node.args, left)
    for name, other in (
        ("min", "max"),
        ("max", "min"),
        ("nlargest", "nsmallest"),
        ("any", "all"),
        ("all", "any"),
    ):
        if isinstance(node.func, ast.Name) and node.func.id == name:
            yield "sort key", ast.Call(ast.Name(other, ast.Load()), node.args, node.keywords)
        if isinstance(node.func, ast.Attribute) and node.func.attr == name:
            func = ast.Attribute(node.func.value, other, ast.Load())
            yield "sort key", ast.Call(func, node.args, node.keywords)


def _statements(node: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.If | ast.While):
        for test in (ast.Constant(True), ast.Constant(False), ast.UnaryOp(ast.Not(), node.test)):
            if isinstance(node, ast.If) or not isinstance(test, ast.Constant) or not test.value:
                yield "branch", type(node)(test, node.body, node.orelse)
    elif isinstance(node, ast.AugAssign):
        yield "accumulate", ast.Assign([node.target], node.value)
        for other in _OPERATORS.get(type(node.op), ()):
            yield "accumulate", ast.AugAssign(node.target, other(), node.value)
        yield "accumulate", ast.Pass()
    elif isinstance(node, ast.For):
        items = ast.Call(ast.Name("list", ast.Load()), [node.iter], [])
        for bounds in (ast.Slice(ast.Constant(1)), ast.Slice(None, ast.UnaryOp(ast.USub(), ast.Constant(1)))):
            part = ast.Subscript(items, bounds, ast.Load())
            yield "loop bound", ast.For(node.target, part, node.body, node.orelse)
    elif isinstance(node, ast.Continue):
        yield "loop bound", ast.Break()
        yield "loop bound", ast.Pass()
    elif isinstance(node, ast.Break):
        yield "loop bound", ast.Continue()
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "accumulate", ast.Pass()
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "branch", ast.Return(ast.Constant(None))


def main() -> None:
    """Grade every mutant and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--list", action="store_true", help="print every mutant with its score")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    made = [mutant for name in SOLUTIONS for mutant in mutants_of(name)]
    for name in SOLUTIONS:
        assert grade((FOLDER / f"{name}.py").read_text(encoding="utf-8")).score == FULL, name
    different = [mutant for mutant in made if mutant.name not in EQUIVALENT]
    with ThreadPoolExecutor(options.jobs) as pool:
        scores = list(pool.map(lambda mutant: grade(mutant.source).score, different))
    if options.list:
        for mutant, score in zip(different, scores, strict=True):
            print(f"{score:6.2f}  {mutant.name}")
    alive = [mutant for mutant, score in zip(different, scores, strict=True) if score >= FULL]
    counts, survived = Counter(each.kind for each in different), Counter(each.kind for each in alive)
    print(f"{len(made)} mutants of {len(SOLUTIONS)} solutions, {len(made) - len(different)} equivalent")
    for kind, count in sorted(counts.items()):
        print(f"{kind:12} {count:4} {count - survived[kind]:4} killed")
    killed = len(different) - len(alive)
    print(f"killed       {killed:4} of {len(different)} ({100 * killed / len(different):.1f} %)")
    for mutant in alive:
        print(f"survived: {mutant.name}")


if __name__ == "__main__":
    main()
