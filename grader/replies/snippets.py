"""One block of a reply taken apart: its statements, and whether the function is among them."""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from grader.replies.mending import mended, straightened, undo_prompts
from grader.replies.parsing import Parser

_CONTINUES = re.compile(r"^(else|elif|except|finally|case)\b|^[)\]}]")
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


@dataclass(frozen=True, eq=False)
class Piece:
    """One top-level statement of a text that was split into `lines`."""

    lines: Sequence[str]
    node: ast.stmt

    @cached_property
    def text(self) -> str:
        """The statement's own lines, decorators too."""
        decorators = getattr(self.node, "decorator_list", [])
        first = min([self.node.lineno, *(each.lineno for each in decorators)])
        own = list(self.lines[first - 1 : self.node.end_lineno])
        if self.node.col_offset and not decorators:
            own[0] = own[0].encode()[self.node.col_offset :].decode("utf-8", "replace")
        return "\n".join(own)

    @cached_property
    def binds(self) -> frozenset[str]:
        """The names it gives a meaning."""
        return frozenset(_binds(self.node))

    @cached_property
    def uses(self) -> frozenset[str]:
        """The names it looks up outside of itself."""
        return frozenset(_uses(self.text, self.node))


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

    @cached_property
    def bound(self) -> dict[str, list[Piece]]:
        """The statements that give each name a meaning, in their order. For a snippet that is read."""
        found: dict[str, list[Piece]] = {}
        for piece in self.pieces:
            for name in piece.binds:
                found.setdefault(name, []).append(piece)
        return found


def defines(text: str, function_name: str, parser: Parser) -> bool:
    """Whether the text is Python as it stands and binds the function at its top level."""
    tree = parser.parse(text) if function_name in text and parser.can_take(text) else None
    return tree is not None and any(function_name in _binds(node) for node in tree.body)


def read_snippet(text: str, function_name: str, is_code: bool, parser: Parser) -> Snippet:
    """Take a block apart. is_code: it stood between fences; prose is only searched for statements."""
    is_prose = not is_code and not re.search(r"\b(def|import|class)\b", text)
    if is_prose or not parser.begin_block(text):
        return Snippet(text)
    for candidate, note in mended(text) if is_code else ():
        tree = parser.parse(candidate)
        if tree is not None and tree.body:
            snippet = Snippet(candidate, _pieces(candidate, tree))
            snippet.notes = [note] if note else []
            _find_function(snippet, function_name)
            snippet.is_complete = snippet.has_function and not is_stub(snippet.pieces, function_name)
            return snippet
    return _salvage(text, function_name, is_code, parser)


def _pieces(text: str, tree: ast.Module) -> list[Piece]:
    lines = text.split("\n")
    return [Piece(lines, node) for node in tree.body]


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
        method = method_of(piece.node, function_name)
        if isinstance(piece.node, ast.ClassDef) and method:
            snippet.has_function = True
            snippet.wrapper = _wrapper(piece.node, method)
            snippet.notes.append(
                f"the class `{piece.node.name}` around it (kept, and called through a function)"
            )
            return


def method_of(node: ast.stmt, name: str) -> ast.FunctionDef | None:
    """The method of that name when the statement is a class that has one."""
    body = node.body if isinstance(node, ast.ClassDef) else []
    return next((item for item in body if isinstance(item, ast.FunctionDef) and item.name == name), None)


def _wrapper(owner: ast.ClassDef, method: ast.FunctionDef) -> str:
    kinds = {node.id for node in method.decorator_list if isinstance(node, ast.Name)}
    names = [arg.arg for arg in method.args.args]
    if "staticmethod" not in kinds:
        names = names[1:]
    receiver = owner.name if kinds & {"staticmethod", "classmethod"} else f"{owner.name}()"
    inner = ", ".join(names)
    return f"def {method.name}({inner}):\n    return {receiver}.{method.name}({inner})"


def is_stub(pieces: Sequence[Piece], function_name: str) -> bool:
    """Whether the function is only announced: its body is a docstring, `pass`, `...` or
    NotImplementedError."""
    for piece in reversed(pieces):
        for node in ast.walk(piece.node):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function_name:
                return all(isinstance(s, ast.Pass | ast.Raise) or is_text(s) for s in node.body)
    return False


def is_text(node: ast.stmt) -> bool:
    """Whether the statement is a constant that stands alone, a docstring for instance."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


# unfenced or broken text


def _salvage(text: str, function_name: str, is_code: bool, parser: Parser) -> Snippet:
    """Find statements in text that does not parse as a whole."""
    snippet = Snippet(text)
    plain = straightened(text) if is_code else undo_prompts(text.expandtabs(4))
    lines = _outdented(plain, function_name).split("\n")
    starts = [i for i, line in enumerate(lines) if line[:1].strip() and not _CONTINUES.match(line)]
    is_cut = False
    position = 0
    while position < len(starts) and not parser.is_spent:
        taken = _statement(lines, starts, position, function_name, parser)
        if taken is None:
            position += 1
            continue
        pieces, position, cut = taken
        snippet.pieces += pieces
        if cut:
            is_cut = True
            snippet.notes.append(f"the last {cut} line{'s' if cut > 1 else ''} of a function that breaks off")
    snippet.text = "\n".join(piece.text for piece in snippet.pieces)
    _find_function(snippet, function_name)
    snippet.is_complete = snippet.has_function and not is_cut and not is_stub(snippet.pieces, function_name)
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
    lines: list[str], starts: Sequence[int], position: int, function_name: str, parser: Parser
) -> tuple[list[Piece], int, int] | None:
    """The longest statement from starts[position] on: its pieces, where to go on, and how many lines were
    cut."""
    first = starts[position]
    if not (lines[first].startswith(_STARTS) or "=" in lines[first]):
        return None
    for ahead in range(1, 1 + min(8, len(starts) - position)):
        end = starts[position + ahead] if position + ahead < len(starts) else len(lines)
        chunk = "\n".join(lines[first:end]).rstrip()
        tree = parser.parse(chunk)
        if tree is not None and all(isinstance(node, _KEPT) for node in tree.body):
            return [each for each in _pieces(chunk, tree) if _is_worth(each.node)], position + ahead, 0
        if not lines[first].startswith("@"):
            break
    if re.match(rf"(async +)?def +{re.escape(function_name)}\b|class ", lines[first]):
        end = starts[position + 1] if position + 1 < len(starts) else len(lines)
        return _cut(lines[first:end], position + 1, parser)
    return None


def _is_worth(node: ast.stmt) -> bool:
    return not isinstance(node, ast.AnnAssign) or node.value is not None


def _cut(lines: list[str], following: int, parser: Parser) -> tuple[list[Piece], int, int] | None:
    """A definition that breaks off, without its last lines."""
    found = parser.longest_start(lines)
    if found is None:
        return None
    tree, length = found
    lost = len([line for line in lines[length:] if line.strip()])
    return [Piece(lines, node) for node in tree.body], following, lost
