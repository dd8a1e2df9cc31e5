"""Where in a submission a returned value was made: told from its source, and from the `return` that ran.

The source is only read here, before anything of it runs. `mark_returns` lets the function say which of its
`return` statements ended a call; `find_origins` says for each of them in which line each field was computed.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from grader.sandbox.policy.names import RETURN

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def function_of(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    """The last function of that name at the top level."""
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return found[-1] if found else None


def mark_returns(function: ast.FunctionDef) -> None:
    """Send each value that the function returns through the guard RETURN, with its line. Changes the tree in
    place; nested functions are left alone."""
    for node in _own_nodes(function):
        if isinstance(node, ast.Return) and node.value is not None:
            arguments = [node.value, ast.Constant(node.lineno)]
            call = ast.Call(ast.Name(RETURN, ast.Load()), arguments, [])
            node.value = ast.copy_location(call, node.value)
            ast.fix_missing_locations(node)


def find_origins(function: ast.FunctionDef, fields: Collection[str]) -> dict[int, dict[str, int]]:
    """For the line of each `return`: in which line each of these keys of the returned dict got its value.

    Only what the source says without doubt: a key that is written in one place; a name that is assigned once.
    """
    names = _Names()
    for node in _own_nodes(function):
        names.see(node)
    returns = [
        node for node in _own_nodes(function) if isinstance(node, ast.Return) and node.value is not None
    ]
    return {
        node.lineno: {key: line for key in fields if (line := names.origin(node, key))} for node in returns
    }


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The nodes of the function itself, in the order of the source, without those of nested ones."""
    todo: list[ast.AST] = list(reversed(function.body))
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, _SCOPES):
            todo += reversed(list(ast.iter_child_nodes(node)))


@dataclass
class _Names:
    """What the function binds. assigned: the values of each name; stored: those of `name["key"] = value`."""

    assigned: dict[str, list[ast.expr | None]] = field(default_factory=dict)
    stored: dict[tuple[str, str], list[ast.expr]] = field(default_factory=dict)

    def see(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self.see_target(target, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.see_target(node.target, node.value)
        elif isinstance(node, ast.AugAssign | ast.For | ast.NamedExpr):
            self.see_target(node.target, None)

    def see_target(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            self.assigned.setdefault(target.id, []).append(value)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) and value is not None:
            key = target.slice.value if isinstance(target.slice, ast.Constant) else None
            self.stored.setdefault((target.value.id, str(key)), []).append(value)
        elif isinstance(target, ast.Tuple | ast.List):
            for part in target.elts:
                self.see_target(part, None)

    def origin(self, node: ast.Return, key: str) -> int:
        """The line in which the key's value was made, 0 when there is no telling."""
        shown, owner = node.value, ""
        if isinstance(shown, ast.Name):
            owner, shown = shown.id, self.only_value(shown.id)
        places = [*_entries(shown, key), *self.stored.get((owner, key), ())]
        return self.made(places[0]) if len(places) == 1 else 0

    def made(self, value: ast.expr) -> int:
        """A name's value was made where it was assigned, if that is one place."""
        only = self.only_value(value.id) if isinstance(value, ast.Name) else None
        return only.lineno if only is not None else value.lineno

    def only_value(self, name: str) -> ast.expr | None:
        values = self.assigned.get(name, [])
        return values[0] if len(values) == 1 else None


def _entries(shown: ast.expr | None, key: str) -> Iterator[ast.expr]:
    """The values that a dict display, or a call of `dict`, writes under the key."""
    if isinstance(shown, ast.Dict):
        for name, value in zip(shown.keys, shown.values, strict=True):
            if isinstance(name, ast.Constant) and name.value == key:
                yield value
    elif isinstance(shown, ast.Call) and isinstance(shown.func, ast.Name) and shown.func.id == "dict":
        yield from (keyword.value for keyword in shown.keywords if keyword.arg == key)
