"""Separates thinking from the answer while it streams, wherever the pieces are cut.

Two ways of writing both into one text are known: `<think>...</think>`, and gpt-oss' own format ("harmony"),
which some servers pass on as it is: `<|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>
final<|message|>...`. A text is harmony when it begins like that; elsewhere those marks are plain text.
"""

from dataclasses import dataclass, field

OPEN_TAG = "<think>"
CLOSE_TAG = "</think>"
CHANNEL, MESSAGE, START = "<|channel|>", "<|message|>", "<|start|>"
HARMONY_ENDS = ("<|end|>", "<|return|>", "<|call|>")
HARMONY_MARKS = (CHANNEL, MESSAGE, START, *HARMONY_ENDS)
HARMONY_BEGINNINGS = (CHANNEL, START)
ANSWER_CHANNEL = "final"


@dataclass(slots=True)
class ThinkSplitter:
    """Fed with pieces of a stream, it says what is answer and what is thinking; marks may be cut anywhere.

    `text` and `reasoning` hold what came so far. A closing tag without an opening one (chat templates that
    open it in the prompt) makes everything before it thinking: then `text` differs from what `feed` had
    called answer.
    """

    text: str = ""
    reasoning: str = ""
    is_thinking: bool = False
    _pending: str = field(default="", repr=False)
    _format: str = field(default="", repr=False)  # "tags" or "harmony", once the beginning has told
    _header: str | None = field(default=None, repr=False)  # harmony: what stands between its marks

    def feed(self, piece: str) -> tuple[str, str]:
        """The new answer text and the new thinking in `piece`; a possible start of a mark is held back."""
        if not self._format:
            piece, self._pending = self._pending + piece, ""
            beginning = piece.lstrip()
            if any(mark.startswith(beginning) for mark in HARMONY_BEGINNINGS):
                self._pending = piece  # nothing yet, or the first half of a mark
                return "", ""
            self._format = "harmony" if beginning.startswith(HARMONY_BEGINNINGS) else "tags"
        return self._feed_harmony(piece) if self._format == "harmony" else self._feed_tags(piece)

    def finish(self) -> tuple[str, str]:
        """What was held back, once the stream has ended."""
        rest, self._pending = self._pending, ""
        if self._format == "harmony" and self._header is not None:
            return "", ""  # a header without its message
        return self._add(rest)

    def _feed_tags(self, piece: str) -> tuple[str, str]:
        if not self._pending and not self.is_thinking and "<" not in piece:
            return self._add(piece)
        self._pending += piece
        answer, thinking = "", ""
        while True:
            tags = (CLOSE_TAG,) if self.is_thinking else (OPEN_TAG, CLOSE_TAG)
            position, tag = _first_mark(self._pending, tags)
            if not tag:
                break
            more = self._add(self._pending[:position])
            answer, thinking = answer + more[0], thinking + more[1]
            self._pending = self._pending[position + len(tag) :]
            if tag == CLOSE_TAG and not self.is_thinking:
                self.reasoning, self.text = self.reasoning + self.text, ""
            self.is_thinking = tag == OPEN_TAG
        more = self._add(self._take_ready(tags))
        return answer + more[0], thinking + more[1]

    def _feed_harmony(self, piece: str) -> tuple[str, str]:
        """Marks change what the text after them is: a channel's name, or the message of that channel."""
        self._pending += piece
        answer, thinking = "", ""
        while True:
            position, mark = _first_mark(self._pending, HARMONY_MARKS)
            ready = self._pending[:position] if mark else self._take_ready(HARMONY_MARKS)
            if self._header is None:
                more = self._add(ready)
                answer, thinking = answer + more[0], thinking + more[1]
            else:
                self._header += ready
            if not mark:
                return answer, thinking
            self._pending = self._pending[position + len(mark) :]
            if mark != MESSAGE:
                self._header = ""
                continue
            is_answer = (self._header or "").strip() in ("", ANSWER_CHANNEL)
            self.is_thinking, self._header = not is_answer, None

    def _take_ready(self, marks: tuple[str, ...]) -> str:
        """What of the pending text cannot be the start of a mark."""
        keep = len(self._pending) - _held_back(self._pending, marks)
        ready, self._pending = self._pending[:keep], self._pending[keep:]
        return ready

    def _add(self, piece: str) -> tuple[str, str]:
        if self.is_thinking:
            self.reasoning += piece
            return "", piece
        if self.reasoning and not self.text:
            piece = piece.lstrip()  # the empty lines between thinking and answer
        self.text += piece
        return piece, ""


def _first_mark(text: str, marks: tuple[str, ...]) -> tuple[int, str]:
    found = [(position, mark) for mark in marks if (position := text.find(mark)) >= 0]
    return min(found, default=(-1, ""))


def _held_back(text: str, marks: tuple[str, ...]) -> int:
    """How many characters at the end of `text` could be the start of a mark."""
    longest = max(len(mark) for mark in marks) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(mark.startswith(text[-length:]) for mark in marks):
            return length
    return 0
