"""Mending and sorting pieces of source text that a model wrote."""

from __future__ import annotations

import ast
import builtins
import html
import re
import symtable
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

_SMART = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "−": "-", "…": "..."}
)
_PROMPT = re.compile(r"^\s*(>>>|\.\.\.)( |$)")
_CONTINUES = re.compile(r"^(else|elif|except|finally|case)\b|^[)\]}]")
_NUMBERED = re.compile(r"^\s*\d+(?:\s?[|:])?( |$)")
_STARTS = ("def ", "async def ", "class ", "import ", "from ", "@")
_KEPT = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
)


@dataclass(frozen=True)
class Piece:
    """One top-level statement: its text, the names it binds and the names it looks up."""

    text: str
    node: ast.stmt
    binds: frozenset[str]
    uses: frozenset[str]


@dataclass
class Snippet:
    """One block of a reply, taken apart.

    is_complete: it parses as it stands and its function has a body. notes: what was mended or cut off.
    wrapper: text of a plain function around a method, when the function was found inside a class.
    """

    text: str
    pieces: list[Piece] = field(default_factory=list)
    has_function: bool = False
    is_complete: bool = False
    wrapper: str = ""
    notes: list[str] = field(default_factory=list)


def parse(text: str) -> ast.Module | None:
    """The parsed text, or None when it is not valid Python."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def defines(text: str, function_name: str) -> bool:
    """Whether the text is Python as it stands and binds the function at its top level."""
    tree = parse(text) if function_name in text else None
    return tree is not None and any(function_name in _binds(node) for node in tree.body)


def read_snippet(text: str, function_name: str, is_code: bool) -> Snippet:
    """Take a block apart. is_code: it stood between fences; prose is only searched for statements."""
    if not is_code and not re.search(r"\b(def|import|class)\b", text):
        return Snippet(text)
    if is_code:
        for mend, note in _MENDS:
            mended = mend(text)
            tree = parse(mended)
            if tree is not None and tree.body:
                snippet = Snippet(mended, [_piece(mended, node) for node in tree.body])
                snippet.notes = [note] if note and mended != text else []
                _find_function(snippet, function_name)
                snippet.is_complete = snippet.has_function and not _is_stub(snippet, function_name)
                return snippet
    return _salvage(text, function_name, is_code)


def _dedent(text: str) -> str:
    return textwrap.dedent(text.expandtabs(4)).strip("\n")


def _undo_prompts(text: str) -> str:
    """Doctest or diff or line-number decorations taken off, where every code line carries them."""
    lines = text.split("\n")
    if any(re.match(r"^\s*>>> *(def|import|from|class|@)", line) for line in lines):
        return "\n".join(_PROMPT.sub("", line, count=1) for line in lines if _PROMPT.match(line))
    if any(re.match(r"^\+\s*(async )?def ", line) for line in lines):
        return "\n".join(
            line[1:] if line[:1] in "+ " else line for line in lines if not line.startswith(("-", "@@"))
        )
    filled = [line for line in lines if line.strip()]
    if filled and all(_NUMBERED.match(line) for line in filled):
        return "\n".join(_NUMBERED.sub("", line, count=1) for line in lines)
    if filled and all(line.startswith(">") for line in filled):
        return "\n".join(line[2:] if line.startswith("> ") else line[1:] for line in lines)
    return text


def _straight(text: str) -> str:
    return _dedent(_undo_prompts(text)).translate(_SMART)


_MENDS: tuple[tuple[Callable[[str], str], str], ...] = (
    (lambda text: text, ""),
    (_dedent, ""),
    (lambda text: _dedent(_undo_prompts(text)), "prompts or marks in front of the lines"),
    (_straight, "typographic quotes (replaced by plain ones)"),
    (lambda text: html.unescape(_straight(text)), "HTML escapes"),
    (lambda text: _dedent(text.partition("\n")[2]), "a first line that is no code"),
)


def _piece(text: str, node: ast.stmt) -> Piece:
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
    lines = text.split("\n")[first - 1 : node.end_lineno]
    if node.col_offset and not getattr(node, "decorator_list", []):
        lines[0] = lines[0].encode()[node.col_offset :].decode("utf-8", "replace")
    own = "\n".join(lines)
    return Piece(own, node, frozenset(_binds(node)), frozenset(_uses(own, node)))


def _binds(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
    elif isinstance(node, ast.If | ast.Try | ast.With):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                yield from _binds(child)
            elif isinstance(child, ast.ExceptHandler):
                for inner in child.body:
                    yield from _binds(inner)
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for part in ast.walk(target):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    yield part.id


def _uses(text: str, node: ast.stmt) -> Iterator[str]:
    """Names a statement looks up outside of itself; parameters and local variables are not among them."""
    try:
        tables = [symtable.symtable(text, "reply", "exec")]
    except (
        SyntaxError,
        ValueError,
        RecursionError,
        MemoryError,
    ):  # `return` outside a function, for instance
        tables = []
        yield from (part.id for part in ast.walk(node) if isinstance(part, ast.Name))
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
                yield symbol.get_name()
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.isidentifier():
            yield part.value  # a name in a text annotation


def _find_function(snippet: Snippet, function_name: str) -> None:
    """Mark whether the function is there, at the top level or as a method."""
    if any(function_name in piece.binds for piece in snippet.pieces):
        snippet.has_function = True
        return
    for piece in snippet.pieces:
        if isinstance(piece.node, ast.ClassDef):
            for item in piece.node.body:
                if isinstance(item, ast.FunctionDef) and item.name == function_name:
                    snippet.has_function = True
                    snippet.wrapper = _wrapper(piece.node, item)
                    snippet.notes.append(
                        f"the class `{piece.node.name}` around it (kept, and called through a function)"
                    )
                    return


def _wrapper(owner: ast.ClassDef, method: ast.FunctionDef) -> str:
    kinds = {node.id for node in method.decorator_list if isinstance(node, ast.Name)}
    names = [arg.arg for arg in method.args.args]
    if "staticmethod" not in kinds:
        names = names[1:]
    receiver = owner.name if kinds & {"staticmethod", "classmethod"} else f"{owner.name}()"
    inner = ", ".join(names)
    return f"def {method.name}({inner}):\n    return {receiver}.{method.name}({inner})"


def _is_stub(snippet: Snippet, function_name: str) -> bool:
    """Whether the function is only announced: its body is a docstring, `pass`, `...` or
    NotImplementedError."""
    for piece in reversed(snippet.pieces):
        for node in ast.walk(piece.node):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function_name:
                return all(isinstance(s, ast.Pass | ast.Raise) or _is_text(s) for s in node.body)
    return False


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


# unfenced or broken text


def _salvage(text: str, function_name: str, is_code: bool) -> Snippet:
    """Find statements in text that does not parse as a whole."""
    snippet = Snippet(text)
    mended = _straight(text) if is_code else _undo_prompts(text.expandtabs(4))
    lines = _outdented(mended, function_name).split("\n")
    starts = [i for i, line in enumerate(lines) if line[:1].strip() and not _CONTINUES.match(line)]
    kept: list[Piece] = []
    position = 0
    while position < len(starts):
        taken = _statement(lines, starts, position, function_name)
        if taken is None:
            position += 1
            continue
        pieces, position, cut = taken
        kept += pieces
        if cut:
            snippet.notes.append(f"the last {cut} line{'s' if cut > 1 else ''} of a function that breaks off")
    snippet.pieces = kept
    snippet.text = "\n".join(piece.text for piece in kept)
    _find_function(snippet, function_name)
    stub = _is_stub(snippet, function_name)
    snippet.is_complete = (
        snippet.has_function and not stub and not any("breaks off" in note for note in snippet.notes)
    )
    if snippet.has_function and not is_code:
        snippet.notes.append("text around the code")
    return snippet


def _outdented(text: str, function_name: str) -> str:
    """Take the function's own indentation off every line that has it."""
    match = re.search(rf"^([ ]+)(?:async +)?def +{re.escape(function_name)}\b", text, re.MULTILINE)
    enclosing = re.search(r"^class +\w+", text, re.MULTILINE)
    if not match or (enclosing and enclosing.start() < match.start()):
        return text
    indent = match.group(1)
    return "\n".join(line.removeprefix(indent) for line in text.split("\n"))


