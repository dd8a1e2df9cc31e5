"""Code handed over as data: JSON, tool calls, artifacts, escaped text."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

_WRAPPER = re.compile(
    r"<!\[CDATA\[|\]\]>"
    r"|</?(?:tool_call|function_calls?|invoke|parameter|arg_key|arg_value|answer|solution|python|code|pre"
    r"|ant[aA]rtifact|artifact|content|file|final_answer|output|response)\b[^<>\n]{0,200}>"
    r"|<(?:function|parameter)=[^<>\n]{0,100}>|</(?:function|parameter)>"
    r"|<\|(?:python_start|python_end|python_tag|eom_id|eom|eot_id|eot|im_end|end|return|call)\|>"
    r"|<\|tool_call\w{0,30}\|>|<｜[^｜\n]{1,40}｜>|<(?:end|start)_of_turn>|</?s>"
    r"|\[/?(?:PYTHON|ANSWER|CODE|code|TOOL_CALLS)\]"
    r"|\\(?:begin|end)\{(?:lstlisting|verbatim|minted|python|code)\}(?:\[[^\]\n]{0,100}\])?(?:\{python\})?",
)
_TRIES = 4
_scan: Any = json.decoder.scanstring  # type: ignore[attr-defined]


def unwrapped(text: str) -> str:
    """The text with the marks of tool calls, artifacts and markup taken out."""
    return _WRAPPER.sub("\n", text)


def unescaped(text: str) -> str:
    """The text with `&lt;`, `&quot;` and the like turned back."""
    return html.unescape(text) if "&" in text else text


def unpacked(text: str, function_name: str) -> str:
    """The code inside a JSON text that holds it as a value; "" when the text is no such thing."""
    stripped = text.strip()
    if not stripped.startswith(("{", "[")):
        return ""
    try:
        data = json.loads(stripped, strict=False)
    except (ValueError, RecursionError):
        return ""
    found = [value for value in _texts(data) if f"def {function_name}" in value]
    return found[-1] if found else ""


def _texts(data: Any) -> Iterator[str]:
    """Every text in the data; lists of lines (as notebooks have them) joined."""
    todo = [data]
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            todo += reversed(value.values())
        elif isinstance(value, list) and value and all(isinstance(line, str) for line in value):
            yield "".join(line if line.endswith("\n") else f"{line}\n" for line in value)
        elif isinstance(value, list):
            todo += reversed(value)


def quoted_texts(text: str, function_name: str) -> Iterator[str]:
    """Texts in quotation marks, with escaped line ends, that define the function; the last one first.

    So a call to a tool is read whatever surrounds it: JSON cut short, several dialects, Python.
    """
    end = len(text)
    for _ in range(_TRIES):
        place = text.rfind(f"def {function_name}", 0, end)
        start = text.rfind('"', 0, place) if place >= 0 else -1
        if start < 0:
            return
        end = start
        try:
            value, _ = _scan(text, start + 1, True)
        except ValueError:
            value = _scan_cut_off(text[start + 1 :])
        if f"def {function_name}" in value and "\n" in value:
            yield value


def _scan_cut_off(text: str) -> str:
    """The value of a quoted text that ends before its quotation mark."""
    line = text.partition("\n")[0]
    try:
        value, _ = _scan(line.rstrip("\\") + '"', 0, True)
    except ValueError:
        return ""
    return str(value)
