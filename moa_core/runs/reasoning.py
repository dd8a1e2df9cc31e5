"""Separates thinking from the answer while it streams, wherever the pieces are cut.

Models write both into one text between tags (`<think>...</think>`, and `TAGS`), or in gpt-oss' own format
("harmony"), which some servers pass on as it is: `<|channel|>analysis<|message|>...<|end|><|start|>assistant
<|channel|>final<|message|>...`, or without its marks: `analysis...assistantfinal...`. Which one it is, the
beginning of the text tells; elsewhere all marks but `<think>` are plain text.
"""

from dataclasses import dataclass, field

OPEN_TAG = "<think>"
CLOSE_TAG = "</think>"
# Other models' tags, each with its end. Where they are from: Gemma 4's template, SGLang's table of reasoning
# parsers (docs.sglang.io, Kimi), Mistral's (Magistral), ByteDance's (Seed-OSS) and LG's (EXAONE) model cards.
TAGS = {
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<|channel>thought": "<channel|>",
}
CHANNEL, MESSAGE, START = "<|channel|>", "<|message|>", "<|start|>"
HARMONY_ENDS = ("<|end|>", "<|return|>", "<|call|>")
HARMONY_MARKS = (CHANNEL, MESSAGE, START, *HARMONY_ENDS)
HARMONY_BEGINNINGS = (CHANNEL, START)
ANSWER_CHANNEL = "final"
BARE_THINKING, BARE_ANSWER = "analysis", "assistantfinal"  # harmony whose marks were lost on the way
BEGINNINGS = (*HARMONY_BEGINNINGS, *TAGS, BARE_THINKING)


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
    _open: str = field(default=OPEN_TAG, repr=False)
    _close: str = field(default=CLOSE_TAG, repr=False)
    _header: str | None = field(default=None, repr=False)  # harmony: what stands between its marks

    def feed(self, piece: str) -> tuple[str, str]:
        """The new answer text and the new thinking in `piece`; a possible start of a mark is held back."""
        if not self._format:
            piece, self._pending = self._pending + piece, ""
            beginning = piece.lstrip()
            if any(mark != beginning and mark.startswith(beginning) for mark in BEGINNINGS):
                self._pending = piece  # nothing yet, or the first half of a mark
                return "", ""
            self._begin(beginning)
        return self._feed_harmony(piece) if self._format == "harmony" else self._feed_tags(piece)

    def _begin(self, beginning: str) -> None:
        """Decide by its first characters how the text is written."""
        self._format = "harmony" if beginning.startswith(HARMONY_BEGINNINGS) else "tags"
        tag = next((tag for tag in TAGS if beginning.startswith(tag)), "")
        if tag:
            self._open, self._close = tag, TAGS[tag]
        elif beginning.startswith(BARE_THINKING):
            self._close = BARE_ANSWER

    def finish(self) -> tuple[str, str]:
        """What was held back, once the stream has ended."""
        rest, self._pending = self._pending, ""
        if self._format == "harmony" and self._header is not None:
            return "", ""  # a header without its message
        return self._add(rest)

    def _feed_tags(self, piece: str) -> tuple[str, str]:
        self._pending += piece
        answer, thinking = "", ""
        while True:
            is_closing = self.is_thinking or self._close == BARE_ANSWER
            tags = (self._close,) if is_closing else (self._open, self._close)
            position, tag = _first_mark(self._pending, tags)
            if not tag:
                break
            more = self._add(self._pending[:position])
            answer, thinking = answer + more[0], thinking + more[1]
            self._pending = self._pending[position + len(tag) :]
            if tag == self._close and not self.is_thinking:
                self._close_unopened()
            self.is_thinking = tag == self._open
            if tag in TAGS.values():  # one section, at the beginning
                self._open, self._close = OPEN_TAG, CLOSE_TAG
            if self.is_thinking and not self.text.strip():
                self.text = ""  # empty lines before the thinking are no answer
        more = self._add(self._take_ready(tags))
        return answer + more[0], thinking + more[1]

    def _close_unopened(self) -> None:
        """An end without a beginning: everything before it was thinking."""
        text, self.text = self.text, ""
        if self._close == BARE_ANSWER:
            text, self._close = text.removeprefix(BARE_THINKING), CLOSE_TAG
        self.reasoning += text

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
