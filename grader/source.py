"""Reading Python source in many threads: `ast.parse`, one thread at a time.

CPython before 3.11.8 counts the depth of a tree that it builds once for the whole interpreter, so two
threads in `ast.parse` can fail each other with a SystemError (python/cpython#106905). The
sandbox's child has one thread.
"""

from __future__ import annotations

import ast
from threading import Lock

_ONE_AT_A_TIME = Lock()


def parse(text: str) -> ast.Module:
    """The tree of a source. Raises SyntaxError and what else `ast.parse` raises."""
    with _ONE_AT_A_TIME:
        return ast.parse(text)
