"""The dialects in which models think aloud: what of a reply is thinking, and what is the answer."""

from __future__ import annotations

import re

_SECTIONS = (
    ("<think>", "</think>"),  # DeepSeek-R1, Qwen3, GLM, MiniMax, Nemotron, Phi-4
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("<thought>", "</thought>"),  # EXAONE
    ("<thoughts>", "</thoughts>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<reflection>", "</reflection>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("<longcat_think>", "</longcat_think>"),
    ("[think]", "[/think]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi-VL
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|start_thinking|>", "<|end_thinking|>"),  # Command A
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ("<|channel>thought", "<channel|>"),  # Gemma 4
    ("<unused94>thought", "<unused95>"),  # MedGemma
)
_OPENING = dict(_SECTIONS)
_CLOSING = {closing for _, closing in _SECTIONS}
_MARK = re.compile(r"[<\[◁][^<>\[\]◁▷\n]{1,24}[>\]▷](?:thought\b)?")
"""Whatever looks like a mark; a look into the table decides. A pattern of all marks would be slow."""
_FOLDED = re.compile(r'(?P<o><details type="reasoning"[^>]{0,200}>)|(?P<c></details>)')
"""How a chat front end folds thinking away; any `</details>` ends it, and one alone means nothing."""
_CHANNEL = re.compile(r"<\|channel\|>([^<\n]{0,120})(?:<\|constrain\|>[^<\n]{0,40})?<\|message\|>")
"""gpt-oss (harmony): a message names its channel; "final" is the answer, "analysis" is thinking."""
_MESSAGE_END = re.compile(r"<\|(?:end|return|call|start)\|>")


def without_thinking(text: str) -> tuple[str, bool]:
    """The text without its sections of thinking, and whether there were any. Takes linear time.

    A section that is never closed runs to the end; what stands before an end without a beginning is thinking.
    """
    outside = _cut_sections(_cut_folded(_final_channel(text)))
    return outside, outside != text


def without_marks(text: str) -> str:
    """The text with the thinking left in and its marks taken out."""
    text = _FOLDED.sub("\n", _CHANNEL.sub("\n", _MESSAGE_END.sub("\n", text)))
    return _MARK.sub(lambda mark: "\n" if _is_known(mark.group().lower()) else mark.group(), text)


def _is_known(mark: str) -> bool:
    return mark in _OPENING or mark in _CLOSING


def _cut_sections(text: str) -> str:
    kept: list[str] = []
    position, awaited = 0, ""
    for match in _MARK.finditer(text):
        mark = match.group().lower()
        if awaited:
            if mark == awaited:
                position, awaited = match.end(), ""
        elif mark in _OPENING:
            kept.append(text[position : match.start()])
            awaited = _OPENING[mark]
        elif mark in _CLOSING:
            kept = []
            position = match.end()
    return "\n".join(kept if awaited else [*kept, text[position:]])


def _cut_folded(text: str) -> str:
    if '<details type="reasoning"' not in text:
        return text
    kept: list[str] = []
    position, is_inside = 0, False
    for mark in _FOLDED.finditer(text):
        if mark.lastgroup == "o" and not is_inside:
            kept.append(text[position : mark.start()])
            is_inside = True
        elif mark.lastgroup == "c" and is_inside:
            position, is_inside = mark.end(), False
    return "\n".join(kept if is_inside else [*kept, text[position:]])


def _final_channel(text: str) -> str:
    """The messages that are no analysis; with the marks lost on the way the two channels run together."""
    if text.startswith("analysis") and "assistantfinal" in text:
        return text[text.rindex("assistantfinal") + len("assistantfinal") :]
    marks = list(_CHANNEL.finditer(text))
    if not marks:
        return text
    messages: list[tuple[str, str]] = []
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        end = following.start() if following else len(text)
        closing = _MESSAGE_END.search(text, mark.end(), end)
        messages.append(
            (mark.group(1).strip().lower(), text[mark.end() : closing.start() if closing else end])
        )
    return "\n".join(body for channel, body in messages if not channel.startswith("analysis"))
