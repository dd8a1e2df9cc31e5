"""A conversation over several turns: what the next run is asked, regenerate, export as Markdown and JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from moa_core.errors import ConfigError
from moa_core.runs.prompts import Message

FORMAT = "moa-conversation"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and the summarizer's answer. notes: what the run had to say; model: who answered."""

    question: str
    answer: str
    notes: tuple[str, ...] = ()
    model: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in order. The helpers' answers are no part of it: only what the user saw as the answer."""

    turns: tuple[Exchange, ...] = ()

    def ask(self, question: str) -> tuple[Message, ...]:
        """The messages that ask `question` next; `run` leaves out the oldest turns that do not fit."""
        messages: list[Message] = []
        for turn in self.turns:
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": turn.answer})
        return (*messages, {"role": "user", "content": question})

    def add(self, turn: Exchange) -> "Conversation":
        """The conversation with one turn more."""
        return Conversation((*self.turns, turn))

    def regenerate(self) -> tuple["Conversation", str]:
        """The conversation without its last turn, and its question. Raises ConfigError when it is empty."""
        if not self.turns:
            raise ConfigError("there is nothing to answer again: the conversation is empty")
        return replace(self, turns=self.turns[:-1]), self.turns[-1].question

    def to_markdown(self, title: str = "Conversation") -> str:
        """The conversation to read: a heading per turn, the texts as they are."""
        parts = [f"# {title}"]
        for number, turn in enumerate(self.turns, start=1):
            asked = "\n".join(f"> {line}".rstrip() for line in turn.question.splitlines()) or ">"
            parts += [f"## {number}", asked, turn.answer]
            if turn.model:
                parts.append(f"*{turn.model}*")
            parts += ["\n".join(f"- Note: {note}" for note in turn.notes)] if turn.notes else []
        return "\n\n".join(parts) + "\n"

    def to_json(self) -> str:
        """The conversation as JSON; `from_json` gives an equal one back."""
        turns = [
            {"question": t.question, "answer": t.answer, "notes": list(t.notes), "model": t.model}
            for t in self.turns
        ]
        data = {"format": FORMAT, "version": VERSION, "turns": turns}
        return json.dumps(data, ensure_ascii=False, indent=2)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Conversation":
        """Read what `to_json` wrote. Raises ConfigError."""
        try:
            data: Any = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise ConfigError(f"not valid JSON: {exc}") from exc
        if not isinstance(data, Mapping) or data.get("format") != FORMAT or data.get("version") != VERSION:
            raise ConfigError(f"this is no conversation: expected {FORMAT!r}, version {VERSION}")
        turns = data.get("turns", [])
        if not isinstance(turns, list):
            raise ConfigError(f"is {type(turns).__name__}; expected a list", "turns")
        return cls(tuple(_exchange(item, f"turns[{n}]") for n, item in enumerate(turns)))


def _exchange(item: Any, where: str) -> Exchange:
    item = item if isinstance(item, Mapping) else {}
    question, answer = item.get("question"), item.get("answer")
    notes, model = item.get("notes") or [], item.get("model") or ""
    if not isinstance(question, str) or not isinstance(answer, str) or not isinstance(model, str):
        raise ConfigError("needs a question, an answer and perhaps a model, each as text", where)
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise ConfigError("its notes are no list of texts", where)
    return Exchange(question, answer, tuple(notes), model)
