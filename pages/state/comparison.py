"""Two attempts side by side: what changed in the setup and in the code, and whether code is a mere copy."""

from __future__ import annotations

import ast
import difflib

from grader.source import parse


def code_diff(before: str, after: str) -> str:
    """A unified diff of two programs; "" when they are the same."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def is_copy(code: str, original: str) -> bool:
    """Whether `code` is `original` but for comments, docstrings, hints on types and layout."""
    bare = _bare(code)
    return bare is not None and bare == _bare(original)


def _bare(source: str) -> str | None:
    """What the source does, without what only readers see; None when it is no Python."""
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [each for each in body if not _is_text(each)] or [ast.Pass()]
    return ast.dump(tree)


def _is_text(node: object) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
