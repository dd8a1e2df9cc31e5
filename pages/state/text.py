"""Text that others wrote (models, participants, servers), made safe to show as Markdown."""

from __future__ import annotations

import re

# Fenced blocks (closed or still streaming) and inline code: shown as they are, so nothing is escaped in them.
_CODE = re.compile(
    r"(^ {0,3}(?P<fence>`{3,}|~{3,}).*?(?:^ {0,3}(?P=fence)[`~]*[ \t]*$|\Z)|`[^`\n]+`)", re.M | re.S
)
# Markdown's own characters, colon directives and emoji codes, dashes that become arrows, marks at the start.
_SPECIAL = re.compile(r"[\\`*_\[\]<>~$]|:(?=[A-Za-z+-])|:(?=\w+:)|-(?=[->])|^[#+-]")
_LIST_NUMBER = re.compile(r"^(\d+)([.)])")
_HEADING = re.compile(r"^( {0,3})#{1,3}(?=\s)", re.M)


def as_markdown(text: str) -> str:
    """`text` as Markdown without its power over the page.

    Outside code: `$` shows itself instead of starting a formula, an image is not fetched, a colon directive
    (`:red[...]`, `:material/...:`) stays text, and a heading is never larger than the page's own. HTML is
    inert anyway, because no page allows it.
    """
    parts = []
    end = 0
    for code in _CODE.finditer(text):
        parts.append(_escape_prose(text[end : code.start()]))
        parts.append(code.group(0))
        end = code.end()
    parts.append(_escape_prose(text[end:]))
    return "".join(parts)


def as_plain(text: str) -> str:
    """`text` in one line of Markdown that shows just its characters; for names inside our own sentences."""
    text = _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))
    return _LIST_NUMBER.sub(r"\1\\\2", text)


def _escape_prose(text: str) -> str:
    text = text.replace("$", r"\$").replace("![", r"!\[")
    text = re.sub(r":(?=[A-Za-z])", r"\\:", text)
    return _HEADING.sub(r"\1####", text)


def seconds(value_s: float) -> str:
    """A duration for a label: "0.42 s", "8.1 s", "2 min 05 s"."""
    if value_s < 9.95:
        return f"{value_s:.2f} s" if value_s < 0.995 else f"{value_s:.1f} s"
    if value_s < 60:
        return f"{value_s:.0f} s"
    return f"{int(value_s // 60)} min {int(value_s % 60):02d} s"


def about(value_s: float) -> str:
    """A rough time for a promise: "a few seconds", "20 s", "about 4 min"."""
    if value_s < 5:
        return "a few seconds"
    if value_s < 55:
        return f"{round(value_s / 5) * 5} s"
    return f"about {max(1, round(value_s / 60))} min"


def size(value_bytes: float) -> str:
    """A size for a label: "98 MB", "1.1 GB" (decimal units, as file listings and wheels use)."""
    if value_bytes >= 1e9:
        return f"{value_bytes / 1e9:.1f} GB"
    return f"{value_bytes / 1e6:.0f} MB"


def count(number: int, noun: str) -> str:
    """ "1 agent", "3 agents", "1,204 tokens"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def capitalised(text: str) -> str:
    """`text` with a capital first letter, the rest untouched."""
    return text[:1].upper() + text[1:]


def shortened(text: str, limit: int) -> str:
    """`text`, cut to `limit` characters with an ellipsis when it is longer."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
