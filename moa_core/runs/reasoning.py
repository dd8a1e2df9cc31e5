"""Separates thinking from the answer while it streams: `<think>...</think>` inside the text."""

from dataclasses import dataclass, field

OPEN_TAG = "<think>"
CLOSE_TAG = "</think>"


@dataclass(slots=True)
class ThinkSplitter:
    """Fed with pieces of a stream, it says what is answer and what is thinking; tags may be cut anywhere.

    `text` and `reasoning` hold what came so far. A closing tag without an opening one (chat templates that
    open it in the prompt) makes everything before it thinking: then `text` differs from what `feed` had
    called answer.
    """

    text: str = ""
    reasoning: str = ""
    is_thinking: bool = False
    _pending: str = field(default="", repr=False)

    def feed(self, piece: str) -> tuple[str, str]:
        """The new answer text and the new thinking in `piece`; a possible start of a tag is held back."""
        if not self._pending and not self.is_thinking and "<" not in piece:
            return self._add(piece)
        self._pending += piece
        answer, thinking = "", ""
        while True:
            tags = (CLOSE_TAG,) if self.is_thinking else (OPEN_TAG, CLOSE_TAG)
            position, tag = _first_tag(self._pending, tags)
            if not tag:
                break
            more = self._add(self._pending[:position])
            answer, thinking = answer + more[0], thinking + more[1]
            self._pending = self._pending[position + len(tag) :]
            if tag == CLOSE_TAG and not self.is_thinking:
                self.reasoning, self.text = self.reasoning + self.text, ""
            self.is_thinking = tag == OPEN_TAG
        keep = _held_back(self._pending, tags)
        ready, self._pending = (
            self._pending[: len(self._pending) - keep],
            self._pending[len(self._pending) - keep :],
        )
        more = self._add(ready)
        return answer + more[0], thinking + more[1]

    def finish(self) -> tuple[str, str]:
        """What was held back, once the stream has ended."""
        rest, self._pending = self._pending, ""
        return self._add(rest)

    def _add(self, piece: str) -> tuple[str, str]:
        if self.is_thinking:
            self.reasoning += piece
            return "", piece
        if self.reasoning and not self.text:
            piece = piece.lstrip()  # the empty lines between thinking and answer
        self.text += piece
        return piece, ""


def _first_tag(text: str, tags: tuple[str, ...]) -> tuple[int, str]:
    found = [(position, tag) for tag in tags if (position := text.find(tag)) >= 0]
    return min(found, default=(-1, ""))


def _held_back(text: str, tags: tuple[str, ...]) -> int:
    """How many characters at the end of `text` could be the start of a tag."""
    longest = max(len(tag) for tag in tags) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(tag.startswith(text[-length:]) for tag in tags):
            return length
    return 0