def _statement(
    lines: list[str], starts: Sequence[int], position: int, function_name: str
) -> tuple[list[Piece], int, int] | None:
    """The longest statement from starts[position] on: its pieces, where to go on, and how many lines were
    cut."""
    first = starts[position]
    if not (lines[first].startswith(_STARTS) or "=" in lines[first]):
        return None
    for ahead in range(1, 1 + min(8, len(starts) - position)):
        end = starts[position + ahead] if position + ahead < len(starts) else len(lines)
        chunk = "\n".join(lines[first:end]).rstrip()
        tree = parse(chunk)
        if tree is not None and all(isinstance(node, _KEPT) for node in tree.body):
            return [_piece(chunk, node) for node in tree.body if _is_worth(node)], position + ahead, 0
        if not lines[first].startswith("@"):
            break
    if re.match(rf"(async +)?def +{re.escape(function_name)}\b|class ", lines[first]):
        end = starts[position + 1] if position + 1 < len(starts) else len(lines)
        return _cut(lines[first:end], position + 1)
    return None


def _is_worth(node: ast.stmt) -> bool:
    return not isinstance(node, ast.AnnAssign) or node.value is not None


def _cut(lines: list[str], following: int) -> tuple[list[Piece], int, int] | None:
    """A definition that breaks off, without its last lines."""
    for length in range(len(lines) - 1, 1, -1):
        chunk = "\n".join(lines[:length]).rstrip()
        tree = parse(chunk)
        if tree is not None:
            lost = len([line for line in lines[length:] if line.strip()])
            return [_piece(chunk, node) for node in tree.body], following, lost
    return None


