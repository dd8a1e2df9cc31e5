"""SentencePiece's merging (`tokenizer.ggml.model` "llama": Llama 1 and 2, Mistral, Gemma, Phi-3).

The whole text is one piece, its spaces written as U+2581. Of all neighbours whose join is in the vocabulary
the best scored is joined, the leftmost of equals, until none is left (Kudo & Richardson 2018, arXiv
1808.06226; the same order as llama.cpp's `llm_tokenizer_spm_session`). What is no token is spelt in bytes.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from gguf.constants import TokenType

from wse_backend.errors import BrokenGGUF

SPACE = "\u2581"
_MERGED = (TokenType.NORMAL, TokenType.USER_DEFINED)  # control and byte tokens are not spelt by their text


class SentencePiece:
    """The merges of one vocabulary. Immutable and thread-safe."""

    def __init__(self, tokens: Sequence[str], types: Sequence[int], scores: Sequence[float], file: str):
        """Raises BrokenGGUF when there is no token for some byte and none for what is unknown."""
        self._ids = {text: i for i, text in enumerate(tokens) if types[i] in _MERGED and text}
        self._scores = scores
        by_text = {text: i for i, text in enumerate(tokens)}
        unknown = next((i for i, kind in enumerate(types) if kind == TokenType.UNKNOWN), None)
        found = [by_text.get(f"<0x{byte:02X}>", unknown) for byte in range(256)]
        if None in found:
            raise BrokenGGUF(file, f"its vocabulary has no token for the byte {found.index(None)}")
        self._bytes = tuple(i for i in found if i is not None)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text without control tokens."""
        pieces = self._merged(text.replace(" ", SPACE))
        ids: list[int] = []
        for piece in pieces:
            found = self._ids.get(piece)
            ids += [self._bytes[byte] for byte in piece.encode()] if found is None else [found]
        return ids

    def _merged(self, text: str) -> list[str]:
        """The characters of `text`, joined as far as the vocabulary goes.

        Pieces are kept by where they begin; a join that has become stale is seen by its length.
        """
        pieces = list(text)
        after = list(range(1, len(pieces) + 1))  # where the next piece begins
        before = list(range(-1, len(pieces) - 1))
        best: list[tuple[float, int, int]] = []  # -score, left piece, length of the join

        def consider(left: int, right: int) -> None:
            if left < 0 or right >= len(pieces):
                return
            joined = self._ids.get(pieces[left] + pieces[right])
            if joined is not None:
                length = len(pieces[left]) + len(pieces[right])
                heapq.heappush(best, (-self._scores[joined], left, length))

        for left in range(len(pieces) - 1):
            consider(left, left + 1)
        while best:
            _, left, length = heapq.heappop(best)
            right = after[left]
            if not pieces[left] or right >= len(pieces) or len(pieces[left]) + len(pieces[right]) != length:
                continue
            pieces[left] += pieces[right]
            pieces[right] = ""
            after[left] = after[right]
            if after[left] < len(pieces):
                before[after[left]] = left
            consider(before[left], left)
            consider(left, after[left])
        return [piece for piece in pieces if piece]


def token_bytes(text: str, kind: int) -> bytes:
    """The bytes that a token of this vocabulary stands for."""
    if kind == TokenType.BYTE:
        try:
            return bytes([int(text[3:5], 16)])
        except ValueError:
            return text.encode()
    if kind == TokenType.NORMAL:
        return text.replace(SPACE, " ").encode()
    return text.encode()
