"""Reading source text as Python 3.11 does, whatever interpreter this is.

`ast.parse(feature_version=(3, 11))` refuses newer statements, but not the f-strings of PEP 701 (3.12): quotes
used again inside, backslashes, comments and line ends in the braces. Those are found among the tokens.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize

VERSION = (3, 11)
_F_STRING = re.compile(r"\b[rR]?[fF][rR]?['\"]")


def parse(source: str, filename: str) -> ast.Module:
    """The tree of a source that Python 3.11 accepts. Raises SyntaxError and what else `ast.parse` raises."""
    tree = ast.parse(source, filename, feature_version=VERSION)
    if sys.version_info >= (3, 12) and _F_STRING.search(source):
        line = newer_f_string(source)
        if line:
            raise SyntaxError("f-string of Python 3.12", (filename, line, 0, None))
    return tree


def newer_f_string(source: str) -> int:
    """Line of the first f-string that only Python 3.12 can read, 0 when there is none. For 3.12 and later."""
    start, end = getattr(tokenize, "FSTRING_START", -1), getattr(tokenize, "FSTRING_END", -1)
    middle = getattr(tokenize, "FSTRING_MIDDLE", -1)
    open_quotes: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if open_quotes and token.type not in (end, middle) and _is_new(token, open_quotes):
            return token.start[0]
        if token.type == start:
            open_quotes.append(token.string.lstrip("fFrR"))
        elif token.type == end and open_quotes:
            open_quotes.pop()
    return 0


def _is_new(token: tokenize.TokenInfo, open_quotes: list[str]) -> bool:
    """Whether a token inside the braces of these f-strings would have ended or broken them in 3.11."""
    if token.type == tokenize.COMMENT or "\\" in token.string:
        return True
    if token.type in (tokenize.NL, tokenize.NEWLINE):
        return any(len(quote) == 1 for quote in open_quotes)
    return any(quote in token.string for quote in open_quotes)
