"""Putting the submission together: the function with the imports, helpers and constants it needs."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator, Sequence

from grader.replies.snippets import Piece, Snippet, is_stub, is_text, method_of

Others = Callable[[], Sequence[Snippet]]
"""The other blocks of the reply in their order, read only when a name is missing."""


def assemble(snippet: Snippet, function_name: str, before: Others, after: Others) -> tuple[str, list[str]]:
    """The function's own block first, then other blocks: the source text, and what was left out.

    before, after: the blocks that stand before and after `snippet` in the reply.
    """
    target = _target(snippet, function_name)
    needed = {id(target)}
    looked_at = {function_name}
    queue = [target]
    others: tuple[Sequence[Snippet], Sequence[Snippet]] = ((), ())
    while queue:
        for name in sorted(queue.pop().uses - looked_at):
            looked_at.add(name)
            found = _provider(name, [snippet], target)
            if not found and not hasattr(builtins, name):
                others = (before(), after())
                found = _provider(name, [*reversed(others[1]), *reversed(others[0])], target)
            fresh = [piece for piece in found if id(piece) not in needed]
            needed.update(map(id, fresh))
            queue += fresh
    order = [piece for each in [*others[0], *others[1], snippet] for piece in each.pieces]
    needed.update(id(piece) for piece in snippet.pieces if _is_future(piece))
    kept = [piece for piece in order if id(piece) in needed]
    kept.sort(key=lambda piece: not _is_future(piece))
    code = "\n\n".join(piece.text for piece in kept)
    if snippet.wrapper:
        code += f"\n\n\n{snippet.wrapper}"
    left = [piece for piece in snippet.pieces if id(piece) not in needed and not is_text(piece.node)]
    return code.strip("\n") + "\n", [*snippet.notes, *_left_out(left)]


def _target(snippet: Snippet, function_name: str) -> Piece:
    named = [piece for piece in snippet.pieces if function_name in piece.binds]
    bodies = [piece for piece in named if not is_stub([piece], function_name)]
    if named:
        return (bodies or named)[-1]
    return next(piece for piece in snippet.pieces if method_of(piece.node, function_name))


def _provider(name: str, snippets: Sequence[Snippet], target: Piece) -> list[Piece]:
    """The statements of one block that bind a name (all of them: a constant may be built up in steps)."""
    for snippet in snippets:
        found = [piece for piece in snippet.bound.get(name, ()) if piece is not target]
        defined = [piece for piece in found if isinstance(piece.node, ast.FunctionDef | ast.ClassDef)]
        if found:
            return defined[-1:] or found
    return []


def _is_future(piece: Piece) -> bool:
    """`from __future__` imports change how everything is read, so they stay though nothing names them."""
    return isinstance(piece.node, ast.ImportFrom) and piece.node.module == "__future__"


def _left_out(left: Sequence[Piece]) -> Iterator[str]:
    imports = [piece for piece in left if isinstance(piece.node, ast.Import | ast.ImportFrom)]
    defined = [piece for piece in left if isinstance(piece.node, ast.FunctionDef | ast.ClassDef)]
    if len(left) > len(imports) + len(defined):
        yield "example calls and statements outside the function"
    if defined:
        names = sorted({name for piece in defined for name in piece.binds})
        yield f"unused definitions: {', '.join(names[:5])}"
    if imports:
        yield "unused imports"
