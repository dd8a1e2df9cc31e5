"""Server-sent events from a stream of bytes (WHATWG HTML, 9.2.6), as far as chat completions need them."""

from dataclasses import dataclass, field

from moa_core.errors import MalformedAnswer

MAX_EVENT_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class SSEParser:
    """Fed with bytes cut anywhere, it returns the `data` of every event that is complete.

    Lines are decoded whole, so a character split over two pieces is never broken. Comments, keep-alives and
    fields other than `data` are skipped.
    """

    _buffer: bytearray = field(default_factory=bytearray)
    _data: list[str] = field(default_factory=list)
    _size: int = 0
    _after_cr: bool = False
    _is_first: bool = True

    def feed(self, piece: bytes) -> list[str]:
        """The data of the events that `piece` completes. Raises MalformedAnswer when one is far too long."""
        if self._after_cr and piece:
            piece, self._after_cr = piece.removeprefix(b"\n"), False
        if piece:
            self._after_cr = piece.endswith(b"\r")
        self._buffer += piece
        if len(self._buffer) + self._size > MAX_EVENT_BYTES:
            raise MalformedAnswer(f"one event of the stream is longer than {MAX_EVENT_BYTES} bytes")
        if b"\n" not in piece and b"\r" not in piece:
            return []
        text = bytes(self._buffer).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._buffer = bytearray(rest)
        return [event for line in lines if (event := self._line(line)) is not None]

    def finish(self) -> str | None:
        """The data of a last event that was not closed by an empty line, if there is any."""
        if self._buffer:
            self._line(bytes(self._buffer))
            self._buffer.clear()
        return self._line(b"")

    def _line(self, line: bytes) -> str | None:
        if self._is_first:
            line, self._is_first = line.removeprefix(b"\xef\xbb\xbf"), False
        if not line:
            event = "\n".join(self._data) if self._data else None
            self._data.clear()
            self._size = 0
            return event
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
            self._size += len(value)
        return None