# putting together


def assemble(snippets: Sequence[Snippet], chosen: int, function_name: str) -> tuple[str, list[str]]:
    """The function with the imports, helpers and constants it needs, from its own block first, then from
    others."""
    snippet = snippets[chosen]
    target = _target(snippet, function_name)
    needed = [target]
    providers = [snippet, *(s for i, s in reversed(list(enumerate(snippets))) if i != chosen)]
    queue = list(target.uses - {function_name})
    missing = set()
    while queue:
        name = queue.pop()
        found = _provider(name, providers, target, function_name)
        if found is None:
            missing.add(name)
            continue
        for piece in found:
            if piece not in needed:
                needed.append(piece)
                queue += piece.uses
    order = [piece for s in snippets if s is not snippet for piece in s.pieces] + snippet.pieces
    kept = [piece for piece in order if any(piece is each for each in needed)]
    kept.sort(key=lambda piece: not _is_future(piece))
    code = "\n\n".join(piece.text for piece in _future(snippet, kept) + kept)
    if snippet.wrapper:
        code += f"\n\n\n{snippet.wrapper}"
    return code.strip("\n") + "\n", [*snippet.notes, *_left_out(snippet, kept)]


def _target(snippet: Snippet, function_name: str) -> Piece:
    named = [piece for piece in snippet.pieces if function_name in piece.binds]
    bodies = [piece for piece in named if not _is_stub(Snippet("", [piece]), function_name)]
    if named:
        return (bodies or named)[-1]
    return next(
        piece
        for piece in snippet.pieces
        if isinstance(piece.node, ast.ClassDef)
        and any(getattr(i, "name", "") == function_name for i in piece.node.body)
    )


def _provider(
    name: str, providers: Sequence[Snippet], target: Piece, function_name: str
) -> list[Piece] | None:
    """The statements of one block that bind a name (all of them: a constant may be built up in steps)."""
    if name == function_name:
        return []
    for snippet in providers:
        found = [piece for piece in snippet.pieces if name in piece.binds and piece is not target]
        defined = [piece for piece in found if isinstance(piece.node, ast.FunctionDef | ast.ClassDef)]
        if found:
            return defined[-1:] or found
    return None if not hasattr(builtins, name) else []


def _is_future(piece: Piece) -> bool:
    return isinstance(piece.node, ast.ImportFrom) and piece.node.module == "__future__"


def _future(snippet: Snippet, kept: Sequence[Piece]) -> list[Piece]:
    """`from __future__` imports change how everything is read, so they stay though nothing names them."""
    return [
        piece for piece in snippet.pieces if _is_future(piece) and not any(piece is each for each in kept)
    ]


def _left_out(snippet: Snippet, kept: Sequence[Piece]) -> Iterator[str]:
    left = [
        piece
        for piece in snippet.pieces
        if not any(piece is each for each in kept) and not _is_future(piece) and not _is_text(piece.node)
    ]
    examples = [
        p
        for p in left
        if not isinstance(p.node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
    ]
    names = sorted(
        {name for p in left if isinstance(p.node, ast.FunctionDef | ast.ClassDef) for name in p.binds}
    )
    if examples:
        yield "example calls and statements outside the function"
    if names:
        yield f"unused definitions: {', '.join(names[:5])}"
    if any(isinstance(p.node, ast.Import | ast.ImportFrom) for p in left):
        yield "unused imports"
