"""Conversations as a list of turns: checked, and made to fit templates that take fewer kinds of turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wse_backend.errors import InvalidMessages

ROLES = ("system", "user", "assistant")
_ALLOWED = 'a non-empty list of {"role": "system", "user" or "assistant", "content": text}'

Turns = list[dict[str, str]]


def check_messages(messages: object) -> Turns:
    """A fresh list of the messages' roles and contents. Raises InvalidMessages with what is wrong."""
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise InvalidMessages(f"{type(messages).__name__} instead of a list", _ALLOWED)
    if not messages:
        raise InvalidMessages("an empty list", _ALLOWED)
    turns = []
    for position, message in enumerate(messages, start=1):
        if not isinstance(message, Mapping):
            raise InvalidMessages(f"message {position} is {type(message).__name__}", _ALLOWED)
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise InvalidMessages(f"message {position} has the role {str(role)[:40]!r}", _ALLOWED)
        if not isinstance(content, str):
            raise InvalidMessages(f"the content of message {position} is {type(content).__name__}", _ALLOWED)
        turns.append({"role": role, "content": content})
    return turns


def fold_system(turns: Turns) -> Turns:
    """`turns` without the role system: such a text stands in front of the user message that follows it."""
    folded: Turns = []
    waiting: list[str] = []
    for turn in turns:
        if turn["role"] == "system":
            waiting.append(turn["content"])
        elif turn["role"] == "user":
            folded.append({"role": "user", "content": _joined(*waiting, turn["content"])})
            waiting = []
        else:
            folded.append(turn)
    if waiting:
        folded.append({"role": "user", "content": _joined(*waiting)})
    return folded


def merge_turns(turns: Turns) -> Turns:
    """`turns` with neighbours of one role made one message."""
    merged: Turns = []
    for turn in turns:
        if merged and merged[-1]["role"] == turn["role"]:
            content = _joined(merged[-1]["content"], turn["content"])
            merged[-1] = {"role": turn["role"], "content": content}
        else:
            merged.append(turn)
    return merged


def _joined(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)
