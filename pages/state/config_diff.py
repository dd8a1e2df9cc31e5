"""What changed between two configurations, line by line; knows nothing of Streamlit."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator


def config_lines(text: str) -> list[str]:
    """A configuration as "path: value" lines; a text of several lines takes several."""
    return list(_lines("", json.loads(text)))


def config_diff(before: str, after: str) -> str:
    """A unified diff of two configurations; "" when they are the same."""
    return "\n".join(
        line
        for line in difflib.unified_diff(config_lines(before), config_lines(after), lineterm="", n=1)
        if not line.startswith(("---", "+++", "@@"))
    )


def _lines(path: str, value: object) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _lines(f"{path}.{key}" if path else str(key), each)
    elif isinstance(value, list) and value:
        for number, each in enumerate(value, start=1):
            yield from _lines(f"{path}[{number}]", each)
    elif isinstance(value, str) and "\n" in value:
        yield f"{path}:"
        yield from (f"    {line}" for line in value.splitlines())
    else:
        yield f"{path}: {json.dumps(value, ensure_ascii=False)}"
